//! Which way an image has to change for its answer to change: the gradient of a loss that works on margins.
//!
//! Computed in 32 bits, cross-entropy goes blind on confident models. With a margin of 17 nats between the label's logit and
//! the next the label's probability rounds to 1, and with one of 104 nothing is left of the others': a model whose logits are
//! multiplied by 1,000 then looks robust. The losses here never take the softmax over the label, so that they cannot saturate,
//! and are divided by the spread of the image's logits, so that no gradient over- or underflows.

/// What rises as the answer leaves the label y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// ln((1 − p_y) / p_y) = logsumexp_{k≠y} z_k − z_y, a rising function of cross-entropy −ln p_y: its gradient has the same
    /// direction, whatever the confidence. The loss of FGSM's definition, without its blindness.
    LogOdds,
    /// A soft max_{k≠y} z_k − z_y (Carlini & Wagner, 2017, f₆, which Madry et al., 2018, section 5, use with PGD):
    /// t · logsumexp_{k≠y} (z_k / t) − z_y, where t is a fixed share of the spread of the image's logits, so that logits of
    /// any scale give the same direction. The hard maximum chases one class at a time, and is weaker on models that hardly
    /// tell their classes apart.
    Margin,
}

/// Softness of [`Loss::Margin`]: the spread of the logits is 4 ln(classes) of its temperatures, so that all the classes in the
/// middle of the range together weigh no more than one over their number, next to the one at the top.
fn temperature(logits: &[f64]) -> f64 {
    let (low, high) = logits.iter().fold((f64::MAX, f64::MIN), |(low, high), &z| (low.min(z), high.max(z)));
    ((high - low) / (4.0 * (logits.len() as f64).ln())).max(f64::MIN_POSITIVE)
}

impl Loss {
    /// ∂loss/∂logits of one image, divided by the spread of its logits.
    pub fn slopes(self, logits: &[f32], label: usize) -> Vec<f32> {
        if logits.len() < 2 {
            return vec![0.0; logits.len()];
        }
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let others = || (0..logits.len()).filter(|&class| class != label);
        let largest = others().map(|class| logits[class]).fold(f64::NEG_INFINITY, f64::max);
        let mut slopes = vec![0.0; logits.len()];
        let temperature = match self {
            Self::LogOdds => 1.0,
            Self::Margin => temperature(&logits),
        };
        others().for_each(|class| slopes[class] = ((logits[class] - largest) / temperature).exp());
        let sum: f64 = slopes.iter().sum();
        slopes.iter_mut().for_each(|slope| *slope /= sum);
        slopes[label] = -1.0;
        let spread = logits.iter().fold(0f64, |spread, logit| spread.max((logit - logits[label]).abs()));
        let scale = match spread > 0.0 && spread.is_finite() {
            true => spread.max(f64::from(f32::MIN_POSITIVE)),
            false => 1.0,
        };
        slopes.into_iter().map(|slope| (slope / scale) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against finite differences in 64 bits, at any scale.
    #[test]
    fn slopes_are_those_of_the_losses() {
        let logits = [0.7f32, -1.2, 0.5, 2.0];
        for scale in [1.0f32, 1e-3, 30.0] {
            let scaled = logits.map(|logit| logit * scale);
            for label in 0..4 {
                let others = |z: &[f64]| {
                    z.iter()
                        .enumerate()
                        .filter(|(class, _)| *class != label)
                        .map(|(_, z)| *z)
                        .collect::<Vec<_>>()
                };
                let soft = |z: &[f64], t: f64| {
                    let others = others(z);
                    let largest = others.iter().copied().fold(f64::MIN, f64::max);
                    t * others.iter().map(|other| ((other - largest) / t).exp()).sum::<f64>().ln() + largest
                        - z[label]
                };
                // The range is 3.2 wide, and 4 ln 4 temperatures.
                let t = 3.2 * f64::from(scale) / (4.0 * 4f64.ln());
                let (log_odds, margin) = (|z: &[f64]| soft(z, 1.0), |z: &[f64]| soft(z, t));
                let spread = scaled.iter().map(|z| f64::from((z - scaled[label]).abs())).fold(0.0, f64::max);
                for (loss, of) in
                    [(Loss::LogOdds, &log_odds as &dyn Fn(&[f64]) -> f64), (Loss::Margin, &margin)]
                {
                    for (class, found) in loss.slopes(&scaled, label).into_iter().enumerate() {
                        let step = 1e-5 * f64::from(scale);
                        let at = |change: f64| {
                            let mut z = scaled.map(f64::from);
                            z[class] += change;
                            of(&z)
                        };
                        let expected = (at(step) - at(-step)) / (2.0 * step) / spread;
                        let near = (f64::from(found) - expected).abs() <= 1e-4 * (1.0 + expected.abs());
                        assert!(near, "{loss:?}, scale {scale}, label {label}: {found}, not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_logits_give_no_number_or_nothing_to_follow() {
        for loss in [Loss::LogOdds, Loss::Margin] {
            for logits in [[1e38f32, -1e38, 0.0], [3e4, -3e4, 2e4], [0.0; 3], [1e-38, 0.0, 1e-39]] {
                for label in 0..3 {
                    let slopes = loss.slopes(&logits, label);
                    assert!(slopes.iter().all(|slope| slope.is_finite()), "{loss:?} {logits:?}: {slopes:?}");
                    assert!(slopes[label] < 0.0, "{loss:?} {logits:?}: {slopes:?}");
                    assert!(slopes.iter().sum::<f32>().abs() <= 1e-6 * slopes[label].abs(), "{slopes:?}");
                }
            }
            assert_eq!(loss.slopes(&[5.0], 0), [0.0]);
        }
    }
}
