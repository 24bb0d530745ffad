//! Whether the probability of an answer says how often it is right.

use archaeo_report::Claim;
use archaeo_report::evidence::{Side, apart, side};
use archaeo_report::numbers::Unit;

use super::findings::ModelScores;
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::subjects::{ByModel, ModelName};

/// Expected calibration error up to which probabilities are called close to the truth.
const CLOSE_CALIBRATION: f64 = 0.05;

pub(super) fn claim(models: &ByModel<ModelScores>, names: &Names) -> Claim {
    let on = |wanted: Side| -> Vec<ModelName> {
        let there = |scores: &ModelScores| side(&scores.ece, CLOSE_CALIBRATION) == wanted;
        models.iter().filter(|(_, scores)| there(scores)).map(|(name, _)| name).collect()
    };
    let (close, far) = (on(Side::Below), on(Side::Above));
    let each: Vec<String> = models
        .iter()
        .map(|(name, scores)| format!("{} for {}", Unit::Points.value(scores.ece.value), names.the(name)))
        .collect();
    let gap = listed(&each);
    let all: Vec<(ModelName, &ModelScores)> = models.iter().collect();
    let statement = match &all[..] {
        [(name, scores)] => one(*name, scores, names),
        [first, second] => two(*first, *second, &close, &far, &gap, names),
        _ => several(&close, &far, &gap, names),
    };
    Claim { section: "accuracy", topic: "Calibration", statement, evidence: evidence(models, names) }
}

fn threshold() -> String {
    Unit::Points.value(CLOSE_CALIBRATION)
}

fn one(name: ModelName, scores: &ModelScores, names: &Names) -> String {
    let (the, gap, threshold) = (names.the(name), Unit::Points.value(scores.ece.value), threshold());
    match side(&scores.ece, CLOSE_CALIBRATION) {
        Side::Below => format!(
            "The probability that {the} gives its answer is on average within {threshold} of how often it is right: the gap is \
             {gap}."
        ),
        Side::Above => format!(
            "The probability that {the} gives its answer cannot be relied on: it is off by more than {threshold} on average, {gap}."
        ),
        Side::Undecided => format!(
            "It is not shown that the probability that {the} gives its answer can be relied on: the gap is {gap}."
        ),
    }
}

fn two(
    (first, of_first): (ModelName, &ModelScores),
    (second, of_second): (ModelName, &ModelScores),
    close: &[ModelName],
    far: &[ModelName],
    gap: &str,
    names: &Names,
) -> String {
    let worse = match apart(&of_first.ece, &of_second.ece) {
        Side::Above => Some([first, second]),
        Side::Below => Some([second, first]),
        Side::Undecided => None,
    };
    let threshold = threshold();
    match (worse, close) {
        (_, [_, _]) => format!(
            "The probability that a model gives its answer is on average within {threshold} of how often it is right, for both \
             models: the gap is {gap}."
        ),
        (Some([worse, better]), _) => format!(
            "The probabilities that {} gives its answers are further from the truth than those of {}: the gap is {gap}.",
            names.the(worse),
            names.the(better)
        ),
        (None, [only]) => format!(
            "Only for {} is it shown that the probability of its answer is on average within {threshold} of how often it is right: \
             the gap is {gap}.",
            names.the(*only)
        ),
        (None, _) if far.len() == 2 => format!(
            "For neither model can the probability of its answer be relied on: it is off by more than {threshold} on \
             average, {gap}."
        ),
        (None, _) => format!(
            "For neither model is it shown that the probability of its answer can be relied on: the gap is {gap}."
        ),
    }
}

fn several(close: &[ModelName], far: &[ModelName], gap: &str, names: &Names) -> String {
    let called =
        |models: &[ModelName]| listed(&models.iter().map(|name| names.the(*name)).collect::<Vec<String>>());
    let threshold = threshold();
    let mut parts = Vec::new();
    if !close.is_empty() {
        parts.push(format!(
            "the probability of an answer is on average within {threshold} of how often it is right for {}",
            called(close)
        ));
    }
    if !far.is_empty() {
        parts.push(format!("it is off by more than {threshold} on average for {}", called(far)));
    }
    if parts.is_empty() {
        parts.push("for no model is it shown that the probability of its answer can be relied on".into());
    }
    format!("{}: the gap is {gap}.", capitalised(&parts.join("; ")))
}

fn evidence(models: &ByModel<ModelScores>, names: &Names) -> String {
    let each: Vec<String> = models
        .iter()
        .map(|(name, scores)| format!("{} {}", names.bare(name), Unit::Points.sentence(&scores.ece)))
        .collect();
    let chance: Vec<String> = models
        .iter()
        .filter_map(|(name, scores)| {
            Some(format!("{} {}", names.bare(name), Unit::Points.value(scores.ece_by_chance?)))
        })
        .collect();
    let mut evidence = format!(
        "Expected calibration error of the top label, the mean gap between the probability of the answer given and accuracy: {}.",
        each.join(", ")
    );
    if !chance.is_empty() {
        evidence += &format!(
            " Perfectly calibrated models with the same probabilities would show by chance: {}.",
            chance.join(", ")
        );
    }
    evidence + " The probabilities of the other classes are not judged."
}
