//! Whether the two models' explanations point to the same places.

use archaeo_analysis::statistics::Measured;

use crate::findings::{Agreement, AgreementGroup, ComparisonFindings, Role};

use archaeo_report::evidence::{Side, tested};
use super::super::names::Names;
use archaeo_report::numbers::{Unit, counted, p_value};
use super::Claim;

/// The claim is about what heatmaps of one image share beyond what heatmaps of different images share: two models that always
/// mark the middle agree without having seen the same thing. `None` without comparisons.
pub(super) fn claim(findings: &ComparisonFindings, names: &Names) -> Option<Claim> {
    if findings.items.is_empty() {
        return None;
    }
    let (vit, cnn) = (names.the(Role::Vit), names.the(Role::Cnn));
    let (statement, mut evidence) = match &findings.agreement {
        Measured::Known(agreement) => known(agreement, &vit, &cnn),
        Measured::Undefined { undefined } => (
            format!(
                "Whether the explanations of {vit} and {cnn} agree cannot be computed, because {undefined}."
            ),
            String::new(),
        ),
    };
    if findings.constant > 0 {
        let plural = if findings.constant == 1 { "has a" } else { "have a" };
        evidence += &format!(
            "{} {plural} constant heatmap, which ranks nothing, and cannot be compared. ",
            counted(findings.constant, "image")
        );
    }
    evidence += &format!(
        "Rollout belongs to no class; Grad-CAM explains the class that {cnn} names. Selection: {}.",
        findings.selection.trim_end_matches('.')
    );
    Some(Claim { section: "comparisons", topic: "Agreement", statement, evidence })
}

fn known(agreement: &Agreement, vit: &str, cnn: &str) -> (String, String) {
    let Agreement { pairing, same_answer, other_answer } = agreement;
    let statement = match tested(&pairing.difference, pairing.p_value) {
        Side::Above => format!(
            "The explanations of {vit} and {cnn} agree more on the same image than on different images."
        ),
        Side::Below => format!(
            "The explanations of {vit} and {cnn} agree less on the same image than on different images."
        ),
        Side::Undecided => format!(
            "It cannot be shown that the explanations of {vit} and {cnn} agree more on the same image than on different \
             images."
        ),
    };
    let mut evidence = format!(
        "Mean rank correlation of rollout and Grad-CAM over {}: {}; for heatmaps of different images {}; difference {}, {}. ",
        counted(pairing.together.n, "image"),
        Unit::Coefficient.sentence(&pairing.together),
        Unit::Coefficient.value(pairing.apart.value),
        Unit::Coefficient.sentence(&pairing.difference),
        p_value(pairing.p_value)
    );
    if let (Some(same), Some(other)) = (difference_of(same_answer), difference_of(other_answer)) {
        evidence += &format!(
            "Where both models name the same class ({}) the difference is {same}, where they name different classes ({}) it is \
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
