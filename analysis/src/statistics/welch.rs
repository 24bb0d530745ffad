//! Two means that are not paired, such as those over the seeds of two recipes.

use serde::{Deserialize, Serialize};

use super::special::{regularised_incomplete_beta, student_t_two_sided};
use super::{Estimate, Result, StatisticsError, check_count, check_finite, check_level, mean};

/// The difference of two means, and its test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welch {
    /// First mean minus second; its `n` counts both samples.
    pub difference: Estimate,
    /// Two-sided. Null: both means are equal, whatever the two variances.
    pub p_value: f64,
}

/// Mean of `first` minus mean of `second`, independent samples of unequal variances (Welch, 1947), with the degrees of freedom of
/// Satterthwaite (1946).
///
/// # Errors
/// Fewer than two values in a sample, a value that is not finite, a `level` outside `(0, 1)`, or values that are all equal in both.
pub fn welch(first: &[f64], second: &[f64], level: f64) -> Result<Welch> {
    check_level(level)?;
    for sample in [first, second] {
        check_count("Welch's test", 2, sample.len())?;
        check_finite("a sample", sample)?;
    }
    // Variance of each mean, and its degrees of freedom.
    let [first_part, second_part] = [first, second].map(|sample| {
        let (n, mean) = (sample.len() as f64, mean(sample));
        (sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n, n - 1.0)
    });
    let variance = first_part.0 + second_part.0;
    if variance == 0.0 {
        let reason = "neither sample varies";
        return Err(StatisticsError::Undefined { what: "Welch's test", reason });
    }
    let degrees = variance.powi(2)
        / [first_part, second_part].map(|(part, degrees)| part.powi(2) / degrees).iter().sum::<f64>();
    let (value, error) = (mean(first) - mean(second), variance.sqrt());
    let half_width = student_t_two_sided(level, degrees) * error;
    let x = degrees / (degrees + (value / error).powi(2));
    Ok(Welch {
        difference: Estimate {
            value,
            low: value - half_width,
            high: value + half_width,
            level,
            n: first.len() + second.len(),
            method: "difference of means with Welch's t interval".into(),
        },
        p_value: regularised_incomplete_beta(degrees / 2.0, 0.5, x),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.ttest_ind(first, second, equal_var=False)` of SciPy 1.16, with its `confidence_interval(0.95)`.
    #[test]
    fn difference_interval_and_p_value_are_scipys() {
        let known: [(&[f64], &[f64], [f64; 3]); 2] = [
            (
                &[0.861, 0.842, 0.855],
                &[0.823, 0.851, 0.801, 0.834],
                [-0.006368963843755612, 0.057202297177088676, 0.09262476295641794],
            ),
            (&[3.0, 5.0], &[1.0, 1.5], [-7.371689453494378, 12.871689453494378, 0.20544915073088874]),
        ];
        for (first, second, expected) in known {
            let found = welch(first, second, 0.95).unwrap();
            let numbers = [found.difference.low, found.difference.high, found.p_value];
            for (number, expected) in numbers.into_iter().zip(expected) {
                assert!((number - expected).abs() < 1e-9, "{number}, not {expected}");
            }
            let exchanged = welch(second, first, 0.95).unwrap();
            assert_eq!(
                (exchanged.difference.value, exchanged.p_value),
                (-found.difference.value, found.p_value)
            );
        }
    }

    #[test]
    fn what_cannot_be_tested_is_an_error() {
        assert!(matches!(welch(&[1.0], &[1.0, 2.0], 0.95), Err(StatisticsError::TooFew { .. })));
        assert!(matches!(welch(&[1.0, 1.0], &[2.0, 2.0], 0.95), Err(StatisticsError::Undefined { .. })));
        assert!(welch(&[1.0, f64::NAN], &[1.0, 2.0], 0.95).is_err());
    }
}
