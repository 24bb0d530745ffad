//! How well a score ranks two classes.

use super::ranks::average_ranks;
use super::special::normal_quantile;
use super::{Estimate, Result, StatisticsError, check_count, check_finite, check_lengths, check_level, mean};

/// Area under the ROC curve: the probability that an image of the positive class has a larger score than one of the other
/// class, equal scores counting half (Mann & Whitney 1947).
///
/// The interval has DeLong's variance (DeLong et al. 1988, *Biometrics* 44) on the logit scale, where it stays within (0, 1).
/// Where that variance is zero or has too few images, as for classes that are told apart without an error, it is the score
/// interval of Newcombe (2006, *Statistics in Medicine* 25:559, method 5), which still has a width there.
///
/// # Errors
/// Different lengths, no images, a score that is not finite, images of one class only (undefined), or a `level` outside
/// `(0, 1)`.
pub fn roc_auc(scores: &[f64], positive: &[bool], level: f64) -> Result<Estimate> {
    let what = "the area under the ROC curve";
    check_lengths(what, scores.len(), positive.len())?;
    check_count(what, 1, scores.len())?;
    check_finite("a list of scores", scores)?;
    check_level(level)?;
    let of = |wanted: bool| -> Vec<f64> {
        scores.iter().zip(positive).filter(|(_, is)| **is == wanted).map(|(score, _)| *score).collect()
    };
    let (positives, negatives) = (of(true), of(false));
    if positives.is_empty() || negatives.is_empty() {
        return Err(StatisticsError::Undefined { what, reason: "every image is of one class" });
    }
    let (m, n) = (positives.len() as f64, negatives.len() as f64);

    // Sun & Xu (2014, IEEE Signal Processing Letters 21): ranks among all minus ranks among one's own count the others below.
    let all = average_ranks(&[positives.as_slice(), negatives.as_slice()].concat());
    let (among_positives, among_negatives) = (average_ranks(&positives), average_ranks(&negatives));
    let of_positives: Vec<f64> = all.iter().zip(&among_positives).map(|(all, own)| (all - own) / n).collect();
    let of_negatives: Vec<f64> =
        all[positives.len()..].iter().zip(&among_negatives).map(|(all, own)| 1.0 - (all - own) / m).collect();
    let value = mean(&of_positives);

    let variance = sample_variance(&of_positives) / m + sample_variance(&of_negatives) / n;
    let z = normal_quantile(0.5 + level / 2.0);
    let estimate = |low, high, method: &str| Estimate {
        value,
        low,
        high,
        level,
        n: scores.len(),
        method: method.into(),
    };
    if variance > 0.0 && value > 0.0 && value < 1.0 {
        let spread = z * variance.sqrt() / (value * (1.0 - value));
        let logit = (value / (1.0 - value)).ln();
        let back = |x: f64| 1.0 / (1.0 + (-x).exp());
        let method = "Mann-Whitney statistic, DeLong's variance on the logit scale";
        return Ok(estimate(back(logit - spread), back(logit + spread), method));
    }
    let inside = |theta: f64| {
        let others = 0.5 * (m + n) - 1.0;
        let shape = 1.0 + others * ((1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta));
        (value - theta).powi(2) <= z * z * theta * (1.0 - theta) * shape / (m * n)
    };
    let method = "Mann-Whitney statistic, Newcombe's score interval";
    Ok(estimate(farthest(value, 0.0, inside), farthest(value, 1.0, inside), method))
}

/// Of values with one degree of freedom less than their number; not a number for a single one.
fn sample_variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// The last point on the way from `start` to `end` that is inside, by bisection.
fn farthest(start: f64, end: f64, inside: impl Fn(f64) -> bool) -> f64 {
    let (mut near, mut far) = (start, end);
    for _ in 0..100 {
        let middle = 0.5 * (near + far);
        if inside(middle) { near = middle } else { far = middle }
    }
    near
}
