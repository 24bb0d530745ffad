//! Paired per-image scores: is one of two methods better, without assuming a distribution?

use serde::{Deserialize, Serialize};

use super::mcnemar::two_sided_fair_binomial;
use super::ranks::average_ranks;
use super::special::normal_cdf;
use super::{Result, check_count, check_finite, check_lengths};

/// Outcome of a paired test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedTest {
    /// Pairs that differ; equal pairs say nothing and are left out.
    pub n_differing: usize,
    /// Number of pairs given.
    pub n: usize,
    /// Wilcoxon: sum of the ranks of the pairs in which the first is larger. Sign test: their number.
    pub statistic: f64,
    /// Two-sided p-value; 1 when no pair differs.
    pub p_value: f64,
    /// How the p-value was computed, in words for a report's reader.
    pub method: String,
}

/// Up to this many differing pairs the null distribution is enumerated.
const EXACT_LIMIT: usize = 100;

/// Wilcoxon signed-rank test (Wilcoxon 1945) of `first − second`, two-sided; equal pairs are dropped.
///
/// Exact for up to 100 differing pairs, also with ties: the distribution of the rank sum over all 2ⁿ signs, given
/// the average ranks. Beyond that the normal approximation, whose variance Σ r²/4 carries the tie correction.
///
/// It tests ranks, not the mean: many small losses outweigh a few large gains. A statement about the mean takes its p-value
/// from [`sign_flip_test`](super::sign_flip_test).
///
/// # Errors
/// Different lengths, no pairs, or an entry that is not finite.
pub fn wilcoxon_signed_rank(first: &[f64], second: &[f64]) -> Result<PairedTest> {
    let differences = differing("the Wilcoxon test", first, second)?;
    let ranks = average_ranks(&differences.iter().map(|d| d.abs()).collect::<Vec<_>>());
    let statistic: f64 =
        differences.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let (p_value, method) = if ranks.len() <= EXACT_LIMIT {
        (exact_p_value(&ranks, statistic), "Wilcoxon signed-rank test, exact")
    } else {
        (
            normal_p_value(&ranks, statistic),
            "Wilcoxon signed-rank test, normal approximation with tie correction",
        )
    };
    Ok(PairedTest { n_differing: ranks.len(), n: first.len(), statistic, p_value, method: method.into() })
}

/// Sign test (Arbuthnot 1710): exact two-sided binomial test of how often the first is larger.
///
/// # Errors
/// Different lengths, no pairs, or an entry that is not finite.
pub fn sign_test(first: &[f64], second: &[f64]) -> Result<PairedTest> {
    let differences = differing("the sign test", first, second)?;
    let larger = differences.iter().filter(|d| **d > 0.0).count();
    let (p_value, _) = two_sided_fair_binomial(larger, differences.len() - larger);
    let method = "sign test, exact".into();
    Ok(PairedTest {
        n_differing: differences.len(),
        n: first.len(),
        statistic: larger as f64,
        p_value,
        method,
    })
}

fn differing(what: &'static str, first: &[f64], second: &[f64]) -> Result<Vec<f64>> {
    check_lengths(what, first.len(), second.len())?;
    check_count(what, 1, first.len())?;
    check_finite("the first sample", first)?;
    check_finite("the second sample", second)?;
    Ok(first.iter().zip(second).map(|(a, b)| a - b).filter(|d| *d != 0.0).collect())
}

/// Twice the smaller tail of the rank sum over all equally likely signs.
fn exact_p_value(ranks: &[f64], statistic: f64) -> f64 {
    // Average ranks are halves; doubled they are whole numbers and can index the table.
    let doubled: Vec<usize> = ranks.iter().map(|rank| (2.0 * rank).round() as usize).collect();
    let total: usize = doubled.iter().sum();
    let mut probability = vec![0.0; total + 1];
    probability[0] = 1.0;
    let mut reached = 0;
    for &rank in &doubled {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with_rank = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = 0.5 * (probability[sum] + with_rank);
        }
    }
    let observed = (2.0 * statistic).round() as usize;
    let smaller = observed.min(total - observed);
    (2.0 * probability[..=smaller].iter().sum::<f64>()).min(1.0)
}

fn normal_p_value(ranks: &[f64], statistic: f64) -> f64 {
    let expected = ranks.iter().sum::<f64>() / 2.0;
    let variance = ranks.iter().map(|rank| rank * rank).sum::<f64>() / 4.0;
    2.0 * normal_cdf(-((statistic - expected).abs() / variance.sqrt()))
}
