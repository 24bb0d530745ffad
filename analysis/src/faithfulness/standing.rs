//! How methods stand over images: means, and what they gain over a baseline.

use serde::{Deserialize, Serialize};

use super::MetricInfo;
use crate::statistics::{
    Better, DEFAULT_LEVEL, Estimate, Measured, Resampling, Result, mean_within, sign_flip_family,
};

/// Images from which on a method is held against a baseline.
pub const FEWEST_IMAGES: usize = 10;

/// What a heatmap gains over a baseline on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Mean over images, positive where the method is better, whichever way the metric counts.
    pub difference: Estimate,
    /// Sign-flip test over images, adjusted over the family (Benjamini and Hochberg, 1995).
    pub p_value: f64,
    /// What both say together.
    pub better: Better,
}

/// Scores of a metric on the same images, image by image: a method's, and those of a baseline.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// Of which metric.
    pub metric: &'static MetricInfo,
    /// The method's.
    pub own: &'a [Option<f64>],
    /// The baseline's.
    pub baseline: &'a [Option<f64>],
}

/// Mean of a metric over the images that have a score.
///
/// # Errors
/// A score that is not finite, or that the metric cannot give.
pub fn mean_score(metric: &MetricInfo, scores: &[Option<f64>]) -> Result<Measured> {
    let known: Vec<f64> = scores.iter().copied().flatten().collect();
    Measured::of(mean_within(&known, metric.range, DEFAULT_LEVEL))
}

/// One gain for each comparison; p-values are adjusted over all of them. `None` where fewer than [`FEWEST_IMAGES`] images have both
/// scores.
///
/// # Errors
/// A score that is not finite.
pub fn gains(comparisons: &[Comparison], resampling: &Resampling) -> Result<Vec<Option<Gain>>> {
    let paired = |comparison: &Comparison| -> Option<[Vec<f64>; 2]> {
        let pairs = comparison
            .own
            .iter()
            .zip(comparison.baseline)
            .filter_map(|(own, other)| Some(((*own)?, (*other)?)));
        let (own, other): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let better_first = if comparison.metric.higher_is_better { [own, other] } else { [other, own] };
        (better_first[0].len() >= FEWEST_IMAGES).then_some(better_first)
    };
    let samples: Vec<Option<[Vec<f64>; 2]>> = comparisons.iter().map(paired).collect();
    let pairs: Vec<(&[f64], &[f64])> =
        samples.iter().flatten().map(|[a, b]| (a.as_slice(), b.as_slice())).collect();
    let mut tests = sign_flip_family(&pairs, resampling)?.into_iter();
    let gain = |sample: Option<[Vec<f64>; 2]>| {
        let test = sample.map(|_| tests.next().expect("one test for each sample"))?;
        let better = Better::of(&test.difference, test.p_value);
        Some(Gain { difference: test.difference, p_value: test.p_value, better })
    };
    Ok(samples.into_iter().map(gain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faithfulness::metric;

    #[test]
    fn a_gain_is_positive_where_the_method_is_better() {
        let (deletion, insertion) = (metric("deletion").unwrap().info(), metric("insertion").unwrap().info());
        let low: Vec<Option<f64>> = (0..20).map(|i| Some(0.2 + 0.001 * f64::from(i))).collect();
        let high: Vec<Option<f64>> = (0..20).map(|i| Some(0.4 + 0.002 * f64::from(i))).collect();
        let of = |metric, own, baseline| Comparison { metric, own, baseline };
        let found = gains(
            &[of(deletion, &low, &high), of(insertion, &low, &high), of(insertion, &low[..9], &high[..9])],
            &Resampling::new(0),
        )
        .unwrap();
        let [better, worse, none] = &found[..] else { panic!("three gains") };
        assert_eq!(better.as_ref().map(|gain| gain.better), Some(Better::Yes));
        assert_eq!(worse.as_ref().map(|gain| gain.better), Some(Better::No));
        assert_eq!(better.as_ref().unwrap().difference.value, -worse.as_ref().unwrap().difference.value);
        assert!(none.is_none());
        // An image without a score is left out of the pair.
        let mut holes = low.clone();
        holes[3] = None;
        let found = gains(&[of(deletion, &holes, &high)], &Resampling::new(0)).unwrap();
        assert_eq!(found[0].as_ref().unwrap().difference.n, 19);
        assert_eq!(mean_score(deletion, &[None, Some(0.5), Some(1.0)]).unwrap().known().unwrap().value, 0.75);
        assert!(mean_score(deletion, &[None]).unwrap().known().is_none());
    }
}
