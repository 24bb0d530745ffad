//! Which way an image has to change for its answer to change: the gradient of a loss that works on margins.
//!
//! Computed in 32 bits, cross-entropy goes blind on confident models. With a margin of 17 nats between the label's logit and
//! the next the label's probability rounds to 1, and with one of 104 nothing is left of the others': a model whose logits are
//! multiplied by 1,000 then looks robust. The losses here never take the softmax over the label, so that they cannot saturate,
//! and their slopes are divided by the spread of the image's logits, so that no gradient over- or underflows.
//!
//! Losses that are made of probabilities, [`Loss::CrossEntropy`] and [`Loss::ProbabilityMargin`], weigh the classes by the
//! softmax of the logits as they are: scaled logits give the same classes other weights, and at any scale a direction that leads
//! away from the label. Margin and DLR are functions of the logits' ratios: scaled logits give the same direction.

use serde::{Deserialize, Serialize};

/// What rises as the answer goes where it is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// ln((1 − p_y) / p_y) = logsumexp_{k≠y} z_k − z_y, a rising function of cross-entropy −ln p_y: its gradient has the same
    /// direction, whatever the confidence. The loss of FGSM's definition, without its blindness.
    CrossEntropy,
    /// A soft max_{k≠y} z_k − z_y (Carlini & Wagner, 2017, f₆, which Madry et al., 2018, section 5, use with PGD):
    /// t · logsumexp_{k≠y} (z_k / t) − z_y, where t is a fixed share of the spread of the image's logits, so that logits of
    /// any scale give the same direction. The hard maximum chases one class at a time, and is weaker on models that hardly
    /// tell their classes apart.
    Margin,
    /// The difference of logits ratio (Croce and Hein, 2020b, equation 6): (max_{k≠y} z_k − z_y) / (z_π₁ − z_π₃), where z_π₁ ≥
    /// z_π₂ ≥ … are the sorted logits. Needs 3 classes. From the label to one class t, the targeted form (equation 7): (z_t − z_y) /
    /// (z_π₁ − (z_π₃ + z_π₄) / 2), which needs 4. Not defined toward one class alone: there it would rise with its denominator,
    /// without that class.
    Dlr,
    /// The probability margin max_{k≠y} p_k − p_y (Ma et al., 2024), in the direction of its gradient whatever the confidence;
    /// its value is ln((1 + m) / (1 − m)), which rises with the margin m and cannot saturate.
    #[serde(rename = "pm")]
    ProbabilityMargin,
}

/// Where an answer is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Away from a class, to any other.
    Away(usize),
    /// To a class.
    Toward(usize),
    /// Away from the first class by raising the second; any other class is as good.
    FromTo(usize, usize),
}

impl Aim {
    /// Whether an answer is where it is to go.
    pub fn reached(self, answer: usize) -> bool {
        match self {
            Self::Away(label) | Self::FromTo(label, _) => answer != label,
            Self::Toward(target) => answer == target,
        }
    }

    /// The class that the other side is measured against, +1 where it is to fall and −1 where it is to rise, and the classes of
    /// the other side.
    fn sides(self, classes: usize) -> (usize, f64, Vec<usize>) {
        let others = |of: usize| (0..classes).filter(|&class| class != of).collect();
        match self {
            Self::Away(label) => (label, 1.0, others(label)),
            Self::Toward(target) => (target, -1.0, others(target)),
            Self::FromTo(label, target) => (label, 1.0, vec![target]),
        }
    }
}

/// Softness of [`Loss::Margin`]: the spread of the logits is 4 ln(classes) of its temperatures, so that all the classes in the
/// middle of the range together weigh no more than one over their number, next to the one at the top.
fn temperature(logits: &[f64]) -> f64 {
    let (low, high) = logits.iter().fold((f64::MAX, f64::MIN), |(low, high), &z| (low.min(z), high.max(z)));
    ((high - low) / (4.0 * (logits.len() as f64).ln())).max(f64::MIN_POSITIVE)
}

impl Loss {
    /// Every loss.
    pub const ALL: [Self; 4] = [Self::CrossEntropy, Self::Margin, Self::Dlr, Self::ProbabilityMargin];

    /// What the command line calls it.
    pub fn id(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Margin => "margin",
            Self::Dlr => "dlr",
            Self::ProbabilityMargin => "pm",
        }
    }

    /// What a reader calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Margin => "margin of logits",
            Self::Dlr => "difference of logits ratio",
            Self::ProbabilityMargin => "margin of probabilities",
        }
    }

    /// Itself, or the margin where it is not defined: DLR toward one class alone, with fewer than 3 classes, and from the label to one
    /// class with fewer than 4.
    pub fn where_defined(self, aim: Aim, classes: usize) -> Self {
        let needed = match aim {
            Aim::Away(_) => 3,
            Aim::FromTo(..) => 4,
            Aim::Toward(_) => usize::MAX,
        };
        if self == Self::Dlr && classes < needed { Self::Margin } else { self }
    }

    /// The loss of an image with these logits, which rises on the way to the aim. 0 for fewer than two classes.
    pub fn value(self, logits: &[f32], aim: Aim) -> f64 {
        self.at(logits, aim).0
    }

    /// ∂loss/∂logits of one image, up to a positive factor: of CrossEntropy and Margin the derivative itself, divided by the spread
    /// of the logits, and of the others one of that size. All 0 for fewer than two classes.
    pub fn slopes(self, logits: &[f32], aim: Aim) -> Vec<f32> {
        self.at(logits, aim).1
    }

    /// Value and slopes.
    pub fn at(self, logits: &[f32], aim: Aim) -> (f64, Vec<f32>) {
        if logits.len() < 2 {
            return (0.0, vec![0.0; logits.len()]);
        }
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let (one, sign, others) = aim.sides(logits.len());
        let (value, mut slopes) = match self.where_defined(aim, logits.len()) {
            Self::CrossEntropy => soft_margin(&logits, one, &others, 1.0),
            Self::Margin => soft_margin(&logits, one, &others, temperature(&logits)),
            Self::Dlr => ratio(&logits, one, &others, matches!(aim, Aim::FromTo(..))),
            Self::ProbabilityMargin => probability_margin(&logits, one, &others),
        };
        let spread = logits.iter().fold(0f64, |spread, logit| spread.max((logit - logits[one]).abs()));
        let scale = match spread > 0.0 && spread.is_finite() {
            true => spread.max(f64::from(f32::MIN_POSITIVE)),
            false => 1.0,
        };
        slopes.iter_mut().for_each(|slope| *slope *= sign / scale);
        (sign * value, slopes.into_iter().map(|slope| slope as f32).collect())
    }
}

/// t · logsumexp over the others of z_k / t, less the one's logit.
fn soft_margin(logits: &[f64], one: usize, others: &[usize], temperature: f64) -> (f64, Vec<f64>) {
    let largest = others.iter().map(|&class| logits[class]).fold(f64::NEG_INFINITY, f64::max);
    let mut slopes = vec![0.0; logits.len()];
    others.iter().for_each(|&class| slopes[class] = ((logits[class] - largest) / temperature).exp());
    let sum: f64 = slopes.iter().sum();
    slopes.iter_mut().for_each(|slope| *slope /= sum);
    slopes[one] = -1.0;
    (temperature * sum.ln() + largest - logits[one], slopes)
}

/// DLR. The derivative is taken of its denominator too, and scaled to a largest entry of 1.
fn ratio(logits: &[f64], one: usize, others: &[usize], targeted: bool) -> (f64, Vec<f64>) {
    let rival = first_of_largest(logits, others);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let below: &[usize] = if targeted { &order[2..4] } else { &order[2..3] };
    let share = 1.0 / below.len() as f64;
    let low: f64 = below.iter().map(|&class| share * logits[class]).sum();
    let spread = logits[order[0]] - low;
    let floor = 1e-12 * (logits[order[0]] - logits[order[order.len() - 1]]);
    let denominator = spread.max(floor).max(f64::MIN_POSITIVE);
    let above = logits[rival] - logits[one];
    // The derivative of above / denominator, times the denominator.
    let value = above / denominator;
    let mut slopes = vec![0.0; logits.len()];
    slopes[rival] += 1.0;
    slopes[one] -= 1.0;
    slopes[order[0]] -= value;
    below.iter().for_each(|&class| slopes[class] += share * value);
    let largest = slopes.iter().fold(0f64, |largest, slope| largest.max(slope.abs()));
    if largest > 0.0 {
        slopes.iter_mut().for_each(|slope| *slope /= largest);
    }
    (value, slopes)
}

/// p_k − p_y of the largest other k. With all probabilities over that of k, no term of the derivative cancels, and none vanishes
/// while the label leads.
fn probability_margin(logits: &[f64], one: usize, others: &[usize]) -> (f64, Vec<f64>) {
    let rival = first_of_largest(logits, others);
    let all = |but: usize, twice: usize| {
        let classes = (0..logits.len()).filter(move |&class| class != but);
        let largest = classes.clone().map(|class| logits[class]).fold(f64::NEG_INFINITY, f64::max);
        let weight = |class: usize| if class == twice { 2.0 } else { 1.0 };
        classes.map(|class| weight(class) * (logits[class] - largest).exp()).sum::<f64>().ln() + largest
    };
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|logit| (logit - top).exp()).sum();
    let p = |class: usize| (logits[class] - top).exp() / total;
    let over_rival = |class: usize| (logits[class] - logits[rival]).exp();
    let rest = |but: [usize; 2]| (0..logits.len()).filter(move |class| !but.contains(class));
    let rest_p: f64 = rest([one, rival]).map(p).sum();
    let rest_over: f64 = rest([one, rival]).map(over_rival).sum();
    let mut slopes = vec![0.0; logits.len()];
    // Each is ∂(p_k − p_y)/∂z divided by p_k.
    slopes[one] = -p(one) * (2.0 + rest_over);
    slopes[rival] = 2.0 * p(one) + rest_p;
    rest([one, rival]).for_each(|class| slopes[class] = over_rival(class) * (p(one) - p(rival)));
    let largest = slopes.iter().fold(0f64, |largest, slope| largest.max(slope.abs()));
    if largest > 0.0 && largest.is_finite() {
        slopes.iter_mut().for_each(|slope| *slope /= largest);
    }
    (all(one, rival) - all(rival, one), slopes)
}

fn first_of_largest(logits: &[f64], among: &[usize]) -> usize {
    among
        .iter()
        .copied()
        .fold(among[0], |best, class| if logits[class] > logits[best] { class } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the losses are defined as, of two sides, in 64 bits.
    fn defined(loss: Loss, z: &[f64], aim: Aim, t: f64) -> f64 {
        let soft = |one: usize, others: Vec<usize>, t: f64| {
            t * others.iter().map(|&k| (z[k] / t).exp()).sum::<f64>().ln() - z[one]
        };
        let probabilities = || {
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            z.iter().map(|z| z.exp() / sum).collect::<Vec<_>>()
        };
        let (one, others, sign) = match aim {
            Aim::Away(y) => (y, (0..z.len()).filter(|&k| k != y).collect::<Vec<_>>(), 1.0),
            Aim::Toward(c) => (c, (0..z.len()).filter(|&k| k != c).collect(), -1.0),
            Aim::FromTo(y, c) => (y, vec![c], 1.0),
        };
        let largest = |of: &[f64]| others.iter().map(|&k| of[k]).fold(f64::MIN, f64::max);
        let mut sorted = z.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sign * match loss.where_defined(aim, z.len()) {
            Loss::CrossEntropy => soft(one, others, 1.0),
            Loss::Margin => soft(one, others, t),
            Loss::Dlr => {
                let low = match aim {
                    Aim::FromTo(..) => (sorted[2] + sorted[3]) / 2.0,
                    _ => sorted[2],
                };
                (largest(z) - z[one]) / (sorted[0] - low)
            }
            Loss::ProbabilityMargin => {
                let p = probabilities();
                let m = largest(&p) - p[one];
                ((1.0 + m) / (1.0 - m)).ln()
            }
        }
    }

    /// Against finite differences of the definitions in 64 bits, at any scale, and the values against them.
    #[test]
    fn values_and_slopes_are_those_of_the_losses() {
        let logits = [0.7f32, -1.2, 0.5, 2.0, -0.3];
        let count = logits.len();
        for scale in [1.0f32, 1e-3, 8.0] {
            let scaled = logits.map(|logit| logit * scale);
            // The range is 3.2 wide, and 4 ln 5 temperatures.
            let t = 3.2 * f64::from(scale) / (4.0 * 5f64.ln());
            for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other))) {
                let mut aims = vec![Aim::Away(one), Aim::Toward(one)];
                if one != other {
                    aims.push(Aim::FromTo(one, other));
                }
                for (loss, aim) in
                    Loss::ALL.into_iter().flat_map(|loss| aims.iter().map(move |&aim| (loss, aim)))
                {
                    let value = loss.value(&scaled, aim);
                    let expected = defined(loss, &scaled.map(f64::from), aim, t);
                    let near = (value - expected).abs() <= 1e-5 * (1.0 + expected.abs());
                    assert!(near, "{loss:?} {aim:?} at {scale}: {value}, not {expected}");
                    let slope = |class: usize| {
                        let step = 1e-5 * f64::from(scale);
                        let at = |change: f64| {
                            let mut z = scaled.map(f64::from);
                            z[class] += change;
                            defined(loss, &z, aim, t)
                        };
                        (at(step) - at(-step)) / (2.0 * step)
                    };
                    let length = |slopes: &[f64]| slopes.iter().map(|s| s * s).sum::<f64>().sqrt();
                    let unit = |slopes: Vec<f64>| {
                        let length = length(&slopes);
                        slopes.into_iter().map(|slope| slope / length).collect::<Vec<_>>()
                    };
                    let expected: Vec<f64> = (0..count).map(slope).collect();
                    // Where the loss is flat, differences leave nothing but rounding: a ratio while the label is the third, a
                    // probability margin between two classes that have none.
                    if length(&expected) * f64::from(scale) < 1e-5 {
                        continue;
                    }
                    let expected = unit(expected);
                    let found = unit(loss.slopes(&scaled, aim).into_iter().map(f64::from).collect());
                    for (found, expected) in found.iter().zip(&expected) {
                        assert!(
                            (found - expected).abs() <= 1e-4,
                            "{loss:?} {aim:?} at {scale}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    /// Logits times a power of two are the same ratios to the last bit.
    #[test]
    fn margin_and_dlr_do_not_see_the_scale() {
        let logits = [0.7f32, -1.2, 0.5, 2.0, -0.3];
        for loss in [Loss::Margin, Loss::Dlr] {
            for aim in [Aim::Away(3), Aim::Away(0), Aim::Toward(1), Aim::FromTo(3, 1)] {
                let quiet = loss.slopes(&logits, aim);
                let loud = loss.slopes(&logits.map(|logit| logit * 1024.0), aim);
                assert_eq!(loud.iter().map(|slope| slope * 1024.0).collect::<Vec<_>>(), quiet);
            }
        }
    }

    #[test]
    fn no_logits_give_no_number_or_nothing_to_follow() {
        for loss in Loss::ALL {
            for logits in
                [[1e38f32, -1e38, 0.0], [3e4, -3e4, 2e4], [0.0; 3], [1e-38, 0.0, 1e-39], [900.0, 0.0, 1.0]]
            {
                for label in 0..3 {
                    let leads = logits.iter().all(|&logit| logit <= logits[label]);
                    for (aim, sign) in [(Aim::Away(label), 1.0), (Aim::Toward(label), -1.0)] {
                        let (value, slopes) = loss.at(&logits, aim);
                        assert!(value.is_finite(), "{loss:?} {logits:?}: {value}");
                        assert!(
                            slopes.iter().all(|slope| slope.is_finite()),
                            "{loss:?} {logits:?}: {slopes:?}"
                        );
                        // The gradient of a probability margin, and of a ratio whose largest two are its terms, may vanish once
                        // the label is beaten.
                        if leads || matches!(loss, Loss::CrossEntropy | Loss::Margin) {
                            assert!(sign * slopes[label] < 0.0, "{loss:?} {logits:?} {label}: {slopes:?}");
                        }
                        let largest = slopes.iter().fold(0f32, |largest, slope| largest.max(slope.abs()));
                        assert!(slopes.iter().sum::<f32>().abs() <= 1e-5 * largest, "{loss:?} {slopes:?}");
                    }
                }
            }
            assert_eq!(loss.slopes(&[5.0], Aim::Away(0)), [0.0]);
        }
    }

    #[test]
    fn dlr_is_taken_only_where_it_is_defined() {
        let aims = [Aim::Away(0), Aim::Toward(0), Aim::FromTo(0, 1)];
        let with = |classes| aims.map(|aim| Loss::Dlr.where_defined(aim, classes));
        assert_eq!(with(2), [Loss::Margin; 3]);
        assert_eq!(with(3), [Loss::Dlr, Loss::Margin, Loss::Margin]);
        assert_eq!(with(4), [Loss::Dlr, Loss::Margin, Loss::Dlr]);
    }
}
