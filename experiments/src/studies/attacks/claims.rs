//! What each attack takes away from which model.

use crate::findings::{AttackComparison, AttackCurve, AttackFindings, PairedShares, Role};

use archaeo_report::evidence::SIGNIFICANCE;
use super::super::names::{Names, ROLES, capitalised, listed, other};
use archaeo_report::numbers::{count, counted, epsilon, p_value, percent};
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

/// Models whose gradient was zero for some images under an attack, with their share: “12.0 % for the ViT”.
pub(in super::super) fn zero_gradients(
    findings: &AttackFindings,
    attack: &str,
    names: &Names,
) -> Option<String> {
    let shares: Vec<String> = ROLES
        .iter()
        .filter_map(|role| Some((role, curve_of(findings, attack, *role)?.zero_gradient)))
        .filter(|(_, share)| *share > 0.0)
        .map(|(role, share)| format!("{} for {}", percent(share), names.the(*role)))
        .collect();
    (!shares.is_empty()).then(|| {
        format!(
            "Where {attack} begins, the gradient is zero for some of the images that it attacks ({}): robustness there may be \
             an illusion.",
            listed(&shares)
        )
    })
}

/// The model that an attack leaves more, by a paired test that survives correction.
pub(in super::super) fn ahead(shares: &PairedShares) -> Option<Role> {
    if shares.adjusted_p.is_nan() || shares.adjusted_p >= SIGNIFICANCE {
        return None;
    }
    Some(if shares.only_vit > shares.only_cnn { Role::Vit } else { Role::Cnn })
}

fn claim(findings: &AttackFindings, attack: &str, names: &Names) -> Option<Claim> {
    let compared: Vec<&AttackComparison> =
        findings.comparisons.iter().filter(|comparison| comparison.attack == attack).collect();
    if compared.is_empty() {
        return None;
    }
    let leads = |of: fn(&AttackComparison) -> Option<&PairedShares>| -> (usize, usize) {
        let leaders: Vec<Role> = compared.iter().filter_map(|comparison| ahead(of(comparison)?)).collect();
        let of_role = |role: Role| leaders.iter().filter(|leader| **leader == role).count();
        (of_role(Role::Vit), of_role(Role::Cnn))
    };
    let clean = clean_accuracies(findings, attack, names);
    let statement = match leads(|comparison| comparison.kept.as_ref()) {
        (0, 0) => match leads(|comparison| Some(&comparison.robust)) {
            (0, 0) => format!("Under {attack} no difference between the models can be shown{clean}."),
            (_, 0) => no_robustness(findings, attack, Role::Vit, names),
            (0, _) => no_robustness(findings, attack, Role::Cnn, names),
            _ => format!(
                "Under {attack} it depends on ε which model is correct more often{clean}; that the attack takes more from \
                 either cannot be shown."
            ),
        },
        (_, 0) => stands_better(attack, Role::Vit, names, &clean),
        (0, _) => stands_better(attack, Role::Cnn, names, &clean),
        _ => format!(
            "Under {attack} it depends on ε which model keeps more of what it has without an attack{clean}."
        ),
    };
    let halving: Vec<String> = ROLES.iter().map(|role| halving(findings, attack, *role, names)).collect();
    let mut evidence = format!(
        "Robust accuracy, correct without the attack and under it, on {}: {}. {}",
        counted(findings.n, "image"),
        halving.join("; "),
        kept(&compared, names)
    );
    if let Some(warning) = zero_gradients(findings, attack, names) {
        evidence += &format!(" {warning}");
    }
    Some(Claim { section: "attacks", topic: "Robustness", statement, evidence })
}

fn stands_better(attack: &str, role: Role, names: &Names, clean: &str) -> String {
    format!(
        "Under {attack}, {} keeps more of what it classifies correctly without an attack than {}{clean}.",
        names.the(role),
        names.the(other(role))
    )
}

/// A difference in robust accuracy without one in what the attack takes away.
fn no_robustness(findings: &AttackFindings, attack: &str, role: Role, names: &Names) -> String {
    let accuracy =
        |role: Role| curve_of(findings, attack, role)?.points.first().map(|point| point.accuracy.value);
    let clean = clean_accuracies(findings, attack, names);
    let clean = match (accuracy(role), accuracy(other(role))) {
        (Some(mine), Some(others)) if mine > others => {
            clean.replace(" (without an attack: ", ", as it is without an attack (")
        }
        _ => clean,
    };
    format!(
        "Under {attack}, {} is correct more often than {}{clean}; that the attack takes less from it cannot be \
         shown.",
        names.the(role),
        names.the(other(role))
    )
}

/// ` (without an attack: ViT 84.0 %, ResNet 93.0 %)`.
fn clean_accuracies(findings: &AttackFindings, attack: &str, names: &Names) -> String {
    let clean = ROLES.iter().filter_map(|role| {
        let point = curve_of(findings, attack, *role)?.points.first().filter(|point| point.epsilon == 0.0)?;
        Some(format!("{} {}", names.bare(*role), percent(point.accuracy.value)))
    });
    let clean: Vec<String> = clean.collect();
    if clean.is_empty() { String::new() } else { format!(" (without an attack: {})", clean.join(", ")) }
}

/// What stands of the images that both models have, at the sizes that decide.
fn kept(compared: &[&AttackComparison], names: &Names) -> String {
    let Some(shared) = compared.iter().find_map(|comparison| comparison.kept.as_ref()) else {
        return "There is no image that both models classify correctly without an attack.".into();
    };
    let decided = compared.iter().filter_map(|comparison| {
        let kept = comparison.kept.as_ref()?;
        ahead(kept)?;
        Some(format!(
            "at ε = {} {} still has {} of them and {} {} (adjusted {})",
            epsilon(comparison.epsilon),
            names.the(Role::Vit),
            percent(kept.vit.value),
            names.the(Role::Cnn),
            percent(kept.cnn.value),
            p_value(kept.adjusted_p)
        ))
    });
    let decided: Vec<String> = decided.collect();
    let images = count(shared.vit.n);
    match decided.is_empty() {
        true => format!(
            "On the {images} that both classify correctly without it, no size of attack tells them apart (exact McNemar test, \
             adjusted over sizes and attacks)."
        ),
        false => format!(
            "Of the {images} that both classify correctly without it, {}; exact McNemar test, adjusted over sizes and attacks.",
            listed(&decided)
        ),
    }
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
