//! What is attacked: something that answers images with logits, and tells which way they change.

use archaeo_models::{Classifier, Pass, Probe};
use archaeo_ops::in_pool;
use burn::tensor::{Tensor, TensorData};

use crate::answers;
use crate::tensors::values;

/// What an attack may ask: a model, or whatever stands before or around it.
pub trait Target {
    /// Number of classes.
    fn classes(&self) -> usize;

    /// Whether adversarial images are rounded to 8 bits before they count.
    fn rounds(&self) -> bool {
        true
    }

    /// Logits of images `[batch, 3, height, width]` in [0, 1], `(batch, classes)` row by row.
    fn logits(&self, images: Tensor<4>) -> Vec<f32>;

    /// Logits, and the gradient at the pixels of one sum of logits for each image: `slopes(image, logits)` says with which
    /// factors the logits of the image at that position are added up, which may depend on them.
    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient;

    /// The model itself, for attacks that look inside: at its attention, or at what lets its gradient through. `None` of a target
    /// that answers from outside alone.
    fn classifier(&self) -> Option<&Classifier> {
        None
    }
}

/// What a target answers when it is asked for gradients.
#[derive(Clone, Debug)]
pub struct TargetGradient {
    /// `(batch, classes)`, row by row.
    pub logits: Vec<f32>,
    /// In the layout of the images.
    pub gradient: Vec<f32>,
}

impl Target for Classifier {
    fn classes(&self) -> usize {
        self.card().classes.len()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        answers::logits(self, images)
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        gradient_through(self, images, &mut (), slopes, |_| None)
    }

    fn classifier(&self) -> Option<&Classifier> {
        Some(self)
    }
}

/// As [`Target::gradient`], of a pass that a probe sees and may alter; `besides` adds a term to what is differentiated, from what the
/// probe has seen.
pub(super) fn gradient_through<P: Probe + Send>(
    model: &Classifier,
    images: Tensor<4>,
    probe: &mut P,
    slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    besides: impl FnOnce(&mut P) -> Option<Tensor<1>> + Send,
) -> TargetGradient {
    in_pool(|| {
        let images = images.inner().autodiff().require_grad();
        let logits = model.logits(images.clone(), &mut Pass::evaluate(probe));
        let [batch, classes] = logits.dims();
        let plain = values(logits.clone());
        let rows = plain.chunks_exact(classes).enumerate();
        let factors: Vec<f32> = rows.flat_map(|(image, row)| slopes(image, row)).collect();
        // A sum of the logits with fixed factors: its gradient is the losses', each image's its own.
        let factors: Tensor<2> =
            Tensor::from_data(TensorData::new(factors, [batch, classes]), &logits.device());
        let sum = (logits * factors).sum();
        let sum = match besides(probe) {
            Some(term) => sum + term,
            None => sum,
        };
        let gradient = images.grad(&sum.backward()).unwrap_or_else(|| images.inner().zeros_like());
        TargetGradient { logits: plain, gradient: values(gradient) }
    })
}
