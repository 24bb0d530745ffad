//! Areas under curves such as insertion, deletion and perturbation curves.

use super::{Result, StatisticsError, check_count, check_finite, check_lengths};

/// Area under the piecewise linear curve through `(x, y)` by the trapezoidal rule, in units of x times y.
///
/// # Errors
/// Fewer than two points, different lengths, an entry that is not finite, or `x` that does not increase.
pub fn area_under_curve(x: &[f64], y: &[f64]) -> Result<f64> {
    check_lengths("the area under a curve", x.len(), y.len())?;
    check_count("the area under a curve", 2, x.len())?;
    check_finite("the x axis of a curve", x)?;
    check_finite("the y axis of a curve", y)?;
    if x.windows(2).any(|pair| pair[1] <= pair[0]) {
        let reason = "the x axis of the curve must increase strictly";
        return Err(StatisticsError::Undefined { what: "the area under a curve", reason });
    }
    Ok(x.windows(2).zip(y.windows(2)).map(|(x, y)| 0.5 * (x[1] - x[0]) * (y[0] + y[1])).sum())
}

/// One area for each image's curve over the common axis `x`.
///
/// The area is linear in y, so the mean of these is the area under the mean curve: give them to
/// [`mean_bootstrap`](super::mean_bootstrap) for its interval, and those of two methods to
/// [`mean_difference`](super::mean_difference) for the paired comparison.
///
/// # Errors
/// As [`area_under_curve`], for any of the curves.
pub fn areas_under_curves<C: AsRef<[f64]>>(x: &[f64], curves: &[C]) -> Result<Vec<f64>> {
    curves.iter().map(|curve| area_under_curve(x, curve.as_ref())).collect()
}
