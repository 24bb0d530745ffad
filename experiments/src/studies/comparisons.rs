//! The same images under both models' explanations: input, ViT rollout, CNN Grad-CAM.

use std::collections::BTreeMap;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, Kind, methods_for, rank_correlation};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, Resampling, mean_t, pairing_test};

use archaeo_models::Classifier;

use super::pictures::{heat_panel, panel, row};
use super::{Laboratory, ROLES, StudyError};
use crate::findings::{Agreement, AgreementGroup, Comparison, ComparisonFindings, Role};
use archaeo_training::evaluate::Evaluation;
use archaeo_training::images::{preprocess, to_tensor};

/// Explains a sample of the main split with both models.
///
/// # Errors
/// A ViT without attention, or data that cannot be read.
pub fn comparisons(lab: &Laboratory) -> Result<ComparisonFindings, StudyError> {
    let count = lab.sizes.comparisons;
    let indices = lab.sample_to_show("comparisons", count, count)?;
    let (vit, cnn) = (lab.predicted(lab.main_split, Role::Vit)?, lab.predicted(lab.main_split, Role::Cnn)?);
    let answers = [vit.scores()?.predicted(), cnn.scores()?.predicted()];
    let split = lab.split()?;
    let methods = ROLES.map(|role| usual(lab.model(role)));
    let (mut items, mut pairs) = (Vec::new(), Vec::new());
    lab.for_each_batch("explanations compared", &indices, lab.vit, |batch, samples, for_vit| {
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let explained = |place: usize, images| {
            let keys = Keys { seed: lab.seed, images: &ids };
            methods[place].explain_predicted(&Evidence::new(lab.model(ROLES[place]), images, keys))
        };
        let rollouts = explained(0, for_vit)?;
        let preprocessing = &lab.cnn.card().preprocessing;
        let shown: Vec<_> =
            samples.iter().map(|sample| preprocess(sample.image.clone(), preprocessing)).collect();
        let grad_cams = explained(1, to_tensor(&shown, lab.device))?;
        for (((&index, image), rollout), grad_cam) in batch.iter().zip(&shown).zip(&rollouts).zip(&grad_cams)
        {
            let picture = row(&[panel(image)?, heat_panel(image, rollout)?, heat_panel(image, grad_cam)?])?;
            let answer = |role: usize, predicted: &Evaluation| {
                let class = answers[role][index];
                (ROLES[role], (class, predicted.probabilities(index)[class]))
            };
            let pair = Pair {
                rollout: rollout.clone(),
                grad_cam: grad_cam.resized(rollout.height, rollout.width),
                same_answer: answers[0][index] == answers[1][index],
            };
            items.push(Comparison {
                index,
                identifier: split.identifier(index),
                label: split.label(index),
                predictions: BTreeMap::from([answer(0, &vit), answer(1, &cnn)]),
                // A method that belongs to a class explains the one that its model names.
                explains: [0, 1]
                    .map(|place: usize| {
                        let class = answers[place][index];
                        (ROLES[place], methods[place].info().depends_on_class.then_some(class))
                    })
                    .into(),
                agreement: pair.agreement(),
                picture: lab.save(&format!("comparison-{index:05}"), &picture)?,
            });
            pairs.push(pair);
        }
        Ok(())
    })?;
    let selection = format!(
        "{} images of the {} split, drawn at random with seed {}, each class in proportion",
        items.len(),
        lab.main_split,
        lab.seed
    );
    let constant = pairs.iter().filter(|pair| pair.constant().is_some()).count();
    let agreement = agreement(&pairs, &lab.resampling())?;
    Ok(ComparisonFindings { selection, items, constant, agreement })
}

/// The method that a model is shown by.
fn usual(model: &Classifier) -> &'static dyn Attribution {
    *methods_for(model, Kind::Explanation).first().expect("Grad-CAM applies to every classifier")
}

/// Both models' heatmaps of one image, on the grid of the first.
struct Pair {
    rollout: Heatmap,
    grad_cam: Heatmap,
    /// Whether both models name the same class.
    same_answer: bool,
}

impl Pair {
    /// Which heatmap ranks nothing, as a reason why there is no agreement.
    fn constant(&self) -> Option<&'static str> {
        match (self.rollout.is_constant(), self.grad_cam.is_constant()) {
            (false, false) => None,
            (true, false) => Some("the rollout is constant"),
            (false, true) => Some("the Grad-CAM is constant"),
            (true, true) => Some("both heatmaps are constant"),
        }
    }

    fn agreement(&self) -> Measured<f64> {
        match (self.constant(), rank_correlation(&self.rollout, &self.grad_cam)) {
            (None, Some(agreement)) => Measured::Known(agreement),
            (reason, _) => Measured::undefined(reason.unwrap_or("a heatmap is constant")),
        }
    }
}

/// Agreement of heatmaps of one image, held against that of heatmaps of different images: both models may mark the middle,
/// whatever the image shows.
fn agreement(pairs: &[Pair], resampling: &Resampling) -> Result<Measured<Agreement>, StudyError> {
    let pairs: Vec<&Pair> = pairs.iter().filter(|pair| pair.constant().is_none()).collect();
    let n = pairs.len();
    if n < 2 {
        let found = if n == 1 { "there is 1" } else { "there are 0" };
        return Ok(Measured::undefined(format!(
            "it takes two or more images with heatmaps that are not constant, and {found}"
        )));
    }
    let table: Vec<f64> = pairs
        .iter()
        .flat_map(|first| pairs.iter().map(|second| rank_correlation(&first.rollout, &second.grad_cam)))
        .map(|agreement| agreement.expect("constant heatmaps were left out"))
        .collect();
    let pairing = pairing_test(&table, n, resampling)?;
    let group = |same_answer: bool| -> Result<AgreementGroup, StudyError> {
        let chosen: Vec<usize> = (0..n).filter(|&i| pairs[i].same_answer == same_answer).collect();
        let together: Vec<f64> = chosen.iter().map(|&i| table[i * n + i]).collect();
        let differences: Vec<f64> = chosen.iter().map(|&i| pairing.excess[i]).collect();
        let estimate =
            |values: &[f64]| (!values.is_empty()).then(|| mean_t(values, DEFAULT_LEVEL)).transpose();
        Ok(AgreementGroup {
            n: chosen.len(),
            together: estimate(&together)?,
            difference: estimate(&differences)?,
        })
    };
    let (same_answer, other_answer) = (group(true)?, group(false)?);
    Ok(Measured::Known(Agreement { pairing, same_answer, other_answer }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of 3 × 3 with a peak at one place.
    fn peak(place: usize) -> Heatmap {
        Heatmap::new(3, 3, (0..9).map(|at| (at as f32 - place as f32).abs()).collect())
    }

    fn flat() -> Heatmap {
        Heatmap::new(3, 3, vec![0.25; 9])
    }

    fn pair(rollout: Heatmap, grad_cam: Heatmap, same_answer: bool) -> Pair {
        Pair { rollout, grad_cam, same_answer }
    }

    fn agreement_of(pairs: &[Pair]) -> Measured<Agreement> {
        agreement(pairs, &Resampling::new(0)).unwrap()
    }

    #[test]
    fn maps_that_are_alike_for_all_images_agree_and_show_nothing() {
        let pairs: Vec<Pair> = (0..8).map(|i| pair(peak(4), peak(4), i % 2 == 0)).collect();
        let found = agreement_of(&pairs);
        let pairing = &found.known().unwrap().pairing;
        for value in [pairing.together.value, pairing.apart.value, 1.0 - pairing.difference.value] {
            assert!((value - 1.0).abs() < 1e-12, "{pairing:?}");
        }
        assert_eq!(pairing.p_value, 1.0);
    }

    #[test]
    fn maps_that_follow_their_image_agree_beyond_those_of_others() {
        let pairs: Vec<Pair> = (0..9).map(|i| pair(peak(i), peak(i), i < 6)).collect();
        let found = agreement_of(&pairs);
        let found = found.known().unwrap();
        assert!((found.pairing.together.value - 1.0).abs() < 1e-12);
        assert!(found.pairing.difference.low > 0.0 && found.pairing.p_value < 0.001, "{found:?}");
        assert_eq!((found.same_answer.n, found.other_answer.n), (6, 3));
        assert!(agreement_of(&pairs[..6]).known().unwrap().other_answer.difference.is_none());
    }

    #[test]
    fn constant_maps_are_left_out_with_a_reason() {
        let constant = pair(flat(), peak(1), true);
        assert_eq!(constant.agreement().reason(), Some("the rollout is constant"));
        assert_eq!(pair(peak(1), flat(), true).agreement().reason(), Some("the Grad-CAM is constant"));
        assert_eq!(pair(flat(), flat(), true).agreement().reason(), Some("both heatmaps are constant"));
        let pairs = [pair(peak(0), peak(0), true), constant];
        assert_eq!(
            agreement_of(&pairs).reason(),
            Some("it takes two or more images with heatmaps that are not constant, and there is 1")
        );
        assert!(agreement_of(&[]).reason().unwrap().ends_with("there are 0"));
        let pairs = [pair(peak(0), peak(0), true), pair(flat(), flat(), true), pair(peak(8), peak(8), true)];
        assert_eq!(agreement_of(&pairs).known().unwrap().pairing.together.n, 2);
    }
}
