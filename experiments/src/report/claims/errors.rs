//! Whether the models fail on the same images, and in the same way.

use crate::findings::{ErrorFindings, ErrorGroup, Investigation, PairComparison, Role};

use super::super::evidence::{Side, side};
use super::super::names::Names;
use super::super::numbers::{Unit, count, percent};
use super::Claim;

pub(super) fn claims(findings: &ErrorFindings, investigation: &Investigation, names: &Names) -> Vec<Claim> {
    let mut claims = Vec::new();
    if let Some(pair) = main_pair(investigation) {
        claims.push(overlap(findings, pair, names));
    }
    claims.extend(same_class(findings, investigation.data.classes.len()));
    claims
}

/// The comparison of the pair on the main split.
fn main_pair(investigation: &Investigation) -> Option<&PairComparison> {
    let accuracy = investigation.accuracy.as_ref()?;
    accuracy.splits.iter().find(|split| split.split == accuracy.main_split).map(|split| &split.pair)
}

fn overlap(findings: &ErrorFindings, pair: &PairComparison, names: &Names) -> Claim {
    let statement = match side(&pair.kappa, 0.0) {
        Side::Above => "The models tend to fail on the same images.",
        Side::Below => "The models tend to fail on different images.",
        Side::Undecided => {
            "It cannot be shown that the models fail on the same images, or on different ones."
        }
    };
    let of = |group| findings.groups.get(&group).map_or(0, |found| found.count);
    let mut evidence = format!(
        "Error consistency κ = {}. Of {} images, {} are wrong for {} only, {} for {} only, {} for both.",
        Unit::Coefficient.sentence(&pair.kappa),
        count(findings.n),
        count(of(ErrorGroup::VitOnly)),
        names.the(Role::Vit),
        count(of(ErrorGroup::CnnOnly)),
        names.the(Role::Cnn),
        count(of(ErrorGroup::Both)),
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
    Claim { section: "errors", topic: "Errors", statement: statement.into(), evidence }
}

fn same_class(findings: &ErrorFindings, classes: usize) -> Option<Claim> {
    // With two classes there is but one wrong answer to give.
    let same = findings.same_wrong_class.as_ref().filter(|_| classes > 2)?;
    let chance = 1.0 / (classes as f64 - 1.0);
    let statement = match side(same, chance) {
        Side::Above => "Where both are wrong, they name the same wrong class more often than chance.",
        Side::Below => "Where both are wrong, they name the same wrong class less often than chance.",
        Side::Undecided => "Where both are wrong, no agreement of their answers beyond chance can be shown.",
    };
    Some(Claim {
        section: "errors",
        topic: "Shared mistakes",
        statement: statement.into(),
        evidence: format!(
            "Same wrong class in {} of {} images that both have wrong; picking among the wrong classes at random would give {}.",
            Unit::Percent.sentence(same),
            count(same.n),
            percent(chance)
        ),
    })
}
