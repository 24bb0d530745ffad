//! Gradient checkpointing: the forward pass keeps only the input of every block, and the backward pass recomputes each block when
//! its gradient is needed (Chen et al., 2016, "Training Deep Nets with Sublinear Memory Cost", section 3, with a block as the
//! segment). Memory then grows by one array of tokens per block.

use burn::module::Module;
use burn::tensor::{Gradients, Tensor};

use crate::classifier::Classifier;
use crate::forward::Tokens;
use crate::pass::{Pass, TrainingStep};

/// Message if a requested gradient is missing, which cannot happen.
const REACHED: &str = "the residual stream leads from every block to the loss";

impl Tokens {
    /// The same values without a graph.
    fn constant(&self) -> Self {
        Self { values: self.values.clone().inner(), grid: self.grid }
    }

    /// Constant values as leaves of a new graph.
    fn leaf(self) -> Self {
        Self { values: Tensor::from_inner(self.values).require_grad(), ..self }
    }

    /// The gradients of everything these tokens depend on, given the gradient `upstream` of the loss with respect to them.
    fn backward(self, upstream: Tensor<3>) -> Gradients {
        // The gradient of this sum at the tokens is `upstream` itself, to the last bit.
        (self.values * Tensor::from_inner(upstream)).sum().backward()
    }
}

impl Classifier {
    /// A training step's loss, a function of the features, and the gradients of all parameters, bit-identical to
    /// `loss(self.features(images, …)).backward()`, in less memory, at the cost of one more forward pass of all blocks except the
    /// last. All gradients of a parameter are in one of the parts. Nothing is recomputed below the lowest layer that is trained.
    ///
    /// # Shapes
    /// `images`: `[batch, 3, height, width]`, values in [0, 1], on a device with autodiff, as the model is; `loss` takes
    /// `[batch, feature_dim]` to `[1]`
    ///
    /// # Panics
    /// For a residual network, which is not a [`Transformer`](crate::Transformer).
    pub fn backward_by_block(
        &self,
        images: Tensor<4>,
        step: &mut TrainingStep,
        loss: impl FnOnce(Tensor<2>) -> Tensor<1>,
    ) -> (Tensor<1>, Vec<Gradients>) {
        let transformer = self.network.transformer().expect("a residual network has no blocks to recompute");
        let last = transformer.depth() - 1;
        // Layer 0 is the stem, and block 0 is layer 1.
        let lowest = self.first_trained_layer().unwrap_or(0);
        let mut probe = ();
        let mut pass = Pass::train(&mut probe, step).in_precision(self.precision());

        let stem = transformer.stem(self.normalised(images), &mut pass);
        let mut inputs = vec![stem.constant()];
        // Without autodiff, no operation saves anything for its gradient.
        let network = self.network.valid();
        let constant = network.transformer().expect("it is the same network");
        for layer in 0..last {
            inputs.push(constant.block(layer, inputs[layer].clone(), &mut pass));
        }

        let mut next_input = || inputs.pop().map(|tokens| (inputs.len(), tokens.leaf()));
        let (_, input) = next_input().expect("a transformer has at least one block");
        let loss = loss(transformer.features_from(last, input.clone(), &mut pass));
        let mut parts = vec![loss.backward()];
        let mut upstream = input.values.grad_remove(&mut parts[0]).expect(REACHED);
        while let Some((layer, input)) = next_input().filter(|(layer, _)| layer + 1 >= lowest) {
            let mut gradients = transformer.block(layer, input.clone(), &mut pass).backward(upstream);
            upstream = input.values.grad_remove(&mut gradients).expect(REACHED);
            parts.push(gradients);
        }
        if lowest == 0 {
            parts.push(stem.backward(upstream));
        }
        (loss.inner(), parts)
    }
}
