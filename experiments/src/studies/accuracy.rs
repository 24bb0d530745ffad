//! How often is each model right, does it know when, and do the two differ?

use std::collections::BTreeMap;

use archaeo_analysis::statistics::{
    Measured, Resampling, accuracy_difference, error_consistency, expected_calibration_error, mcnemar,
    mean_bootstrap,
};

use super::{Laboratory, ROLES, StudyError};
use crate::findings::{AccuracyFindings, ModelScores, PairComparison, Role, SplitAccuracy};
use archaeo_training::evaluate::Evaluation;

/// Equal-mass bins of the calibration error.
const CALIBRATION_BINS: usize = 15;

/// Scores of both models on every split but those that models were trained or chosen on.
///
/// # Errors
/// Data that cannot be read, or a logit that is not finite.
pub fn accuracy(lab: &Laboratory) -> Result<AccuracyFindings, StudyError> {
    let mut names: Vec<&str> = lab
        .dataset
        .splits()
        .keys()
        .map(String::as_str)
        .filter(|name| !["train", "val", "holdout"].contains(name) || *name == lab.main_split)
        .collect();
    names.sort_by_key(|name| (*name != lab.main_split, *name));

    let mut splits = Vec::new();
    let (mut confusion, mut per_class) = (BTreeMap::new(), BTreeMap::new());
    for name in names {
        let (vit, cnn) = (lab.predicted(name, Role::Vit)?, lab.predicted(name, Role::Cnn)?);
        splits.push(split_accuracy(lab, name, &vit, &cnn)?);
        if name == lab.main_split {
            for (role, predicted) in ROLES.into_iter().zip([&vit, &cnn]) {
                let matrix = predicted.scores()?.confusion_matrix();
                let classes = 0..matrix.classes;
                let row = |truth| classes.clone().map(|answer| matrix.count(truth, answer)).collect();
                confusion.insert(role, classes.clone().map(row).collect());
                let shown = |truth: usize| classes.clone().any(|answer| matrix.count(truth, answer) > 0);
                let recall = |class| shown(class).then(|| matrix.recall(class)).transpose();
                let recalls = classes.clone().map(recall).collect::<Result<_, _>>()?;
                per_class.insert(role, recalls);
            }
        }
    }
    Ok(AccuracyFindings { main_split: lab.main_split.into(), splits, confusion, per_class })
}

fn split_accuracy(
    lab: &Laboratory,
    name: &str,
    vit: &Evaluation,
    cnn: &Evaluation,
) -> Result<SplitAccuracy, StudyError> {
    let resampling = lab.resampling();
    let (vit_correct, cnn_correct) = (vit.scores()?.correct(1), cnn.scores()?.correct(1));
    let table = mcnemar(&vit_correct, &cnn_correct)?;
    let pair = PairComparison {
        both_right: table.both_correct,
        only_vit_right: table.only_first_correct,
        only_cnn_right: table.only_second_correct,
        both_wrong: table.both_wrong,
        mcnemar_p: table.p_value,
        difference: accuracy_difference(&vit_correct, &cnn_correct, &resampling)?,
        kappa: Measured::of(error_consistency(&vit_correct, &cnn_correct, &resampling))?,
    };
    let models = ROLES
        .into_iter()
        .zip([vit, cnn])
        .map(|(role, predicted)| Ok((role, model_scores(predicted, &resampling)?)))
        .collect::<Result<_, StudyError>>()?;
    Ok(SplitAccuracy { split: name.into(), n: vit.labels.len(), models, pair })
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
