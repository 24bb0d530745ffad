//! Medians: of running times, say, in which a few values are far too large.

use super::special::fair_binomial_cdf;
use super::{Estimate, Result, check_count, check_finite, check_level};

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
    // Both smallest and largest lie on the same side of the median with a chance of 2 / 2ⁿ.
    let needed = (1.0 + (1.0 / (1.0 - level)).log2()).ceil() as usize;
    check_count("a median's interval", needed, values.len())?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let outside = (1.0 - level) / 2.0;
    // The most values that may be left out at either end.
    let left_out = (0..n / 2).take_while(|&below| fair_binomial_cdf(below, n) <= outside).count() - 1;
    let value = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
    let method = "median with the interval between two order statistics".into();
    Ok(Estimate { value, low: sorted[left_out], high: sorted[n - 1 - left_out], level, n, method })
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
}
