//! The pre-norm transformer block (Dosovitskiy et al., 2021, equations 2 and 3).

use archaeo_ops::{self as ops, MlpActivation, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::attention::{MultiHeadAttention, project_head, project_onto};
use crate::layers::{LayerNorm, Linear, constant};
use crate::pass::Pass;
use crate::probe::{AttentionSite, TokenPlace, TokenSite};

/// Layer scale of a fresh model (Touvron et al., 2021, "Going deeper", section 2.2: 1e-5 for 18 to 24 blocks).
const INITIAL_SCALE: f32 = 1e-5;

/// What a block's MLP computes between its two layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedForward {
    /// Exact GELU (Hendrycks & Gimpel, 2016).
    #[default]
    Gelu,
    /// `x · σ(1.702 x)`, OpenAI CLIP's GELU.
    QuickGelu,
    /// `silu(gate) · value`, both halves of a first layer of twice the hidden width (Shazeer, 2020).
    SwiGlu,
}

/// MLP of two layers.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[hidden, width]`; gate and value stacked, `[2 · hidden, width]`, for SwiGLU.
    pub fc1: Linear,
    /// `[width, hidden]`
    pub fc2: Linear,
    #[module(skip)]
    feed_forward: FeedForward,
    dropout: f64,
}

impl Mlp {
    /// An MLP of zeros.
    pub fn new(
        width: usize,
        hidden: usize,
        feed_forward: FeedForward,
        dropout: f64,
        device: &Device,
    ) -> Self {
        let expanded = if feed_forward == FeedForward::SwiGlu { 2 * hidden } else { hidden };
        Self {
            fc1: Linear::new(width, expanded, true, device),
            fc2: Linear::new(hidden, width, true, device),
            feed_forward,
            dropout,
        }
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`, added to `residual` where there is one; `layer` names the dropout's
    /// random numbers.
    pub fn forward(&self, x: Tensor<3>, residual: Option<Tensor<3>>, layer: usize, pass: &Pass) -> Tensor<3> {
        let dropping = pass.drops(self.dropout);
        let activation = match self.feed_forward {
            FeedForward::Gelu => Some(MlpActivation::Gelu),
            FeedForward::QuickGelu => Some(MlpActivation::QuickGelu),
            FeedForward::SwiGlu => None,
        };
        if let (Some(activation), false) = (activation, dropping) {
            let weights = [self.fc1.weight.val(), self.fc2.weight.val()];
            let bias = |layer: &Linear| layer.bias.as_ref().expect("both layers are made with a bias").val();
            let biases = [bias(&self.fc1), bias(&self.fc2)];
            return ops::mlp(x, weights, biases, activation, residual, pass.precision);
        }
        let x = self.fc1.forward(x, pass.precision);
        let hidden = match self.feed_forward {
            FeedForward::Gelu => ops::gelu(x),
            FeedForward::QuickGelu => ops::quick_gelu(x),
            FeedForward::SwiGlu => ops::swiglu(x),
        };
        let hidden = pass.dropout(hidden, self.dropout, &format!("mlp hidden dropout {layer}"));
        project_onto(residual, &self.fc2, hidden, self.dropout, &format!("mlp dropout {layer}"), pass)
    }
}

/// A learned scale on each channel of a residual branch (Touvron et al., 2021, "Going deeper", equation 2).
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[width]`
    pub gamma: Param<Tensor<1>>,
}

impl LayerScale {
    fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        branch * self.gamma.val().unsqueeze()
    }
}

/// `x` plus a residual branch, which is scaled and, by stochastic depth with a rate and a stream, dropped. A branch without
/// either is given `x`, so that its last product adds it.
pub(crate) fn add_branch(
    x: Tensor<3>,
    scale: Option<&LayerScale>,
    (rate, stream): (f64, String),
    pass: &mut Pass,
    branch: impl FnOnce(Option<Tensor<3>>, &mut Pass) -> Tensor<3>,
) -> Tensor<3> {
    if scale.is_none() && !pass.drops(rate) {
        return branch(Some(x), pass);
    }
    let values = branch(None, pass);
    let values = match scale {
        Some(scale) => scale.forward(values),
        None => values,
    };
    ops::add(x, pass.drop_path(values, rate, &stream))
}

/// Stochastic depth of block `layer`, counted from 0: nothing in the first, `rate` in the last (Huang et al., 2016, section 3:
/// linear decay).
pub(crate) fn drop_path_at(layer: usize, depth: usize, rate: f64) -> f64 {
    rate * layer as f64 / (depth - 1).max(1) as f64
}

/// Widths and rates of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockConfig {
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Hidden width of the MLP.
    pub mlp_width: usize,
    /// What the MLP computes.
    pub feed_forward: FeedForward,
    /// Whether each residual branch has a [`LayerScale`].
    pub layer_scale: bool,
    /// Dropout after every dense layer except query, key and value (Dosovitskiy et al., 2021, appendix B.1).
    pub dropout: f64,
    /// Dropout on the attention weights.
    pub attention_dropout: f64,
    /// Probability that a branch is dropped for an image.
    pub drop_path: f64,
    /// Epsilon of both layer norms.
    pub epsilon: f64,
}

impl BlockConfig {
    /// The block of Vaswani et al. and of ViT: an MLP of four times the width, with GELU, and nothing that is dropped.
    pub fn plain(width: usize, heads: usize, epsilon: f64) -> Self {
        Self {
            width,
            heads,
            qkv_bias: true,
            mlp_width: 4 * width,
            feed_forward: FeedForward::Gelu,
            layer_scale: false,
            dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
            epsilon,
        }
    }
}

/// `x + ls1 · attention(norm1(x))`, then `x + ls2 · mlp(norm2(x))`; without layer scale both factors are 1.
#[derive(Module, Debug)]
pub struct Block {
    /// Layer norm before the attention, `[width]`.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: MultiHeadAttention,
    /// Scale of the attention branch.
    pub ls1: Option<LayerScale>,
    /// Layer norm before the MLP, `[width]`.
    pub norm2: LayerNorm,
    /// MLP of two layers.
    pub mlp: Mlp,
    /// Scale of the MLP branch.
    pub ls2: Option<LayerScale>,
    drop_path: f64,
}

impl Block {
    /// A block with placeholder weights.
    pub fn new(config: &BlockConfig, device: &Device) -> Self {
        let BlockConfig { width, heads, mlp_width, dropout, attention_dropout, drop_path, epsilon, .. } =
            *config;
        let attn = MultiHeadAttention::new(width, heads, attention_dropout, dropout, device);
        let scale =
            || config.layer_scale.then(|| LayerScale { gamma: constant(INITIAL_SCALE, [width], device) });
        Self {
            norm1: LayerNorm::new(width, epsilon, device),
            attn: if config.qkv_bias { attn } else { attn.without_qkv_bias() },
            ls1: scale(),
            norm2: LayerNorm::new(width, epsilon, device),
            mlp: Mlp::new(width, mlp_width, config.feed_forward, dropout, device),
            ls2: scale(),
            drop_path,
        }
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let x = self.attend(x, site, pass);
        self.after_attention(x, site, pass)
    }

    fn attend(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, prefix, .. } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: prefix.count() };

        let x = pass.probe.tokens(&at(TokenPlace::BlockInput), x);
        let normed = pass.probe.tokens(&at(TokenPlace::AttentionInput), self.norm1.forward(x.clone()));
        let path = (self.drop_path, format!("attention path {layer}"));
        add_branch(x, self.ls1.as_ref(), path, pass, |x, pass| self.attn.forward(normed, x, site, pass))
    }

    /// From the residual stream after the attention to the block's output.
    pub(crate) fn after_attention(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, prefix, .. } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: prefix.count() };

        let x = pass.probe.tokens(&at(TokenPlace::AfterAttention), x);
        let normed = self.norm2.forward(x.clone());
        let path = (self.drop_path, format!("mlp path {layer}"));
        let x =
            add_branch(x, self.ls2.as_ref(), path, pass, |x, pass| self.mlp.forward(normed, x, layer, pass));
        pass.probe.tokens(&at(TokenPlace::BlockOutput), x)
    }

    /// What the outputs of one head add to the residual stream: `[batch, tokens, head_dim]` → `[batch, tokens, width]`.
    pub(crate) fn head_contribution(
        &self,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        let added = project_head(&self.attn.proj, head, output, precision);
        match &self.ls1 {
            Some(scale) => scale.forward(added),
            None => added,
        }
    }

    /// [`Block::forward`] at evaluation in f32, for the first `read` tokens alone.
    pub(crate) fn forward_leading(
        &self,
        x: Tensor<3>,
        read: usize,
        site: &AttentionSite,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let x = x.narrow(1, 0, read);
        let added = self.attn.forward_leading(normed, read);
        let x = match &self.ls1 {
            Some(scale) => x + scale.forward(added),
            None => x + added,
        };
        self.after_attention(x, site, pass)
    }
}
