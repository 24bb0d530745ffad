//! Which cue decides when shape and texture disagree.

use crate::findings::{Role, ShapeBiasFindings};

use super::super::evidence::{Side, apart, side};
use super::super::names::{Names, ROLES, capitalised, listed};
use super::super::numbers::{Unit, counted};
use super::Claim;

pub(super) fn claims(findings: &ShapeBiasFindings, names: &Names) -> Option<Claim> {
    let decided = |wanted| -> Vec<String> {
        let roles = ROLES
            .iter()
            .filter(|role| findings.models.get(role).is_some_and(|found| side(&found.bias, 0.5) == wanted));
        roles.map(|role| names.the(*role)).collect()
    };
    let (shape, texture, open) = (decided(Side::Above), decided(Side::Below), decided(Side::Undecided));
    let mut parts = Vec::new();
    for (models, cue) in [(&shape, "by shape"), (&texture, "by texture")] {
        match models.as_slice() {
            [] => {}
            [one] => parts.push(format!("{one} decides {cue}")),
            several => parts.push(format!("{} decide {cue}", listed(several))),
        }
    }
    if !open.is_empty() {
        parts.push(format!("for {} neither cue is shown to prevail", listed(&open)));
    }
    if parts.is_empty() {
        return None;
    }
    let biases: Vec<String> = ROLES
        .iter()
        .filter_map(|role| {
            let bias = &findings.models.get(role)?.bias;
            Some(format!("{} {}", names.bare(*role), Unit::Percent.sentence(bias)))
        })
        .collect();
    let difference = match (findings.models.get(&Role::Vit), findings.models.get(&Role::Cnn)) {
        (Some(vit), Some(cnn)) => match apart(&vit.bias, &cnn.bias) {
            Side::Above => format!(" {} leans more to shape.", capitalised(&names.the(Role::Vit))),
            Side::Below => format!(" {} leans more to shape.", capitalised(&names.the(Role::Cnn))),
            Side::Undecided => " Which of the two leans more to shape cannot be told.".into(),
        },
        _ => String::new(),
    };
    Some(Claim {
        section: "shape-bias",
        topic: "Shape or texture",
        statement: format!("When shape and texture disagree, {}.", listed(&parts)),
        evidence: format!(
            "Shape decisions among shape and texture decisions on {} with conflicting cues: {}; 50 % would be indifference.{difference}",
            counted(findings.n, "image"),
            biases.join(", "),
        ),
    })
}
