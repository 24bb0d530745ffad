//! Scores of heatmaps over images, and what they gain over baselines.

use archaeo_analysis::attribution::{Kind, MethodInfo};
use archaeo_analysis::faithfulness::MaskScores;
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Resampling, SHARE, mean_bootstrap, mean_within, sign_flip_family,
};

use super::findings::{Gains, LocalisationScore};
use crate::scene::StudyError;
use crate::subjects::{ByModel, ModelName};

/// One method's scores for one model, image by image.
pub(super) struct Scores {
    pub method: &'static MethodInfo,
    pub model: ModelName,
    constant: usize,
    mass: Vec<f64>,
    auroc: Vec<f64>,
    average_precision: Vec<f64>,
    pointing: Vec<f64>,
}

impl Scores {
    pub(super) fn new(
        method: &'static MethodInfo,
        model: ModelName,
        images: impl Iterator<Item = MaskScores>,
    ) -> Self {
        let images: Vec<MaskScores> = images.collect();
        let of = |score: fn(&MaskScores) -> f64| images.iter().map(score).collect();
        Self {
            method,
            model,
            constant: images.iter().filter(|image| image.constant).count(),
            mass: of(|image| image.mass),
            auroc: of(|image| image.auroc),
            average_precision: of(|image| image.average_precision),
            pointing: of(|image| image.pointing),
        }
    }

    /// Every score, in the order of [`gains`].
    fn all(&self) -> [&[f64]; 4] {
        [&self.mass, &self.auroc, &self.average_precision, &self.pointing]
    }

    fn finding(&self, resampling: &Resampling) -> Result<LocalisationScore, StudyError> {
        Ok(LocalisationScore {
            method: self.method.title.into(),
            model: (self.method.kind == Kind::Explanation).then_some(self.model),
            mass: mean_within(&self.mass, SHARE, DEFAULT_LEVEL)?,
            auroc: mean_within(&self.auroc, SHARE, DEFAULT_LEVEL)?,
            average_precision: mean_within(&self.average_precision, SHARE, DEFAULT_LEVEL)?,
            pointing: mean_bootstrap(&self.pointing, resampling)?,
            constant: self.constant,
            over_random: None,
            over_centre: None,
        })
    }
}

/// Baselines first, as the first model sees the images; then the explanations of each model, held against the baselines of
/// that model.
pub(super) fn scored(
    models: &ByModel<Vec<Scores>>,
    resampling: &Resampling,
) -> Result<Vec<LocalisationScore>, StudyError> {
    let of = |kind: Kind| move |scores: &&Scores| scores.method.kind == kind;
    let mut found = Vec::new();
    for baseline in models.values().take(1).flatten().filter(of(Kind::Baseline)) {
        found.push(baseline.finding(resampling)?);
    }
    let explanations: Vec<&Scores> = models.values().flatten().filter(of(Kind::Explanation)).collect();
    let against = |id: &str| {
        let baselines = models.values().flatten().filter(|scores| scores.method.id == id);
        let baselines: Vec<&Scores> = baselines.collect();
        let pairs: Vec<_> = explanations
            .iter()
            .filter_map(|scores| {
                Some((*scores, *baselines.iter().find(|other| other.model == scores.model)?))
            })
            .collect();
        gains(&pairs, resampling)
    };
    let (over_random, over_centre) = (against("random")?, against("centre")?);
    for ((scores, over_random), over_centre) in explanations.iter().zip(over_random).zip(over_centre) {
        found.push(LocalisationScore { over_random, over_centre, ..scores.finding(resampling)? });
    }
    Ok(found)
}

/// Each explanation's gain over a baseline, p-values adjusted over all of them and all scores.
fn gains(pairs: &[(&Scores, &Scores)], resampling: &Resampling) -> Result<Vec<Option<Gains>>, StudyError> {
    if pairs.iter().any(|(scores, _)| scores.mass.len() < 2) {
        return Ok(pairs.iter().map(|_| None).collect());
    }
    let samples: Vec<(&[f64], &[f64])> =
        pairs.iter().flat_map(|(scores, baseline)| scores.all().into_iter().zip(baseline.all())).collect();
    let mut tests = sign_flip_family(&samples, resampling)?.into_iter();
    let mut next = || tests.next().expect("four tests for each explanation");
    let of_one = |_| Gains { mass: next(), auroc: next(), average_precision: next(), pointing: next() };
    Ok(pairs.iter().map(of_one).map(Some).collect())
}

#[cfg(test)]
mod tests {
    use archaeo_analysis::attribution::{Heatmap, method};

    use super::*;

    fn names() -> [ModelName; 2] {
        ["vit", "cnn"].map(ModelName::new)
    }

    fn info(id: &str) -> &'static MethodInfo {
        method(id).unwrap().info()
    }

    /// The ViT with baselines that always hit, and the CNN with ones that never do and an explanation that hits where it is
    /// told to.
    fn hits(images: usize, hit: impl Fn(usize) -> bool) -> ByModel<Vec<Scores>> {
        let mask = [true, false, false, false];
        let at = |place: usize| {
            let values = (0..4).map(|pixel| if pixel == place { 1.0 } else { 0.1 }).collect();
            MaskScores::of(&Heatmap::new(2, 2, values), &mask, [2, 2]).unwrap()
        };
        let of = |name, id, place: &dyn Fn(usize) -> usize| {
            Scores::new(info(id), name, (0..images).map(|image| at(place(image))))
        };
        let baselines = ["random", "centre", "edges"];
        let vit: Vec<Scores> = baselines.map(|id| of(names()[0], id, &|_| 0)).into();
        let mut cnn: Vec<Scores> = baselines.map(|id| of(names()[1], id, &|_| 1)).into();
        cnn.insert(0, of(names()[1], "grad-cam", &|image| usize::from(!hit(image))));
        names().into_iter().zip([vit, cnn]).collect()
    }

    #[test]
    fn a_method_is_held_against_the_baselines_of_its_own_model() {
        let models = hits(20, |image| image % 4 > 0);
        let found = scored(&models, &Resampling::new(0)).unwrap();
        let listed: Vec<_> = found.iter().map(|score| (score.method.as_str(), score.model)).collect();
        assert_eq!(
            listed,
            [("random", None), ("centre", None), ("edges", None), ("Grad-CAM", Some(names()[1]))]
        );
        assert_eq!(found[1].pointing.value, 1.0, "baselines are shown as the first model sees the images");
        let gains = found[3].over_centre.as_ref().unwrap();
        // 15 of 20 hits. A map that hits has 1.0 of 1.3 of its mass on the object, one that misses 0.1 of 1.3.
        for (test, expected) in [
            (&gains.mass, 0.75 * 0.9 / 1.3),
            (&gains.auroc, 0.75 * (1.0 - 1.0 / 3.0)),
            (&gains.average_precision, 0.75 * (1.0 - 1.0 / 4.0)),
            (&gains.pointing, 0.75),
        ] {
            assert!((test.difference.value - expected).abs() < 1e-6, "{test:?}, not {expected}");
            assert!(test.p_value < 0.01 && test.difference.low > 0.0);
        }
    }

    #[test]
    fn one_image_is_scored_without_interval_or_comparison() {
        let models = hits(1, |_| true);
        let found = scored(&models, &Resampling::new(0)).unwrap();
        assert_eq!((found[3].mass.n, found[3].mass.low.is_nan()), (1, true));
        assert!(found[3].over_centre.is_none() && found[3].over_random.is_none());
    }

    #[test]
    fn methods_that_never_differ_from_a_baseline_are_a_result() {
        let models = hits(10, |_| false);
        let found = scored(&models, &Resampling::new(0)).unwrap();
        let mass = &found[3].over_centre.as_ref().unwrap().mass;
        assert_eq!((mass.difference.value, mass.p_value), (0.0, 1.0));
    }
}
