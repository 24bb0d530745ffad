//! Which model breaks sooner under each attack.

use crate::findings::{AttackCurve, AttackFindings, AttackPoint, Role};

use super::super::evidence::{Side, apart};
use super::super::names::{Names, ROLES, capitalised, other};
use super::super::numbers::{count, epsilon, percent};
use super::Claim;

pub(super) fn claims(findings: &AttackFindings, names: &Names) -> Vec<Claim> {
    attacks(findings).into_iter().filter_map(|attack| claim(findings, attack, names)).collect()
}

/// Names of the attacks, in the order of their first curve.
pub(in super::super) fn attacks(findings: &AttackFindings) -> Vec<&str> {
    let mut names = Vec::new();
    for curve in &findings.curves {
        if !names.contains(&curve.attack.as_str()) {
            names.push(curve.attack.as_str());
        }
    }
    names
}

/// The curve of one model under one attack.
pub(in super::super) fn curve_of<'a>(
    findings: &'a AttackFindings,
    attack: &str,
    role: Role,
) -> Option<&'a AttackCurve> {
    findings.curves.iter().find(|curve| curve.attack == attack && curve.role == role)
}

/// Smallest ε (in 1/255) at which a curve reaches half its clean accuracy, by linear interpolation between the points;
/// `None` if it never does.
pub(in super::super) fn halving_epsilon(curve: &AttackCurve) -> Option<f64> {
    let clean = curve.points.first().filter(|point| point.epsilon == 0.0)?.accuracy.value;
    let half = clean / 2.0;
    curve.points.windows(2).find_map(|pair| {
        let [(e0, a0), (e1, a1)] = [&pair[0], &pair[1]].map(|point| (point.epsilon, point.accuracy.value));
        (a0 > half && a1 <= half).then(|| e0 + (e1 - e0) * (a0 - half) / (a0 - a1))
    })
}

fn claim(findings: &AttackFindings, attack: &str, names: &Names) -> Option<Claim> {
    let vit = curve_of(findings, attack, Role::Vit)?;
    let cnn = curve_of(findings, attack, Role::Cnn)?;
    let shared: Vec<(&AttackPoint, &AttackPoint)> = vit
        .points
        .iter()
        .filter(|point| point.epsilon > 0.0)
        .filter_map(|point| Some((point, cnn.points.iter().find(|other| other.epsilon == point.epsilon)?)))
        .collect();
    if shared.is_empty() {
        return None;
    }
    let verdict = |wanted| shared.iter().filter(|(v, c)| apart(&v.accuracy, &c.accuracy) == wanted).count();
    let (vit_ahead, cnn_ahead) = (verdict(Side::Above), verdict(Side::Below));
    let statement = match (vit_ahead, cnn_ahead) {
        (0, 0) => format!("Under {attack} no difference between the models can be shown."),
        (_, 0) => stands_better(attack, Role::Vit, names),
        (0, _) => stands_better(attack, Role::Cnn, names),
        _ => format!("Under {attack} it depends on ε which model stands better."),
    };
    let ahead = match (vit_ahead, cnn_ahead) {
        (0, 0) => String::new(),
        (v, c) => format!(
            " Of {} sizes of attack, the intervals lie apart in favour of {} at {v} and of {} at {c}.",
            shared.len(),
            names.the(Role::Vit),
            names.the(Role::Cnn)
        ),
    };
    let halving: Vec<String> = ROLES.iter().map(|role| halving(findings, attack, *role, names)).collect();
    let n = count(findings.n);
    let evidence = format!("On {n} images, {}.{ahead}", halving.join("; "));
    Some(Claim { section: "attacks", topic: "Robustness", statement, evidence })
}

fn stands_better(attack: &str, role: Role, names: &Names) -> String {
    format!("Under {attack}, {} keeps more accuracy than {}.", names.the(role), names.the(other(role)))
}

fn halving(findings: &AttackFindings, attack: &str, role: Role, names: &Names) -> String {
    let the = names.the(role);
    let Some(curve) = curve_of(findings, attack, role) else { return format!("{the} was not attacked") };
    match (halving_epsilon(curve), curve.points.last()) {
        (Some(at), _) => {
            format!("{the} loses half its clean accuracy at ε = {}", epsilon((at * 100.0).round() / 100.0))
        }
        (None, Some(last)) => {
            format!("{the} still has {} at ε = {}", percent(last.accuracy.value), epsilon(last.epsilon))
        }
        (None, None) => format!("{} has no point on its curve", capitalised(&the)),
    }
}
