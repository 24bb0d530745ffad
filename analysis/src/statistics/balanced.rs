//! Accuracy in which every class counts alike.

use super::resampling::{below, quantile};
use super::{Estimate, Resampling, Result, StatisticsError, check_count, check_lengths, check_level, wilson};

/// Balanced accuracy: the mean over classes of the share of their images that is right (Brodersen et al. 2010, *ICPR*).
/// Classes without an image do not count. A model that names one class always has 1/classes.
///
/// The interval is the percentile interval of a bootstrap within each class, so that every sample holds as many images of a
/// class as the data. Where each class is wholly right or wholly wrong, no resampling changes anything; there the Wilson
/// intervals of the classes are joined instead (MOVER: Zou & Donner 2008, *Statistics in Medicine* 27), since a class of which
/// all seen images are right may still hold others.
///
/// # Errors
/// Different lengths, no images, images of one class only (undefined), or impossible resampling parameters.
pub fn balanced_accuracy(labels: &[usize], correct: &[bool], resampling: &Resampling) -> Result<Estimate> {
    let what = "balanced accuracy";
    check_lengths(what, labels.len(), correct.len())?;
    check_count(what, 1, labels.len())?;
    check_level(resampling.level)?;
    let mut classes = vec![(0usize, 0usize); labels.iter().max().map_or(0, |last| last + 1)];
    for (&label, &correct) in labels.iter().zip(correct) {
        classes[label].0 += 1;
        classes[label].1 += usize::from(correct);
    }
    classes.retain(|(images, _)| *images > 0);
    if classes.len() < 2 {
        return Err(StatisticsError::Undefined { what, reason: "every image is of one class" });
    }
    let count = classes.len() as f64;
    let value = classes.iter().map(|&(images, right)| right as f64 / images as f64).sum::<f64>() / count;
    let estimate =
        |low, high, method| Estimate { value, low, high, level: resampling.level, n: labels.len(), method };

    if classes.iter().all(|&(images, right)| right == 0 || right == images) {
        let (mut below, mut above) = (0.0, 0.0);
        for &(images, right) in &classes {
            let of_class = wilson(right, images, resampling.level)?;
            below += (of_class.value - of_class.low).powi(2);
            above += (of_class.high - of_class.value).powi(2);
        }
        let method = "Wilson score intervals of the classes, joined (MOVER)".into();
        return Ok(estimate(value - below.sqrt() / count, value + above.sqrt() / count, method));
    }
    let mut distribution = resampling.draws(|rng| {
        let share = |&(images, right): &(usize, usize)| {
            (0..images).filter(|_| below(rng, images) < right).count() as f64 / images as f64
        };
        classes.iter().map(share).sum::<f64>() / count
    })?;
    distribution.sort_by(f64::total_cmp);
    let tail = (1.0 - resampling.level) / 2.0;
    let [low, high] = [tail, 1.0 - tail].map(|p| quantile(&distribution, p));
    Ok(estimate(low, high, resampling.describe("percentile, within classes,", distribution.len())))
}
