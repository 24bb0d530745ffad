//! CLIP's text tower (Radford et al., 2021, section 2.4): a pre-norm transformer with causal attention, read at the end of the
//! text.

use archaeo_ops::Precision;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::{EPSILON, TextConfig};
use super::tokenizer::{CONTEXT, VOCABULARY};
use crate::attention::MultiHeadAttention;
use crate::layers::{LayerNorm, zeros};
use crate::pass::Pass;
use crate::transformer::{FeedForward, Mlp};

/// Attention score of a masked key.
const HIDDEN: f32 = -1e30;

/// A block of the text tower. It takes no probe: the text is read once, before any question is asked about images.
#[derive(Module, Debug)]
pub struct TextBlock {
    /// Layer norm before the attention, `[width]`.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: MultiHeadAttention,
    /// Layer norm before the MLP, `[width]`.
    pub norm2: LayerNorm,
    /// MLP of two layers.
    pub mlp: Mlp,
}

impl TextBlock {
    fn forward(&self, x: Tensor<3>, layer: usize, hidden: &Tensor<4>, pass: &Pass) -> Tensor<3> {
        let x = self.attn.forward_biased(self.norm1.forward(x.clone()), x, hidden.clone(), pass.precision);
        self.mlp.forward(self.norm2.forward(x.clone()), Some(x), layer, pass)
    }
}

/// The text tower.
#[derive(Module, Debug)]
pub struct TextTower {
    /// `[vocabulary, width]`
    pub token_embedding: Param<Tensor<2>>,
    /// `[context, width]`
    pub positional_embedding: Param<Tensor<2>>,
    /// Transformer blocks.
    pub blocks: Vec<TextBlock>,
    /// After the last block.
    pub norm: LayerNorm,
    heads: usize,
}

impl TextTower {
    pub(super) fn new(config: &TextConfig, feed_forward: FeedForward, device: &Device) -> Self {
        let TextConfig { width, depth, heads, mlp_width } = *config;
        let norm = || LayerNorm::new(width, EPSILON, device);
        let block = |_| TextBlock {
            norm1: norm(),
            attn: MultiHeadAttention::new(width, heads, 0.0, 0.0, device),
            norm2: norm(),
            mlp: Mlp::new(width, mlp_width, feed_forward, 0.0, device),
        };
        Self {
            token_embedding: zeros([VOCABULARY, width], device),
            positional_embedding: zeros([CONTEXT, width], device),
            blocks: (0..depth).map(block).collect(),
            norm: norm(),
            heads,
        }
    }

    /// The last block's output at the end of each text, normalised by `norm`: `[texts, width]`.
    ///
    /// Attention is causal, so positions after the longest text are not computed.
    ///
    /// # Panics
    /// Without texts, or with one that is empty, longer than the context or not made of tokens of the vocabulary.
    pub(super) fn forward(&self, texts: &[Vec<u32>], precision: Precision) -> Tensor<2> {
        let length = texts.iter().map(Vec::len).max().expect("there are texts");
        let device = self.token_embedding.val().device();
        let padded = texts.iter().flat_map(|text| {
            let tokens = text.iter().map(|&token| i64::from(token));
            tokens.chain(std::iter::repeat_n(0, length - text.len()))
        });
        let ints = |values: Vec<i64>| {
            let count = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device)
        };
        let embedded = self.token_embedding.val().select(0, ints(padded.collect()));
        let [_, width] = embedded.dims();
        let positions = self.positional_embedding.val().narrow(0, 0, length);
        let mut x = embedded.reshape([texts.len(), length, width]) + positions.unsqueeze();
        let hidden = later_tokens(length, &device).expand([1, self.heads, length, length]);
        let mut nobody = ();
        let pass = Pass::evaluate(&mut nobody).in_precision(precision);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, layer, &hidden, &pass);
        }
        let ends = texts.iter().enumerate().map(|(index, text)| (index * length + text.len() - 1) as i64);
        self.norm.forward(x.reshape([texts.len() * length, width]).select(0, ints(ends.collect())))
    }
}

/// `[1, 1, tokens, tokens]`: [`HIDDEN`] for keys after the query, 0 for the others.
fn later_tokens(tokens: usize, device: &Device) -> Tensor<4> {
    let row = |query: usize| (0..tokens).map(move |key| if key > query { HIDDEN } else { 0.0 });
    let values: Vec<f32> = (0..tokens).flat_map(row).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, tokens, tokens]), device)
}
