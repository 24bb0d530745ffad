//! What an attack may do to an image: move it within a ball around the clean one, and within the box [0, 1].
//!
//! The three channels of a grey image move as one: they start alike and take the sum of their gradients, which is the
//! gradient with respect to their common value.

use archaeo_random::standard_normal;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Norm;
use super::ball::{keep_largest, project_in_l1};
use super::eight_bit::{SLACK, round_in_ball, round_in_cube, round_in_l1, round_sparse};

/// Channels of an image.
const CHANNELS: usize = 3;

/// Share of the values that one step in L1 moves: those with the largest slopes (Tramèr and Boneh, 2019, section 4, whose steps
/// move the top 1 %). A step along the one largest slope, the steepest in L1, would take thousands of steps.
pub const L1_SHARE: f64 = 0.01;

/// A ball around the clean image. Sizes are in units of the image's range: 8/255 is `8.0 / 255.0`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threat {
    /// Largest change of a channel value.
    Linf(f64),
    /// Largest Euclidean length of the change, over all channel values.
    L2(f64),
    /// Largest sum of the changes, over all channel values.
    L1(f64),
    /// Most channel values that change; a whole number.
    L0(f64),
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
    pub fn free(&self) -> usize {
        if self.grey { self.values.len() / CHANNELS } else { self.values.len() }
    }

    /// Values that move as one.
    pub fn tied(&self) -> usize {
        if self.grey { CHANNELS } else { 1 }
    }

    /// The part of a gradient that lies in the directions in which the image may move: of a grey image, the mean of the three
    /// channels in each of them.
    pub fn allowed(&self, gradient: &[f32]) -> Vec<f64> {
        if !self.grey {
            return gradient.iter().map(|&slope| f64::from(slope)).collect();
        }
        let plane = gradient.len() / CHANNELS;
        let sum = |i: usize| (0..CHANNELS).map(|c| f64::from(gradient[c * plane + i])).sum::<f64>();
        (0..plane).map(|i| sum(i) / CHANNELS as f64).collect::<Vec<f64>>().repeat(CHANNELS)
    }
}

impl Threat {
    /// What the size is measured in.
    pub fn norm(&self) -> Norm {
        match self {
            Self::Linf(_) => Norm::Linf,
            Self::L2(_) => Norm::L2,
            Self::L1(_) => Norm::L1,
            Self::L0(_) => Norm::L0,
        }
    }

    /// The radius of the ball, in units of the image's range; in L0 the number of values.
    pub fn size(&self) -> f64 {
        match *self {
            Self::Linf(size) | Self::L2(size) | Self::L1(size) | Self::L0(size) => size,
        }
    }

    /// The same norm with another radius.
    pub fn with_size(&self, size: f64) -> Self {
        match self {
            Self::Linf(_) => Self::Linf(size),
            Self::L2(_) => Self::L2(size),
            Self::L1(_) => Self::L1(size),
            Self::L0(_) => Self::L0(size),
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
            Self::L2(size) | Self::L1(size) => size.to_string(),
            Self::L0(size) => format!("{size} values"),
        }
    }

    /// Whether rounding to 8 bits leaves nothing of the attack: its size is smaller than one level of one channel value,
    /// 1/255, or less than one value in L0. A size of 0 is no attack to begin with.
    pub fn is_rounded_away(&self) -> bool {
        let least = if let Self::L0(_) = self { 1.0 } else { 1.0 / 255.0 };
        self.size() > 0.0 && self.size() + SLACK / 255.0 < least
    }

    /// The length of a change in the norm, in units of the image's range; in L0 the number of values that change.
    pub fn length(&self, change: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Linf(_) => change.fold(0.0, |largest, c| largest.max(c.abs())),
            Self::L2(_) => euclidean_length(change),
            Self::L1(_) => change.map(f64::abs).sum(),
            Self::L0(_) => change.filter(|&c| c != 0.0).count() as f64,
        }
    }

    /// The length of a gradient, which moves as the image may ([`Clean::allowed`]), in the dual norm: how fast a linear function
    /// rises for each unit of length. The sum of absolute values in L∞, the Euclidean length in L2, the largest absolute value
    /// in L1, and in L0, where a value may change by up to 1, that too.
    pub fn dual_norm(&self, allowed: &[f64]) -> f64 {
        match self {
            Self::Linf(_) => allowed.iter().map(|g| g.abs()).sum(),
            Self::L2(_) => euclidean_length(allowed.iter().copied()),
            Self::L1(_) | Self::L0(_) => allowed.iter().fold(0.0, |largest, g| largest.max(g.abs())),
        }
    }

    /// A place drawn uniformly from the ball (of a grey image: from the grey images of the ball), cut to the box. In L0, as many
    /// values as the ball allows, drawn at random, become uniform in [0, 1].
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
            Self::L1(size) => {
                // Exponential shares of a sum with one share left over are uniform in the ball.
                let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
                let shares: Vec<f64> = (0..=free).map(|_| exponential()).collect();
                let scale = size / (clean.tied() as f64 * shares.iter().sum::<f64>().max(f64::MIN_POSITIVE));
                let signed =
                    shares[..free].iter().map(|share| if rng.random::<bool>() { *share } else { -share });
                signed.map(|share| scale * share).collect()
            }
            Self::L0(size) => {
                let mut change = vec![0.0; free];
                let count = ((size / clean.tied() as f64) as usize).min(free);
                for place in rand::seq::index::sample(rng, free, count) {
                    change[place] = rng.random::<f64>() - f64::from(clean.values[place]);
                }
                change
            }
        };
        let moved = clean.values.iter().enumerate().map(|(i, &clean)| f64::from(clean) + change[i % free]);
        moved.map(into_box).collect()
    }

    /// One step of length `step` along the steepest ascent in the norm, then back into the ball and the box. In L1 the step goes
    /// to the share `L1_SHARE` of values with the largest slopes; in L0 the `step` values that gain most go to the end of the range.
    pub fn ascend(&self, x: &mut [f32], clean: &Clean, gradient: &[f32], step: f64) {
        let gradient = clean.allowed(gradient);
        let moved: Vec<f64> = match self {
            Self::Linf(_) => {
                x.iter().zip(gradient).map(|(&x, slope)| f64::from(x) + step * sign(slope)).collect()
            }
            Self::L2(_) => {
                let length = euclidean_length(gradient.iter().copied());
                if !(length > 0.0 && length.is_finite()) {
                    return;
                }
                x.iter().zip(gradient).map(|(&x, slope)| f64::from(x) + step * slope / length).collect()
            }
            Self::L1(_) => {
                let count = (L1_SHARE * clean.free() as f64).ceil() as usize;
                return self.ascend_sparsely(x, clean, &gradient, step, count);
            }
            Self::L0(_) => {
                let gain = |(&x, slope): (&f32, &f64)| slope * (end(*slope) - f64::from(x));
                let gains: Vec<f64> = x.iter().zip(&gradient).map(gain).collect();
                let chosen = keep_largest(&gains, clean.free(), (step / clean.tied() as f64) as usize);
                let places = x.iter().zip(&gradient).zip(chosen);
                places.map(|((&x, &slope), chosen)| if chosen { end(slope) } else { f64::from(x) }).collect()
            }
        };
        self.project(&moved, clean, x);
    }

    /// One step of length `step` in L1 to the largest slopes, then back into the ball and the box (Croce and Hein, 2021, section 3.2).
    /// No value takes more than a share of 1 / `count` or has more than there is to the end of its range; what that leaves goes to the
    /// next. A value that is nearly at its end would otherwise take the step again and again.
    pub fn ascend_sparsely(&self, x: &mut [f32], clean: &Clean, allowed: &[f64], step: f64, count: usize) {
        let tied = clean.tied() as f64;
        let room = |place: usize| (end(allowed[place]) - f64::from(x[place])).abs();
        let mut order: Vec<usize> =
            (0..clean.free()).filter(|&place| allowed[place] != 0.0 && room(place) > 0.0).collect();
        let larger = |&a: &usize, &b: &usize| allowed[b].abs().total_cmp(&allowed[a].abs()).then(a.cmp(&b));
        // Hardly more than `count` are needed, of a hundred times as many.
        let head = (2 * count).min(order.len());
        if head < order.len() {
            order.select_nth_unstable_by(head, larger);
        }
        order[..head].sort_unstable_by(larger);
        let (each, mut left) = (step / (count.max(1) as f64 * tied), step / tied);
        let mut moved: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for at in 0..order.len() {
            if left <= 0.0 {
                break;
            }
            if at == head {
                order[head..].sort_unstable_by(larger);
            }
            let place = order[at];
            let change = room(place).min(each).min(left);
            left -= change;
            for tied in (place..x.len()).step_by(clean.free()) {
                moved[tied] += change * sign(allowed[place]);
            }
        }
        self.project(&moved, clean, x);
    }

    /// Back into ball and box. In L∞ and L2 the nearest place of the ball, cut to the box, which never leaves the ball since the
    /// clean image lies in the box. In L1 and L0 the nearest place of the ball's part in the box: from the ball's nearest place
    /// alone cutting would take most of what an L1 attack has left (Croce and Hein, 2021, section 2).
    pub fn project(&self, moved: &[f64], clean: &Clean, x: &mut [f32]) {
        let base = clean.values.iter().map(|&value| f64::from(value));
        let places = x.iter_mut().zip(moved).zip(base.clone());
        match *self {
            Self::Linf(size) => {
                places.for_each(|((x, moved), clean)| *x = into_box(moved.clamp(clean - size, clean + size)));
            }
            Self::L2(size) => {
                let length = euclidean_length(moved.iter().zip(base).map(|(moved, clean)| moved - clean));
                let shrink = if length > size { size / length } else { 1.0 };
                places.for_each(|((x, moved), clean)| *x = into_box(clean + (moved - clean) * shrink));
            }
            Self::L1(size) => {
                let change = project_in_l1(moved, &clean.values, size);
                places.zip(change).for_each(|(((x, _), clean), change)| *x = into_box(clean + change));
            }
            Self::L0(size) => {
                // What keeping a value's change, cut to the box, saves of the squared distance.
                let saved = moved.iter().zip(base).map(|(moved, clean)| {
                    let (wanted, cut) = (moved - clean, moved.clamp(0.0, 1.0) - clean);
                    cut * (2.0 * wanted - cut)
                });
                let saved: Vec<f64> = saved.collect();
                let count = (size / clean.tied() as f64) as usize;
                let kept = keep_largest(&saved, clean.free(), count);
                let places = x.iter_mut().zip(moved).zip(&clean.values).zip(kept);
                places.for_each(|(((x, moved), clean), kept)| {
                    *x = if kept { into_box(*moved) } else { *clean }
                });
            }
        }
    }

    /// Rounds an image to 8 bits without leaving the ball.
    pub fn round(&self, x: &mut [f32], clean: &Clean) {
        match *self {
            Self::Linf(size) => round_in_cube(x, &clean.values, size),
            Self::L2(size) => round_in_ball(x, &clean.values, size, clean.tied()),
            Self::L1(size) => round_in_l1(x, &clean.values, size, clean.tied()),
            Self::L0(_) => round_sparse(x),
        }
    }
}

/// Not `signum`, which has no zero: where the loss is flat, nothing is gained.
fn sign(slope: f64) -> f64 {
    f64::from(i8::from(slope > 0.0) - i8::from(slope < 0.0))
}

/// The end of the range [0, 1] that a slope points to.
fn end(slope: f64) -> f64 {
    if slope > 0.0 { 1.0 } else { 0.0 }
}

/// A share of the range in levels of 8 bits, with up to three digits.
pub(super) fn levels(size: f64) -> String {
    format!("{:.3}", size * 255.0).trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn into_box(value: f64) -> f32 {
    value.clamp(0.0, 1.0) as f32
}

pub(super) fn euclidean_length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
