//! Which model is more accurate, on every split, and whether their probabilities can be believed.

use crate::findings::{AccuracyFindings, ModelScores, PairComparison, Role, SplitAccuracy};

use super::super::evidence::{SIGNIFICANCE, Side, apart, side};
use super::super::names::{Names, ROLES, capitalised, listed, other};
use super::super::numbers::{Unit, counted, p_value, percent};
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
    let threshold = Unit::Points.value(CLOSE_CALIBRATION);
    let statement = match (worse, close.len()) {
        (_, 2) => format!("Both models' probabilities are within {threshold} of the truth on average."),
        (Some(role), _) => format!(
            "The probabilities of {} are further from the truth than those of {}.",
            names.the(role),
            names.the(other(role))
        ),
        (None, 1) => format!(
            "Only for {} is it shown that probabilities are within {threshold} of the truth on average.",
            listed(&close)
        ),
        (None, _) => {
            "For neither model is it shown that its probabilities can be taken at their word.".into()
        }
    };
    let evidence = format!(
        "Expected calibration error, the mean gap between stated confidence and accuracy: {} {}, {} {}.",
        names.bare(Role::Vit),
        Unit::Points.sentence(&vit.ece),
        names.bare(Role::Cnn),
        Unit::Points.sentence(&cnn.ece)
    );
    Claim { section: "accuracy", topic: "Calibration", statement, evidence }
}
