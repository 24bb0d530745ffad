//! How few patches it takes to change an answer: in words, as the model saw the image, and over all images.

use std::collections::{BTreeMap, HashSet};

use archaeo_analysis::attribution::{Kind, method};
use archaeo_analysis::faithfulness::{
    Comparison, Counterfactual, CounterfactualShare, Gain, Metric, gains, mean_score,
};
use archaeo_analysis::statistics::{Estimate, Resampling};
use archaeo_plot::Image;
use serde::Serialize;

use super::found::{ExplainedImage, Flip};
use crate::error::LabError;

/// What the order of a heatmap has to be better than.
const BASELINE: &str = "random";

/// How few patches the order of one method takes to change the answer, over images.
#[derive(Clone, Debug, Serialize)]
pub struct Flips {
    /// Mean share of the patches, which is all of them for an image whose answer nothing changes.
    pub share: Estimate,
    /// Images whose answer nothing changes.
    pub never: usize,
    /// What is gained over a random order; the p-value is adjusted over the methods. `None` with fewer than 10 images, of baselines,
    /// and where the random order was not among the methods.
    pub over_random: Option<Gain>,
}

/// By the method's ID; empty where it was not asked.
pub(super) fn over_images(
    images: &[ExplainedImage],
    seed: u64,
) -> Result<BTreeMap<&'static str, Flips>, LabError> {
    let mut shares: BTreeMap<&'static str, (Vec<Option<f64>>, usize)> = BTreeMap::new();
    for (id, flip) in images.iter().flat_map(|image| &image.counterfactuals) {
        let (shares, never) = shares.entry(id).or_default();
        shares.push(Some(flip.share));
        *never += usize::from(flip.after.is_none());
    }
    let metric = CounterfactualShare.info();
    let baseline = shares.get(BASELINE).map_or(&[][..], |(shares, _)| shares);
    let explains = |id: &str| method(id).is_some_and(|method| method.info().kind == Kind::Explanation);
    let comparisons: Vec<Comparison> = (shares.iter())
        .map(|(id, (own, _))| Comparison { metric, own: if explains(id) { own } else { &[] }, baseline })
        .collect();
    let gains = gains(&comparisons, &Resampling::new(seed))?;
    let mut found = BTreeMap::new();
    for ((id, (own, never)), over_random) in shares.iter().zip(gains) {
        if let Some(share) = mean_score(metric, own)?.known() {
            found.insert(*id, Flips { share: share.clone(), never: *never, over_random });
        }
    }
    Ok(found)
}

pub(super) fn flip(found: &Counterfactual, names: &[String]) -> Flip {
    Flip {
        grid: found.grid,
        covered: found.covered.clone(),
        share: found.share(),
        after: found.after.map(|class| names[class].clone()),
    }
}

/// The image as the model saw it when its answer changed.
pub(super) fn covered(picture: &Image, found: &Counterfactual, colour: [f32; 3]) -> Image {
    let (width, height) = (picture.width(), picture.height());
    let colour = colour.map(|value| (255.0 * value).round() as u8);
    let hidden: HashSet<usize> = found.covered.iter().copied().collect();
    let pixels = picture.pixels().chunks_exact(3).enumerate().flat_map(|(at, pixel)| {
        let patch = at / width / found.side * found.grid[1] + at % width / found.side;
        if hidden.contains(&patch) { colour } else { [pixel[0], pixel[1], pixel[2]] }
    });
    Image::new(width, height, pixels.collect())
}

#[cfg(test)]
mod tests {
    use archaeo_analysis::statistics::Better;

    use super::*;

    /// Images of 64 patches on which the orders take so many; the whole image where nothing changes the answer.
    fn images(covered: &[(&'static str, &[usize])]) -> Vec<ExplainedImage> {
        let flip = |count: usize| Flip {
            grid: [8, 8],
            covered: (0..count).collect(),
            share: count as f64 / 64.0,
            after: (count < 64).then(|| "star".to_owned()),
        };
        (0..covered[0].1.len())
            .map(|image| ExplainedImage {
                counterfactuals: covered.iter().map(|(id, counts)| (*id, flip(counts[image]))).collect(),
                ..ExplainedImage::default()
            })
            .collect()
    }

    #[test]
    fn an_order_that_takes_fewer_patches_than_a_random_one_is_better() {
        let [few, many] =
            [[8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9], [40, 41, 64, 41, 40, 41, 64, 41, 40, 41, 40, 41]];
        let found = over_images(&images(&[("rollout", &few), ("saliency", &many), ("random", &[32; 12])]), 0);
        let found = found.unwrap();
        let verdict = |id: &str| found[id].over_random.as_ref().map(|gain| gain.better);
        assert_eq!(verdict("rollout"), Some(Better::Yes));
        assert_eq!(verdict("saliency"), Some(Better::No));
        assert_eq!(verdict("random"), None);
        let Flips { share, never, over_random } = &found["rollout"];
        assert!((share.value - 8.5 / 64.0).abs() < 1e-12 && share.n == 12 && *never == 0);
        // Standard error 0.5222 / √12 patches, and t = 2.201 with 11 degrees of freedom.
        let half = 2.200_985 * 0.522_233 / 12_f64.sqrt() / 64.0;
        assert!(
            (share.high - share.value - half).abs() < 1e-6 && (share.value - share.low - half).abs() < 1e-6
        );
        assert!((over_random.as_ref().unwrap().difference.value - 23.5 / 64.0).abs() < 1e-12);
        assert_eq!(found["saliency"].never, 2);
    }

    #[test]
    fn without_a_random_order_or_images_there_is_no_verdict() {
        let of = |covered: &[(&'static str, &[usize])]| over_images(&images(covered), 0).unwrap();
        assert!(of(&[("rollout", &[8; 12])])["rollout"].over_random.is_none());
        let one = of(&[("rollout", &[8]), ("random", &[32])]);
        assert!(one["rollout"].over_random.is_none() && one["rollout"].share.low.is_nan());
        assert_eq!(one["rollout"].share.value, 0.125);
        assert!(over_images(&[ExplainedImage::default()], 0).unwrap().is_empty());
    }
}
