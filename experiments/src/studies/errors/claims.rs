//! Whether the models fail on the same images, and in the same way.

use archaeo_analysis::statistics::{AnswerAgreement, Measured};
use archaeo_report::Claim;
use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use archaeo_report::numbers::{Unit, cannot, count, counted, p_value, percent};

use super::findings::{ErrorFindings, ErrorGroup, SharedErrors};
use super::{apart_claims, many};
use crate::findings::{Investigation, PairComparison};
use crate::report::Names;
use crate::report::names::{capitalised, quoted};
use crate::studies::AccuracyStudy;
use crate::subjects::ModelName;

/// Up to so many pairs of models each has sentences of its own.
const FEW_PAIRS: usize = 3;

pub(super) fn claims(findings: &ErrorFindings, investigation: &Investigation, names: &Names) -> Vec<Claim> {
    let classes = &investigation.data.classes;
    let pairs = main_pairs(investigation);
    // With two classes there is only one wrong answer to give.
    let shared = if findings.by_class.len() > 2 { &findings.pairs[..] } else { &[] };
    let mut claims = Vec::new();
    match names.models()[..] {
        [] => {}
        [model] => claims.extend(alone(findings, model, classes, names)),
        [_, _] => {
            claims.extend(pairs.iter().map(|pair| overlap(findings, pair, names)));
            claims.extend(shared.iter().filter_map(|pair| same_answer(pair, names)));
        }
        _ if names.pairs().len() <= FEW_PAIRS => {
            claims.extend(many::together(findings, names));
            claims.extend(pairs.iter().map(|pair| overlap(findings, pair, names)));
            claims.extend(shared.iter().filter_map(|pair| same_answer(pair, names)));
        }
        _ => {
            claims.extend(many::together(findings, names));
            claims.extend(many::overlaps(&pairs, names));
            claims.extend(many::same_answers(shared, names));
        }
    }
    claims.extend(apart_claims::claims(&findings.factors, names));
    claims
}

pub(super) fn about_errors(statement: String, evidence: String) -> Claim {
    Claim { section: "errors", topic: "Errors", statement, evidence }
}

pub(super) fn about_answers(statement: String, evidence: String) -> Claim {
    Claim { section: "errors", topic: "Shared mistakes", statement, evidence }
}

/// Every two models on the main split.
fn main_pairs(investigation: &Investigation) -> Vec<PairComparison> {
    let Ok(Some(accuracy)) = investigation.findings::<AccuracyStudy>() else { return Vec::new() };
    let main = accuracy.splits.into_iter().find(|split| split.split == accuracy.main_split);
    main.map_or_else(Vec::new, |split| split.pairs)
}

/// The images that a model has wrong and no other one.
pub(super) fn alone_wrong(findings: &ErrorFindings, model: ModelName) -> Option<&ErrorGroup> {
    findings.groups.iter().find(|group| group.erring == [model])
}

/// One model, which there is none to compare with.
fn alone(findings: &ErrorFindings, model: ModelName, classes: &[String], names: &Names) -> Option<Claim> {
    let group = alone_wrong(findings, model)?;
    let the = names.the(model);
    let (images, all) = (count(group.count), counted(findings.n, "image"));
    let statement = match group.confusions.first() {
        Some(confusion) => format!(
            "{} has {images} of {all} wrong; most often it takes {} for {}.",
            capitalised(&the),
            quoted(classes, confusion.truth),
            quoted(classes, confusion.predicted)
        ),
        None => format!("{} has {images} of {all} wrong.", capitalised(&the)),
    };
    let mut evidence = format!("Share of wrong answers {}.", Unit::Percent.sentence(&group.share));
    if let Some(confusion) = group.confusions.first() {
        evidence += &format!(
            " It takes {} for {} in {}.",
            quoted(classes, confusion.truth),
            quoted(classes, confusion.predicted),
            counted(confusion.count, "image")
        );
    }
    if let Some(confidence) = group.confidence {
        evidence +=
            &format!(" It gives its wrong answers a probability of {} on average.", percent(confidence));
    }
    Some(about_errors(statement, evidence))
}

/// How the two of a pair are called: `the models` where there are no others.
fn called(models: [ModelName; 2], names: &Names) -> String {
    match names.models().len() {
        2 => "the models".into(),
        _ => format!("{} and {}", names.the(models[0]), names.the(models[1])),
    }
}

fn overlap(findings: &ErrorFindings, pair: &PairComparison, names: &Names) -> Claim {
    let [first, second] = pair.models.map(|model| names.the(model));
    let (only_first, only_second, both) = (pair.only_second_right, pair.only_first_right, pair.both_wrong);
    let models = called(pair.models, names);
    let statement = match pair.kappa.known().map(|kappa| side(kappa, 0.0)) {
        Some(Side::Above) if only_first + only_second == 0 => {
            format!("{} fail on exactly the same images.", capitalised(&models))
        }
        Some(Side::Above) => format!("{} tend to fail on the same images.", capitalised(&models)),
        Some(Side::Below) => format!("{} tend to fail on different images.", capitalised(&models)),
        Some(Side::Undecided) => {
            format!("It cannot be shown that {models} fail on the same images, or on different ones.")
        }
        None => format!(
            "Whether {models} tend to fail on the same images {}.",
            cannot(pair.kappa.reason().unwrap_or("it is undefined"))
        ),
    };
    let kappa = pair.kappa.known().map_or_else(String::new, |kappa| {
        format!("Error consistency κ = {}. ", Unit::Coefficient.sentence(kappa))
    });
    let images = format!("Of {} images", count(findings.n));
    let (only_first, only_second, both) = (count(only_first), count(only_second), count(both));
    if names.models().len() > 2 {
        let evidence = format!(
            "{kappa}{images}, {only_first} are wrong for {first} but not for {second}, {only_second} for {second} but not for \
             {first}, {both} for both."
        );
        return about_errors(statement, evidence);
    }
    let mut evidence = format!(
        "{kappa}{images}, {only_first} are wrong for {first} only, {only_second} for {second} only, {both} for both."
    );
    evidence += &confidences(findings, &pair.models, names);
    about_errors(statement, evidence)
}

/// How sure each of some models is where it alone is wrong.
pub(super) fn confidences(findings: &ErrorFindings, models: &[ModelName], names: &Names) -> String {
    let said = models.iter().filter_map(|&model| {
        let confidence = alone_wrong(findings, model)?.confidence?;
        Some(format!(
            " When only {} is wrong, it gives its wrong answer a probability of {} on average.",
            names.the(model),
            percent(confidence)
        ))
    });
    said.collect()
}

/// How often two models give the same wrong answer, relative to independent ones: test and interval must agree.
pub(super) fn direction(found: &AnswerAgreement) -> Side {
    match side(&found.excess, 0.0) {
        _ if found.p_value.is_nan() || found.p_value >= SIGNIFICANCE => Side::Undecided,
        side => side,
    }
}

/// `None` without images that both have wrong.
fn same_answer(pair: &SharedErrors, names: &Names) -> Option<Claim> {
    let same = pair.same_wrong_class.as_ref()?;
    let found = match &pair.same_answer {
        Measured::Known(found) => found,
        Measured::Undefined { undefined } => {
            return Some(about_answers(
                format!(
                    "Whether {} share wrong answers beyond their habits {}.",
                    called(pair.models, names),
                    cannot(undefined)
                ),
                format!(
                    "Same wrong class in {} of {} that both have wrong.",
                    Unit::Percent.sentence(same),
                    counted(same.n, "image")
                ),
            ));
        }
    };
    let both = match names.models().len() {
        2 => "both".into(),
        _ => format!("both {}", called(pair.models, names)),
    };
    let (observed, expected) = (percent(found.observed.value), percent(found.expected));
    let numbers = format!("{observed} against {expected}");
    let statement = match direction(found) {
        Side::Above => format!(
            "Where {both} are wrong, they name the same wrong class more often than independent models with the same confusions would: {numbers}."
        ),
        Side::Below => format!(
            "Where {both} are wrong, they name the same wrong class less often than independent models with the same confusions would: {numbers}."
        ),
        Side::Undecided => format!(
            "Where {both} are wrong, they are not shown to name the same wrong class more or less often than independent models with \
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
    Some(about_answers(
        statement,
        format!(
            "Same wrong class in {} of {} that both have wrong. Pairing each model's answers within the true class at random, which \
             keeps what each takes each class for, gives {expected}: a difference of {}; permutation {}.{alone}",
            Unit::Percent.sentence(&found.observed),
            counted(found.observed.n, "image"),
            Unit::Points.sentence(&found.excess),
            p_value(found.p_value)
        ),
    ))
}
