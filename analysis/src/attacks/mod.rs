//! Adversarial examples: the smallest changes of an image that change a model's answer, as images that exist.
//!
//! Images are in [0, 1] and the model normalises inside, so that a change is measured in pixels whatever the model. What
//! [`attack`] hands back lies within the ball around the clean image and within the box *after* rounding to 8 bits: it can
//! be saved as a PNG and read back, and fools the model as much as the reported number says. Each image is attacked on its
//! own: its loss is added to its batch-mates', never averaged, and its random numbers are keyed by (seed, image).
//!
//! Rounding takes nothing from an L∞ attack on an 8-bit image whose ε is a whole number of levels k/255; with ε between two
//! levels the attack is as strong as with the smaller one. In L2 the change is shrunk, where needed, until its rounded
//! version is no longer than ε.

mod eight_bit;
#[cfg(test)]
mod tests;

use archaeo_models::random::{keyed_rng, standard_normal};
use archaeo_models::{Classifier, Pass};
use archaeo_ops as ops;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::tensors::{class_indices, per_image, values};

/// One attack with its settings. Sizes are in units of the image's range: 8/255 is `8.0 / 255.0`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "attack", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Attack {
    /// Fast gradient sign method (Goodfellow et al., 2015, section 4): one step of ε along the sign of the gradient.
    Fgsm {
        /// Largest change of a channel value.
        epsilon: f64,
    },
    /// Projected gradient descent in L∞ (Madry et al., 2018, section 2.1). The last iterate is the result.
    Pgd {
        /// Largest change of a channel value.
        epsilon: f64,
        /// Change of a channel value in one step.
        step: f64,
        /// Number of steps.
        steps: usize,
        /// Whether to start at a random place of the ball instead of its centre.
        random_start: bool,
    },
    /// Projected gradient descent in L2: steps along the gradient of unit length.
    PgdL2 {
        /// Largest Euclidean length of the change, over all channel values.
        epsilon: f64,
        /// Length of one step.
        step: f64,
        /// Number of steps.
        steps: usize,
        /// Whether to start at a random place of the ball instead of its centre.
        random_start: bool,
    },
}

impl Attack {
    /// FGSM of size `epsilon`.
    pub fn fgsm(epsilon: f64) -> Self {
        Self::Fgsm { epsilon }
    }

    /// PGD in L∞ with a random start and steps of `2.5 · epsilon / steps` (Madry et al., 2018, section 5), so that every
    /// point of the ball can be reached: at 8/255 and 10 steps, steps of 2/255.
    pub fn pgd(epsilon: f64, steps: usize) -> Self {
        Self::Pgd { epsilon, step: 2.5 * epsilon / steps as f64, steps, random_start: true }
    }

    /// PGD in L2 with a random start and steps of `2 · epsilon / steps`: at 1 and 10 steps, steps of 0.2.
    pub fn pgd_l2(epsilon: f64, steps: usize) -> Self {
        Self::PgdL2 { epsilon, step: 2.0 * epsilon / steps as f64, steps, random_start: true }
    }

    /// Short name: `FGSM`, `PGD`, `PGD-L2`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fgsm { .. } => "FGSM",
            Self::Pgd { .. } => "PGD",
            Self::PgdL2 { .. } => "PGD-L2",
        }
    }

    /// The radius of the ball.
    pub fn epsilon(&self) -> f64 {
        match *self {
            Self::Fgsm { epsilon } | Self::Pgd { epsilon, .. } | Self::PgdL2 { epsilon, .. } => epsilon,
        }
    }

    /// The settings in words, for a report's reader.
    pub fn describe(&self) -> String {
        let start = |random| if random { "a random start" } else { "the clean image as start" };
        let levels = |size: f64| format!("{:.3}/255", size * 255.0).replace(".000/", "/");
        match *self {
            Self::Fgsm { epsilon } => {
                format!("one signed gradient step of {}; rounded to 8 bits", levels(epsilon))
            }
            Self::Pgd { epsilon, step, steps, random_start } => format!(
                "L∞ ball of {}, {steps} signed gradient steps of {}, {}; rounded to 8 bits",
                levels(epsilon),
                levels(step),
                start(random_start)
            ),
            Self::PgdL2 { epsilon, step, steps, random_start } => format!(
                "L2 ball of {epsilon}, {steps} gradient steps of length {step}, {}; rounded to 8 bits",
                start(random_start)
            ),
        }
    }
}

/// Adversarial examples against the cross-entropy of `labels`, `[batch, 3, height, width]` → the same, in the box, in the
/// ball, with 8-bit values.
///
/// `image_ids` name the images: with `seed`, the key of a random start. An image that the model already gets wrong is
/// attacked all the same.
///
/// # Panics
/// If there is not one label and one id for each image, a label is not among the classes, or the attack's ε is negative or
/// not finite.
pub fn attack(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    image_ids: &[u64],
    attack: &Attack,
    seed: u64,
) -> Tensor<4> {
    let shape = images.dims();
    assert_eq!(
        (labels.len(), image_ids.len()),
        (shape[0], shape[0]),
        "one label and one id an image are needed"
    );
    assert!(
        attack.epsilon().is_finite() && attack.epsilon() >= 0.0,
        "an attack needs a size of at least 0, not {}",
        attack.epsilon()
    );
    let device = images.device();
    let clean = values(images);
    let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), &device);

    let (steps, random_start) = match *attack {
        Attack::Fgsm { .. } => (1, false),
        Attack::Pgd { steps, random_start, .. } | Attack::PgdL2 { steps, random_start, .. } => {
            (steps, random_start)
        }
    };
    let mut current = clean.clone();
    let pixels = clean.len() / shape[0].max(1);
    if random_start {
        for ((x, clean), &id) in rows(&mut current, pixels).zip(per_image(&clean, shape[0])).zip(image_ids) {
            start_at_random(attack, x, clean, seed, id);
        }
    }
    for _ in 0..steps {
        let gradient = values(loss_gradient(model, tensor(current.clone()), labels));
        let originals = per_image(&clean, shape[0]).zip(per_image(&gradient, shape[0]));
        for (x, (clean, gradient)) in rows(&mut current, pixels).zip(originals) {
            ascend(attack, x, clean, gradient);
        }
    }
    for (x, clean) in rows(&mut current, pixels).zip(per_image(&clean, shape[0])) {
        eight_bit::round(attack, x, clean);
    }
    tensor(current)
}

/// Gradient at the images of the sum of their cross-entropies, `[batch, 3, height, width]` → the same.
pub fn loss_gradient(model: &Classifier, images: Tensor<4>, labels: &[usize]) -> Tensor<4> {
    ops::in_pool(|| {
        let images = images.inner().autodiff().require_grad();
        let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut ()));
        let targets = class_indices(labels, &logits);
        let gradients = ops::per_image_cross_entropy(logits, targets).sum().backward();
        images.grad(&gradients).unwrap_or_else(|| images.inner().zeros_like())
    })
}

fn rows(values: &mut [f32], pixels: usize) -> impl Iterator<Item = &mut [f32]> {
    values.chunks_exact_mut(pixels.max(1))
}

/// Uniform in the ball, then cut to the box.
fn start_at_random(attack: &Attack, x: &mut [f32], clean: &[f32], seed: u64, id: u64) {
    let mut rng = keyed_rng(seed, "attack start", id, 0);
    match *attack {
        Attack::Fgsm { .. } => {}
        Attack::Pgd { epsilon, .. } => {
            for (x, &clean) in x.iter_mut().zip(clean) {
                *x = into_box(f64::from(clean) + epsilon * (2.0 * rng.random::<f64>() - 1.0));
            }
        }
        Attack::PgdL2 { epsilon, .. } => {
            let direction: Vec<f64> = clean.iter().map(|_| standard_normal(&mut rng)).collect();
            let length = euclidean_length(direction.iter().copied()).max(f64::MIN_POSITIVE);
            let radius = epsilon * rng.random::<f64>().powf(1.0 / clean.len() as f64);
            for ((x, &clean), along) in x.iter_mut().zip(clean).zip(direction) {
                *x = into_box(f64::from(clean) + radius * along / length);
            }
        }
    }
}

/// One step up the loss, then back into the ball and the box. Cutting to the box never leaves the ball, since the clean
/// image lies in the box.
fn ascend(attack: &Attack, x: &mut [f32], clean: &[f32], gradient: &[f32]) {
    match *attack {
        Attack::Fgsm { epsilon } => signed_step(epsilon, epsilon, x, clean, gradient),
        Attack::Pgd { epsilon, step, .. } => signed_step(step, epsilon, x, clean, gradient),
        Attack::PgdL2 { epsilon, step, .. } => {
            let slope = euclidean_length(gradient.iter().map(|&g| f64::from(g)));
            if slope == 0.0 {
                return;
            }
            let mut change: Vec<f64> = Vec::with_capacity(x.len());
            for ((&x, &clean), &gradient) in x.iter().zip(clean).zip(gradient) {
                change.push(f64::from(x) - f64::from(clean) + step * f64::from(gradient) / slope);
            }
            let length = euclidean_length(change.iter().copied());
            let shrink = if length > epsilon { epsilon / length } else { 1.0 };
            for ((x, &clean), change) in x.iter_mut().zip(clean).zip(change) {
                *x = into_box(f64::from(clean) + change * shrink);
            }
        }
    }
}

fn signed_step(step: f64, epsilon: f64, x: &mut [f32], clean: &[f32], gradient: &[f32]) {
    for ((x, &clean), &gradient) in x.iter_mut().zip(clean).zip(gradient) {
        // Not `signum`, which has no zero: where the loss is flat, nothing is gained.
        let sign = f64::from(i8::from(gradient > 0.0) - i8::from(gradient < 0.0));
        let moved = f64::from(*x) + step * sign;
        let clean = f64::from(clean);
        *x = into_box(moved.clamp(clean - epsilon, clean + epsilon));
    }
}

fn into_box(value: f64) -> f32 {
    value.clamp(0.0, 1.0) as f32
}

fn euclidean_length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
