//! How fast one quantity grows with another.

use serde::{Deserialize, Serialize};

use super::special::student_t_two_sided;
use super::{Estimate, Result, StatisticsError, check_count, check_finite, check_lengths, check_level, mean};

/// y = factor · x^exponent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerLaw {
    /// The exponent, with its interval over the points.
    pub exponent: Estimate,
    /// y where x is 1.
    pub factor: f64,
}

/// The power law through points by least squares of the logarithms, with Student's t interval of the slope.
///
/// # Errors
/// Fewer than three points, one that is not finite and positive, or a `level` outside `(0, 1)`; undefined if all x are equal.
pub fn power_law(x: &[f64], y: &[f64], level: f64) -> Result<PowerLaw> {
    let what = "a power law";
    check_lengths(what, x.len(), y.len())?;
    check_count(what, 3, x.len())?;
    check_level(level)?;
    let [x, y] = [x, y].map(|values| values.iter().map(|value| value.ln()).collect::<Vec<f64>>());
    check_finite("the logarithm of x", &x)?;
    check_finite("the logarithm of y", &y)?;
    let (centre, height) = (mean(&x), mean(&y));
    let spread: f64 = x.iter().map(|x| (x - centre).powi(2)).sum();
    if spread == 0.0 {
        return Err(StatisticsError::Undefined { what, reason: "all points have the same x" });
    }
    let slope = x.iter().zip(&y).map(|(x, y)| (x - centre) * (y - height)).sum::<f64>() / spread;
    let rest: f64 = x.iter().zip(&y).map(|(x, y)| (y - height - slope * (x - centre)).powi(2)).sum();
    let degrees = x.len() as f64 - 2.0;
    let half_width = student_t_two_sided(level, degrees) * (rest / degrees / spread).sqrt();
    let method = "least squares of logarithms with Student's t interval".into();
    let exponent = Estimate {
        value: slope,
        low: slope - half_width,
        high: slope + half_width,
        level,
        n: x.len(),
        method,
    };
    Ok(PowerLaw { exponent, factor: (height - slope * centre).exp() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_recovered() {
        let x = [96.0, 128.0, 224.0, 512.0];
        let y = x.map(|x: f64| 3.0 * x.powf(2.5));
        let law = power_law(&x, &y, 0.95).unwrap();
        assert!((law.exponent.value - 2.5).abs() < 1e-12 && (law.factor - 3.0).abs() < 1e-9, "{law:?}");
        assert!(law.exponent.high - law.exponent.low < 1e-9);
    }

    #[test]
    fn the_interval_is_that_of_linear_regression() {
        // scipy.stats.linregress on the logarithms: slope 1.076686, standard error 0.058820; t(3, 0.975) = 3.182446.
        let (x, y) = ([1.0, 2.0, 4.0, 8.0, 16.0], [1.0, 2.5, 4.0, 9.0, 22.0]);
        let found = power_law(&x, &y, 0.95).unwrap().exponent;
        assert!((found.value - 1.076686).abs() < 1e-5, "{found:?}");
        assert!((found.high - found.value - 3.182446 * 0.058820).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn what_has_no_logarithm_is_refused() {
        assert!(power_law(&[1.0, 2.0, 3.0], &[0.0, 1.0, 2.0], 0.95).is_err());
        assert!(power_law(&[2.0; 3], &[1.0, 2.0, 3.0], 0.95).is_err());
    }
}
