//! Can a model be trusted, and when does it fail? The few numbers that decide.

mod chapter;
mod claims;
mod definitions;
pub mod findings;
mod positive;
mod verdict;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use archaeo_analysis::statistics::{
    ConfusionMatrix, DEFAULT_LEVEL, Estimate, Measured, Predictions, Resampling, StatisticsError,
    accuracy_difference, balanced_accuracy, mcnemar, proportion_difference, roc_auc, wilson,
    wilson_of_family,
};
use archaeo_training::evaluate::Evaluation;

use self::findings::{
    BinaryScores, CONFIDENT, ClassAccuracy, ConfidentAnswers, ConstantAnswer, FEWEST_OF_CLASS,
    MostCommonClass, SplitGap, Trust, TrustFindings, UsualAnswer,
};
use self::positive::positive_class;
use crate::findings::{Confusion, Investigation};
use crate::options::NoOptions;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::ByModel;
use crate::units::{NoRecord, Recorded};

/// Headline numbers of every model on the main split, held against always giving one answer and against the split that models
/// were chosen on.
pub struct TrustStudy;

impl Study for TrustStudy {
    const ID: &'static str = "trust";
    const TITLE: &'static str = "Can it be trusted, and when does it fail?";
    const QUESTION: &'static str = "whether {it} can be trusted";
    const OPENS: bool = true;
    type Options = NoOptions;
    type Record = NoRecord;
    type Findings = TrustFindings;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    fn conclude(scene: &Scene, _: Vec<Recorded<NoRecord>>) -> Result<TrustFindings, StudyError> {
        let selection = scene.dataset.selection_split();
        let mut models = ByModel::default();
        for name in scene.names() {
            let chosen_on =
                selection.map(|split| Ok::<_, StudyError>((split, scene.predicted(split, name)?)));
            let chosen_on = chosen_on.transpose()?;
            let predicted = scene.predicted(scene.main_split, name)?;
            let before = chosen_on.as_ref().map(|(split, predicted)| (*split, predicted));
            models.insert(name, headlines(&predicted, &scene.dataset.classes, before, &scene.resampling())?);
        }
        let splits = ["train", scene.main_split].into_iter().filter_map(|name| {
            let (class, images, n) = most_common(&scene.dataset.splits().get(name)?.labels())?;
            Some(MostCommonClass { split: name.into(), class, images, n })
        });
        Ok(TrustFindings { split: scene.main_split.into(), most_common: splits.collect(), models })
    }

    fn chapter(findings: &TrustFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

/// Headline numbers of one model: its answers on one split, the names of the classes, and, by its name, what it answers on the
/// split that it was chosen on.
///
/// # Errors
/// No images, or a logit that is not finite.
pub fn headlines(
    predicted: &Evaluation,
    classes: &[String],
    chosen_on: Option<(&str, &Evaluation)>,
    resampling: &Resampling,
) -> Result<Trust, StudyError> {
    let scores = predicted.scores()?;
    let (labels, correct) = (&predicted.labels, scores.correct(1));
    let n = labels.len();
    let right = count(&correct);
    let accuracy = wilson(right, n, DEFAULT_LEVEL)?;
    let gap = match chosen_on {
        None => Measured::undefined("the data has no split that the model was chosen on"),
        Some((split, before)) => {
            let before = before.scores()?.correct(1);
            Measured::from(SplitGap {
                split: split.into(),
                accuracy: wilson(count(&before), before.len(), DEFAULT_LEVEL)?,
                difference: proportion_difference((count(&before), before.len()), (right, n), DEFAULT_LEVEL)?,
            })
        }
    };
    let matrix = scores.confusion_matrix();
    let (classes_seen, too_small) = of_classes(&matrix)?;
    Ok(Trust {
        n,
        accuracy,
        constant: constant_answer(labels, &correct, resampling)?,
        usual: usual_answer(labels, &scores.predicted())?,
        balanced: Measured::of(balanced_accuracy(labels, &correct, resampling))?,
        classes: classes_seen,
        too_small,
        gap,
        confident: confident_answers(&scores, &correct)?,
        binary: (predicted.classes == 2).then(|| binary(predicted, &matrix, classes)).transpose()?,
    })
}

fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|&&flag| flag).count()
}

/// The most frequent of some classes: class, how often, of how many. Among equals the one that is met first, so that it does not
/// depend on how classes are numbered.
fn most_common(labels: &[usize]) -> Option<(usize, usize, usize)> {
    let mut counts: BTreeMap<usize, (usize, Reverse<usize>)> = BTreeMap::new();
    for (place, &label) in labels.iter().enumerate() {
        counts.entry(label).or_insert((0, Reverse(place))).0 += 1;
    }
    let (&class, &(images, _)) = counts.iter().max_by_key(|(_, met)| **met)?;
    Some((class, images, labels.len()))
}

fn constant_answer(
    labels: &[usize],
    correct: &[bool],
    resampling: &Resampling,
) -> Result<ConstantAnswer, StatisticsError> {
    let (class, images, n) = most_common(labels).unwrap_or_default();
    let of_constant: Vec<bool> = labels.iter().map(|&label| label == class).collect();
    Ok(ConstantAnswer {
        class,
        images,
        share: images as f64 / n as f64,
        gain: accuracy_difference(correct, &of_constant, resampling)?,
        p_value: mcnemar(correct, &of_constant)?.p_value,
    })
}

fn usual_answer(labels: &[usize], answers: &[usize]) -> Result<UsualAnswer, StatisticsError> {
    let (class, times, n) = most_common(answers).unwrap_or_default();
    let truth = labels.iter().filter(|&&label| label == class).count() as f64 / n as f64;
    Ok(UsualAnswer { class, share: wilson(times, n, DEFAULT_LEVEL)?, truth })
}

/// The classes with enough images, the worst first, and how many have too few.
fn of_classes(matrix: &ConfusionMatrix) -> Result<(Vec<ClassAccuracy>, usize), StatisticsError> {
    let images = |class: usize| (0..matrix.classes).map(|answer| matrix.count(class, answer)).sum::<usize>();
    let present: Vec<usize> = (0..matrix.classes).filter(|&class| images(class) > 0).collect();
    let large: Vec<usize> =
        present.iter().copied().filter(|&class| images(class) >= FEWEST_OF_CLASS).collect();
    let accuracy = |&class: &usize| {
        let mistakes =
            (0..matrix.classes).filter(|&answer| answer != class && matrix.count(class, answer) > 0);
        let taken_for = mistakes
            .max_by_key(|&answer| (matrix.count(class, answer), Reverse(answer)))
            .map(|predicted| Confusion { truth: class, predicted, count: matrix.count(class, predicted) });
        let right = matrix.count(class, class);
        let accuracy = wilson_of_family(right, images(class), DEFAULT_LEVEL, large.len())?;
        Ok(ClassAccuracy { class, accuracy, taken_for })
    };
    let mut classes: Vec<ClassAccuracy> =
        large.iter().map(accuracy).collect::<Result<_, StatisticsError>>()?;
    classes.sort_by(|a, b| a.accuracy.value.total_cmp(&b.accuracy.value).then(a.class.cmp(&b.class)));
    Ok((classes, present.len() - large.len()))
}

fn confident_answers(scores: &Predictions, correct: &[bool]) -> Result<ConfidentAnswers, StatisticsError> {
    let confidences = scores.confidences();
    let sure = |wanted: bool| {
        confidences
            .iter()
            .zip(correct)
            .filter(|(sure, right)| **sure >= CONFIDENT && **right == wanted)
            .count()
    };
    let errors = correct.len() - count(correct);
    let (confident_errors, answers) = (sure(false), sure(false) + sure(true));
    let share = |of: usize, reason: &str| -> Result<Measured, StatisticsError> {
        match of {
            0 => Ok(Measured::undefined(reason)),
            of => wilson(confident_errors, of, DEFAULT_LEVEL).map(Measured::from),
        }
    };
    Ok(ConfidentAnswers {
        errors,
        confident_errors,
        share_of_errors: share(errors, "there is no error")?,
        answers,
        wrong: share(answers, "no answer is that confident")?,
    })
}

fn binary(
    predicted: &Evaluation,
    matrix: &ConfusionMatrix,
    classes: &[String],
) -> Result<BinaryScores, StatisticsError> {
    let name = |class: usize| classes.get(class).map_or("", String::as_str);
    let (positive, by_name) = positive_class([name(0), name(1)]);
    let negative = 1 - positive;
    let recall = |class: usize| -> Result<Measured<Estimate>, StatisticsError> {
        match matrix.count(class, 0) + matrix.count(class, 1) {
            0 => Ok(Measured::undefined(format!("there is no image of class “{}”", name(class)))),
            _ => matrix.recall(class).map(Measured::from),
        }
    };
    // Ranks as the probability does, and does not run into 1.
    let scores: Vec<f64> = predicted
        .logits
        .chunks_exact(2)
        .map(|row| f64::from(row[positive]) - f64::from(row[negative]))
        .collect();
    let is_positive: Vec<bool> = predicted.labels.iter().map(|&label| label == positive).collect();
    Ok(BinaryScores {
        positive,
        by_name,
        sensitivity: recall(positive)?,
        specificity: recall(negative)?,
        auc: Measured::of(roc_auc(&scores, &is_positive, DEFAULT_LEVEL))?,
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod verdict_tests;
