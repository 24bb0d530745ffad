//! Whether the two models' explanations point to the same places.

use archaeo_analysis::statistics::{DEFAULT_LEVEL, mean_t};

use crate::findings::{ComparisonFindings, Role};

use super::super::evidence::{Side, side};
use super::super::names::Names;
use super::super::numbers::{Unit, counted};
use super::Claim;

/// `None` without a comparison whose agreement is defined.
pub(super) fn claim(findings: &ComparisonFindings, names: &Names) -> Option<Claim> {
    let agreements: Vec<f64> =
        findings.items.iter().map(|item| item.agreement).filter(|value| value.is_finite()).collect();
    let mean = mean_t(&agreements, DEFAULT_LEVEL).ok()?;
    let (vit, cnn) = (names.the(Role::Vit), names.the(Role::Cnn));
    let statement = match side(&mean, 0.0) {
        Side::Above => format!("The explanations of {vit} and {cnn} tend to mark the same places."),
        Side::Below => format!("The explanations of {vit} and {cnn} tend to mark different places."),
        Side::Undecided => format!("No agreement between the explanations of {vit} and {cnn} can be shown."),
    };
    let evidence = format!(
        "Mean rank correlation of rollout and Grad-CAM over {}: {}. Selection: {}.",
        counted(mean.n, "image"),
        Unit::Coefficient.sentence(&mean),
        findings.selection.trim_end_matches('.')
    );
    Some(Claim { section: "comparisons", topic: "Agreement", statement, evidence })
}
