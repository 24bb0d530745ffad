//! The smallest change to a half-space within the box: what a linear model's nearest adversarial example is.

use super::super::hyperplane::shortest_change;
use super::super::threat::{Clean, Threat};

/// The smallest change of `clean` within the box whose product with `slope` is `gain` at least; the farthest corner along the
/// slope where none has it. `slope` moves as the image may ([`Clean::allowed`]). In L∞, L2 and L1 it ends on the hyperplane. In L0
/// values go to the ends of their range in the order of what they gain there, until it is enough.
pub(super) fn to_half_space(clean: &Clean, threat: Threat, slope: &[f64], gain: f64) -> Vec<f64> {
    if gain <= 0.0 || gain.is_nan() {
        return vec![0.0; slope.len()];
    }
    // Values that move as one are one.
    let (free, tied) = (clean.free(), clean.tied());
    let (values, slope, gain) = (&clean.values[..free], &slope[..free], gain / tied as f64);
    let change = match threat {
        Threat::L0(_) => fewest(values, slope, gain),
        _ => shortest_change(&threat, values, slope, gain),
    };
    change.repeat(tied)
}

fn fewest(values: &[f32], slope: &[f64], gain: f64) -> Vec<f64> {
    let to_end = |(&slope, &x): (&f64, &f32)| match slope {
        slope if slope > 0.0 => 1.0 - f64::from(x),
        slope if slope < 0.0 => -f64::from(x),
        _ => 0.0,
    };
    let ends: Vec<f64> = slope.iter().zip(values).map(to_end).collect();
    let gains: Vec<f64> = slope.iter().zip(&ends).map(|(slope, end)| slope * end).collect();
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| gains[i] > 0.0).collect();
    order.sort_by(|&a, &b| gains[b].total_cmp(&gains[a]).then(a.cmp(&b)));
    let mut change = vec![0.0; values.len()];
    let mut missing = gain;
    for i in order {
        if missing <= 0.0 {
            break;
        }
        change[i] = ends[i];
        missing -= gains[i];
    }
    change
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

    /// How far a value can go along its slope.
    fn room(slope: f64, clean: f32) -> f64 {
        match slope {
            slope if slope > 0.0 => 1.0 - f64::from(clean),
            slope if slope < 0.0 => f64::from(clean),
            _ => 0.0,
        }
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
                    assert!(
                        (-1e-12..=1.0 + 1e-12).contains(&(f64::from(clean) + change)),
                        "{norm}: {found:?}"
                    );
                }
                let length = threat.length(found.into_iter());
                // Shares of each value's room; the fourth value, without a slope, stays.
                let steps = 12usize;
                let rooms: Vec<f64> =
                    SLOPE.iter().zip(CLEAN).map(|(&slope, clean)| room(slope, clean)).collect();
                for code in 0..(steps + 1).pow(5) {
                    let share =
                        |digit: u32| (code / (steps + 1).pow(digit) % (steps + 1)) as f64 / steps as f64;
                    let shares = [share(0), share(1), share(2), 0.0, share(3), share(4)];
                    let change: Vec<f64> =
                        (0..6).map(|i| (shares[i] * rooms[i]).copysign(SLOPE[i])).collect();
                    if gain(&change) >= wanted {
                        let other = threat.length(change.iter().copied());
                        assert!(
                            other >= length - 1e-9,
                            "{norm} {wanted}: {change:?} is shorter than {length}"
                        );
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
