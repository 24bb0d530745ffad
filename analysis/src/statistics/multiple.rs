//! Families of tests.

use super::{Result, StatisticsError};

/// P-values adjusted for the false discovery rate (Benjamini & Hochberg 1995, *JRSS B* 57), in the given order.
///
/// Rejecting where the adjusted value is at most q keeps the expected share of false discoveries at q or below, for
/// independent or positively dependent tests. An empty family gives an empty answer.
///
/// # Errors
/// A p-value outside `[0, 1]` or NaN.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>> {
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatisticsError::OutOfRange { what: "a p-value", value, allowed: "[0, 1]" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest = 1f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values[i] * p_values.len() as f64 / (rank + 1) as f64);
        adjusted[i] = smallest;
    }
    Ok(adjusted)
}
