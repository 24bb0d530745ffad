//! The one forward pass of every transformer, in its parts: stem, blocks, read-out.

use archaeo_ops::Precision;
use burn::tensor::Tensor;

use crate::pass::Pass;

/// The residual stream between two blocks.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// `[batch, tokens, width]`
    pub values: Tensor<3>,
    /// The patch tokens as rows and columns.
    pub grid: [usize; 2],
}

/// A network whose forward pass is a stem, blocks on a residual stream and a read-out.
pub trait Transformer {
    /// Blocks, one or more.
    fn depth(&self) -> usize;

    /// `[batch, 3, height, width]`, normalised → tokens as the first block receives them
    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens;

    /// Tokens as block `layer` receives them → tokens as the next one, or the read-out, does.
    fn block(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens;

    /// What the last block gives → `[batch, classes]`; of a model without a head `[batch, features]`
    fn read_out(&self, tokens: Tokens, precision: Precision) -> Tensor<2>;

    /// Logits of normalised images.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, classes]`; of a model without a head `[batch, features]`
    fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let tokens = self.stem(images, pass);
        self.forward_from(0, tokens, pass)
    }

    /// Logits from the tokens as block `layer` receives them, for a pass that resumes there: to the last bit what
    /// [`Transformer::forward`] gives.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    fn forward_from(&self, layer: usize, mut tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        for layer in layer..self.depth() {
            tokens = self.block(layer, tokens, pass);
        }
        self.read_out(tokens, pass.precision)
    }
}
