//! McNemar's test: do two models differ in accuracy on the same images?

use serde::{Deserialize, Serialize};

use super::special::{fair_binomial_cdf, fair_binomial_pmf};
use super::{Result, check_count, check_lengths};

/// Outcome of [`mcnemar`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Images that both models get right.
    pub both_correct: usize,
    /// Images that only the first model gets right.
    pub only_first_correct: usize,
    /// Images that only the second model gets right.
    pub only_second_correct: usize,
    /// Images that both models get wrong.
    pub both_wrong: usize,
    /// Exact two-sided p-value of equal accuracies.
    pub p_value: f64,
    /// The mid-p variant: less conservative, and recommended by Fagerland et al. (2013).
    pub mid_p_value: f64,
}

/// Exact McNemar test (McNemar 1947; exact and mid-p as in Fagerland, Lydersen & Laake 2013,
/// *BMC Medical Research Methodology* 13:91).
///
/// Under the null hypothesis each of the `b + c` disagreements falls to either model with probability ½, so that
/// p = 2 P(X ≤ min(b, c)), at most 1, for X binomial; mid-p subtracts P(X = min(b, c)).
///
/// # Errors
/// Different lengths or no images.
pub fn mcnemar(first_correct: &[bool], second_correct: &[bool]) -> Result<McNemar> {
    check_lengths("McNemar's test", first_correct.len(), second_correct.len())?;
    check_count("McNemar's test", 1, first_correct.len())?;
    let count = |first: bool, second: bool| {
        first_correct.iter().zip(second_correct).filter(|&(&a, &b)| a == first && b == second).count()
    };
    let (only_first_correct, only_second_correct) = (count(true, false), count(false, true));
    let (p_value, mid_p_value) = two_sided_fair_binomial(only_first_correct, only_second_correct);
    Ok(McNemar {
        both_correct: count(true, true),
        only_first_correct,
        only_second_correct,
        both_wrong: count(false, false),
        p_value,
        mid_p_value,
    })
}

/// Two-sided p-value and mid-p-value of `a` against `b` outcomes of a fair coin; both 1 without any outcome.
fn two_sided_fair_binomial(a: usize, b: usize) -> (f64, f64) {
    let (smaller, n) = (a.min(b), a + b);
    if n == 0 {
        return (1.0, 1.0);
    }
    let doubled = 2.0 * fair_binomial_cdf(smaller, n);
    (doubled.min(1.0), (doubled - fair_binomial_pmf(smaller, n)).min(1.0))
}
