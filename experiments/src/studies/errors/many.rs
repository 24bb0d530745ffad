//! The errors of three models or more: how many they share, and which pairs are most and least alike.

use archaeo_analysis::statistics::{AnswerAgreement, Estimate};
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, side};
use archaeo_report::numbers::{Unit, count, counted, p_value, percent};

use super::claims::{about_answers, about_errors, confidences, direction};
use super::findings::{ErrorFindings, SharedErrors};
use crate::findings::PairComparison;
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::subjects::ModelName;

/// Up to so many models it is said of each how sure it is where it alone errs.
const FEW_MODELS: usize = 3;

/// How many images all of the models have wrong, and how many some of them.
pub(super) fn together(findings: &ErrorFindings, names: &Names) -> Option<Claim> {
    let models = names.models();
    let wrong_for = |holds: &dyn Fn(usize) -> bool| -> usize {
        let groups = findings.groups.iter().filter(|group| holds(group.erring.len()));
        groups.map(|group| group.count).sum()
    };
    if findings.groups.is_empty() {
        return None;
    }
    let all = findings.groups.iter().find(|group| group.erring.len() == models.len());
    let statement = format!(
        "{} have {} of {} wrong; {} are wrong for some of them only.",
        capitalised(&names.all()),
        count(all.map_or(0, |group| group.count)),
        counted(findings.n, "image"),
        count(wrong_for(&|erring| erring < models.len()))
    );
    let mut evidence = match all {
        Some(all) => format!("Wrong for all: {}. ", Unit::Percent.sentence(&all.share)),
        None => String::new(),
    };
    evidence += &format!(
        "{} are wrong for one model alone, {} for more than one but not for all.",
        counted(wrong_for(&|erring| erring == 1), "image"),
        count(wrong_for(&|erring| erring > 1 && erring < models.len()))
    );
    if models.len() <= FEW_MODELS {
        evidence += &confidences(findings, &models, names);
    }
    Some(about_errors(statement, evidence))
}

fn pair_of(models: [ModelName; 2], names: &Names) -> String {
    listed(&models.map(|model| names.the(model)))
}

/// Which pairs of many models fail on the same images.
pub(super) fn overlaps(pairs: &[PairComparison], names: &Names) -> Option<Claim> {
    let known: Vec<([ModelName; 2], &Estimate)> =
        pairs.iter().filter_map(|pair| Some((pair.models, pair.kappa.known()?))).collect();
    let by_value =
        |a: &&([ModelName; 2], &Estimate), b: &&([ModelName; 2], &Estimate)| a.1.value.total_cmp(&b.1.value);
    let (most, least) = (known.iter().max_by(by_value)?, known.iter().min_by(by_value)?);
    let on = |wanted: Side| known.iter().filter(|(_, kappa)| side(kappa, 0.0) == wanted).count();
    let all = count(pairs.len());
    let mut statement = match on(Side::Above) {
        0 => format!(
            "For none of the {all} pairs of models it can be shown that they tend to fail on the same images"
        ),
        same => format!("Of {all} pairs of models, {} tend to fail on the same images", count(same)),
    };
    match on(Side::Below) {
        0 => {}
        different => statement += &format!("; {} tend to fail on different ones", count(different)),
    }
    let said = |(models, kappa): &([ModelName; 2], &Estimate)| {
        format!("{}, κ = {}", pair_of(*models, names), Unit::Coefficient.sentence(kappa))
    };
    let mut evidence =
        format!("Error consistency is largest for {}, and smallest for {}.", said(most), said(least));
    let undefined = pairs.len() - known.len();
    if undefined > 0 {
        evidence += &format!(" For {} it cannot be computed.", counted(undefined, "pair"));
    }
    Some(about_errors(format!("{statement}."), evidence))
}

/// Which pairs of many models share wrong answers.
pub(super) fn same_answers(pairs: &[SharedErrors], names: &Names) -> Option<Claim> {
    let known: Vec<([ModelName; 2], &AnswerAgreement)> =
        pairs.iter().filter_map(|pair| Some((pair.models, pair.same_answer.known()?))).collect();
    let by_excess = |a: &&([ModelName; 2], &AnswerAgreement), b: &&([ModelName; 2], &AnswerAgreement)| {
        a.1.excess.value.total_cmp(&b.1.excess.value)
    };
    let (most, least) = (known.iter().max_by(by_excess)?, known.iter().min_by(by_excess)?);
    let on = |wanted: Side| known.iter().filter(|(_, found)| direction(found) == wanted).count();
    let all = count(pairs.len());
    let than = "than independent models with the same confusions would";
    let mut statement = match on(Side::Above) {
        0 => {
            format!("No two models are shown to name the same wrong class more often {than}, of {all} pairs")
        }
        more => format!(
            "Where both of a pair are wrong, {} of {all} pairs of models name the same wrong class more often {than}",
            count(more)
        ),
    };
    match on(Side::Below) {
        0 => {}
        less => statement += &format!("; {} do so less often", count(less)),
    }
    let said = |(models, found): &([ModelName; 2], &AnswerAgreement)| {
        format!(
            "{} ({} against {} on {}: {}, permutation {})",
            pair_of(*models, names),
            percent(found.observed.value),
            percent(found.expected),
            counted(found.observed.n, "image"),
            Unit::Points.sentence(&found.excess),
            p_value(found.p_value)
        )
    };
    let evidence = format!(
        "The difference is largest for {}, and smallest for {}. p-values are not corrected for the number of pairs.",
        said(most),
        said(least)
    );
    Some(about_answers(format!("{statement}."), evidence))
}
