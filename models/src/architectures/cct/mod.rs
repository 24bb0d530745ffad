//! Compact Convolutional Transformer (Hassani et al., 2021): convolutions make the tokens, and a learned, image-dependent mean of all
//! tokens is classified; there is no class token.
//!
//! Blocks are those of the paper and of ViT, norm before each branch. (The released code also normalises the residual stream between
//! attention and MLP.)

mod architecture;
mod config;

use archaeo_ops::{Precision, add, max_pool2d, relu};
use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

pub use self::config::CctConfig;
use crate::architectures::vit::{Position, sine_positions};
use crate::forward::{ForwardPass, Tokens, Transformer};
use crate::layers::{Conv2d, LayerNorm, Linear, zeros};
use crate::pass::Pass;
use crate::probe::AttentionSite;
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::SpecError;
use crate::transformer::{Block, BlockConfig, FeedForward, drop_path_at};

/// Kernel, stride and padding of the pooling after each convolution.
const POOL: [usize; 3] = [3, 2, 1];

/// Compact Convolutional Transformer.
#[derive(Module, Debug)]
pub struct Cct {
    /// Convolutions, each followed by ReLU and pooling.
    pub tokenizer: Vec<Conv2d>,
    /// `[1, tokens, width]`, learned positions only.
    pub pos_embed: Option<Param<Tensor<3>>>,
    /// Transformer blocks.
    pub blocks: Vec<Block>,
    /// Before the pooling.
    pub norm: LayerNorm,
    /// `[1, width]`: the score of a token. A bias, which the softmax cancels, is left out.
    pub attention_pool: Linear,
    /// `[classes, width]`; a model without it is a backbone.
    pub head: Option<Linear>,
    #[module(skip)]
    config: CctConfig,
}

impl Cct {
    /// A CCT with placeholder weights.
    ///
    /// # Errors
    /// As [`CctConfig::validate`].
    pub fn new(config: &CctConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let CctConfig { width, depth, heads, mlp_width, kernel_size, classes, .. } = *config;
        let conv = |channels| Conv2d::new(channels, kernel_size, config.stride(), kernel_size / 2, device);
        let block = |layer| {
            let sizes = BlockConfig {
                width,
                heads,
                qkv_bias: false,
                mlp_width,
                feed_forward: FeedForward::Gelu,
                layer_scale: false,
                dropout: config.dropout,
                attention_dropout: config.attention_dropout,
                drop_path: drop_path_at(layer, depth, config.drop_path),
                epsilon: CctConfig::EPSILON,
            };
            Block::new(&sizes, device)
        };
        let learned = config.position == Position::Learned;
        Ok(Self {
            tokenizer: config.channels().into_iter().map(conv).collect(),
            pos_embed: learned.then(|| zeros([1, config.grid().pow(2), width], device)),
            blocks: (0..depth).map(block).collect(),
            norm: LayerNorm::new(width, CctConfig::EPSILON, device),
            attention_pool: Linear::new(width, 1, false, device),
            head: (classes > 0).then(|| Linear::new(width, classes, true, device)),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &CctConfig {
        &self.config
    }

    fn site(&self, layer: usize, grid: [usize; 2]) -> AttentionSite {
        AttentionSite { layer, grid, prefix: self.prefix(), read_out: self.read_out(), window: None }
    }
}

/// The features are the weighted mean of the tokens after `norm`.
impl ForwardPass for Cct {
    fn feature_dim(&self) -> usize {
        self.config.width
    }

    fn classifier(&self) -> Option<&Linear> {
        self.head.as_ref()
    }

    fn transformer(&self) -> Option<&dyn Transformer> {
        Some(self)
    }
}

impl Transformer for Cct {
    fn depth(&self) -> usize {
        self.blocks.len()
    }

    fn heads(&self, _: usize) -> usize {
        self.config.heads
    }

    fn prefix(&self) -> PrefixTokens {
        PrefixTokens::NONE
    }

    fn read_out(&self) -> ReadOut {
        ReadOut::WeightedPatches
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens {
        let mut map = images;
        for conv in &self.tokenizer {
            let [kernel, stride, padding] = POOL;
            map = max_pool2d(relu(conv.forward(map, pass.precision)), kernel, stride, padding);
        }
        let [batch, width, rows, columns] = map.dims();
        let mut values = map.reshape([batch, width, rows * columns]).swap_dims(1, 2);
        values = match (&self.pos_embed, self.config.position) {
            (Some(positions), _) => add(values, positions.val()),
            (None, Position::Sine) => {
                let device = values.device();
                add(values, sine_positions([rows, columns], 0, width, &device))
            }
            (None, _) => values,
        };
        Tokens { values: pass.dropout(values, self.config.dropout, "token dropout"), grid: [rows, columns] }
    }

    fn block(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        Tokens { values: self.blocks[layer].forward(values, &self.site(layer, grid), pass), grid }
    }

    fn after_attention(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        Tokens { values: self.blocks[layer].after_attention(values, &self.site(layer, grid), pass), grid }
    }

    fn head_contribution(
        &self,
        layer: usize,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        self.blocks[layer].head_contribution(head, output, precision)
    }

    /// Sequence pooling (section 3.2): `softmax(g(x))ᵀ · x`, where `g` is linear.
    fn pool(&self, tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        let x = self.norm.forward(tokens.values);
        let [batch, _, width] = x.dims();
        let weights = softmax(self.attention_pool.forward(x.clone(), pass.precision), 1);
        (x * weights).sum_dim(1).reshape([batch, width])
    }
}
