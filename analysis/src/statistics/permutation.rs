//! Is a paired mean difference real, how large is it: one test that answers both.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Estimate, Resampling, Result, check_count, check_finite, check_lengths, check_level, mean};

/// Outcome of [`sign_flip_test`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignFlipTest {
    /// Mean of `first − second`. Its interval holds the shifts that the same test does not reject, so that it leaves out 0
    /// exactly when the p-value is at most `1 − level`, and then on the side of the mean.
    pub difference: Estimate,
    /// Two-sided p-value of no difference.
    pub p_value: f64,
}

/// Up to this many pairs all 2ⁿ patterns of signs are enumerated.
const EXACT_LIMIT: usize = 16;

/// Fewest random patterns beyond that, whatever the number of bootstrap resamples.
const FEWEST_FLIPS: usize = 10_000;

/// Sign-flip permutation test of the mean of `first − second` (Fisher 1935, *The Design of Experiments*, section 21).
///
/// Without a difference each pair's is as likely to have the other sign. The p-value is the share of sign patterns whose
/// mean is at least as far from 0 as the one found: among all 2ⁿ for up to 16 pairs, else (b + 1)/(m + 1) for b of m random
/// patterns (Phipson & Smyth 2010), of which there are at least 10,000.
///
/// The interval inverts the test. A pattern leaves some pairs as they are and flips the others; tested against a shift δ, it
/// is at least as extreme as the data exactly where δ lies between the two groups' means. So the interval's ends are order
/// statistics of these means. Fewer than six pairs cannot reject anything at the 95 % level: the interval is then the widest
/// that the test can give, at the level that it has (two pairs: 50 %).
///
/// # Errors
/// Different lengths, fewer than two pairs, an entry that is not finite, or a level outside `(0, 1)`.
pub fn sign_flip_test(first: &[f64], second: &[f64], resampling: &Resampling) -> Result<SignFlipTest> {
    let what = "a paired mean";
    check_lengths(what, first.len(), second.len())?;
    check_count(what, 2, first.len())?;
    check_finite("the first sample", first)?;
    check_finite("the second sample", second)?;
    check_level(resampling.level)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let (spans, how) = match differences.len() <= EXACT_LIMIT {
        true => (every_span(&differences), "exact".to_owned()),
        false => {
            let flips = resampling.resamples.max(FEWEST_FLIPS);
            (
                random_spans(&differences, flips, resampling),
                format!("{flips} random flips, seed {}", resampling.seed),
            )
        }
    };

    let holding_zero = spans.iter().filter(|span| span.low <= 0.0 && 0.0 <= span.high).count();
    let total = spans.len() as f64;
    // Shifts that as many spans hold are rejected; the data's own pattern holds every shift, and bounds none.
    let rejected = ((1.0 - resampling.level) * total * (1.0 + 1e-12)).floor() as usize;
    let unbounded = spans.iter().filter(|span| !span.high.is_finite()).count();
    let (rejected, level) = match rejected < unbounded {
        true => (unbounded, 1.0 - unbounded as f64 / total),
        false => (rejected, resampling.level),
    };
    let (mut lows, mut highs): (Vec<f64>, Vec<f64>) = spans.iter().map(|span| (span.low, span.high)).unzip();
    lows.sort_by(f64::total_cmp);
    highs.sort_by(|a, b| b.total_cmp(a));
    let value = mean(&differences);
    // Only where every pattern that was drawn is the data's own is there no group to take a mean of.
    let end = |ends: &[f64]| ends.get(rejected).copied().filter(|end| end.is_finite()).unwrap_or(value);
    let difference = Estimate {
        value,
        low: end(&lows).min(value),
        high: end(&highs).max(value),
        level,
        n: differences.len(),
        method: format!(
            "sign-flip permutation test of the paired mean, {how}; interval by inverting the test"
        ),
    };
    Ok(SignFlipTest { difference, p_value: holding_zero as f64 / total })
}

/// The shifts for which one pattern of signs is at least as extreme as the data.
#[derive(Clone, Copy)]
struct Span {
    low: f64,
    high: f64,
}

/// Of every pattern, the data's own included; a pattern and its opposite are one.
fn every_span(differences: &[f64]) -> Vec<Span> {
    let spans = Spans::new(differences);
    (0..1u64 << (differences.len() - 1)).map(|flipped| spans.of(std::iter::once(flipped))).collect()
}

/// Of the data's own pattern and of `flips` random ones.
fn random_spans(differences: &[f64], flips: usize, resampling: &Resampling) -> Vec<Span> {
    let spans = Spans::new(differences);
    let own = spans.of(std::iter::repeat(0));
    let random = (0..flips).map(|flip| {
        let mut rng = resampling.rng(flip);
        spans.of(std::iter::repeat_with(|| rng.next_u64()))
    });
    std::iter::once(own).chain(random).collect()
}

struct Spans<'a> {
    differences: &'a [f64],
    /// What rounding may leave of a sum that is 0.
    slack: f64,
}

impl<'a> Spans<'a> {
    fn new(differences: &'a [f64]) -> Self {
        let largest = differences.iter().fold(0f64, |largest, d| largest.max(d.abs()));
        Self { differences, slack: 1e-12 * largest }
    }

    /// Between the mean of the pairs that are flipped and that of the others; a bit a pair says which are.
    fn of(&self, flipped: impl Iterator<Item = u64>) -> Span {
        let (mut sums, mut counts) = ([0.0; 2], [0usize; 2]);
        for (word, pairs) in flipped.zip(self.differences.chunks(64)) {
            for (place, difference) in pairs.iter().enumerate() {
                let group = (word >> place & 1) as usize;
                sums[group] += difference;
                counts[group] += 1;
            }
        }
        if counts.contains(&0) {
            return Span { low: f64::NEG_INFINITY, high: f64::INFINITY };
        }
        let [kept, flipped] = [0, 1].map(|group| {
            let mean = sums[group] / counts[group] as f64;
            if mean.abs() <= self.slack { 0.0 } else { mean }
        });
        Span { low: kept.min(flipped), high: kept.max(flipped) }
    }
}

#[cfg(test)]
mod tests;
