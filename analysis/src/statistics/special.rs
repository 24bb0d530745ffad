//! Distribution functions, from the definitions in the *NIST Handbook of Mathematical Functions* (DLMF); the special functions
//! under them are those of the C library, as `libm` computes them alike on every platform.
//!
//! Quantiles are found by bisection: slower than a rational approximation, but as exact as the distribution
//! function itself, and called only a few times for each estimate.

use std::f64::consts::SQRT_2;

use libm::{erfc, lgamma};

/// Regularised incomplete beta function `I_x(a, b)` for `a, b > 0` and `x` in `[0, 1]`.
///
/// Continued fraction of DLMF 8.17.22, evaluated by the modified Lentz method (Thompson & Barnett 1986).
pub fn regularised_incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let ln_front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * x.ln() + b * (-x).ln_1p();
    // The fraction converges fast only on this side of the mean; the other side follows by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        ln_front.exp() * beta_fraction(a, b, x) / a
    } else {
        1.0 - ln_front.exp() * beta_fraction(b, a, 1.0 - x) / b
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const MAX_TERMS: usize = 100_000; // O(sqrt(max(a, b))) terms are needed
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..MAX_TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let step = c * d;
        fraction *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// The `x` with `I_x(a, b) = probability`: the quantile of the beta distribution.
pub fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    bisect(0.0, 1.0, |x| regularised_incomplete_beta(a, b, x) < probability)
}

/// `P(X ≤ k)` for a binomial `X` of `n` trials with success probability ½.
pub fn fair_binomial_cdf(k: usize, n: usize) -> f64 {
    if k >= n { 1.0 } else { regularised_incomplete_beta((n - k) as f64, (k + 1) as f64, 0.5) }
}

/// `P(X = k)` for a binomial `X` of `n` trials with success probability ½.
pub fn fair_binomial_pmf(k: usize, n: usize) -> f64 {
    let (k, n) = (k as f64, n as f64);
    (lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * 2f64.ln()).exp()
}

/// The `t` with `P(|T| ≤ t) = level` for Student's T with `degrees` of freedom.
pub fn student_t_two_sided(level: f64, degrees: f64) -> f64 {
    // P(|T| > t) = I_x(degrees / 2, 1/2) with x = degrees / (degrees + t²), DLMF 8.17 and Student (1908).
    let x = beta_quantile(1.0 - level, degrees / 2.0, 0.5);
    (degrees * (1.0 - x) / x).sqrt()
}

/// Standard normal distribution function; in the tails it keeps its relative accuracy.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x / SQRT_2)
}

/// Standard normal quantile; infinite at 0 and 1.
pub fn normal_quantile(probability: f64) -> f64 {
    if probability <= 0.0 {
        f64::NEG_INFINITY
    } else if probability >= 1.0 {
        f64::INFINITY
    } else {
        bisect(-40.0, 40.0, |x| normal_cdf(x) < probability)
    }
}

/// The point where `is_left` turns from true to false, to the last bit.
fn bisect(mut low: f64, mut high: f64, is_left: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if is_left(middle) { low = middle } else { high = middle }
    }
}
