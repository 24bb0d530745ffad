//! The pre-norm transformer block (Dosovitskiy et al., 2021, equations 2 and 3).

use archaeo_ops as ops;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::attention::MultiHeadAttention;
use crate::layers::{LayerNorm, Linear};
use crate::pass::Pass;
use crate::probe::{AttentionSite, TokenPlace, TokenSite};

/// Two-layer perceptron with exact GELU.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[hidden, width]`
    pub fc1: Linear,
    /// `[width, hidden]`
    pub fc2: Linear,
    dropout: f64,
}

impl Mlp {
    fn new(width: usize, hidden: usize, dropout: f64, device: &Device) -> Self {
        Self {
            fc1: Linear::new(width, hidden, true, device),
            fc2: Linear::new(hidden, width, true, device),
            dropout,
        }
    }

    fn forward(&self, x: Tensor<3>, layer: usize, pass: &Pass) -> Tensor<3> {
        let hidden = ops::gelu(self.fc1.forward(x));
        let hidden = pass.dropout(hidden, self.dropout, &format!("mlp hidden dropout {layer}"));
        pass.dropout(self.fc2.forward(hidden), self.dropout, &format!("mlp dropout {layer}"))
    }
}

/// Widths and rates of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockConfig {
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of the perceptron.
    pub mlp_width: usize,
    /// Dropout after every dense layer but the one of query, key and value (Dosovitskiy et al., 2021, appendix B.1).
    pub dropout: f64,
    /// Dropout on the attention weights.
    pub attention_dropout: f64,
    /// Probability that a branch is dropped for an image.
    pub drop_path: f64,
    /// Of both layer norms.
    pub epsilon: f64,
}

/// `x + attention(norm1(x))`, then `x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: MultiHeadAttention,
    /// Before the perceptron.
    pub norm2: LayerNorm,
    /// Perceptron.
    pub mlp: Mlp,
    drop_path: f64,
}

impl Block {
    /// A block of neutral values.
    pub fn new(config: &BlockConfig, device: &Device) -> Self {
        let BlockConfig { width, heads, mlp_width, dropout, attention_dropout, drop_path, epsilon } = *config;
        Self {
            norm1: LayerNorm::new(width, epsilon, device),
            attn: MultiHeadAttention::new(width, heads, attention_dropout, dropout, device),
            norm2: LayerNorm::new(width, epsilon, device),
            mlp: Mlp::new(width, mlp_width, dropout, device),
            drop_path,
        }
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, prefix_tokens } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens };

        let x = pass.probe.tokens(&at(TokenPlace::BlockInput), x);
        let normed = pass.probe.tokens(&at(TokenPlace::AttentionInput), self.norm1.forward(x.clone()));
        let attended = self.attn.forward(normed, site, pass);
        let x = x + pass.drop_path(attended, self.drop_path, &format!("attention path {layer}"));
        let expanded = self.mlp.forward(self.norm2.forward(x.clone()), layer, pass);
        let x = x + pass.drop_path(expanded, self.drop_path, &format!("mlp path {layer}"));
        pass.probe.tokens(&at(TokenPlace::BlockOutput), x)
    }
}
