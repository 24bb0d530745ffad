//! Intervals of a proportion, such as an accuracy.

use super::special::normal_quantile;
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

/// Wilson's score interval of one of `family` proportions that was picked by its value, such as the worst class's accuracy:
/// wide enough that with probability `level` the intervals of all of them hold at once (Bonferroni).
///
/// # Errors
/// As [`wilson`], or an empty family.
pub fn wilson_of_family(successes: usize, n: usize, level: f64, family: usize) -> Result<Estimate> {
    check_count("a family of proportions", 1, family)?;
    check_level(level)?;
    let estimate = wilson(successes, n, 1.0 - (1.0 - level) / family as f64)?;
    let method = match family {
        1 => estimate.method.clone(),
        _ => format!("Wilson score interval, widened to hold for the lowest of {family}"),
    };
    Ok(Estimate { level, method, ..estimate })
}

/// Difference of the proportions of two independent samples, each given as (successes, trials): first minus second, with
/// Newcombe's hybrid score interval (1998, *Statistics in Medicine* 17:873, method 10). `n` is that of the smaller sample.
///
/// # Errors
/// As [`wilson`], for either sample.
pub fn proportion_difference(first: (usize, usize), second: (usize, usize), level: f64) -> Result<Estimate> {
    let (a, b) = (wilson(first.0, first.1, level)?, wilson(second.0, second.1, level)?);
    let value = a.value - b.value;
    Ok(Estimate {
        value,
        low: value - (a.value - a.low).hypot(b.high - b.value),
        high: value + (a.high - a.value).hypot(b.value - b.low),
        level,
        n: a.n.min(b.n),
        method: "Newcombe's hybrid score interval of independent proportions".into(),
    })
}

/// Difference of two proportions on the same `n` images, of which `only_first` succeed in the first way alone and `only_second` in the
/// second: first minus second, with the interval of Agresti and Min (2005, *Statistics in Medicine* 24:729), a normal interval after half
/// an image has been added to each of the four counts. Unlike the bootstrap's it has a width where the two never differ.
///
/// # Errors
/// No images, more of them with a difference than there are, or a `level` outside `(0, 1)`.
pub fn matched_difference(only_first: usize, only_second: usize, n: usize, level: f64) -> Result<Estimate> {
    check(only_first + only_second, n, level)?;
    let (b, c, trials) = (only_first as f64 + 0.5, only_second as f64 + 0.5, n as f64 + 2.0);
    let centre = (b - c) / trials;
    let z = normal_quantile(0.5 + level / 2.0);
    let half_width = z * ((b + c) / trials - centre * centre).sqrt() / trials.sqrt();
    let value = (only_first as f64 - only_second as f64) / n as f64;
    Ok(Estimate {
        value,
        low: (centre - half_width).max(-1.0).min(value),
        high: (centre + half_width).min(1.0).max(value),
        level,
        n,
        method: "Agresti and Min's interval of matched proportions".into(),
    })
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
