//! Ranks and Spearman's rank correlation.

use serde::{Deserialize, Serialize};

use super::special::normal_quantile;
use super::{
    Estimate, Resampling, Result, StatisticsError, check_count, check_finite, check_lengths, check_level,
    mean,
};

/// Outcome of [`spearman`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankCorrelation {
    /// ρ and its interval.
    pub correlation: Estimate,
    /// Two-sided p-value of no association, from random permutations.
    pub p_value: f64,
}

/// Ranks from 1, ties sharing the mean of their ranks.
pub(crate) fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // Compared with ==, so that 0 and −0 tie although `total_cmp` orders them.
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = start as f64 + (tied.len() + 1) as f64 / 2.0;
        tied.iter().for_each(|&i| ranks[i] = shared);
        start += tied.len();
    }
    ranks
}

/// Spearman's ρ (Spearman 1904) with tied ranks averaged.
///
/// The interval is Fisher's z with the standard error √((1 + ρ²/2)/(n − 3)) of Bonett & Wright (2000,
/// *Psychometrika* 65), for |ρ| = 1 the point itself. The p-value counts permutations with |ρ| at least as large,
/// (count + 1)/(permutations + 1) as in Phipson & Smyth (2010), hence never 0.
///
/// # Errors
/// Fewer than four pairs, different lengths, an entry that is not finite, or a constant input (ρ is undefined).
pub fn spearman(x: &[f64], y: &[f64], resampling: &Resampling) -> Result<RankCorrelation> {
    let what = "Spearman's correlation";
    check_lengths(what, x.len(), y.len())?;
    check_count(what, 4, x.len())?;
    check_finite("the first sample", x)?;
    check_finite("the second sample", y)?;
    check_level(resampling.level)?;
    let (x, y) = (standardised_ranks(x), standardised_ranks(y));
    let (Some(x), Some(y)) = (x, y) else {
        return Err(StatisticsError::Undefined { what, reason: "one of the inputs is constant" });
    };
    let rho = x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0);

    // A permutation that only swaps ties must count as equal although it sums in another order.
    let threshold = rho.abs() - 1e-12;
    let mut as_extreme = 0usize;
    resampling.permutations(y.len(), |order| {
        let permuted: f64 = x.iter().zip(order).map(|(a, &i)| a * y[i]).sum();
        as_extreme += usize::from(permuted.abs() >= threshold);
    })?;

    let n = x.len();
    let spread =
        normal_quantile(0.5 + resampling.level / 2.0) * ((1.0 + rho * rho / 2.0) / (n as f64 - 3.0)).sqrt();
    let (low, high) = if rho.abs() > 1.0 - 1e-12 {
        (rho, rho)
    } else {
        ((rho.atanh() - spread).tanh(), (rho.atanh() + spread).tanh())
    };
    let method = "Spearman's rank correlation, Bonett-Wright interval".into();
    Ok(RankCorrelation {
        correlation: Estimate { value: rho, low, high, level: resampling.level, n, method },
        p_value: (as_extreme + 1) as f64 / (resampling.resamples + 1) as f64,
    })
}

/// ρ alone, without interval or test; `None` where one of the inputs is constant.
///
/// # Panics
/// If the inputs differ in length.
pub fn rank_coefficient(x: &[f64], y: &[f64]) -> Option<f64> {
    assert_eq!(x.len(), y.len(), "a correlation needs pairs");
    let (x, y) = (standardised_ranks(x)?, standardised_ranks(y)?);
    Some(x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0))
}

/// Ranks with mean 0 and unit length, so that their dot product is the correlation; none for a constant.
pub(super) fn standardised_ranks(values: &[f64]) -> Option<Vec<f64>> {
    let mut ranks = average_ranks(values);
    let centre = mean(&ranks);
    ranks.iter_mut().for_each(|rank| *rank -= centre);
    let length = ranks.iter().map(|rank| rank * rank).sum::<f64>().sqrt();
    (length > 0.0).then(|| ranks.iter().map(|rank| rank / length).collect())
}
