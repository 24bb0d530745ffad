//! Whether two models' explanations point to the same places.

use archaeo_analysis::statistics::{Measured, Pairing};
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, tested};
use archaeo_report::numbers::{Unit, count, counted, p_value};

use super::findings::{Agreement, AgreementGroup, ComparisonFindings, HeatmapAgreement};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::report::shown::methods;
use crate::subjects::ModelName;

/// Up to so many pairs of models each has a sentence and a chart of its own.
pub(super) const FEW_PAIRS: usize = 3;

/// The claims are about what heatmaps of one image share beyond what heatmaps of different images share: two models that always
/// mark the middle agree without having seen the same thing. None without comparisons.
pub(super) fn claims(findings: &ComparisonFindings, names: &Names) -> Vec<Claim> {
    if findings.items.is_empty() {
        return Vec::new();
    }
    match &findings.pairs[..] {
        pairs if pairs.len() <= FEW_PAIRS => {
            pairs.iter().map(|pair| of_pair(findings, pair, names)).collect()
        }
        pairs => vec![overall(findings, pairs, names)],
    }
}

/// Two models' heatmaps: `rollout and Grad-CAM`, or `the rollouts of vit and vit-2`.
pub(super) fn heatmaps_of(models: [ModelName; 2], names: &Names) -> String {
    let [first, second] = models.map(|model| names.explained_by(model));
    match first == second {
        true => format!("the {first}s of {} and {}", names.the(models[0]), names.the(models[1])),
        false => format!("{first} and {second}"),
    }
}

fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: "comparisons", topic: "Agreement", statement, evidence }
}

fn of_pair(findings: &ComparisonFindings, pair: &HeatmapAgreement, names: &Names) -> Claim {
    let [first, second] = pair.models.map(|model| names.the(model));
    let (statement, mut evidence) = match &pair.agreement {
        Measured::Known(agreement) => known(agreement, pair.models, names),
        Measured::Undefined { undefined } => (
            format!(
                "Whether the explanations of {first} and {second} agree cannot be computed, because {undefined}."
            ),
            String::new(),
        ),
    };
    if pair.constant > 0 {
        let plural = if pair.constant == 1 { "has a" } else { "have a" };
        evidence += &format!(
            "{} {plural} constant heatmap, which ranks nothing, and cannot be compared. ",
            counted(pair.constant, "image")
        );
    }
    evidence += &explained(&pair.models, names);
    evidence += &format!(" Selection: {}.", findings.selection.trim_end_matches('.'));
    claim(statement, evidence)
}

/// `Rollout belongs to no class; Grad-CAM explains the class that the ResNet names.`
fn explained(models: &[ModelName], names: &Names) -> String {
    let parts = methods(models, names).into_iter().map(|(method, models)| {
        let whose: Vec<String> = models.iter().map(|model| names.the(*model)).collect();
        match (names.explains_answer(models[0]), whose.len()) {
            (false, _) => format!("{method} belongs to no class"),
            (true, 1) => format!("{method} explains the class that {} names", whose[0]),
            (true, _) => format!("{method} explains the class that the model it belongs to names"),
        }
    });
    capitalised(&format!("{}.", parts.collect::<Vec<_>>().join("; ")))
}

fn known(agreement: &Agreement, models: [ModelName; 2], names: &Names) -> (String, String) {
    let [first, second] = models.map(|model| names.the(model));
    let Agreement { pairing, same_answer, other_answer } = agreement;
    let statement = match tested(&pairing.difference, pairing.p_value) {
        Side::Above => format!(
            "The explanations of {first} and {second} agree more on the same image than on different images."
        ),
        Side::Below => format!(
            "The explanations of {first} and {second} agree less on the same image than on different images."
        ),
        Side::Undecided => format!(
            "It cannot be shown that the explanations of {first} and {second} agree more on the same image than on different \
             images."
        ),
    };
    let mut evidence = format!(
        "Mean rank correlation of {} over {}: {}; for heatmaps of different images {}; difference {}, {}. ",
        heatmaps_of(models, names),
        counted(pairing.together.n, "image"),
        Unit::Coefficient.sentence(&pairing.together),
        Unit::Coefficient.value(pairing.apart.value),
        Unit::Coefficient.sentence(&pairing.difference),
        p_value(pairing.p_value)
    );
    if let (Some(same), Some(other)) = (difference_of(same_answer), difference_of(other_answer)) {
        let both = if names.models().len() == 2 { "both models" } else { "the two" };
        evidence += &format!(
            "Where {both} name the same class ({}) the difference is {same}, where they name different classes ({}) it is \
             {other}. ",
            counted(same_answer.n, "image"),
            counted(other_answer.n, "image")
        );
    }
    (statement, evidence)
}

fn difference_of(group: &AgreementGroup) -> Option<String> {
    let difference = group.difference.as_ref()?;
    Some(match group.n {
        1 => Unit::Coefficient.value(difference.value),
        _ => Unit::Coefficient.sentence(difference),
    })
}

/// Many pairs: how many agree, and which most and least.
fn overall(findings: &ComparisonFindings, pairs: &[HeatmapAgreement], names: &Names) -> Claim {
    let known: Vec<(&HeatmapAgreement, &Pairing)> =
        pairs.iter().filter_map(|pair| Some((pair, &pair.agreement.known()?.pairing))).collect();
    let on = |side: Side| {
        known.iter().filter(|(_, pairing)| tested(&pairing.difference, pairing.p_value) == side).count()
    };
    let (more, less) = (on(Side::Above), on(Side::Below));
    let all = count(pairs.len());
    let mut statement = match more {
        0 => format!(
            "For none of the {all} pairs of models it can be shown that their explanations agree more on the same image than on \
             different images"
        ),
        _ => format!(
            "The explanations of {} of the {all} pairs of models agree more on the same image than on different images",
            count(more)
        ),
    };
    if less > 0 {
        statement += &format!("; those of {} agree less", count(less));
    }
    statement += ".";
    let largest = known.iter().max_by(|a, b| a.1.difference.value.total_cmp(&b.1.difference.value));
    let smallest = known.iter().min_by(|a, b| a.1.difference.value.total_cmp(&b.1.difference.value));
    let said = |&(pair, pairing): &(&HeatmapAgreement, &Pairing)| {
        format!(
            "{} ({} over {}, {})",
            listed(&pair.models.map(|model| names.the(model))),
            Unit::Coefficient.sentence(&pairing.difference),
            counted(pairing.together.n, "image"),
            p_value(pairing.p_value)
        )
    };
    let mut evidence = String::new();
    if let (Some(largest), Some(smallest)) = (largest, smallest) {
        evidence += &format!(
            "Mean rank correlation of the heatmaps of one image minus that of different images: most for {}; least for {}. \
             p-values are not corrected for the number of pairs. ",
            said(largest),
            said(smallest)
        );
    }
    let undefined = pairs.len() - known.len();
    if undefined > 0 {
        evidence += &format!("{} cannot be compared. ", counted(undefined, "pair"));
    }
    evidence += &explained(&names.models(), names);
    evidence += &format!(" Selection: {}.", findings.selection.trim_end_matches('.'));
    claim(statement, evidence)
}
