//! A target as an attack with another loss sees it.

use burn::tensor::Tensor;

use crate::attacks::loss::Loss;
use crate::attacks::{Target, TargetGradient};

/// A target whose gradients are those of another loss than the attack's own.
pub(super) struct Seen<'a> {
    pub target: &'a dyn Target,
    /// ∂loss/∂logits of one image, from its logits and label.
    pub slopes: fn(&[f32], usize) -> Vec<f32>,
}

impl Target for Seen<'_> {
    fn classes(&self) -> usize {
        self.target.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.target.logits(images)
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        let of_another = self.slopes;
        self.target.gradient(images, &|image, logits| {
            // Every loss of an untargeted attack falls with the label's logit and with no other.
            let own = slopes(image, logits);
            let lowest = |lowest: usize, class: usize| if own[class] < own[lowest] { class } else { lowest };
            let label = (1..own.len()).fold(0, lowest);
            of_another(logits, label)
        })
    }
}

/// Cross-entropy as frameworks compute it in 32 bits: `softmax − 1` at the label, where nothing is left of a probability that rounds
/// to 1.
pub(super) fn cross_entropy(logits: &[f32], label: usize) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    let mut slopes: Vec<f32> = exponentials.into_iter().map(|exponential| exponential / sum).collect();
    slopes[label] -= 1.0;
    slopes
}

/// The log-odds of the label, whose gradient has the direction of cross-entropy's at any confidence.
pub(super) fn log_odds(logits: &[f32], label: usize) -> Vec<f32> {
    Loss::LogOdds.slopes(logits, label)
}
