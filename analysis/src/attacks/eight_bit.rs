//! Rounding an adversarial example to 8 bits without leaving the ball.
//!
//! In L∞, a value goes to the nearest of the levels k/255 that lie within ε of the clean value. In L2, all values go to
//! their nearest levels; if that lengthens the change beyond ε, the change is shrunk before rounding, as little as bisection
//! finds necessary; if it shortens it, as it does where most changes are smaller than half a level, those that are largest for what
//! they add go one level further, as far as the length before rounding allows. In L1, where most changes are small, nearest levels would take most of them away: values go to the level
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

/// `tied` values, one plane apart, are equal and stay so.
pub(super) fn round_in_ball(x: &mut [f32], clean: &[f32], epsilon: f64, tied: usize) {
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
    lengthen(&mut best, x, clean, epsilon, tied);
    x.copy_from_slice(&best);
}

/// Moves values of a rounded image one level on, the way that they moved before rounding, until the change is as long as it was.
fn lengthen(rounded: &mut [f32], x: &[f32], clean: &[f32], epsilon: f64, tied: usize) {
    let change = |x: &[f32], place: usize| (f64::from(x[place]) - f64::from(clean[place])) * 255.0;
    let squares = |x: &[f32]| (0..x.len()).map(|place| change(x, place).powi(2)).sum::<f64>();
    let limit = squares(x).min((epsilon * 255.0).powi(2)) + SLACK;
    let mut length = squares(rounded);
    // What a level more brings along the change, for each unit that it adds to the squared length.
    let worth = |place: usize| -> Option<(f64, usize)> {
        let (wanted, had) = (change(x, place), change(rounded, place) * change(x, place).signum());
        let room = (0.0..=255.0).contains(&(f64::from(rounded[place]) * 255.0 + wanted.signum()).round());
        (wanted.abs() > had + SLACK && had > -SLACK && room)
            .then(|| (wanted.abs() / (2.0 * had.max(0.0) + 1.0), place))
    };
    let mut order: Vec<(f64, usize)> = (0..x.len() / tied).filter_map(worth).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, place) in order {
        let added = 2.0 * change(rounded, place).abs() + 1.0;
        if length + tied as f64 * added > limit {
            break;
        }
        length += tied as f64 * added;
        let way = change(x, place).signum();
        for place in (place..x.len()).step_by(x.len() / tied) {
            rounded[place] = value_of((f64::from(rounded[place]) * 255.0).round() + way);
        }
    }
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
