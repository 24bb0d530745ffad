//! Three ways to look robust without being so, planted around a target: what a [`Doctor`](super::Doctor) has to find out.

use std::cell::Cell;

use archaeo_random::{keyed_rng, standard_normal};
use burn::tensor::{Tensor, TensorData};

use crate::attacks::{Target, TargetGradient};
use crate::tensors::values;

/// Logits multiplied by a large number: probabilities round to 0 and 1, and the gradient of cross-entropy to 0. No answer changes.
pub struct Scaled<'a> {
    /// The model.
    pub target: &'a dyn Target,
    /// The factor.
    pub factor: f32,
}

impl Target for Scaled<'_> {
    fn classes(&self) -> usize {
        self.target.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.target.logits(images).into_iter().map(|logit| logit * self.factor).collect()
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        let factor = self.factor;
        let scaled = |logits: &[f32]| logits.iter().map(|logit| logit * factor).collect::<Vec<f32>>();
        let mut found = self.target.gradient(images, &|image, logits| {
            slopes(image, &scaled(logits)).into_iter().map(|slope| slope * factor).collect()
        });
        found.logits = scaled(&found.logits);
        found
    }
}

/// An input layer that rounds pixels to a few levels: a step function, whose gradient is zero wherever it has one.
pub struct Quantised<'a> {
    /// The model.
    pub target: &'a dyn Target,
    /// Levels of a channel value, at least 2.
    pub levels: usize,
}

impl Quantised<'_> {
    fn rounded(&self, images: Tensor<4>) -> Tensor<4> {
        let steps = self.levels as f32 - 1.0;
        (images * steps).round() / steps
    }
}

impl Target for Quantised<'_> {
    fn classes(&self) -> usize {
        self.target.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.target.logits(self.rounded(images))
    }

    fn gradient(&self, images: Tensor<4>, _: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync)) -> TargetGradient {
        let gradient = vec![0.0; images.dims().iter().product()];
        TargetGradient { logits: self.logits(images), gradient }
    }
}

/// An input layer that adds noise, another at every question: one pass tells little of the next.
pub struct Randomised<'a> {
    /// The model.
    pub target: &'a dyn Target,
    /// Deviation of the noise, of values in [0, 1].
    pub noise: f64,
    asked: Cell<u64>,
}

impl<'a> Randomised<'a> {
    /// A target behind noise.
    pub fn new(target: &'a dyn Target, noise: f64) -> Self {
        Self { target, noise, asked: Cell::new(0) }
    }

    fn noisy(&self, images: Tensor<4>) -> Tensor<4> {
        let question = self.asked.replace(self.asked.get() + 1);
        let mut rng = keyed_rng(0, "randomised", 0, question);
        let (shape, device) = (images.dims(), images.device());
        let noisy = values(images)
            .into_iter()
            .map(|value| (f64::from(value) + self.noise * standard_normal(&mut rng)).clamp(0.0, 1.0) as f32);
        Tensor::from_data(TensorData::new(noisy.collect::<Vec<f32>>(), shape), &device)
    }
}

impl Target for Randomised<'_> {
    fn classes(&self) -> usize {
        self.target.classes()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        self.target.logits(self.noisy(images))
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        self.target.gradient(self.noisy(images), slopes)
    }
}
