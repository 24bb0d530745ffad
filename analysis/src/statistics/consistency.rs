//! Error consistency: do two models fail on the same images, beyond what their accuracies imply?

use super::{Estimate, Resampling, Result, StatisticsError, check_count, check_lengths};

/// Error consistency κ (Geirhos, Meding & Wichmann 2020, *NeurIPS*, equations 1 to 3), paired bootstrap interval.
///
/// κ = (c_obs − c_exp) / (1 − c_exp), where c_obs is the share of images on which both are right or both wrong, and
/// c_exp = p₁p₂ + (1 − p₁)(1 − p₂) is that share for independent models of the same accuracies. 1: the same errors;
/// 0: as independent models; negative: they complement each other.
///
/// # Errors
/// Different lengths, no images, or κ undefined because both models are always right (or both always wrong).
pub fn error_consistency(
    first_correct: &[bool],
    second_correct: &[bool],
    resampling: &Resampling,
) -> Result<Estimate> {
    let what = "error consistency";
    check_lengths(what, first_correct.len(), second_correct.len())?;
    check_count(what, 1, first_correct.len())?;
    let kappa = |indices: &[usize]| {
        let (mut first, mut second, mut agreements) = (0, 0, 0);
        for &i in indices {
            first += usize::from(first_correct[i]);
            second += usize::from(second_correct[i]);
            agreements += usize::from(first_correct[i] == second_correct[i]);
        }
        let n = indices.len();
        // Counted in whole numbers, so that "always right" is recognised without a tolerance.
        let expected = first * second + (n - first) * (n - second);
        ((agreements * n) as f64 - expected as f64) / (n * n - expected) as f64
    };
    let everything: Vec<usize> = (0..first_correct.len()).collect();
    if !kappa(&everything).is_finite() {
        let reason = match first_correct[0] {
            true => "both models are right on every image",
            false => "both models are wrong on every image",
        };
        return Err(StatisticsError::Undefined { what, reason });
    }
    resampling.bootstrap(what, first_correct.len(), kappa)
}
