//! Do two things that belong together agree more than two that do not?

use serde::{Deserialize, Serialize};

use super::{Estimate, Resampling, Result, check_count, check_finite, check_lengths, mean};

/// Outcome of [`pairing_test`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pairing {
    /// Mean agreement of what belongs together.
    pub together: Estimate,
    /// Mean agreement of what does not: the null.
    pub apart: Estimate,
    /// `together − apart`, the mean of [`Pairing::excess`]. Its interval holds the differences that the test does not reject,
    /// so that it leaves out 0 exactly when the p-value is at most `1 − level`.
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
/// pairings. The interval of the difference inverts that test; those of the two means are bootstrapped over items. Few items
/// cannot reject anything at the level that is asked for: the interval is then the widest that the test can give, at the
/// level that it has.
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
        resampling.bootstrap(what, n, mean_at)
    };

    let centre = mean(agreement);
    let found = mean(&own) - centre;
    let resamples = resampling.resamples.max(FEWEST_PAIRINGS);
    // The true pairing is one of those that might have been.
    let mut spans = vec![(f64::NEG_INFINITY, f64::INFINITY)];
    Resampling { resamples, ..*resampling }.permutations(n, |order| {
        let paired = order.iter().enumerate().map(|(i, &j)| at(i, j)).sum::<f64>() / n as f64;
        let kept = order.iter().enumerate().filter(|(i, j)| i == *j).count();
        spans.push(span(paired - centre, kept, found, n));
    })?;
    let as_far = spans.iter().filter(|(low, high)| *low <= 0.0 && 0.0 <= *high).count();
    Ok(Pairing {
        together: interval(&own)?,
        apart: interval(&others)?,
        difference: inverted(&spans, mean(&excess), n, resampling),
        p_value: as_far as f64 / spans.len() as f64,
        excess,
    })
}

/// The differences δ for which a pairing's mean, `paired` above the mean of all entries, lies at least as far from it as that
/// of the true pairing, `found`, once δ is taken off the diagonal. With k of n pairs kept that is
/// |paired + δ(1 − k)/n| ≥ |found − δ(n − 1)/n|, which holds between two roots.
fn span(paired: f64, kept: usize, found: f64, n: usize) -> (f64, f64) {
    if kept == n {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    // What rounding leaves of equal means.
    let settled = |value: f64| if value.abs() < 1e-12 { 0.0 } else { value };
    let (n, kept) = (n as f64, kept as f64);
    let roots = [settled(found - paired) * n / (n - kept), settled(found + paired) * n / (n + kept - 2.0)];
    match roots[1].is_finite() {
        true => (roots[0].min(roots[1]), roots[0].max(roots[1])),
        // Two items, exchanged: the second root is at infinity.
        false => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// The differences that fewer than a share of `1 − level` of the spans leave out.
fn inverted(spans: &[(f64, f64)], value: f64, n: usize, resampling: &Resampling) -> Estimate {
    let total = spans.len() as f64;
    let rejected = ((1.0 - resampling.level) * total * (1.0 + 1e-12)).floor() as usize;
    let unbounded = spans.iter().filter(|(low, _)| !low.is_finite()).count();
    let (rejected, level) = match rejected < unbounded {
        true if unbounded < spans.len() => (unbounded, 1.0 - unbounded as f64 / total),
        _ => (rejected, resampling.level),
    };
    let (mut lows, mut highs): (Vec<f64>, Vec<f64>) = spans.iter().copied().unzip();
    lows.sort_by(f64::total_cmp);
    highs.sort_by(|a, b| b.total_cmp(a));
    let end = |ends: &[f64]| ends.get(rejected).copied().filter(|end| end.is_finite()).unwrap_or(f64::NAN);
    Estimate {
        value,
        low: end(&lows),
        high: end(&highs),
        level,
        n,
        method: format!(
            "permutation test of the pairing, {} random pairings, seed {}; interval by inverting the test",
            spans.len() - 1,
            resampling.seed
        ),
    }
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
    fn test_and_interval_agree_and_the_interval_covers() {
        use crate::statistics::special::normal_quantile;
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut normal = || normal_quantile((f64::from(rng.next_u32()) + 0.5) / 2f64.powi(32));
        let (mut agreed, mut covered, runs) = ([0; 2], 0, 120);
        for run in 0..runs {
            let (n, truth) = (15, if run % 2 == 0 { 0.0 } else { 0.5 });
            let effects: Vec<f64> = (0..2 * n).map(|_| normal()).collect();
            let table: Vec<f64> = (0..n * n)
                .map(|k| {
                    let (i, j) = (k / n, k % n);
                    effects[i] + effects[n + j] + 0.8 * normal() + if i == j { truth } else { 0.0 }
                })
                .collect();
            let found = pairing_test(&table, n, &Resampling::new(run)).unwrap();
            let Estimate { low, high, .. } = found.difference;
            let excludes = low > 0.0 || high < 0.0;
            assert_eq!(excludes, found.p_value <= 0.05, "{found:?}");
            agreed[usize::from(excludes)] += 1;
            covered += usize::from(low <= truth && truth <= high);
        }
        assert!(agreed[0] > 20 && agreed[1] > 20, "both verdicts were seen: {agreed:?}");
        // 95 % of 120, with a binomial standard error of 2.4.
        assert!((107..=120).contains(&covered), "{covered} of {runs}");
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
