//! What an attack may do to an image: move it within a ball around the clean one, and within the box [0, 1].
//!
//! The three channels of a grey image move as one: they start alike and take the sum of their gradients, which is the
//! gradient with respect to their common value.

use archaeo_random::standard_normal;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Norm;
use super::eight_bit::{SLACK, round_in_ball, round_in_cube};

/// Channels of an image.
const CHANNELS: usize = 3;

/// A ball around the clean image. Sizes are in units of the image's range: 8/255 is `8.0 / 255.0`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threat {
    /// Largest change of a channel value.
    Linf(f64),
    /// Largest Euclidean length of the change, over all channel values.
    L2(f64),
}

/// An image before the attack.
#[derive(Clone, Debug)]
pub struct Clean {
    /// `(3, height, width)` values in [0, 1].
    pub values: Vec<f32>,
    /// Whether the three channels are equal, and have to stay so.
    pub grey: bool,
}

impl Clean {
    /// An image of `(3, height, width)` values in [0, 1].
    pub fn new(values: Vec<f32>) -> Self {
        let plane = values.len() / CHANNELS;
        let grey = values[..plane] == values[plane..2 * plane] && values[..plane] == values[2 * plane..];
        Self { values, grey }
    }

    /// Values that move on their own.
    fn free(&self) -> usize {
        if self.grey { self.values.len() / CHANNELS } else { self.values.len() }
    }

    /// A gradient in the directions in which the image may move.
    fn allowed(&self, gradient: &[f32]) -> Vec<f64> {
        if !self.grey {
            return gradient.iter().map(|&slope| f64::from(slope)).collect();
        }
        let plane = gradient.len() / CHANNELS;
        let sum = |i: usize| (0..CHANNELS).map(|c| f64::from(gradient[c * plane + i])).sum::<f64>();
        (0..plane).map(sum).collect::<Vec<f64>>().repeat(CHANNELS)
    }
}

impl Threat {
    /// What the size is measured in.
    pub fn norm(&self) -> Norm {
        match self {
            Self::Linf(_) => Norm::Linf,
            Self::L2(_) => Norm::L2,
        }
    }

    /// The radius of the ball, in units of the image's range.
    pub fn size(&self) -> f64 {
        match *self {
            Self::Linf(size) | Self::L2(size) => size,
        }
    }

    /// The radius in its unit, in words: `8/255`, `2.5/255 (after rounding 2/255)`, `0.5`.
    pub fn radius(&self) -> String {
        match *self {
            Self::Linf(size) => {
                let whole = (size * 255.0 + SLACK).floor();
                match size * 255.0 - whole > SLACK {
                    true => format!("{}/255 (after rounding {whole}/255)", levels(size)),
                    false => format!("{}/255", levels(size)),
                }
            }
            Self::L2(size) => size.to_string(),
        }
    }

    /// Whether rounding to 8 bits leaves nothing of the attack: its size is smaller than one level of one channel value,
    /// 1/255. A size of 0 is no attack to begin with.
    pub fn is_rounded_away(&self) -> bool {
        self.size() > 0.0 && self.size() * 255.0 + SLACK < 1.0
    }

    /// A place drawn uniformly from the ball (of a grey image: from the grey images of the ball), cut to the box.
    pub fn start(&self, clean: &Clean, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let (free, all) = (clean.free(), clean.values.len());
        let change: Vec<f64> = match *self {
            Self::Linf(size) => (0..free).map(|_| size * (2.0 * rng.random::<f64>() - 1.0)).collect(),
            Self::L2(size) => {
                let direction: Vec<f64> = (0..free).map(|_| standard_normal(rng)).collect();
                let length = euclidean_length((0..all).map(|i| direction[i % free])).max(f64::MIN_POSITIVE);
                let radius = size * rng.random::<f64>().powf(1.0 / free as f64);
                direction.into_iter().map(|along| radius * along / length).collect()
            }
        };
        let moved = clean.values.iter().enumerate().map(|(i, &clean)| f64::from(clean) + change[i % free]);
        moved.map(into_box).collect()
    }

    /// One step of length `step` along the steepest ascent in the norm, then back into the ball and the box.
    pub fn ascend(&self, x: &mut [f32], clean: &Clean, gradient: &[f32], step: f64) {
        let gradient = clean.allowed(gradient);
        let moved: Vec<f64> = match self {
            Self::Linf(_) => {
                // Not `signum`, which has no zero: where the loss is flat, nothing is gained.
                let sign = |slope: f64| f64::from(i8::from(slope > 0.0) - i8::from(slope < 0.0));
                x.iter().zip(gradient).map(|(&x, slope)| f64::from(x) + step * sign(slope)).collect()
            }
            Self::L2(_) => {
                let length = euclidean_length(gradient.iter().copied());
                if !(length > 0.0 && length.is_finite()) {
                    return;
                }
                x.iter().zip(gradient).map(|(&x, slope)| f64::from(x) + step * slope / length).collect()
            }
        };
        self.project(&moved, clean, x);
    }

    /// The nearest place of the ball, cut to the box. Cutting to the box never leaves the ball, since the clean image lies in
    /// the box.
    pub fn project(&self, moved: &[f64], clean: &Clean, x: &mut [f32]) {
        let clean = clean.values.iter().map(|&value| f64::from(value));
        let places = x.iter_mut().zip(moved).zip(clean.clone());
        match *self {
            Self::Linf(size) => {
                places.for_each(|((x, moved), clean)| *x = into_box(moved.clamp(clean - size, clean + size)));
            }
            Self::L2(size) => {
                let length = euclidean_length(moved.iter().zip(clean).map(|(moved, clean)| moved - clean));
                let shrink = if length > size { size / length } else { 1.0 };
                places.for_each(|((x, moved), clean)| *x = into_box(clean + (moved - clean) * shrink));
            }
        }
    }

    /// Rounds an image to 8 bits without leaving the ball.
    pub fn round(&self, x: &mut [f32], clean: &Clean) {
        match *self {
            Self::Linf(size) => round_in_cube(x, &clean.values, size),
            Self::L2(size) => round_in_ball(x, &clean.values, size),
        }
    }
}

/// A share of the range in levels of 8 bits, with up to three digits.
pub(super) fn levels(size: f64) -> String {
    format!("{:.3}", size * 255.0).trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn into_box(value: f64) -> f32 {
    value.clamp(0.0, 1.0) as f32
}

pub(super) fn euclidean_length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
