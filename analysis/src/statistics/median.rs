//! Medians: of running times, say, in which a few values are far too large.

use super::special::fair_binomial_cdf;
use super::{Estimate, Result, StatisticsError, check_count, check_finite, check_level};

/// Fewest values whose range is a 95 % interval of the median: 1 − 2 / 2⁶.
pub const FEWEST_FOR_A_MEDIAN: usize = 6;

/// Median with the interval between two order statistics (Thompson 1936; David & Nagaraja 2003, section 7.1), which covers the
/// median of any continuous distribution with at least `level`.
///
/// # Errors
/// So few values that not even their range covers it, a value that is not finite, or a `level` outside `(0, 1)`.
pub fn median(values: &[f64], level: f64) -> Result<Estimate> {
    check_finite("a sample", values)?;
    check_level(level)?;
    check_count("a median's interval", needed(level), values.len())?;
    Ok(of_sorted(sorted(values), level))
}

/// As [`median`], of values that may be infinite, such as lengths of what was never found; the median and the ends of its interval
/// may then be too, which JSON writes as `null`. Of values too few for an interval, the ends are not numbers.
///
/// # Errors
/// No values, one that is not a number or is negative infinity, or a `level` outside `(0, 1)`.
pub fn median_with_infinite(values: &[f64], level: f64) -> Result<Estimate> {
    check_level(level)?;
    check_count("a median", 1, values.len())?;
    if let Some(index) = values.iter().position(|value| value.is_nan() || *value == f64::NEG_INFINITY) {
        return Err(StatisticsError::NotFinite { what: "a sample", index, value: values[index] });
    }
    let sorted = sorted(values);
    if sorted.len() >= needed(level) {
        return Ok(of_sorted(sorted, level));
    }
    let (n, value) = (sorted.len(), middle(&sorted));
    let method = format!("median; {n} values are too few for an interval");
    Ok(Estimate { value, low: f64::NAN, high: f64::NAN, level, n, method })
}

/// Fewest values whose range covers the median: both smallest and largest lie on the same side of it with a chance of 2 / 2ⁿ.
fn needed(level: f64) -> usize {
    (1.0 + (1.0 / (1.0 - level)).log2()).ceil() as usize
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

fn of_sorted(sorted: Vec<f64>, level: f64) -> Estimate {
    let n = sorted.len();
    let outside = (1.0 - level) / 2.0;
    // The most values that may be left out at either end.
    let left_out = (0..n / 2).take_while(|&below| fair_binomial_cdf(below, n) <= outside).count() - 1;
    let method = "median with the interval between two order statistics".into();
    let [low, high] = [sorted[left_out], sorted[n - 1 - left_out]];
    Estimate { value: middle(&sorted), low, high, level, n, method }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_lies_between_the_tabulated_order_statistics() {
        // Conover (1999), table A3: for n = 20 the 6th and the 15th value cover the median with 0.9586.
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        let found = median(&values, 0.95).unwrap();
        assert_eq!((found.value, found.low, found.high, found.n), (10.5, 6.0, 15.0, 20));
        let six = median(&[3.0, 1.0, 2.0, 6.0, 5.0, 4.0], 0.95).unwrap();
        assert_eq!((six.value, six.low, six.high), (3.5, 1.0, 6.0));
        assert!(median(&values[..FEWEST_FOR_A_MEDIAN - 1], 0.95).is_err());
    }

    #[test]
    fn what_was_never_found_counts_as_infinite() {
        let mut values: Vec<f64> = (1..=20).map(f64::from).collect();
        values[14..].fill(f64::INFINITY);
        let found = median_with_infinite(&values, 0.95).unwrap();
        assert_eq!((found.value, found.low, found.high), (10.5, 6.0, f64::INFINITY));
        values[10..].fill(f64::INFINITY);
        assert_eq!(median_with_infinite(&values, 0.95).unwrap().value, f64::INFINITY);
        let few = median_with_infinite(&[2.0, f64::INFINITY, 1.0], 0.95).unwrap();
        assert!(few.value == 2.0 && few.low.is_nan() && few.high.is_nan());
        assert!(median_with_infinite(&[], 0.95).is_err());
        assert!(median_with_infinite(&[f64::NAN], 0.95).is_err());
        // Without an infinite value it is the median.
        let plain: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(median_with_infinite(&plain, 0.95), median(&plain, 0.95));
    }
}
