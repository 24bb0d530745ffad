//! Moving an image within the ball around the clean one and within the box.
//!
//! The three channels of a grey image move as one: they start alike and take the sum of their gradients, which is the
//! gradient with respect to their common value.

use archaeo_random::{keyed_rng, standard_normal};
use rand::RngExt;

use super::Attack;

/// Channels of an image.
const CHANNELS: usize = 3;

/// Whether the three channels of an image, one after the other, are equal.
pub(super) fn is_grey(image: &[f32]) -> bool {
    let plane = image.len() / CHANNELS;
    image[..plane] == image[plane..2 * plane] && image[..plane] == image[2 * plane..]
}

/// Uniform in the ball (of a grey image: in what the ball has of grey images), then cut to the box.
pub(super) fn start_at_random(attack: &Attack, x: &mut [f32], clean: &[f32], grey: bool, seed: u64, id: u64) {
    let mut rng = keyed_rng(seed, "attack start", id, 0);
    // Values that move on their own.
    let free = if grey { clean.len() / CHANNELS } else { clean.len() };
    let change: Vec<f64> = match *attack {
        Attack::Fgsm { .. } => vec![0.0; free],
        Attack::Pgd { epsilon, .. } => {
            (0..free).map(|_| epsilon * (2.0 * rng.random::<f64>() - 1.0)).collect()
        }
        Attack::PgdL2 { epsilon, .. } => {
            let direction: Vec<f64> = (0..free).map(|_| standard_normal(&mut rng)).collect();
            let length =
                euclidean_length((0..clean.len()).map(|i| direction[i % free])).max(f64::MIN_POSITIVE);
            let radius = epsilon * rng.random::<f64>().powf(1.0 / free as f64);
            direction.into_iter().map(|along| radius * along / length).collect()
        }
    };
    for (i, (x, &clean)) in x.iter_mut().zip(clean).enumerate() {
        *x = into_box(f64::from(clean) + change[i % free]);
    }
}

/// One step up the loss, then back into the ball and the box. Cutting to the box never leaves the ball, since the clean
/// image lies in the box.
pub(super) fn ascend(attack: &Attack, x: &mut [f32], clean: &[f32], grey: bool, gradient: &[f32]) {
    let together = grey.then(|| {
        let plane = gradient.len() / CHANNELS;
        let sum =
            |i: usize| (0..CHANNELS).map(|channel| f64::from(gradient[channel * plane + i])).sum::<f64>();
        let sums: Vec<f64> = (0..plane).map(sum).collect();
        sums.repeat(CHANNELS)
    });
    let gradient = together.unwrap_or_else(|| gradient.iter().map(|&g| f64::from(g)).collect());
    match *attack {
        Attack::Fgsm { epsilon } => signed_step(epsilon, epsilon, x, clean, &gradient),
        Attack::Pgd { epsilon, step, .. } => signed_step(step, epsilon, x, clean, &gradient),
        Attack::PgdL2 { epsilon, step, .. } => {
            let slope = euclidean_length(gradient.iter().copied());
            if !(slope > 0.0 && slope.is_finite()) {
                return;
            }
            let mut change: Vec<f64> = Vec::with_capacity(x.len());
            for ((&x, &clean), gradient) in x.iter().zip(clean).zip(gradient) {
                change.push(f64::from(x) - f64::from(clean) + step * gradient / slope);
            }
            let length = euclidean_length(change.iter().copied());
            let shrink = if length > epsilon { epsilon / length } else { 1.0 };
            for ((x, &clean), change) in x.iter_mut().zip(clean).zip(change) {
                *x = into_box(f64::from(clean) + change * shrink);
            }
        }
    }
}

fn signed_step(step: f64, epsilon: f64, x: &mut [f32], clean: &[f32], gradient: &[f64]) {
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

pub(super) fn euclidean_length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
