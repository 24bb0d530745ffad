//! The smallest step to a half-space within the box: what a linear model's nearest adversarial example is.
//!
//! In each norm the minimum of ‖δ‖ where g·δ ≥ c and every δᵢ has its room has a closed form up to one number λ:
//!
//! | norm | δᵢ |
//! |---|---|
//! | L∞ | sign(gᵢ) · min(λ, rᵢ) |
//! | L2 | sign(gᵢ) · min(λ·abs(gᵢ), rᵢ) |
//! | L1 | the whole room rᵢ in the order of abs(gᵢ), until c is reached |
//! | L0 | the whole room rᵢ in the order of abs(gᵢ)·rᵢ, until c is reached |

use super::super::threat::{Clean, Threat};

/// The smallest change of `clean` within the box whose product with `slope` is `gain` at least; the farthest corner along the
/// slope where none has it. `slope` moves as the image may ([`Clean::allowed`]).
pub(in super::super) fn to_half_space(clean: &Clean, threat: Threat, slope: &[f64], gain: f64) -> Vec<f64> {
    let free = clean.free();
    let tied = clean.tied() as f64;
    if !(gain > 0.0) {
        return vec![0.0; slope.len()];
    }
    let rooms: Vec<f64> = slope[..free].iter().zip(&clean.values).map(|(&slope, &clean)| room(slope, clean)).collect();
    let slopes: Vec<f64> = slope[..free].iter().map(|slope| slope.abs()).collect();
    let gain = gain / tied;
    let lengths = match threat {
        Threat::Linf(_) => along(&rooms, &slopes, gain, &vec![1.0; free]),
        Threat::L2(_) => along(&rooms, &slopes, gain, &slopes),
        Threat::L1(_) => in_order(&rooms, &slopes, gain, &slopes, true),
        Threat::L0(_) => {
            let whole: Vec<f64> = slopes.iter().zip(&rooms).map(|(slope, room)| slope * room).collect();
            in_order(&rooms, &slopes, gain, &whole, false)
        }
    };
    let signed = lengths.iter().zip(slope).map(|(length, slope)| length.copysign(*slope));
    signed.collect::<Vec<f64>>().repeat(clean.tied())
}

/// How far a value can go along its slope.
fn room(slope: f64, clean: f32) -> f64 {
    match slope {
        slope if slope > 0.0 => 1.0 - f64::from(clean),
        slope if slope < 0.0 => f64::from(clean),
        _ => 0.0,
    }
}

/// min(λ · rate, room) for the smallest λ whose gain is enough: the gain rises with λ along straight lines between the places
/// where a value arrives.
fn along(rooms: &[f64], slopes: &[f64], gain: f64, rates: &[f64]) -> Vec<f64> {
    let mut arrivals: Vec<(f64, usize)> =
        (0..rooms.len()).filter(|&i| rooms[i] > 0.0).map(|i| (rooms[i] / rates[i], i)).collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut speed: f64 = arrivals.iter().map(|&(_, i)| slopes[i] * rates[i]).sum();
    let (mut reached, mut lambda) = (0.0, 0.0);
    for (arrival, i) in arrivals {
        let next = reached + speed * (arrival - lambda);
        if next >= gain {
            break;
        }
        (reached, lambda) = (next, arrival);
        speed -= slopes[i] * rates[i];
    }
    if speed > 0.0 {
        lambda += (gain - reached).max(0.0) / speed;
    }
    rooms.iter().zip(rates).map(|(room, rate)| (lambda * rate).min(*room)).collect()
}

/// Whole rooms in descending order of `worth` until the gain is enough; of the last only what it takes, if it is `divisible`.
fn in_order(rooms: &[f64], slopes: &[f64], gain: f64, worth: &[f64], divisible: bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..rooms.len()).filter(|&i| rooms[i] > 0.0).collect();
    order.sort_by(|&a, &b| worth[b].total_cmp(&worth[a]).then(a.cmp(&b)));
    let mut lengths = vec![0.0; rooms.len()];
    let mut missing = gain;
    for i in order {
        if missing <= 0.0 {
            break;
        }
        lengths[i] = if divisible { rooms[i].min(missing / slopes[i]) } else { rooms[i] };
        missing -= lengths[i] * slopes[i];
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacks::Norm;

    const SLOPE: [f64; 6] = [2.0, -1.0, 0.5, 0.0, -3.0, 1.5];
    const CLEAN: [f32; 6] = [0.9, 0.5, 0.2, 0.5, 0.75, 0.5];

    fn clean() -> Clean {
        Clean { values: CLEAN.to_vec(), grey: false }
    }

    fn gain(change: &[f64]) -> f64 {
        change.iter().zip(SLOPE).map(|(change, slope)| change * slope).sum()
    }

    fn nearest(norm: Norm, gain: f64) -> Vec<f64> {
        to_half_space(&clean(), norm.unlimited(), &SLOPE, gain)
    }

    #[test]
    fn without_the_box_it_is_the_distance_over_the_dual_norm() {
        // Small enough that no value arrives.
        let wanted = 0.2;
        let expected = [wanted / 8.0, wanted / (4.0f64 + 1.0 + 0.25 + 9.0 + 2.25).sqrt(), wanted / 3.0];
        for (norm, expected) in [Norm::Linf, Norm::L2, Norm::L1].into_iter().zip(expected) {
            let change = nearest(norm, wanted);
            assert!((gain(&change) - wanted).abs() < 1e-12, "{norm}: {change:?}");
            let length = norm.unlimited().length(change.into_iter());
            assert!((length - expected).abs() < 1e-12, "{norm}: {length}, not {expected}");
        }
    }

    /// No change of a fine grid within the box that gains as much is shorter.
    #[test]
    fn within_the_box_nothing_shorter_gains_as_much() {
        // The first value has a room of 0.1, the fifth of 0.75.
        for wanted in [0.5, 1.0, 2.0, 2.9] {
            for norm in Norm::ALL {
                let threat = norm.unlimited();
                let found = nearest(norm, wanted);
                assert!(gain(&found) >= wanted - 1e-9, "{norm}: {found:?}");
                for (change, clean) in found.iter().zip(CLEAN) {
                    assert!((-1e-12..=1.0 + 1e-12).contains(&(f64::from(clean) + change)), "{norm}: {found:?}");
                }
                let length = threat.length(found.into_iter());
                // Shares of each value's room; the fourth value, without a slope, stays.
                let steps = 12usize;
                let rooms: Vec<f64> = SLOPE.iter().zip(CLEAN).map(|(&slope, clean)| room(slope, clean)).collect();
                for code in 0..(steps + 1).pow(5) {
                    let share = |digit: u32| (code / (steps + 1).pow(digit) % (steps + 1)) as f64 / steps as f64;
                    let shares = [share(0), share(1), share(2), 0.0, share(3), share(4)];
                    let change: Vec<f64> =
                        (0..6).map(|i| (shares[i] * rooms[i]).copysign(SLOPE[i])).collect();
                    if gain(&change) >= wanted {
                        let other = threat.length(change.iter().copied());
                        assert!(other >= length - 1e-9, "{norm} {wanted}: {change:?} is shorter than {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_is_the_corner() {
        for norm in Norm::ALL {
            let change = nearest(norm, 100.0);
            for (i, (&change, clean)) in change.iter().zip(CLEAN).enumerate() {
                assert!((change.abs() - room(SLOPE[i], clean)).abs() < 1e-9, "{norm} {i}: {change}");
            }
            assert_eq!(nearest(norm, 0.0), [0.0; 6]);
        }
    }

    #[test]
    fn grey_changes_are_grey_and_as_short() {
        let grey = Clean { values: [0.5f32, 0.25, 0.75].repeat(3), grey: true };
        let slope = [1.0, -2.0, 0.5].repeat(3);
        for norm in Norm::ALL {
            let change = to_half_space(&grey, norm.unlimited(), &slope, 1.2);
            assert!(change[..3] == change[3..6] && change[..3] == change[6..]);
            let gain: f64 = change.iter().zip(&slope).map(|(change, slope)| change * slope).sum();
            assert!(gain >= 1.2 - 1e-12, "{norm}: {gain}");
            if norm == Norm::Linf {
                // Room for 0.25 in each: 1.2 / (3 · 3.5).
                assert!((change[0] - 1.2 / 10.5).abs() < 1e-12);
            }
        }
    }
}
