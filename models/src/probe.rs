//! Probes: how a forward pass is watched and altered without there being a second one.
//!
//! A forward pass meets a few named sites. At each it hands the value to the probe and goes on with what the probe
//! hands back. Recorders, gradient taps, head masks and Grad-CAM are small structs that implement [`Probe`]; models
//! know nothing of them.

use burn::tensor::Tensor;

use crate::read_out::{PrefixTokens, ReadOut};
use crate::window::Window;

/// Where in a model an attention matrix or its heads' outputs stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSite {
    /// Index of the transformer block, counted from the input.
    pub layer: usize,
    /// Patch tokens as rows and columns.
    pub grid: [usize; 2],
    /// Tokens before the first patch token.
    pub prefix: PrefixTokens,
    /// Which tokens the model's head reads, after the last block.
    pub read_out: ReadOut,
    /// The windows within which tokens attend to one another; `None` where all attend to all.
    pub window: Option<Window>,
}

impl AttentionSite {
    /// Prefix tokens and patches.
    pub fn tokens(&self) -> usize {
        self.prefix.count() + self.grid[0] * self.grid[1]
    }

    /// The share that each token of this layer would have in the answer if the head read this layer, `(tokens)`, prefix
    /// tokens first ([`ReadOut::weights`]); in the last layer, the share that it has.
    pub fn read_out_weights(&self) -> Vec<f64> {
        self.read_out.weights(self.prefix, self.grid[0] * self.grid[1])
    }
}

/// Where in a block a sequence of tokens stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// The residual stream as the block receives it.
    BlockInput,
    /// After the first layer norm: the input of the attention (`norm1`), Grad-CAM's usual target.
    AttentionInput,
    /// The residual stream as the block leaves it.
    BlockOutput,
}

/// Where in a transformer a sequence of tokens stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSite {
    /// Index of the transformer block, counted from the input.
    pub layer: usize,
    /// Where in that block.
    pub place: TokenPlace,
    /// Patch tokens as rows and columns.
    pub grid: [usize; 2],
    /// Tokens before the first patch token.
    pub prefix_tokens: usize,
}

/// Where in a convolutional network a feature map stands: the output of one residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSite {
    /// Stage, counted from 1 as in the names `layer1` to `layer4`; 0 is the stem.
    pub stage: usize,
    /// Block within the stage, counted from 0.
    pub block: usize,
    /// Whether this is the last feature map of the network, the one Grad-CAM looks at.
    pub last: bool,
}

/// Something that watches a forward pass, and may alter it.
///
/// Every method receives a value and returns the one to go on with; the default hands it back untouched.
pub trait Probe {
    /// Whether [`Probe::attention`] wants the weights of this site. Where it does not, the model may use a kernel that
    /// never writes them out; its numbers are the same to the last bit.
    fn wants_attention(&self, _site: &AttentionSite) -> bool {
        true
    }

    /// Attention weights after softmax, `[batch, heads, queries, keys]`; with windows `[batch · windows, heads, places,
    /// places]`, an image's windows one after the other ([`Window::tokens`]).
    fn attention(&mut self, _site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        weights
    }

    /// What each head gathered, before the heads are mixed, `[batch, heads, tokens, head_dim]`, windows or not.
    fn heads(&mut self, _site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        outputs
    }

    /// A transformer's tokens, `[batch, tokens, width]`.
    fn tokens(&mut self, _site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        tokens
    }

    /// A convolutional network's feature map, `[batch, channels, height, width]`.
    fn features(&mut self, _site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        map
    }
}

/// Nobody is looking.
impl Probe for () {
    fn wants_attention(&self, _site: &AttentionSite) -> bool {
        false
    }
}
