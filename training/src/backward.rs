//! Forward and backward pass of one batch: at once, or block by block with gradient checkpointing.

use archaeo_models::{Classifier, Pass, TrainingStep};
use archaeo_ops::in_pool;
use burn::module::Module;
use burn::tensor::{Gradients, Tensor};

use super::optimizer::NamedGradients;
use super::{Recipe, TrainError};
use crate::objective::{Examples, Objective};

/// Offset of image identities in additional views, larger than any data set.
const VIEW: u64 = 1 << 48;

/// Contribution of one batch to the loss of its optimiser step, in nats, and to the gradients: the contributions of the step's
/// batches sum to the mean over all its images.
#[derive(Debug)]
pub struct Share {
    pub(super) loss: f64,
    pub(super) gradients: NamedGradients,
}

/// The model in one training step, about to learn from one batch.
pub struct Student<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) model: &'a Classifier,
    pub(super) step: &'a mut TrainingStep,
    /// The features of the batch, where the backbone is frozen and they are known: `[batch, feature_dim]`.
    pub(super) features: Option<Tensor<2>>,
}

impl Student<'_> {
    /// The student as a constant: its passes contribute nothing to the gradients of its parameters.
    pub fn frozen(&self) -> Classifier {
        self.model.valid()
    }

    /// The keys of this step's randomness: seed, step and the identity of each image of the batch.
    pub fn step(&self) -> &TrainingStep {
        self.step
    }

    /// Computes the gradients of `loss`, a function of the logits, on images with values in [0, 1]. A student that knows the features
    /// of its batch looks at no image.
    ///
    /// # Shapes
    /// `images`: `[views · batch, 3, height, width]`, with several views of each image, one view after the other, each with its
    /// own dropout; `loss` takes `[views · batch, classes]` to `[1]`
    pub fn learn_from_logits(self, images: Tensor<4>, loss: impl FnOnce(Tensor<2>) -> Tensor<1>) -> Share {
        let Self { recipe, model, step, features } = self;
        if let Some(features) = features {
            return Self { recipe, model, step, features: None }.learn(|model, _| loss(model.head(features)));
        }
        let batch = step.images.clone();
        let views = (images.dims()[0] / batch.len().max(1)) as u64;
        step.images.extend((1..views).flat_map(|view| batch.iter().map(move |image| image + view * VIEW)));

        if recipe.gradient_checkpointing {
            let share = |logits| loss(logits) / recipe.accumulation as f64;
            let (loss, parts) = model.backward_by_block(images, step, share);
            return Share::new(model, loss, parts);
        }
        Self { recipe, model, step, features }
            .learn(|model, step| loss(model.logits(images, &mut Pass::train(&mut (), step))))
    }

    /// Computes the gradients of `loss`, which runs the forward pass itself with a training [`Pass`] of this step. Every
    /// activation is kept until the gradients are computed, regardless of the recipe's gradient checkpointing.
    ///
    /// # Shapes
    /// `loss` gives `[1]`
    pub fn learn(self, loss: impl FnOnce(&Classifier, &mut TrainingStep) -> Tensor<1>) -> Share {
        let Self { recipe, model, step, .. } = self;
        let loss = loss(model, step) / recipe.accumulation as f64;
        let gradients = loss.backward();
        Share::new(model, loss.inner(), vec![gradients])
    }
}

impl Share {
    fn new(model: &Classifier, loss: Tensor<1>, mut parts: Vec<Gradients>) -> Self {
        let loss = f64::from(loss.into_scalar::<f32>());
        Self { loss, gradients: NamedGradients::take_parts(model, &mut parts) }
    }
}

/// The student's loss and gradients on a batch.
pub(super) fn share_of(
    objective: &dyn Objective,
    student: Student,
    examples: Examples,
) -> Result<Share, TrainError> {
    in_pool(|| objective.learn(student, examples))
}
