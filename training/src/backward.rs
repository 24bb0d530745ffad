//! Forward and backward pass of one shard of a batch, by default all of it: at once, or block by block with gradient checkpointing.

use archaeo_models::{Classifier, Pass, TrainingStep};
use archaeo_ops::{in_pool, soft_cross_entropy};
use burn::module::Module;
use burn::tensor::{Gradients, Tensor};

use super::optimizer::NamedGradients;
use super::{Recipe, TrainError};
use crate::objective::{Examples, Objective, OwnParameters};

/// Offset of image identities in additional views, larger than any data set.
const VIEW: u64 = 1 << 48;

/// Contribution of one shard of a batch to the loss of its optimiser step, in nats, and to the gradients: the contributions of the step's
/// shards sum to the mean over all its images.
#[derive(Debug)]
pub struct Share {
    pub(super) loss: f64,
    pub(super) gradients: NamedGradients,
    /// Those of the objective's own parameters.
    pub(super) own: NamedGradients,
}

/// The model in one training step, about to learn from one batch.
pub struct Student<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) model: &'a Classifier,
    pub(super) step: &'a mut TrainingStep,
    /// The objective's own parameters.
    pub(super) own: Option<&'a dyn OwnParameters>,
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
        self.learn_from_features(images, |model, features| loss(model.head(features)))
    }

    /// Computes the gradients of `loss`, a function of the features ([`Classifier::features`]), on images with values in [0, 1]. A
    /// student that knows the features of its batch looks at no image.
    ///
    /// # Shapes
    /// As [`Student::learn_from_logits`]; `loss` takes the model and `[views · batch, feature_dim]` to `[1]`
    pub fn learn_from_features(
        mut self,
        images: Tensor<4>,
        loss: impl FnOnce(&Classifier, Tensor<2>) -> Tensor<1>,
    ) -> Share {
        if let Some(features) = self.features.take() {
            return self.learn(|model, _| loss(model, features));
        }
        self.identify_views(images.dims()[0]);
        if self.recipe.gradient_checkpointing {
            let Self { recipe, model, step, .. } = &mut self;
            let share = |features| loss(model, features) / recipe.passes();
            let (loss, parts) = model.backward_by_block(images, step, share);
            return self.share(loss, parts);
        }
        self.learn(|model, step| loss(model, model.features(images, &mut Pass::train(&mut (), step))))
    }

    /// Gives each of so many images, several views of each, an identity of its own.
    fn identify_views(&mut self, images: usize) {
        let batch = self.step.images.clone();
        let views = (images / batch.len().max(1)) as u64;
        let further = (1..views).flat_map(|view| batch.iter().map(move |image| image + view * VIEW));
        self.step.images.extend(further);
    }

    /// Computes the gradients of `loss`, which runs the forward pass itself with a training [`Pass`] of this step. Every
    /// activation is kept until the gradients are computed, regardless of the recipe's gradient checkpointing.
    ///
    /// # Shapes
    /// `loss` gives `[1]`
    pub fn learn(self, loss: impl FnOnce(&Classifier, &mut TrainingStep) -> Tensor<1>) -> Share {
        let loss = loss(self.model, self.step) / self.recipe.passes();
        let gradients = loss.backward();
        self.share(loss.inner(), vec![gradients])
    }

    /// Computes the gradients of `loss`, which runs the forward passes itself, and gives the features of the batch next to the loss. The
    /// head learns to classify these features by `targets`, as if they were data: nothing of that reaches the rest of the model, and it
    /// is not part of the loss that is reported.
    ///
    /// # Shapes
    /// `images` `[views · batch, 3, height, width]`; `loss` gives `[1]` and `[batch, feature_dim]`
    pub fn learn_without_labels(
        mut self,
        images: Tensor<4>,
        targets: Tensor<2>,
        loss: impl FnOnce(&Classifier, Tensor<4>, &mut TrainingStep) -> (Tensor<1>, Tensor<2>),
    ) -> Share {
        self.identify_views(images.dims()[0]);
        let share = 1.0 / self.recipe.passes();
        let (loss, features) = loss(self.model, images, self.step);
        let fixed = Tensor::from_inner(features.inner());
        let of_head = soft_cross_entropy(self.model.head(fixed), targets) * share;
        let loss = loss * share;
        let parts = vec![loss.backward(), of_head.backward()];
        self.share(loss.inner(), parts)
    }

    /// The contribution of a loss whose gradients are in these parts.
    fn share(&self, loss: Tensor<1>, mut parts: Vec<Gradients>) -> Share {
        Share {
            loss: f64::from(loss.into_scalar::<f32>()),
            own: self.own.map(|own| own.take(&mut parts)).unwrap_or_default(),
            gradients: NamedGradients::take_parts(self.model, &mut parts),
        }
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
