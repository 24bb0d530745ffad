//! Whether heatmaps point at the object, where the data know where it is.

use std::collections::BTreeMap;

use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, explain_all, method};
use archaeo_analysis::faithfulness::{MaskScores, object_share};
use archaeo_analysis::statistics::{Better, Resampling, sign_flip_family};
use archaeo_data::{Mask, Sample};
use archaeo_training::images::preprocess_mask;
use serde::Serialize;

use crate::error::LabError;
use crate::opened::Opened;

/// Images from which on a method is held against the baselines.
const FEWEST: usize = 10;

/// What a method has to be better than.
const BASELINES: [&str; 2] = ["random", "centre"];

/// How heatmaps of one image agree with the true mask, at the size of the model's input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageScores {
    /// Share of the model's input that is the object: the mass of an even heatmap.
    pub object_share: f64,
    /// By the method's ID, with the baselines random and centre.
    pub methods: BTreeMap<&'static str, Agreement>,
}

/// How a heatmap agrees with a mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Share of the heatmap's positive mass that is on the object.
    pub mass: f64,
    /// How often a pixel of the object has a larger value than another one; one half at random.
    pub auroc: f64,
}

/// How methods agree with the masks, over images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Localisation {
    /// Images with a mask.
    pub n: usize,
    /// Mean share of the model's input that is the object.
    pub object_share: f64,
    /// By the method's ID, with the baselines random and centre.
    pub methods: BTreeMap<&'static str, LocalisationScore>,
}

/// How one method agrees with the masks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalisationScore {
    /// Mean over images.
    pub mass: f64,
    /// Mean over images.
    pub auroc: f64,
    /// Against independent uniform values; `None` with fewer than 10 images, and of the baseline itself.
    pub over_random: Option<Over>,
    /// Against a Gaussian at the image's centre, likewise.
    pub over_centre: Option<Over>,
}

/// What a method gains over a baseline on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Over {
    /// Mean difference in AUROC.
    pub auroc: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Sign-flip test over images, adjusted over the methods (Benjamini and Hochberg, 1995).
    pub p_value: f64,
    /// Whether it is better, at the 5 % level.
    pub better: Better,
}

/// The scores of all images so far.
pub(super) struct Truths {
    ids: Vec<&'static str>,
    baselines: Vec<&'static dyn Attribution>,
    scored: Vec<ImageScores>,
    /// Images with a mask, whatever it holds.
    known: usize,
}

impl Truths {
    pub fn new(methods: &[&dyn Attribution]) -> Self {
        let ids: Vec<&'static str> = methods.iter().map(|method| method.info().id).collect();
        let baselines = BASELINES.into_iter().filter(|id| !ids.contains(id)).filter_map(method).collect();
        Self { ids, baselines, scored: Vec::new(), known: 0 }
    }

    /// Scores a batch, `heatmaps[method][image]`; `None` for each image whose mask is not known, or holds everything or nothing.
    pub fn score(
        &mut self,
        opened: &Opened,
        batch: &[usize],
        samples: &[Sample],
        evidence: &Evidence,
        heatmaps: &[Vec<Heatmap>],
    ) -> Result<Vec<Option<ImageScores>>, LabError> {
        let split = opened.split()?;
        let masks = batch.iter().zip(samples).map(|(&index, sample)| split.mask_of(index, sample));
        let masks = masks.collect::<Result<Vec<_>, _>>()?;
        self.known += masks.iter().flatten().count();
        if masks.iter().all(Option::is_none) {
            return Ok(vec![None; samples.len()]);
        }
        let baselines = explain_all(&self.baselines, evidence, &[])?;
        let ids = self.ids.iter().copied().chain(self.baselines.iter().map(|method| method.info().id));
        let all: Vec<(&str, &Vec<Heatmap>)> = ids.zip(heatmaps.iter().chain(&baselines)).collect();
        let preprocessing = &opened.model.card().preprocessing;
        let of_image = |(row, mask): (usize, &Option<Mask>)| {
            let mask = preprocess_mask(mask.as_ref()?, preprocessing);
            let agreement = |(id, maps): &(&'static str, &Vec<Heatmap>)| {
                let MaskScores { mass, auroc, .. } =
                    MaskScores::of(&maps[row], &mask, [preprocessing.image_size; 2])?;
                Some((*id, Agreement { mass, auroc }))
            };
            let methods = all.iter().map(agreement).collect::<Option<_>>()?;
            Some(ImageScores { object_share: object_share(&mask), methods })
        };
        let scores: Vec<Option<ImageScores>> = masks.iter().enumerate().map(of_image).collect();
        self.scored.extend(scores.iter().flatten().cloned());
        Ok(scores)
    }

    /// Whether there are masks and none of them has both object and background.
    pub fn tell_nothing(&self) -> bool {
        self.known > 0 && self.scored.is_empty()
    }

    /// Means, and what is better than what; `None` without a mask.
    pub fn concluded(self, seed: u64) -> Result<Option<Localisation>, LabError> {
        let Self { ids, baselines, scored, .. } = self;
        if scored.is_empty() {
            return Ok(None);
        }
        let n = scored.len();
        let mean = |of: &dyn Fn(&ImageScores) -> f64| scored.iter().map(of).sum::<f64>() / n as f64;
        let ids: Vec<&str> = ids.into_iter().chain(baselines.iter().map(|method| method.info().id)).collect();
        let aurocs = |id: &str| scored.iter().map(|image| image.methods[id].auroc).collect::<Vec<f64>>();
        let over = |baseline: &str| -> Result<BTreeMap<&str, Over>, LabError> {
            let others: Vec<&str> = ids.iter().copied().filter(|id| *id != baseline && n >= FEWEST).collect();
            let samples: Vec<[Vec<f64>; 2]> =
                others.iter().map(|id| [aurocs(id), aurocs(baseline)]).collect();
            let pairs: Vec<(&[f64], &[f64])> =
                samples.iter().map(|[own, other]| (&own[..], &other[..])).collect();
            let tests = sign_flip_family(&pairs, &Resampling::new(seed))?;
            let found = tests.into_iter().map(|test| {
                let (difference, p_value) = (&test.difference, test.p_value);
                let better = Better::of(difference, p_value);
                Over { auroc: difference.value, low: difference.low, high: difference.high, p_value, better }
            });
            Ok(others.iter().copied().zip(found).collect())
        };
        let [over_random, over_centre] = [over(BASELINES[0])?, over(BASELINES[1])?];
        let score = |id: &&'static str| {
            let score = LocalisationScore {
                mass: mean(&|image| image.methods[id].mass),
                auroc: mean(&|image| image.methods[id].auroc),
                over_random: over_random.get(id).copied(),
                over_centre: over_centre.get(id).copied(),
            };
            (*id, score)
        };
        let object_share = mean(&|image| image.object_share);
        Ok(Some(Localisation { n, object_share, methods: ids.iter().map(score).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images in which a method has these scores, and both baselines one half and the centre a little more.
    fn truths(aurocs: &[f64]) -> Truths {
        let rollout = method("rollout").unwrap();
        let mut truths = Truths::new(&[rollout]);
        truths.scored = (aurocs.iter().enumerate())
            .map(|(image, &auroc)| {
                let agreement = |auroc| Agreement { mass: 0.5, auroc };
                // No two images alike, so that nothing is decided by ties.
                let noise = 0.001 * image as f64;
                let methods = [("rollout", auroc), ("random", 0.5 + noise), ("centre", 0.7 - noise)];
                let methods = methods.into_iter().map(|(id, auroc)| (id, agreement(auroc))).collect();
                ImageScores { object_share: 0.2, methods }
            })
            .collect();
        truths
    }

    #[test]
    fn better_worse_and_cannot_be_told() {
        let found = truths(&[0.6; 12]).concluded(0).unwrap().unwrap();
        assert_eq!(found.n, 12);
        let rollout = &found.methods["rollout"];
        assert!((rollout.auroc - 0.6).abs() < 1e-12 && (found.object_share - 0.2).abs() < 1e-12);
        let [random, centre] = [rollout.over_random.unwrap(), rollout.over_centre.unwrap()];
        assert_eq!((random.better, centre.better), (Better::Yes, Better::No));
        assert!((random.auroc - (0.1 - 0.0055)).abs() < 1e-12 && random.low > 0.0 && centre.high < 0.0);
        assert!(
            found.methods["random"].over_random.is_none() && found.methods["random"].over_centre.is_some()
        );

        let undecided: Vec<f64> = (0..12).map(|image| if image % 2 == 0 { 0.9 } else { 0.1 }).collect();
        let found = truths(&undecided).concluded(0).unwrap().unwrap();
        assert_eq!(found.methods["rollout"].over_random.unwrap().better, Better::CannotBeTold);
    }

    #[test]
    fn few_images_have_means_and_no_verdict() {
        let found = truths(&[0.6; 9]).concluded(0).unwrap().unwrap();
        assert!(
            found.methods["rollout"].over_random.is_none() && found.methods["rollout"].over_centre.is_none()
        );
        assert!(truths(&[]).concluded(0).unwrap().is_none());
    }
}
