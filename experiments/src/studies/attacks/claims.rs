//! What each attack takes away from which model.

use archaeo_report::Claim;
use archaeo_report::evidence::SIGNIFICANCE;
use archaeo_report::numbers::{Unit, count, counted, epsilon, p_value, percent};

use super::findings::{AttackComparison, AttackCurve, AttackFindings, PairedShares};
use super::ranking::overall;
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::subjects::ModelName;

/// Up to so many pairs of models each has a sentence of its own.
pub(super) const FEW_PAIRS: usize = 3;

pub(super) fn claims(findings: &AttackFindings, names: &Names) -> Vec<Claim> {
    let models = names.models();
    let of_attack = |attack: &str| -> Vec<Claim> {
        match models[..] {
            [] => Vec::new(),
            [model] => alone(findings, attack, model, names).into_iter().collect(),
            _ if names.pairs().len() <= FEW_PAIRS => {
                names.pairs().into_iter().filter_map(|pair| of_pair(findings, attack, pair, names)).collect()
            }
            _ => overall(findings, attack, names).into_iter().collect(),
        }
    };
    attacks(findings).into_iter().flat_map(of_attack).collect()
}

/// Names of the attacks, in the order of their first curve.
pub(super) fn attacks(findings: &AttackFindings) -> Vec<&str> {
    let mut names = Vec::new();
    for curve in &findings.curves {
        if !names.contains(&curve.attack.as_str()) {
            names.push(curve.attack.as_str());
        }
    }
    names
}

/// The curve of one model under one attack.
pub(super) fn curve_of<'a>(
    findings: &'a AttackFindings,
    attack: &str,
    model: ModelName,
) -> Option<&'a AttackCurve> {
    findings.curves.iter().find(|curve| curve.attack == attack && curve.model == model)
}

/// Which of some models had a gradient of zero for some images under an attack, with their share: “12.0 % for the ViT”.
pub(super) fn zero_gradients(
    findings: &AttackFindings,
    attack: &str,
    models: &[ModelName],
    names: &Names,
) -> Option<String> {
    let shares: Vec<String> = models
        .iter()
        .filter_map(|&model| Some((model, curve_of(findings, attack, model)?.zero_gradient)))
        .filter(|(_, share)| *share > 0.0)
        .map(|(model, share)| format!("{} for {}", percent(share), names.the(model)))
        .collect();
    (!shares.is_empty()).then(|| {
        format!(
            "Where {attack} begins, the gradient is zero for some of the images that it attacks ({}): robustness there may be \
             an illusion.",
            listed(&shares)
        )
    })
}

/// Which of two models an attack leaves more, the first (0) or the second (1), by a paired test that survives correction.
pub(super) fn ahead(shares: &PairedShares) -> Option<usize> {
    let decided = shares.adjusted_p < SIGNIFICANCE;
    decided.then_some(if shares.only_first > shares.only_second { 0 } else { 1 })
}

/// At how many sizes of attack the first and the second of a pair is ahead.
pub(super) fn leads(
    compared: &[&AttackComparison],
    of: impl Fn(&AttackComparison) -> Option<&PairedShares>,
) -> [usize; 2] {
    let mut leads = [0; 2];
    compared.iter().filter_map(|comparison| ahead(of(comparison)?)).for_each(|leader| leads[leader] += 1);
    leads
}

pub(super) fn compared<'a>(
    findings: &'a AttackFindings,
    attack: &str,
    pair: [ModelName; 2],
) -> Vec<&'a AttackComparison> {
    let of_pair = |found: &&AttackComparison| found.attack == attack && found.models == pair;
    findings.comparisons.iter().filter(of_pair).collect()
}

pub(super) fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: "attacks", topic: "Robustness", statement, evidence }
}

/// One model, which there is none to compare with.
fn alone(findings: &AttackFindings, attack: &str, model: ModelName, names: &Names) -> Option<Claim> {
    let curve = curve_of(findings, attack, model).filter(|curve| curve.points.len() > 1)?;
    let points = curve.points.iter().map(|point| {
        let at = match point.epsilon == 0.0 {
            true => "without an attack".into(),
            false => format!("at ε = {}", epsilon(point.epsilon)),
        };
        format!("{} {at}", Unit::Percent.sentence(&point.accuracy))
    });
    let clean = clean_accuracies(findings, attack, &[model], names);
    let statement = format!("Under {attack}, {}{clean}.", halving(findings, attack, model, names));
    let mut evidence = format!(
        "Robust accuracy, correct without the attack and under it, on {}: {}.",
        counted(findings.n, "image"),
        points.collect::<Vec<_>>().join("; ")
    );
    if let Some(warning) = zero_gradients(findings, attack, &[model], names) {
        evidence += &format!(" {warning}");
    }
    Some(claim(statement, evidence))
}

fn of_pair(findings: &AttackFindings, attack: &str, pair: [ModelName; 2], names: &Names) -> Option<Claim> {
    let compared = compared(findings, attack, pair);
    if compared.is_empty() {
        return None;
    }
    let clean = clean_accuracies(findings, attack, &pair, names);
    let [first, second] = pair;
    let (between, which) = match names.models().len() {
        2 => ("the models".to_owned(), "which model".to_owned()),
        _ => {
            let both = format!("{} and {}", names.the(first), names.the(second));
            (both.clone(), format!("which of {both}"))
        }
    };
    let statement = match leads(&compared, |comparison| comparison.kept.as_ref()) {
        [0, 0] => match leads(&compared, |comparison| Some(&comparison.robust)) {
            [0, 0] => format!("Under {attack} no difference between {between} can be shown{clean}."),
            [_, 0] => no_robustness(findings, attack, pair, names),
            [0, _] => no_robustness(findings, attack, [second, first], names),
            _ => format!(
                "Under {attack} it depends on ε {which} is correct more often{clean}; that the attack takes more from either \
                 cannot be shown."
            ),
        },
        [_, 0] => stands_better(attack, pair, names, &clean),
        [0, _] => stands_better(attack, [second, first], names, &clean),
        _ => {
            format!(
                "Under {attack} it depends on ε {which} keeps more of what it has without an attack{clean}."
            )
        }
    };
    let halving = pair.map(|model| halving(findings, attack, model, names));
    let mut evidence = format!(
        "Robust accuracy, correct without the attack and under it, on {}: {}. {}",
        counted(findings.n, "image"),
        halving.join("; "),
        kept(&compared, pair, names)
    );
    if let Some(warning) = zero_gradients(findings, attack, &pair, names) {
        evidence += &format!(" {warning}");
    }
    Some(claim(statement, evidence))
}

fn stands_better(attack: &str, [better, worse]: [ModelName; 2], names: &Names, clean: &str) -> String {
    format!(
        "Under {attack}, {} keeps more of what it classifies correctly without an attack than {}{clean}.",
        names.the(better),
        names.the(worse)
    )
}

/// A difference in robust accuracy without one in what the attack takes away.
fn no_robustness(
    findings: &AttackFindings,
    attack: &str,
    [better, worse]: [ModelName; 2],
    names: &Names,
) -> String {
    let accuracy =
        |model| curve_of(findings, attack, model)?.points.first().map(|point| point.accuracy.value);
    let both: Vec<ModelName> =
        names.models().into_iter().filter(|model| [better, worse].contains(model)).collect();
    let clean = clean_accuracies(findings, attack, &both, names);
    let clean = match (accuracy(better), accuracy(worse)) {
        (Some(better), Some(worse)) if better > worse => {
            clean.replace(" (without an attack: ", ", as it is without an attack (")
        }
        _ => clean,
    };
    format!(
        "Under {attack}, {} is correct more often than {}{clean}; that the attack takes less from it cannot be \
         shown.",
        names.the(better),
        names.the(worse)
    )
}

/// ` (without an attack: ViT 84.0 %, ResNet 93.0 %)`; a model that is alone is not named.
fn clean_accuracies(findings: &AttackFindings, attack: &str, models: &[ModelName], names: &Names) -> String {
    let clean = models.iter().filter_map(|&model| {
        let curve = curve_of(findings, attack, model)?;
        let accuracy = percent(curve.points.first().filter(|point| point.epsilon == 0.0)?.accuracy.value);
        Some(if models.len() > 1 { format!("{} {accuracy}", names.bare(model)) } else { accuracy })
    });
    let clean: Vec<String> = clean.collect();
    if clean.is_empty() { String::new() } else { format!(" (without an attack: {})", clean.join(", ")) }
}

/// What the p-values are adjusted over.
pub(super) fn family(names: &Names) -> &'static str {
    if names.models().len() == 2 { "sizes and attacks" } else { "pairs of models, sizes and attacks" }
}

/// What stands of the images that both of a pair have, at the sizes that decide.
fn kept(compared: &[&AttackComparison], pair: [ModelName; 2], names: &Names) -> String {
    let Some(shared) = compared.iter().find_map(|comparison| comparison.kept.as_ref()) else {
        let both = match names.models().len() {
            2 => "both models".to_owned(),
            _ => format!("both {} and {}", names.the(pair[0]), names.the(pair[1])),
        };
        return format!("There is no image that {both} classify correctly without an attack.");
    };
    let decided = compared.iter().filter_map(|comparison| {
        let kept = comparison.kept.as_ref()?;
        ahead(kept)?;
        Some(format!(
            "at ε = {} {} still has {} of them and {} {} (adjusted {})",
            epsilon(comparison.epsilon),
            names.the(pair[0]),
            percent(kept.first.value),
            names.the(pair[1]),
            percent(kept.second.value),
            p_value(kept.adjusted_p)
        ))
    });
    let decided: Vec<String> = decided.collect();
    let (images, family) = (count(shared.first.n), family(names));
    match decided.is_empty() {
        true => format!(
            "On the {images} that both classify correctly without it, no size of attack tells them apart (exact McNemar test, \
             adjusted over {family})."
        ),
        false => format!(
            "Of the {images} that both classify correctly without it, {}; exact McNemar test, adjusted over {family}.",
            listed(&decided)
        ),
    }
}

pub(super) fn halving(findings: &AttackFindings, attack: &str, model: ModelName, names: &Names) -> String {
    let the = names.the(model);
    let Some(curve) = curve_of(findings, attack, model) else { return format!("{the} was not attacked") };
    match (curve.half_at, curve.points.last()) {
        (Some(at), _) => {
            format!("{the} loses half its clean accuracy at ε = {}", epsilon((at * 100.0).round() / 100.0))
        }
        (None, Some(last)) => {
            format!("{the} still has {} at ε = {}", percent(last.accuracy.value), epsilon(last.epsilon))
        }
        (None, None) => format!("{} has no point on its curve", capitalised(&the)),
    }
}
