//! One batch forwards and backwards: in one go, or block by block where the recipe asks for less memory.

use archaeo_models::{Classifier, Pass, TrainingStep};
use archaeo_ops::{in_pool, soft_cross_entropy};
use burn::tensor::Tensor;

use super::Recipe;
use super::optimizer::NamedGradients;

/// What one batch adds to the loss of its optimiser step, in nats, and to the gradients: the shares of the step's batches
/// add up to the mean over all its images.
///
/// `images`: `[batch, 3, height, width]`, `targets`: `[batch, classes]`, both on the model's device.
pub(super) fn loss_and_gradients(
    recipe: &Recipe,
    model: &Classifier,
    images: Tensor<4>,
    targets: Tensor<2>,
    step: &mut TrainingStep,
) -> (f64, NamedGradients) {
    let share = |logits| soft_cross_entropy(logits, targets) / recipe.accumulation as f64;
    let (loss, mut parts) = in_pool(|| {
        if recipe.gradient_checkpointing {
            return model.backward_by_block(images, step, share);
        }
        let loss = share(model.logits(images, &mut Pass::train(&mut (), step)));
        let gradients = loss.backward();
        (loss.inner(), vec![gradients])
    });
    (f64::from(loss.into_scalar::<f32>()), NamedGradients::take_parts(model, &mut parts))
}
