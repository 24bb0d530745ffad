//! Means of per-image scores, alone and compared on the same images.

use super::special::student_t_two_sided;
use super::{
    Estimate, Resampling, Result, StatisticsError, check_count, check_finite, check_lengths, check_level,
    mean,
};

/// Mean with Student's t interval (Student 1908): exact for normal data, good for many observations.
///
/// A single value has no interval ([`Estimate::of_one`]).
///
/// # Errors
/// No values, a value that is not finite, or a `level` outside `(0, 1)`.
pub fn mean_t(values: &[f64], level: f64) -> Result<Estimate> {
    check_count("a mean", 1, values.len())?;
    check_finite("a sample", values)?;
    check_level(level)?;
    if let [only] = values {
        return Ok(Estimate::of_one(*only, level));
    }
    let n = values.len() as f64;
    let value = mean(values);
    let half_width = student_t_two_sided(level, n - 1.0) * (variance(values, value) / n).sqrt();
    let method = "mean with Student's t interval".into();
    Ok(Estimate { value, low: value - half_width, high: value + half_width, level, n: values.len(), method })
}

/// Range of shares, probabilities and areas under curves.
pub const SHARE: [f64; 2] = [0.0, 1.0];

/// Range of coefficients of correlation.
pub const CORRELATION: [f64; 2] = [-1.0, 1.0];

/// Range of what has no upper end.
pub const NOT_NEGATIVE: [f64; 2] = [0.0, f64::INFINITY];

/// [`mean_t`] of values of which it is known where they lie: the interval ends where the range does. Student's t knows no range and
/// leaves it where values are few or lie at its end. The mean that the interval is for lies in the range, so that what is cut away
/// could not hold it, and the interval covers it as often as before.
///
/// # Errors
/// As [`mean_t`], and a value outside of the range by more than rounding.
pub fn mean_within(values: &[f64], [lowest, highest]: [f64; 2], level: f64) -> Result<Estimate> {
    let rounding = 1e-6;
    let outside = |value: &&f64| **value < lowest - rounding || **value > highest + rounding;
    if let Some(&value) = values.iter().find(outside) {
        return Err(StatisticsError::OutOfRange { what: "a value", value, allowed: "its possible range" });
    }
    let found = mean_t(values, level)?;
    // Not `max` and `min`, which would replace the ends of a missing interval.
    let low = if found.low < lowest { lowest } else { found.low };
    let high = if found.high > highest { highest } else { found.high };
    Ok(Estimate { low, high, ..found })
}

/// Standard deviation of a sample, with `n − 1`.
///
/// # Errors
/// Fewer than two values, or one that is not finite.
pub fn standard_deviation(values: &[f64]) -> Result<f64> {
    check_count("a standard deviation", 2, values.len())?;
    check_finite("a sample", values)?;
    Ok(variance(values, mean(values)).sqrt())
}

fn variance(values: &[f64], mean: f64) -> f64 {
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// Mean with a bootstrap interval, for skewed scores such as losses.
///
/// # Errors
/// No values, a value that is not finite, or impossible resampling parameters.
pub fn mean_bootstrap(values: &[f64], resampling: &Resampling) -> Result<Estimate> {
    check_finite("a sample", values)?;
    resampling.bootstrap("a mean", values.len(), |indices| mean_at(values, indices))
}

/// Mean of `first − second` over the same images, with the percentile interval of the paired bootstrap.
///
/// # Errors
/// Different lengths, no values, a value that is not finite, or impossible resampling parameters.
pub fn mean_difference(first: &[f64], second: &[f64], resampling: &Resampling) -> Result<Estimate> {
    check_lengths("a paired difference", first.len(), second.len())?;
    check_finite("the first sample", first)?;
    check_finite("the second sample", second)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let mut estimate = resampling
        .bootstrap("a paired difference", differences.len(), |indices| mean_at(&differences, indices))?;
    estimate.method.insert_str(0, "paired ");
    Ok(estimate)
}

/// Accuracy of the first model minus that of the second on the same images, paired bootstrap.
///
/// Where the models never disagree the interval has no width: then [`mcnemar`](super::mcnemar) has nothing to
/// test either, and the report should speak of the number of disagreements instead.
///
/// # Errors
/// Different lengths, no images, or impossible resampling parameters.
pub fn accuracy_difference(first: &[bool], second: &[bool], resampling: &Resampling) -> Result<Estimate> {
    let scores = |correct: &[bool]| correct.iter().map(|&c| f64::from(u8::from(c))).collect::<Vec<_>>();
    mean_difference(&scores(first), &scores(second), resampling)
}

fn mean_at(values: &[f64], indices: &[usize]) -> f64 {
    indices.iter().map(|&i| values[i]).sum::<f64>() / indices.len() as f64
}
