//! How often is each model right, does it know when, and do they differ?

mod calibration;
mod chapter;
mod claims;
mod confusion;
mod definitions;
pub mod findings;

use archaeo_analysis::statistics::{
    Measured, Resampling, accuracy_difference, error_consistency, expected_calibration_error, mcnemar,
    mean_bootstrap,
};
use archaeo_training::evaluate::Evaluation;

use self::findings::{AccuracyFindings, ModelScores, PairComparison, SplitAccuracy};
use crate::findings::Investigation;
use crate::options::NoOptions;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{NoRecord, Recorded};

/// Equal-mass bins of the calibration error.
const CALIBRATION_BINS: usize = 15;

/// Scores of every model on every split but those that models were trained or chosen on.
pub struct AccuracyStudy;

impl Study for AccuracyStudy {
    const ID: &'static str = "accuracy";
    const TITLE: &'static str = "Accuracy";
    const QUESTION: &'static str = "how often {it} is right";
    type Options = NoOptions;
    type Record = NoRecord;
    type Findings = AccuracyFindings;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    fn conclude(scene: &Scene, _: Vec<Recorded<NoRecord>>) -> Result<AccuracyFindings, StudyError> {
        let is_asked = |name: &&str| !["train", "val", "holdout"].contains(name) || *name == scene.main_split;
        let mut splits: Vec<&str> =
            scene.dataset.splits().keys().map(String::as_str).filter(is_asked).collect();
        splits.sort_by_key(|name| (*name != scene.main_split, *name));

        let mut found = Vec::new();
        let (mut confusion, mut per_class) = (ByModel::default(), ByModel::default());
        for split in splits {
            let mut predicted = ByModel::default();
            for name in scene.names() {
                predicted.insert(name, scene.predicted(split, name)?);
            }
            found.push(split_accuracy(scene, split, &predicted)?);
            if split == scene.main_split {
                for (name, predicted) in predicted.iter() {
                    let matrix = predicted.scores()?.confusion_matrix();
                    let classes = 0..matrix.classes;
                    let row = |truth| classes.clone().map(|answer| matrix.count(truth, answer)).collect();
                    confusion.insert(name, classes.clone().map(row).collect());
                    let shown = |truth: usize| classes.clone().any(|answer| matrix.count(truth, answer) > 0);
                    let recall = |class| shown(class).then(|| matrix.recall(class)).transpose();
                    let recalls = classes.clone().map(recall).collect::<Result<_, _>>()?;
                    per_class.insert(name, recalls);
                }
            }
        }
        Ok(AccuracyFindings { main_split: scene.main_split.into(), splits: found, confusion, per_class })
    }

    fn chapter(findings: &AccuracyFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

fn split_accuracy(
    scene: &Scene,
    split: &str,
    predicted: &ByModel<Evaluation>,
) -> Result<SplitAccuracy, StudyError> {
    let resampling = scene.resampling();
    let mut models = ByModel::default();
    let mut correct = ByModel::default();
    for (name, predicted) in predicted.iter() {
        models.insert(name, model_scores(predicted, &resampling)?);
        correct.insert(name, predicted.scores()?.correct(1));
    }
    let compare = |models: [ModelName; 2]| -> Result<PairComparison, StudyError> {
        let [first, second] = models.map(|name| correct[name].as_slice());
        let table = mcnemar(first, second)?;
        Ok(PairComparison {
            models,
            both_right: table.both_correct,
            only_first_right: table.only_first_correct,
            only_second_right: table.only_second_correct,
            both_wrong: table.both_wrong,
            mcnemar_p: table.p_value,
            difference: accuracy_difference(first, second, &resampling)?,
            kappa: Measured::of(error_consistency(first, second, &resampling))?,
        })
    };
    let pairs = scene.pairs().into_iter().map(compare).collect::<Result<_, _>>()?;
    let n = predicted.values().next().map_or(0, |predicted| predicted.labels.len());
    Ok(SplitAccuracy { split: split.into(), n, models, pairs })
}

/// Scores of one model on one split.
///
/// # Errors
/// No images, or a logit that is not finite.
pub fn model_scores(predicted: &Evaluation, resampling: &Resampling) -> Result<ModelScores, StudyError> {
    let scores = predicted.scores()?;
    let calibration =
        expected_calibration_error(&scores.confidences(), &scores.correct(1), CALIBRATION_BINS, resampling)?;
    Ok(ModelScores {
        top1: scores.top_k_accuracy(1)?,
        top5: (predicted.classes > 5).then(|| scores.top_k_accuracy(5)).transpose()?,
        nll: mean_bootstrap(&scores.nll(), resampling)?,
        ece: calibration.error,
        ece_by_chance: Some(calibration.noise_floor),
    })
}

#[cfg(test)]
mod tests;
