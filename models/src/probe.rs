//! Probes: observing and altering a forward pass without a second one.
//!
//! A forward pass has a few named sites. At each it passes the value to the probe and continues with the value that the probe
//! returns. Recorders, gradient taps, head masks and Grad-CAM are small structs that implement [`Probe`]; models know nothing of
//! them.

use std::sync::Arc;

use archaeo_ops::{AttentionSums, Observation};
use burn::tensor::Tensor;

use crate::read_out::{PrefixTokens, ReadOut};
use crate::window::Window;

/// Position of an attention matrix, or of its heads' outputs, in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSite {
    /// Index of the transformer block, counted from the input.
    pub layer: usize,
    /// Rows and columns of the patch tokens.
    pub grid: [usize; 2],
    /// Tokens before the first patch token.
    pub prefix: PrefixTokens,
    /// Tokens that the model's head reads after the last block.
    pub read_out: ReadOut,
    /// The windows within which tokens attend to one another; `None` where all attend to all.
    pub window: Option<Window>,
}

impl AttentionSite {
    /// Prefix tokens and patches.
    pub fn tokens(&self) -> usize {
        self.prefix.count() + self.grid[0] * self.grid[1]
    }

    /// The share of each token if the head read this layer, `(tokens)`, prefix tokens first ([`ReadOut::weights`]); in the last
    /// layer, its actual share.
    pub fn read_out_weights(&self) -> Vec<f64> {
        self.read_out.weights(self.prefix, self.grid[0] * self.grid[1])
    }
}

/// Position of a sequence of tokens in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// The residual stream as the block receives it.
    BlockInput,
    /// The residual stream as the block's attention receives it, where something precedes the attention in its block.
    BeforeAttention,
    /// The input of the attention, Grad-CAM's usual target: after the first layer norm (`norm1`) where there is one.
    AttentionInput,
    /// The residual stream between the block's attention and its MLP.
    AfterAttention,
    /// The residual stream as the block leaves it.
    BlockOutput,
}

/// Position of a sequence of tokens in a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSite {
    /// Index of the transformer block, counted from the input.
    pub layer: usize,
    /// Position in that block.
    pub place: TokenPlace,
    /// Rows and columns of the patch tokens.
    pub grid: [usize; 2],
    /// Tokens before the first patch token.
    pub prefix_tokens: usize,
}

/// Position of a feature map in a convolutional network: the output of one residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSite {
    /// Stage, counted from 1 as in the names `layer1` to `layer4`; 0 is the stem.
    pub stage: usize,
    /// Block within the stage, counted from 0.
    pub block: usize,
    /// Whether this is the last feature map of the network, the one Grad-CAM uses.
    pub last: bool,
}

/// An observer of a forward pass, which may alter it.
///
/// Every method receives a value and returns the value to continue with; the default returns it unchanged.
pub trait Probe {
    /// Whether [`Probe::attention`] needs the weights of this site. If not, the model may use a kernel that never writes them;
    /// the results are bit-identical.
    fn wants_attention(&self, _site: &AttentionSite) -> bool {
        true
    }

    /// What is to be gathered of this site's weights while they are computed, without writing them; asked where all tokens attend
    /// to all and [`Probe::wants_attention`] says no. No result of the pass depends on it.
    fn observation(&self, _site: &AttentionSite) -> Option<Arc<Observation>> {
        None
    }

    /// Receives what [`Probe::observation`] asked for.
    fn observed(&mut self, _site: &AttentionSite, _sums: AttentionSums) {}

    /// Attention weights after softmax, `[batch, heads, queries, keys]`; with windows `[batch · windows, heads, places,
    /// places]`, the windows of an image in a row ([`Window::tokens`]). Where heads form a cascade, what is returned is not used: all
    /// heads have been computed one after another, each after [`Probe::cascade_attention`].
    fn attention(&mut self, _site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        weights
    }

    /// Attention weights of one head of a cascade, `[batch · windows, 1, places, places]`, asked like [`Probe::attention`].
    fn cascade_attention(&mut self, _site: &AttentionSite, _head: usize, weights: Tensor<4>) -> Tensor<4> {
        weights
    }

    /// The output of one head of a cascade, `[batch, places, head_dim]`: the places of one window after another, padding
    /// included ([`Window::tokens`]). What is returned is read by the next head and is this head's output at [`Probe::heads`].
    fn cascade_output(&mut self, _site: &AttentionSite, _head: usize, output: Tensor<3>) -> Tensor<3> {
        output
    }

    /// Head outputs before the output projection, `[batch, heads, tokens, head_dim]`, with or without windows. What is returned
    /// changes what the heads add to the residual stream, and no head of the same block.
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

/// Observes nothing.
impl Probe for () {
    fn wants_attention(&self, _site: &AttentionSite) -> bool {
        false
    }
}
