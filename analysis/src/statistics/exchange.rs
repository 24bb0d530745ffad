//! Does a statistic of two models' answers to the same images differ between them?

use super::permutation::SignFlipTest;
use super::{Resampling, Result, check_count};

/// Fewest random exchanges, whatever the number of bootstrap resamples.
const FEWEST_EXCHANGES: usize = 10_000;

/// Exchange test of a difference between two models that is no mean over images, such as that of two ratios.
///
/// `difference(images, exchanged)` is the statistic of the first model minus that of the second over `images` (with
/// repetition), where on the images marked in `exchanged` each has given the other's answer. If it does not matter which
/// model answers, each image's answers are as likely to be the other way round: the p-value is (b + 1)/(m + 1) for b of m
/// random exchanges with a difference at least as large either way (Phipson & Smyth 2010), at least 10,000 of them; exchanges
/// for which it is not finite count as such. The interval is the percentile interval of the paired bootstrap.
///
/// # Errors
/// No images, impossible resampling parameters; undefined where the difference is not finite, or is not for most samples.
pub fn exchange_test(
    what: &'static str,
    n: usize,
    difference: impl Fn(&[usize], &[bool]) -> f64,
    resampling: &Resampling,
) -> Result<SignFlipTest> {
    check_count(what, 1, n)?;
    let as_given = vec![false; n];
    let mut estimate = resampling.bootstrap(what, n, |indices| difference(indices, &as_given))?;
    estimate.method.insert_str(0, "paired ");

    let everything: Vec<usize> = (0..n).collect();
    let distance = estimate.value.abs() - 1e-12;
    let resamples = resampling.resamples.max(FEWEST_EXCHANGES);
    let mut exchanged = as_given;
    let found = Resampling { resamples, ..*resampling }.draws(|rng| {
        exchanged.iter_mut().for_each(|exchanged| *exchanged = rand::Rng::next_u32(rng) >> 31 == 1);
        difference(&everything, &exchanged)
    })?;
    let as_far = found.iter().filter(|value| value.is_nan() || value.abs() >= distance).count();
    Ok(SignFlipTest { difference: estimate, p_value: (as_far + 1) as f64 / (resamples + 1) as f64 })
}
