//! Mean and variance of values that are seen once and not kept.

use super::special::student_t_two_sided;
use super::{Estimate, Result, check_count, check_finite, check_level};

/// Count, mean and sum of squared deviations of values in the order in which they came (Welford, 1962).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    n: usize,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// One more value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.mean;
        self.mean += before / self.n as f64;
        self.squares += before * (value - self.mean);
    }

    /// Values seen.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Their mean; zero of none.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// As [`mean_t`](super::mean_t), to rounding.
    ///
    /// # Errors
    /// As there.
    pub fn estimate(&self, level: f64) -> Result<Estimate> {
        check_count("a mean", 1, self.n)?;
        check_finite("a sample", &[self.mean, self.squares])?;
        check_level(level)?;
        if self.n == 1 {
            return Ok(Estimate::of_one(self.mean, level));
        }
        let n = self.n as f64;
        let half_width = student_t_two_sided(level, n - 1.0) * (self.squares / (n - 1.0) / n).sqrt();
        let (low, high) = (self.mean - half_width, self.mean + half_width);
        let method = "mean with Student's t interval".into();
        Ok(Estimate { value: self.mean, low, high, level, n: self.n, method })
    }
}

#[cfg(test)]
mod tests {
    use super::super::mean_t;
    use super::*;

    #[test]
    fn values_that_are_not_kept_have_the_same_mean_and_interval() {
        let values: Vec<f64> = (0..37).map(|i| 1e3 + f64::from(i * i % 17)).collect();
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        let (found, expected) = (moments.estimate(0.95).unwrap(), mean_t(&values, 0.95).unwrap());
        assert_eq!((found.n, moments.n(), found.method), (37, 37, expected.method));
        for (found, expected) in
            [(found.value, expected.value), (found.low, expected.low), (found.high, expected.high)]
        {
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        }
        assert!(Moments::default().estimate(0.95).is_err());
    }
}
