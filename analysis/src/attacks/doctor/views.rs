//! A target as an attack on a framework's cross-entropy sees it.

use burn::tensor::Tensor;

use crate::attacks::{Target, TargetGradient};

/// A target whose gradients are those of cross-entropy computed in 32 bits, whatever an untargeted attack's own loss is.
pub(super) struct InSinglePrecision<'a>(pub &'a dyn Target);

impl Target for InSinglePrecision<'_> {
    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.0.logits(images)
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        self.0.gradient(images, &|image, logits| {
            // Every loss of an untargeted attack falls with the label's logit and with no other.
            let own = slopes(image, logits);
            let lowest = |lowest: usize, class: usize| if own[class] < own[lowest] { class } else { lowest };
            let label = (1..own.len()).fold(0, lowest);
            cross_entropy(logits, label)
        })
    }
}

/// Cross-entropy as frameworks compute it in 32 bits: `softmax − 1` at the label, where nothing is left of a probability that rounds
/// to 1.
fn cross_entropy(logits: &[f32], label: usize) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    let mut slopes: Vec<f32> = exponentials.into_iter().map(|exponential| exponential / sum).collect();
    slopes[label] -= 1.0;
    slopes
}
