//! Intervals of a proportion, such as an accuracy.

use super::special::{beta_quantile, normal_quantile};
use super::{Estimate, Result, StatisticsError, check_count, check_level};

/// Wilson's score interval (Wilson 1927, *JASA* 22): our default for accuracies.
///
/// It never leaves `[0, 1]` and stays honest near 0 and 1, where the usual ± interval does not.
///
/// # Errors
/// No trials, more successes than trials, or a `level` outside `(0, 1)`.
pub fn wilson(successes: usize, n: usize, level: f64) -> Result<Estimate> {
    check(successes, n, level)?;
    let trials = n as f64;
    let p = successes as f64 / trials;
    let z = normal_quantile(0.5 + level / 2.0);
    let scale = 1.0 + z * z / trials;
    let centre = (p + z * z / (2.0 * trials)) / scale;
    let half_width = z / scale * (p * (1.0 - p) / trials + z * z / (4.0 * trials * trials)).sqrt();
    // At the edges the formula gives exactly 0 and 1; rounding must not say otherwise.
    let low = if successes == 0 { 0.0 } else { centre - half_width };
    let high = if successes == n { 1.0 } else { centre + half_width };
    Ok(Estimate { value: p, low, high, level, n, method: "Wilson score interval".into() })
}

/// Exact interval (Clopper & Pearson 1934, *Biometrika* 26): covers with at least `level`, so it is wider.
///
/// # Errors
/// No trials, more successes than trials, or a `level` outside `(0, 1)`.
pub fn clopper_pearson(successes: usize, n: usize, level: f64) -> Result<Estimate> {
    check(successes, n, level)?;
    let (k, trials, tail) = (successes as f64, n as f64, (1.0 - level) / 2.0);
    let low = if successes == 0 { 0.0 } else { beta_quantile(tail, k, trials - k + 1.0) };
    let high = if successes == n { 1.0 } else { beta_quantile(1.0 - tail, k + 1.0, trials - k) };
    Ok(Estimate { value: k / trials, low, high, level, n, method: "exact Clopper-Pearson interval".into() })
}

fn check(successes: usize, n: usize, level: f64) -> Result<()> {
    check_count("a proportion", 1, n)?;
    check_level(level)?;
    if successes > n {
        let allowed = "0 to the number of trials";
        return Err(StatisticsError::OutOfRange {
            what: "the number of successes",
            value: successes as f64,
            allowed,
        });
    }
    Ok(())
}
