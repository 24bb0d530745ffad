//! Which heads matter, and whether the gradient would have told.

use crate::findings::{HeadAblation, HeadFindings, Role};

use super::super::evidence::{SIGNIFICANCE, Side, side};
use super::super::names::Names;
use super::super::numbers::{Unit, cannot, counted, p_value};
use super::Claim;

/// Rank correlation from which on two rankings are called close.
const CLOSE_AGREEMENT: f64 = 0.5;

pub(super) fn claims(findings: &HeadFindings, names: &Names) -> Vec<Claim> {
    let mut claims = Vec::new();
    claims.extend(importance(findings, names));
    if !findings.ranking.is_empty() {
        claims.push(gradient(findings));
    }
    claims
}

/// Whether removing the head changes the loss after correction for looking at all heads.
pub(in super::super) fn survives(head: &HeadAblation) -> bool {
    head.adjusted_p < SIGNIFICANCE
}

/// A head's name in sentences and tables, layers and heads counted from 1.
pub(in super::super) fn head_name(head: &HeadAblation) -> String {
    format!("layer {}, head {}", head.layer + 1, head.head + 1)
}

fn importance(findings: &HeadFindings, names: &Names) -> Option<Claim> {
    let vit = names.the(Role::Vit);
    let top = findings.ranking.first()?;
    let total = counted(findings.ranking.len(), "head");
    let needed = findings.ranking.iter().filter(|head| survives(head) && head.mean.value > 0.0).count();
    let harmful = findings.ranking.iter().filter(|head| survives(head) && head.mean.value < 0.0).count();
    let mut statement = match needed {
        0 => format!("For none of the {total} can it be shown that {vit} needs it."),
        1 => format!("{vit} measurably needs 1 of its {total}."),
        _ => format!("{vit} measurably needs {needed} of its {total}."),
    };
    if harmful > 0 {
        statement += &format!(" Without {harmful} of them it would do better.");
    }
    let accuracy = match side(&top.accuracy_drop, 0.0) {
        Side::Above => format!("and costs {} of accuracy", Unit::Points.sentence(&top.accuracy_drop)),
        Side::Below => format!("yet accuracy rises by {}", Unit::Points.value(-top.accuracy_drop.value)),
        Side::Undecided => {
            format!(
                "while no loss of accuracy can be shown ({})",
                Unit::Points.interval_phrase(&top.accuracy_drop)
            )
        }
    };
    let change = if top.mean.value < 0.0 { "changes" } else { "raises" };
    let evidence = format!(
        "Replacing the output of the first in the ranking ({}) by its mean {change} the loss by {}, {accuracy}; adjusted {}.",
        head_name(top),
        Unit::Nats.sentence(&top.mean),
        p_value(top.adjusted_p)
    );
    Some(Claim { section: "heads", topic: "Heads", statement, evidence })
}

fn gradient(findings: &HeadFindings) -> Claim {
    let agreement = &findings.gradient_agreement;
    if agreement.value.is_nan() {
        return Claim {
            section: "heads",
            topic: "Gradient against ablation",
            statement: "Whether the gradient ranks the heads as taking them away does cannot be said.".into(),
            evidence: format!("The rank correlation {}.", cannot(&agreement.method)),
        };
    }
    let statement = match (side(agreement, 0.0), side(agreement, CLOSE_AGREEMENT)) {
        (Side::Above, Side::Above) => "The gradient ranks the heads much as taking them away does.",
        (Side::Above, _) => {
            "The gradient's ranking of heads agrees with taking them away, but is not shown to agree closely."
        }
        (Side::Below, _) => "The gradient ranks the heads against what taking them away shows.",
        (Side::Undecided, _) => {
            "No agreement between the gradient's ranking of heads and taking them away can be shown."
        }
    };
    Claim {
        section: "heads",
        topic: "Gradient against ablation",
        statement: statement.into(),
        evidence: format!(
            "Spearman's ρ of the two rankings over {}: {}.",
            counted(findings.ranking.len(), "head"),
            Unit::Coefficient.sentence(agreement)
        ),
    }
}
