//! The one forward pass of every network, in its parts: images become features, features become logits; in a transformer, a stem,
//! blocks and a pooling compute the features.

use archaeo_ops::Precision;
use burn::tensor::Tensor;

use crate::layers::Linear;
use crate::pass::Pass;
use crate::read_out::{PrefixTokens, ReadOut};
use crate::state::State;

/// A network that computes features from an image and logits from features.
pub trait ForwardPass {
    /// Number of features per image that the head reads.
    fn feature_dim(&self) -> usize;

    /// Features of normalised images: the input of the head. A [`Transformer`] computes them with its parts.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, feature_dim]`
    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let transformer =
            self.transformer().expect("what is no sequence of blocks computes its own features");
        let tokens = transformer.stem(images, pass);
        transformer.features_from(0, tokens, pass)
    }

    /// Pixels of training images from which arrays are set before the first step; 0 for a network without such arrays.
    fn fitting_pixels(&self) -> usize {
        0
    }

    /// The arrays that are set from training images before the first step, by their names.
    ///
    /// # Shapes
    /// `[n, 3, height, width]`, normalised
    fn fitted_arrays(&self, _images: Tensor<4>) -> State {
        State::new()
    }

    /// The linear layer that makes logits of features, where the head is one.
    fn classifier(&self) -> Option<&Linear> {
        None
    }

    /// Logits of features; a model without a head returns the features.
    ///
    /// # Shapes
    /// `[batch, feature_dim]` → `[batch, classes]`
    fn head(&self, features: Tensor<2>, precision: Precision) -> Tensor<2> {
        match self.classifier() {
            Some(classifier) => classifier.forward(features, precision),
            None => features,
        }
    }

    /// Logits of each head, of which [`ForwardPass::head`] is the mean: two in a distilled model with both heads, the class token's
    /// and then the distillation token's, else one.
    ///
    /// # Shapes
    /// `[batch, feature_dim]` → `[batch, classes]` each
    fn logits_by_head(&self, features: Tensor<2>, precision: Precision) -> Vec<Tensor<2>> {
        vec![self.head(features, precision)]
    }

    /// Logits of normalised images.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, classes]`; without a head `[batch, feature_dim]`
    fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let features = self.features(images, pass);
        self.head(features, pass.precision)
    }

    /// The network as a sequence of blocks on tokens; `None` for a residual network.
    fn transformer(&self) -> Option<&dyn Transformer> {
        None
    }

    /// The network as a sequence of residual blocks on feature maps; `None` for a transformer.
    fn residual(&self) -> Option<&dyn Residual> {
        None
    }

    /// The network as one that predicts masks; `None` without a head for them.
    fn segmentation(&self) -> Option<&dyn Segmentation> {
        None
    }
}

/// A network that also says of each pixel whether it belongs to the object that the image shows.
pub trait Segmentation: ForwardPass {
    /// Logits of the object, and from the same pass the [`ForwardPass::features`].
    ///
    /// # Shapes
    /// `[batch, 3, height, width]`, normalised → `[batch, height, width]` and `[batch, feature_dim]`
    fn masks(&self, images: Tensor<4>, pass: &mut Pass) -> (Tensor<3>, Tensor<2>);
}

/// A network of a stem, residual blocks on feature maps and a mean over positions. A block adds a branch to a shortcut, and leaves the
/// ReLU of the sum.
pub trait Residual: ForwardPass {
    /// Number of blocks, at least one.
    fn depth(&self) -> usize;

    /// Feature map as the first block receives it.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]`, normalised → `[batch, channels, height', width']`
    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4>;

    /// What block `block` adds up, from the feature map that it receives: the shortcut, and the branch.
    fn addends(&self, block: usize, map: Tensor<4>, pass: &mut Pass) -> [Tensor<4>; 2];

    /// Features from the feature map as block `block` receives it; `block` may be the depth.
    fn features_from_block(&self, block: usize, map: Tensor<4>, pass: &mut Pass) -> Tensor<2>;
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

    /// Number of attention heads of block `layer`.
    fn heads(&self, layer: usize) -> usize;

    /// Whether the heads of a block form a cascade: each reads the output of the one before it
    /// ([`Probe::cascade_output`](crate::Probe::cascade_output)).
    fn cascaded(&self) -> bool {
        false
    }

    /// Tokens before the first patch.
    fn prefix(&self) -> PrefixTokens;

    /// Tokens that [`Transformer::pool`] reads, and the share of each ([`ReadOut::weights`]).
    fn read_out(&self) -> ReadOut;

    /// `[batch, 3, height, width]`, normalised → tokens as the first block receives them
    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens;

    /// Tokens as block `layer` receives them → tokens as the next one, or the pooling, does.
    fn block(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens;

    /// The rest of block `layer` from the residual stream after its attention ([`TokenPlace::AfterAttention`]): tokens as the next
    /// block, or the pooling, receives them.
    ///
    /// [`TokenPlace::AfterAttention`]: crate::TokenPlace::AfterAttention
    fn after_attention(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens;

    /// From the residual stream as block `layer` leaves it to the tokens that the next block receives; the same but for a change
    /// of grid.
    fn onwards(&self, _layer: usize, tokens: Tokens, _: &mut Pass) -> Tokens {
        tokens
    }

    /// What the outputs of one head add to the residual stream. The attention of a block adds the sum over its heads and a
    /// constant. A head whose outputs are zero adds nothing.
    ///
    /// # Shapes
    /// `output` `[batch, tokens, head_dim]` → `[batch, tokens, width]`
    fn head_contribution(
        &self,
        layer: usize,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3>;

    /// Output of the last block for tokens as it receives them, or only its leading tokens where the pooling reads no others
    /// ([`ReadOut::leading`]).
    fn last_block(&self, tokens: Tokens, pass: &mut Pass) -> Tokens {
        self.block(self.depth() - 1, tokens, pass)
    }

    /// Output of the last block → `[batch, feature_dim]`, after the last norm
    fn pool(&self, tokens: Tokens, pass: &mut Pass) -> Tensor<2>;

    /// Features from the tokens as block `layer` receives them, for a pass that resumes there: equal to [`ForwardPass::features`]
    /// to the last bit.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, feature_dim]`
    fn features_from(&self, layer: usize, mut tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        for layer in layer..self.depth() {
            tokens = self.block(layer, tokens, pass);
        }
        self.pool(tokens, pass)
    }

    /// As [`Transformer::features_from`], computing in the last block only what the pooling reads; `layer` may be the depth. A probe
    /// may see fewer tokens there, and results may differ in the last bits.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, feature_dim]`
    fn features_read_from(&self, layer: usize, mut tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        let last = self.depth() - 1;
        for layer in layer..last {
            tokens = self.block(layer, tokens, pass);
        }
        if layer <= last {
            tokens = self.last_block(tokens, pass);
        }
        self.pool(tokens, pass)
    }

    /// As [`Transformer::features_read_from`], from the residual stream after the attention of block `layer`.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, feature_dim]`
    fn features_after_attention(&self, layer: usize, mut tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        if let (true, Some(read)) = (layer + 1 == self.depth(), self.read_out().leading()) {
            tokens.values = tokens.values.narrow(1, 0, read);
        }
        let tokens = self.after_attention(layer, tokens, pass);
        self.features_read_from(layer + 1, tokens, pass)
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
