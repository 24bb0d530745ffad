//! The one forward pass of every network, in its parts: images become features, features become logits; in a transformer, a stem,
//! blocks and a pooling compute the features.

use archaeo_ops::Precision;
use burn::tensor::Tensor;

use crate::pass::Pass;
use crate::read_out::{PrefixTokens, ReadOut};

/// A network that computes features from an image and logits from features.
pub trait ForwardPass {
    /// Number of features per image that the head reads.
    fn feature_dim(&self) -> usize;

    /// Features of normalised images: the input of the head.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, feature_dim]`
    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2>;

    /// Logits of features; a model without a head returns the features.
    ///
    /// # Shapes
    /// `[batch, feature_dim]` → `[batch, classes]`
    fn head(&self, features: Tensor<2>, precision: Precision) -> Tensor<2>;

    /// Logits of normalised images.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, classes]`; without a head `[batch, feature_dim]`
    fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let features = self.features(images, pass);
        self.head(features, pass.precision)
    }

    /// The network as a sequence of blocks; `None` for a residual network.
    fn transformer(&self) -> Option<&dyn Transformer> {
        None
    }
}

/// The residual stream between two blocks.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// `[batch, tokens, width]`
    pub values: Tensor<3>,
    /// Rows and columns of the patch tokens.
    pub grid: [usize; 2],
}

/// A network of a stem, blocks on a residual stream and a pooling.
pub trait Transformer: ForwardPass {
    /// Number of blocks, at least one.
    fn depth(&self) -> usize;

    /// Tokens before the first patch.
    fn prefix(&self) -> PrefixTokens;

    /// Tokens that [`Transformer::pool`] reads, and the share of each ([`ReadOut::weights`]).
    fn read_out(&self) -> ReadOut;

    /// `[batch, 3, height, width]`, normalised → tokens as the first block receives them
    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens;

    /// Tokens as block `layer` receives them → tokens as the next one, or the pooling, does.
    fn block(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens;

    /// Output of the last block → `[batch, feature_dim]`, after the last norm
    fn pool(&self, tokens: Tokens, precision: Precision) -> Tensor<2>;

    /// Features from the tokens as block `layer` receives them, for a pass that resumes there: equal to [`ForwardPass::features`]
    /// to the last bit.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, feature_dim]`
    fn features_from(&self, layer: usize, mut tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        for layer in layer..self.depth() {
            tokens = self.block(layer, tokens, pass);
        }
        self.pool(tokens, pass.precision)
    }

    /// Logits from the tokens as block `layer` receives them: equal to [`ForwardPass::forward`] to the last bit.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    fn forward_from(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        let features = self.features_from(layer, tokens, pass);
        self.head(features, pass.precision)
    }
}
