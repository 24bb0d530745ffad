//! Do two things that belong together agree more than two that do not?

use serde::{Deserialize, Serialize};

use super::resampling::BootstrapInterval::Percentile;
use super::{Estimate, Resampling, Result, check_count, check_finite, check_lengths, mean};

/// Outcome of [`pairing_test`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pairing {
    /// Mean agreement of what belongs together.
    pub together: Estimate,
    /// Mean agreement of what does not: the null.
    pub apart: Estimate,
    /// `together − apart`, the mean of [`Pairing::excess`].
    pub difference: Estimate,
    /// Two-sided p-value that it does not matter which belongs to which, from random pairings.
    pub p_value: f64,
    /// Of each item, how far its own agreement exceeds what its two descriptions show with those of other items: the entry on
    /// the diagonal less the effects of its row and its column, estimated from the other entries. Zero where rows and columns
    /// explain everything.
    #[serde(skip)]
    pub excess: Vec<f64>,
}

/// Fewest random pairings, whatever the number of bootstrap resamples.
const FEWEST_PAIRINGS: usize = 10_000;

/// Whether the agreement of two descriptions of one item exceeds that of descriptions of different items.
///
/// `agreement` is `(n, n)`, row by row: how well the first description of item i agrees with the second of item j. What the
/// diagonal exceeds is not 0 but the mean of all other entries, for descriptions may be alike whatever they describe. The
/// null distribution pairs the descriptions at random (as in Mantel's test, 1967); the p-value is (b + 1)/(m + 1) for b of m
/// pairings whose mean lies at least as far from the mean of all entries (Phipson & Smyth 2010), with at least 10,000
/// pairings. Intervals are those of the bootstrap over items; that of the difference is over each item's excess, free of how
/// much a description agrees with all others, as the random pairings are.
///
/// # Errors
/// Fewer than two items, another number of entries, an entry that is not finite, or impossible resampling parameters.
pub fn pairing_test(agreement: &[f64], n: usize, resampling: &Resampling) -> Result<Pairing> {
    let what = "an agreement of pairs";
    check_count(what, 2, n)?;
    check_lengths("a table of agreements", n * n, agreement.len())?;
    check_finite("a table of agreements", agreement)?;
    let at = |i: usize, j: usize| agreement[i * n + j];
    let own: Vec<f64> = (0..n).map(|i| at(i, i)).collect();
    // Of each item, its first description with all others' second ones, and the reverse.
    let over_others = |of: &dyn Fn(usize) -> f64, i: usize| {
        (0..n).filter(|&j| j != i).map(of).sum::<f64>() / (n - 1) as f64
    };
    let rows: Vec<f64> = (0..n).map(|i| over_others(&|j| at(i, j), i)).collect();
    let columns: Vec<f64> = (0..n).map(|i| over_others(&|j| at(j, i), i)).collect();
    let others: Vec<f64> = rows.iter().zip(&columns).map(|(row, column)| (row + column) / 2.0).collect();
    let all_others = mean(&others);
    // A row's mean leaves out the item's own column and the reverse, which shrinks their effects by (n − 2)/(n − 1).
    let shrunk = if n > 2 { (n - 1) as f64 / (n - 2) as f64 } else { 0.0 };
    let effects = |i: usize| shrunk * (rows[i] + columns[i] - 2.0 * all_others);
    let excess: Vec<f64> = (0..n).map(|i| own[i] - all_others - effects(i)).collect();
    let interval = |values: &[f64]| {
        let mean_at =
            |indices: &[usize]| indices.iter().map(|&i| values[i]).sum::<f64>() / indices.len() as f64;
        resampling.bootstrap(what, n, Percentile, mean_at)
    };

    let centre = mean(agreement);
    let distance = (mean(&own) - centre).abs() - 1e-12;
    let resamples = resampling.resamples.max(FEWEST_PAIRINGS);
    let mut as_far = 0usize;
    Resampling { resamples, ..*resampling }.permutations(n, |order| {
        let paired = order.iter().enumerate().map(|(i, &j)| at(i, j)).sum::<f64>() / n as f64;
        as_far += usize::from((paired - centre).abs() >= distance);
    })?;
    Ok(Pairing {
        together: interval(&own)?,
        apart: interval(&others)?,
        difference: interval(&excess)?,
        p_value: (as_far + 1) as f64 / (resamples + 1) as f64,
        excess,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_whatever_it_describes_shows_nothing() {
        // Every first description agrees with every second by 0.6, give or take what depends on the rows and columns alone.
        let n = 12;
        let table: Vec<f64> =
            (0..n * n).map(|k| 0.6 + 0.01 * (k / n) as f64 - 0.02 * (k % n % 3) as f64).collect();
        let found = pairing_test(&table, n, &Resampling::new(1)).unwrap();
        assert!(found.together.value > 0.6 && found.together.low > 0.5, "{found:?}");
        assert!(found.difference.value.abs() < 1e-12 && found.p_value == 1.0, "{found:?}");
        assert!(found.excess.iter().all(|excess| excess.abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn the_difference_is_that_of_the_diagonal_from_the_rest() {
        let table = [0.9, 0.1, 0.2, 0.3, 0.8, 0.0, 0.1, 0.2, 0.7];
        let found = pairing_test(&table, 3, &Resampling::new(1)).unwrap();
        assert!((found.together.value - 0.8).abs() < 1e-12);
        assert!((found.apart.value - 0.15).abs() < 1e-12);
        assert!((found.difference.value - 0.65).abs() < 1e-12);
        // Row 0.15, column 0.2 and all pairs 0.15 on average: together 0.05 above, twice that where nothing is left out.
        assert!((found.excess[0] - (0.9 - 0.15 - 0.1)).abs() < 1e-12);
        // One of the six pairings is the true one.
        assert!((found.p_value - 1.0 / 6.0).abs() < 0.015, "{}", found.p_value);
    }

    #[test]
    fn pairs_that_avoid_each_other_are_found_as_well() {
        let n = 10;
        let table: Vec<f64> = (0..n * n).map(|k| if k / n == k % n { -0.5 } else { 0.3 }).collect();
        let found = pairing_test(&table, n, &Resampling::new(1)).unwrap();
        assert!((found.difference.value + 0.8).abs() < 1e-12 && found.p_value < 0.01, "{found:?}");
        assert!(pairing_test(&[1.0], 1, &Resampling::new(1)).is_err());
    }
}
