//! Noise: Gaussian, shot, impulse, speckle.

use archaeo_random::Draw;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

use super::field::Field;
use super::{Scale, normal};

pub(super) fn deviation(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.04, 0.06, 0.08, 0.09, 0.10], [0.08, 0.12, 0.18, 0.26, 0.38])
}

pub(super) fn gaussian(mut field: Field, deviation: f64, rng: &mut ChaCha8Rng) -> Field {
    for plane in &mut field.planes {
        let noise = normal(plane.len(), deviation, rng);
        plane.iter_mut().zip(noise).for_each(|(value, noise)| *value += noise);
    }
    field
}

/// Photons of a white pixel.
pub(super) fn photons(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [500.0, 250.0, 100.0, 75.0, 50.0], [60.0, 25.0, 12.0, 5.0, 3.0])
}

pub(super) fn shot(mut field: Field, photons: f64, rng: &mut ChaCha8Rng) -> Field {
    for value in field.planes.iter_mut().flatten() {
        // A mean of 0 is no Poisson distribution, and gives 0.
        *value = Poisson::new(*value * photons).map_or(0.0, |of| of.sample(rng) / photons);
    }
    field
}

/// Share of the values that are lost.
pub(super) fn share(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.01, 0.02, 0.03, 0.05, 0.07], [0.03, 0.06, 0.09, 0.17, 0.27])
}

/// Every value on its own becomes 0 or 1, half of them each.
pub(super) fn impulse(mut field: Field, share: f64, rng: &mut ChaCha8Rng) -> Field {
    for value in field.planes.iter_mut().flatten() {
        if f64::from(rng.unit()) < share {
            *value = f64::from(u8::from(rng.below(2) == 1));
        }
    }
    field
}

pub(super) fn speckle_deviation(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.06, 0.1, 0.12, 0.16, 0.2], [0.15, 0.2, 0.35, 0.45, 0.6])
}

pub(super) fn speckle(mut field: Field, deviation: f64, rng: &mut ChaCha8Rng) -> Field {
    for plane in &mut field.planes {
        let noise = normal(plane.len(), deviation, rng);
        plane.iter_mut().zip(noise).for_each(|(value, noise)| *value += *value * noise);
    }
    field
}
