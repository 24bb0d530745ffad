//! Whether the models fail on the same images, and in the same way.

use archaeo_analysis::statistics::Measured;

use crate::findings::{ErrorFindings, ErrorGroup, Investigation, PairComparison, Role};

use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use super::super::names::Names;
use archaeo_report::numbers::{Unit, cannot, count, counted, p_value, percent};
use super::Claim;

pub(super) fn claims(findings: &ErrorFindings, investigation: &Investigation, names: &Names) -> Vec<Claim> {
    let mut claims = Vec::new();
    if let Some(pair) = main_pair(investigation) {
        claims.push(overlap(findings, pair, names));
    }
    claims.extend(same_answer(findings));
    claims
}

/// The comparison of the pair on the main split.
fn main_pair(investigation: &Investigation) -> Option<&PairComparison> {
    let accuracy = investigation.accuracy.as_ref()?;
    accuracy.splits.iter().find(|split| split.split == accuracy.main_split).map(|split| &split.pair)
}

fn overlap(findings: &ErrorFindings, pair: &PairComparison, names: &Names) -> Claim {
    let of = |group| findings.groups.get(&group).map_or(0, |found| found.count);
    let (vit_only, cnn_only, both) = (of(ErrorGroup::VitOnly), of(ErrorGroup::CnnOnly), of(ErrorGroup::Both));
    let statement = match pair.kappa.known().map(|kappa| side(kappa, 0.0)) {
        Some(Side::Above) if vit_only + cnn_only == 0 => "The models fail on exactly the same images.".into(),
        Some(Side::Above) => "The models tend to fail on the same images.".into(),
        Some(Side::Below) => "The models tend to fail on different images.".into(),
        Some(Side::Undecided) => {
            "It cannot be shown that the models fail on the same images, or on different ones.".into()
        }
        None => format!(
            "Whether the models tend to fail on the same images {}.",
            cannot(pair.kappa.reason().unwrap_or("it is undefined"))
        ),
    };
    let kappa = pair.kappa.known().map_or_else(String::new, |kappa| {
        format!("Error consistency κ = {}. ", Unit::Coefficient.sentence(kappa))
    });
    let mut evidence = format!(
        "{kappa}Of {} images, {} are wrong for {} only, {} for {} only, {} for both.",
        count(findings.n),
        count(vit_only),
        names.the(Role::Vit),
        count(cnn_only),
        names.the(Role::Cnn),
        count(both),
    );
    for (group, role) in [(ErrorGroup::VitOnly, Role::Vit), (ErrorGroup::CnnOnly, Role::Cnn)] {
        if let Some(confidence) = findings.groups.get(&group).and_then(|found| found.confidence) {
            evidence += &format!(
                " When only {} is wrong, it gives its wrong answer a probability of {} on average.",
                names.the(role),
                percent(confidence)
            );
        }
    }
    Claim { section: "errors", topic: "Errors", statement, evidence }
}

/// `None` without images that both have wrong, and with two classes, where there is but one wrong answer to give.
fn same_answer(findings: &ErrorFindings) -> Option<Claim> {
    let same = findings.same_wrong_class.as_ref()?;
    let claim = |statement: String, evidence: String| {
        Some(Claim { section: "errors", topic: "Shared mistakes", statement, evidence })
    };
    if findings.by_class.len() <= 2 {
        return None;
    }
    let found = match findings.same_answer.as_ref()? {
        Measured::Known(found) => found,
        Measured::Undefined { undefined } => {
            return claim(
                format!("Whether the models share wrong answers beyond their habits {}.", cannot(undefined)),
                format!(
                    "Same wrong class in {} of {} that both have wrong.",
                    Unit::Percent.sentence(same),
                    counted(same.n, "image")
                ),
            );
        }
    };
    // Test and interval must agree.
    let direction = match side(&found.excess, 0.0) {
        _ if found.p_value.is_nan() || found.p_value >= SIGNIFICANCE => Side::Undecided,
        side => side,
    };
    let (observed, expected) = (percent(found.observed.value), percent(found.expected));
    let numbers = format!("{observed} against {expected}");
    let statement = match direction {
        Side::Above => format!(
            "Where both are wrong, they name the same wrong class more often than independent models with the same confusions would: {numbers}."
        ),
        Side::Below => format!(
            "Where both are wrong, they name the same wrong class less often than independent models with the same confusions would: {numbers}."
        ),
        Side::Undecided => format!(
            "Where both are wrong, they are not shown to name the same wrong class more or less often than independent models with \
             the same confusions would: {numbers}."
        ),
    };
    let alone = match found.alone {
        0 => String::new(),
        1 => " One more image is the only such image of its class and cannot be compared.".into(),
        alone => format!(
            " {} more are the only such images of their classes and cannot be compared.",
            count(alone)
        ),
    };
    claim(
        statement,
        format!(
            "Same wrong class in {} of {} that both have wrong. Pairing each model's answers within the true class at random, which \
             keeps what each takes each class for, gives {expected}: a difference of {}; permutation {}.{alone}",
            Unit::Percent.sentence(&found.observed),
            counted(found.observed.n, "image"),
            Unit::Points.sentence(&found.excess),
            p_value(found.p_value)
        ),
    )
}
