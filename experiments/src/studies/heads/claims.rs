//! Which heads matter, and whether the gradient would have told.

use crate::findings::{HeadAblation, HeadFindings, Role, SelectedHead};

use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use super::super::names::Names;
use archaeo_report::numbers::{Unit, counted, p_value};
use super::Claim;

/// Rank correlation from which on two rankings are called close.
const CLOSE_AGREEMENT: f64 = 0.5;

pub(super) fn claims(findings: &HeadFindings, names: &Names) -> Vec<Claim> {
    if findings.ranking.is_empty() {
        return Vec::new();
    }
    vec![importance(findings, names), gradient(findings)]
}

/// Whether the model needs a head, after correction for looking at all heads. The interval of the loss increase comes from
/// the same test as the p-value, so that it lies on the side that the verdict names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    Needed,
    BetterWithout,
    Undecided,
}

/// What the data say of a head.
pub(in super::super) fn verdict(head: &HeadAblation) -> Verdict {
    match head.mean.value {
        _ if head.adjusted_p.is_nan() || head.adjusted_p >= SIGNIFICANCE => Verdict::Undecided,
        increase if increase > 0.0 => Verdict::Needed,
        increase if increase < 0.0 => Verdict::BetterWithout,
        _ => Verdict::Undecided,
    }
}

/// A head's name in sentences and tables, layers and heads counted from 1.
pub(in super::super) fn head_name(layer: usize, head: usize) -> String {
    format!("layer {}, head {}", layer + 1, head + 1)
}

fn importance(findings: &HeadFindings, names: &Names) -> Claim {
    let vit = names.the(Role::Vit);
    let total = counted(findings.ranking.len(), "head");
    let with = |wanted| findings.ranking.iter().filter(|head| verdict(head) == wanted).count();
    let mut statement = match with(Verdict::Needed) {
        0 => format!("For none of the {total} can it be shown that {vit} needs it."),
        needed => format!("{vit} measurably needs {needed} of its {total}."),
    };
    let harmful = with(Verdict::BetterWithout);
    if harmful > 0 {
        statement += &format!(" Without {harmful} of them its loss would be lower.");
    }
    let images = counted(findings.n, "image");
    let mut evidence = format!(
        "Each head's output is replaced by its mean on {images}; a head counts when the sign-flip permutation test of the \
         mean change in loss, adjusted over all heads, has p\u{a0}<\u{a0}{SIGNIFICANCE}. "
    );
    evidence += &match (&findings.selected, findings.ranking.first()) {
        (Some(selected), _) => on_other_images(selected),
        (None, Some(first)) => format!(
            "The largest increase ({}) is {}; chosen as the largest on the same images, it is biased upward.",
            head_name(first.layer, first.head),
            Unit::Nats.sentence(&first.mean)
        ),
        (None, None) => String::new(),
    };
    Claim { section: "heads", topic: "Heads", statement, evidence }
}

/// The head that one half of the images chooses, on the other half.
fn on_other_images(selected: &SelectedHead) -> String {
    let SelectedHead { layer, head, chosen_on, mean, p_value: p, accuracy_drop } = selected;
    let change = match mean.value < 0.0 {
        true => format!(
            "lowers the loss by {} (change: {})",
            Unit::Nats.value(-mean.value),
            Unit::Nats.interval_phrase(mean)
        ),
        false => format!("raises the loss by {}", Unit::Nats.sentence(mean)),
    };
    let accuracy = match side(accuracy_drop, 0.0) {
        Side::Above => format!("costs {} of accuracy", Unit::Points.sentence(accuracy_drop)),
        Side::Below => format!("raises accuracy by {}", Unit::Points.value(-accuracy_drop.value)),
        Side::Undecided => {
            format!("costs no accuracy that can be shown ({})", Unit::Points.interval_phrase(accuracy_drop))
        }
    };
    format!(
        "The head with the largest increase on {} ({}) {change} on the other {} and {accuracy}; {}.",
        counted(*chosen_on, "image"),
        head_name(*layer, *head),
        mean.n,
        p_value(*p)
    )
}

fn gradient(findings: &HeadFindings) -> Claim {
    let heads = counted(findings.ranking.len(), "head");
    let (statement, evidence) = match &findings.gradient_agreement {
        None => (
            "Whether the gradient ranks the heads as taking them away does cannot be said.",
            format!(
                "Spearman's ρ of the two rankings is undefined over {heads}: too few, or all alike in one of them."
            ),
        ),
        Some(agreement) => (
            match (side(agreement, 0.0), side(agreement, CLOSE_AGREEMENT)) {
                (Side::Above, Side::Above) => "The gradient ranks the heads much as taking them away does.",
                (Side::Above, _) => {
                    "The gradient's ranking of heads agrees with taking them away, but is not shown to agree closely."
                }
                (Side::Below, _) => "The gradient ranks the heads against what taking them away shows.",
                (Side::Undecided, _) => {
                    "No agreement between the gradient's ranking of heads and taking them away can be shown."
                }
            },
            format!(
                "Spearman's ρ of the two rankings over {heads}: {}.",
                Unit::Coefficient.sentence(agreement)
            ),
        ),
    };
    Claim { section: "heads", topic: "Gradient against ablation", statement: statement.into(), evidence }
}
