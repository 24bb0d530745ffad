//! Rounding an adversarial example to 8 bits without leaving the ball.
//!
//! In L∞, a value goes to the nearest of the levels k/255 that lie within ε of the clean value. In L2, all values go to
//! their nearest levels; if that lengthens the change beyond ε, the change is shrunk before rounding, as little as bisection
//! finds necessary. In L1, where most changes are small, nearest levels would take most of them away: values go to the level
//! on the clean side, and those with the largest remainders one level further, as far as the length of the change before
//! rounding allows, or ε where that level is nearest. In L0 all values go to their nearest levels. A clean value that is not an 8-bit level itself, and has none within ε, goes to the level nearest to it: an
//! image that exists cannot be nearer.

use super::threat::euclidean_length;

/// Levels computed from ε and from 32-bit values meet whole numbers only up to rounding; far below what shows.
pub(super) const SLACK: f64 = 1e-4;

pub(super) fn round_in_cube(x: &mut [f32], clean: &[f32], epsilon: f64) {
    for (x, &clean) in x.iter_mut().zip(clean) {
        let centre = f64::from(clean) * 255.0;
        let lowest = (centre - epsilon * 255.0 - SLACK).ceil().max(0.0);
        let highest = (centre + epsilon * 255.0 + SLACK).floor().min(255.0);
        let level = if lowest <= highest {
            (f64::from(*x) * 255.0).round().clamp(lowest, highest)
        } else {
            centre.round().clamp(0.0, 255.0)
        };
        *x = value_of(level);
    }
}

pub(super) fn round_in_ball(x: &mut [f32], clean: &[f32], epsilon: f64) {
    let rounded = |keep: f64| -> Vec<f32> {
        let shrunk = x.iter().zip(clean).map(|(&x, &clean)| {
            let clean = f64::from(clean);
            ((clean + keep * (f64::from(x) - clean)) * 255.0).round().clamp(0.0, 255.0)
        });
        shrunk.map(value_of).collect()
    };
    let fits = |candidate: &[f32]| {
        let change = candidate.iter().zip(clean).map(|(&x, &clean)| f64::from(x) - f64::from(clean));
        euclidean_length(change) <= epsilon + SLACK / 255.0
    };
    let mut best = rounded(1.0);
    if !fits(&best) {
        best = rounded(0.0);
        let (mut inside, mut outside) = (0.0, 1.0);
        for _ in 0..20 {
            let middle = (inside + outside) / 2.0;
            let candidate = rounded(middle);
            if fits(&candidate) {
                (best, inside) = (candidate, middle);
            } else {
                outside = middle;
            }
        }
    }
    x.copy_from_slice(&best);
}

/// `tied` values, one plane apart, are equal and stay so.
pub(super) fn round_in_l1(x: &mut [f32], clean: &[f32], epsilon: f64, tied: usize) {
    let before: f64 = x.iter().zip(clean).map(|(&x, &clean)| (f64::from(x) - f64::from(clean)).abs()).sum();
    let (before, epsilon) = (before * 255.0 + SLACK, epsilon * 255.0 + SLACK);
    let free = x.len() / tied;
    // Of each value the level on the clean side, the way to the next, and how much of it is left.
    let mut levels = Vec::with_capacity(free);
    let mut remainders = Vec::with_capacity(free);
    let mut length = 0.0;
    for (&x, &clean) in x.iter().zip(clean).take(free) {
        let (x, centre) = (f64::from(x) * 255.0, f64::from(clean) * 255.0);
        let way = if x >= centre { 1.0 } else { -1.0 };
        // Measured from the clean value's own level, which an image that exists has.
        let change = (x - centre.round()) * way;
        let whole = (change + SLACK).floor().max(0.0);
        let level = centre.round() + way * whole;
        length += tied as f64 * (level - centre).abs();
        let room = (0.0..=255.0).contains(&(level + way));
        remainders.push(if room { change - whole } else { 0.0 });
        levels.push((level, way));
    }
    let mut order: Vec<usize> = (0..free).filter(|&place| remainders[place] > SLACK).collect();
    order.sort_by(|&a, &b| remainders[b].total_cmp(&remainders[a]).then(a.cmp(&b)));
    for place in order {
        let limit = if remainders[place] >= 0.5 { epsilon } else { before };
        if length + tied as f64 > limit {
            break;
        }
        length += tied as f64;
        levels[place].0 += levels[place].1;
    }
    for (x, &(level, _)) in x.iter_mut().zip(levels.iter().cycle()) {
        *x = value_of(level.clamp(0.0, 255.0));
    }
}

pub(super) fn round_sparse(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = value_of((f64::from(*x) * 255.0).round().clamp(0.0, 255.0)));
}

/// Level `k` of 255 as an image decoder gives it.
fn value_of(level: f64) -> f32 {
    level as f32 / 255.0
}
