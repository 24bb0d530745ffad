//! Which model is more accurate, on every split, and whether their probabilities can be believed.

use crate::findings::{AccuracyFindings, ModelScores, PairComparison, Role, SplitAccuracy};

use archaeo_report::evidence::{SIGNIFICANCE, Side, apart, side};
use super::super::names::{Names, ROLES, capitalised, listed, other};
use archaeo_report::numbers::{Unit, counted, p_value, percent};
use super::Claim;

/// Expected calibration error up to which probabilities are called close to the truth.
const CLOSE_CALIBRATION: f64 = 0.05;

pub(super) fn claims(findings: &AccuracyFindings, names: &Names) -> Vec<Claim> {
    let Some(main) = findings.splits.iter().find(|split| split.split == findings.main_split) else {
        return Vec::new();
    };
    let (Some(vit), Some(cnn)) = (main.models.get(&Role::Vit), main.models.get(&Role::Cnn)) else {
        return Vec::new();
    };
    let others = findings.splits.iter().filter(|split| split.split != findings.main_split);
    let evidence =
        [format!("On {} of the {} split, {}.", counted(main.n, "image"), main.split, pair(main, names))]
            .into_iter()
            .chain(others.map(|split| on_another_split(split, names)));
    vec![
        Claim {
            section: "accuracy",
            topic: "Accuracy",
            statement: comparison(vit, cnn, &main.pair, names),
            evidence: evidence.collect::<Vec<_>>().join(" "),
        },
        calibration(vit, cnn, names),
    ]
}

/// The model that the paired evidence shows to be ahead; both the test and the interval must say so.
fn better(pair: &PairComparison) -> Option<Role> {
    match side(&pair.difference, 0.0) {
        Side::Above if pair.mcnemar_p < SIGNIFICANCE => Some(Role::Vit),
        Side::Below if pair.mcnemar_p < SIGNIFICANCE => Some(Role::Cnn),
        _ => None,
    }
}

/// Whether the models are right on the very same images, so that there is nothing to test.
fn never_differ(pair: &PairComparison) -> bool {
    pair.only_vit_right + pair.only_cnn_right == 0
}

fn comparison(vit: &ModelScores, cnn: &ModelScores, pair: &PairComparison, names: &Names) -> String {
    let top1 = |role| percent(if role == Role::Vit { vit.top1.value } else { cnn.top1.value });
    match better(pair) {
        Some(role) => format!(
            "{} is more accurate than {}: {} against {}.",
            capitalised(&names.the(role)),
            names.the(other(role)),
            top1(role),
            top1(other(role))
        ),
        None if never_differ(pair) => format!(
            "{} and {} are right on the very same images: both have an accuracy of {}.",
            capitalised(&names.the(Role::Vit)),
            names.the(Role::Cnn),
            top1(Role::Vit)
        ),
        None => format!(
            "No difference in accuracy between {} and {} can be shown: {} and {}.",
            names.the(Role::Vit),
            names.the(Role::Cnn),
            top1(Role::Vit),
            top1(Role::Cnn)
        ),
    }
}

fn pair(split: &SplitAccuracy, names: &Names) -> String {
    let PairComparison { difference, mcnemar_p, .. } = &split.pair;
    if never_differ(&split.pair) {
        return "there is no image on which only one of them is right, and so no difference to test".into();
    }
    format!(
        "the difference {} − {} is {}; exact McNemar {}",
        names.bare(Role::Vit),
        names.bare(Role::Cnn),
        Unit::Points.sentence(difference),
        p_value(*mcnemar_p)
    )
}

fn on_another_split(split: &SplitAccuracy, names: &Names) -> String {
    let verdict = match better(&split.pair) {
        Some(role) => format!("{} is ahead", names.the(role)),
        None if never_differ(&split.pair) => "both are right on the very same images".into(),
        None => "neither is shown to be ahead".into(),
    };
    let scores: Vec<String> = ROLES
        .iter()
        .filter_map(|role| {
            Some(format!("{} {}", names.bare(*role), percent(split.models.get(role)?.top1.value)))
        })
        .collect();
    format!("On {}, {verdict} ({}; {}).", split.split, scores.join(", "), p_value(split.pair.mcnemar_p))
}

fn calibration(vit: &ModelScores, cnn: &ModelScores, names: &Names) -> Claim {
    let worse = match apart(&vit.ece, &cnn.ece) {
        Side::Above => Some(Role::Vit),
        Side::Below => Some(Role::Cnn),
        Side::Undecided => None,
    };
    let close: Vec<String> = [(Role::Vit, vit), (Role::Cnn, cnn)]
        .into_iter()
        .filter(|(_, scores)| side(&scores.ece, CLOSE_CALIBRATION) == Side::Below)
        .map(|(role, _)| names.the(role))
        .collect();
    let far =
        [vit, cnn].into_iter().filter(|scores| side(&scores.ece, CLOSE_CALIBRATION) == Side::Above).count();
    let threshold = Unit::Points.value(CLOSE_CALIBRATION);
    let errors = format!(
        "{} for {} and {} for {}",
        Unit::Points.value(vit.ece.value),
        names.the(Role::Vit),
        Unit::Points.value(cnn.ece.value),
        names.the(Role::Cnn)
    );
    let statement = match (worse, close.len()) {
        (_, 2) => format!(
            "The probability that a model gives its answer is on average within {threshold} of how often it is right, for both \
             models: the gap is {errors}."
        ),
        (Some(role), _) => format!(
            "The probabilities that {} gives its answers are further from the truth than those of {}: the gap is {errors}.",
            names.the(role),
            names.the(other(role))
        ),
        (None, 1) => format!(
            "Only for {} is it shown that the probability of its answer is on average within {threshold} of how often it is right: \
             the gap is {errors}.",
            listed(&close)
        ),
        (None, _) if far == 2 => format!(
            "For neither model can the probability of its answer be taken at its word: it is off by more than {threshold} on \
             average, {errors}."
        ),
        (None, _) => format!(
            "For neither model is it shown that the probability of its answer can be taken at its word: the gap is {errors}."
        ),
    };
    let chance: Vec<String> = [(Role::Vit, vit), (Role::Cnn, cnn)]
        .into_iter()
        .filter_map(|(role, scores)| {
            Some(format!("{} {}", names.bare(role), Unit::Points.value(scores.ece_by_chance?)))
        })
        .collect();
    let mut evidence = format!(
        "Expected calibration error of the top label, the mean gap between the probability of the answer given and accuracy: {} {}, \
         {} {}.",
        names.bare(Role::Vit),
        Unit::Points.sentence(&vit.ece),
        names.bare(Role::Cnn),
        Unit::Points.sentence(&cnn.ece)
    );
    if !chance.is_empty() {
        evidence += &format!(
            " Perfectly calibrated models with the same probabilities would show by chance: {}.",
            chance.join(", ")
        );
    }
    evidence += " The probabilities of the other classes are not judged.";
    Claim { section: "accuracy", topic: "Calibration", statement, evidence }
}
