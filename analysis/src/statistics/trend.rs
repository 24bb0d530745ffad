//! Does a number rise or fall along an order: with depth, with time?

use serde::{Deserialize, Serialize};

use super::ranks::standardised_ranks;
use super::{Resampling, Result, StatisticsError, check_count, check_finite};

/// Outcome of [`rank_trend`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankTrend {
    /// Spearman's ρ between position and value: 1 if each value is larger than the one before.
    pub rho: f64,
    /// Two-sided p-value that the order of the values is random: large |ρ| and small p go together.
    pub p_value: f64,
    /// Number of values.
    pub n: usize,
    /// How the p-value was computed, in words for a report's reader.
    pub method: String,
}

/// Fewer values cannot show a trend at the 5 % level: even a perfect order of four has p = 2/24.
pub const FEWEST_FOR_A_TREND: usize = 5;

/// Up to this many values all n! orders are enumerated.
const EXACT_LIMIT: usize = 8;

/// Fewest random orders beyond that, whatever the number of bootstrap resamples.
const FEWEST_ORDERS: usize = 10_000;

/// Spearman's ρ (Spearman 1904) of `values` with their own positions, and its permutation test.
///
/// The p-value is the share of orders with |ρ| at least as large: of all n! for up to eight values, else (b + 1)/(m + 1) for
/// b of m random orders (Phipson & Smyth 2010), of which there are at least 10,000.
///
/// # Errors
/// Fewer than [`FEWEST_FOR_A_TREND`] values, one that is not finite; undefined if all values are equal.
pub fn rank_trend(values: &[f64], resampling: &Resampling) -> Result<RankTrend> {
    let what = "a trend";
    check_count(what, FEWEST_FOR_A_TREND, values.len())?;
    check_finite("a series", values)?;
    let n = values.len();
    let positions: Vec<f64> = (0..n).map(|position| position as f64).collect();
    let (Some(x), Some(y)) = (standardised_ranks(&positions), standardised_ranks(values)) else {
        return Err(StatisticsError::Undefined { what, reason: "all values are equal" });
    };
    let rho_of = |order: &[usize]| x.iter().zip(order).map(|(a, &i)| a * y[i]).sum::<f64>();
    let everything: Vec<usize> = (0..n).collect();
    let rho = rho_of(&everything).clamp(-1.0, 1.0);
    // An order that only swaps ties must count as equal although it sums in another order.
    let threshold = rho.abs() - 1e-12;
    let (mut as_extreme, mut orders) = (0usize, 0usize);
    let count = |order: &[usize]| {
        orders += 1;
        as_extreme += usize::from(rho_of(order).abs() >= threshold);
    };
    let (p_value, how) = if n <= EXACT_LIMIT {
        every_order(n, count);
        (as_extreme as f64 / orders as f64, format!("exact over {orders} orders"))
    } else {
        let resamples = resampling.resamples.max(FEWEST_ORDERS);
        Resampling { resamples, ..*resampling }.permutations(n, count)?;
        let p_value = (as_extreme + 1) as f64 / (orders + 1) as f64;
        (p_value, format!("{orders} random orders, seed {}", resampling.seed))
    };
    Ok(RankTrend { rho, p_value, n, method: format!("Spearman's ρ with a permutation test, {how}") })
}

/// Heap's algorithm (1963).
fn every_order(n: usize, mut visit: impl FnMut(&[usize])) {
    let mut order: Vec<usize> = (0..n).collect();
    let mut swaps = vec![0; n];
    visit(&order);
    let mut i = 1;
    while i < n {
        if swaps[i] < i {
            order.swap(if i % 2 == 0 { 0 } else { swaps[i] }, i);
            visit(&order);
            swaps[i] += 1;
            i = 1;
        } else {
            swaps[i] = 0;
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(values: &[f64]) -> Result<RankTrend> {
        rank_trend(values, &Resampling::new(0))
    }

    #[test]
    fn a_perfect_order_has_the_smallest_p_value_there_is() {
        let rising: Vec<f64> = (0..6).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        for (values, rho) in [(&rising, 1.0), (&falling, -1.0)] {
            let found = trend(values).unwrap();
            assert!((found.rho - rho).abs() < 1e-12);
            assert!((found.p_value - 2.0 / 720.0).abs() < 1e-12, "{}", found.p_value);
        }
    }

    #[test]
    fn the_exact_test_is_the_count_over_all_orders() {
        // Olds (1938), table of Spearman's D = Σ d²: with n = 5 and D = 4 (ρ = 0.8), P(D ≤ 4) = 8/120 in one tail; 16/120 in
        // both, for the distribution is symmetric.
        let found = trend(&[1.0, 3.0, 2.0, 5.0, 4.0]).unwrap();
        assert!((found.rho - 0.8).abs() < 1e-12);
        assert!((found.p_value - 16.0 / 120.0).abs() < 1e-12, "{}", found.p_value);
        let mut orders = std::collections::BTreeSet::new();
        every_order(5, |order| assert!(orders.insert(order.to_vec())));
        assert_eq!(orders.len(), 120);
    }

    #[test]
    fn random_orders_come_near_the_exact_share() {
        // Nine values with one neighbouring pair swapped. Of 9! orders, D ≤ 2 holds for the identity and 8 swaps, and as
        // many reversed: p = 18/362880, below what 10,000 random orders can see.
        let found = trend(&[2.0, 1.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).unwrap();
        assert!(found.p_value < 3.0 / 10_001.0 && found.method.contains("10000 random"), "{found:?}");
        // One large value at the end of twelve equal ones: |ρ| is as large where it is first or last.
        let mut values = [0.0; 12];
        values[11] = 1.0;
        let found = trend(&values).unwrap();
        assert!((found.p_value - 2.0 / 12.0).abs() < 4.0 * (1.0 / 6.0 * 5.0 / 6.0 / 1e4f64).sqrt());
    }

    #[test]
    fn what_cannot_be_tested_is_said() {
        assert!(matches!(trend(&[1.0, 2.0, 3.0, 4.0]), Err(StatisticsError::TooFew { needed: 5, .. })));
        let flat = trend(&[1.0; 6]).unwrap_err();
        assert!(matches!(flat, StatisticsError::Undefined { .. }), "{flat}");
    }
}
