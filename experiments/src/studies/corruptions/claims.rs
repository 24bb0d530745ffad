//! Which model damage costs more.

use archaeo_analysis::statistics::Better;
use archaeo_report::Claim;
use archaeo_report::numbers::{Unit, counted, p_value, percent};

use super::CorruptionsStudy;
use super::findings::{CorruptionFindings, CorruptionScore, OfPair};
use crate::advice::{Advice, Choice};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::study::Study;
use crate::subjects::ModelName;

/// Corruptions that a sentence names.
const NAMED: usize = 3;

/// Up to so many pairs of models each has a sentence of its own.
const FEW_PAIRS: usize = 3;

pub(super) fn claims(findings: &CorruptionFindings, names: &Names) -> Vec<Claim> {
    let alone = findings.models.iter().map(|(model, _)| of_model(findings, model, names));
    let pairs = findings.pairs.iter().filter(|_| findings.pairs.len() <= FEW_PAIRS);
    alone.chain(pairs.map(|pair| of_pair(findings, pair, names))).collect()
}

fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: CorruptionsStudy::ID, topic: "Damage", statement, evidence }
}

/// Mean accuracy under a corruption.
pub(super) fn mean(score: &CorruptionScore) -> f64 {
    score.accuracy.iter().map(|of| of.value).sum::<f64>() / score.accuracy.len().max(1) as f64
}

fn of_model(findings: &CorruptionFindings, model: ModelName, names: &Names) -> Claim {
    let scores = &findings.models[model];
    let mut worst: Vec<&CorruptionScore> = scores.corruptions.iter().collect();
    worst.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
    let worst: Vec<String> = worst
        .iter()
        .take(NAMED)
        .map(|score| format!("{} ({})", score.corruption.title(), percent(mean(score))))
        .collect();
    let statement = format!(
        "{} is right on {} of the damaged images, and on {} of the same images without damage.",
        capitalised(&names.the(model)),
        percent(scores.damaged.value),
        percent(scores.clean.value)
    );
    let evidence = format!(
        "Mean over {} and {}, on {}: {}; without damage {}. Lowest: {}. Under the null that damage costs nothing, both would be equal.",
        counted(scores.corruptions.len(), "corruption"),
        severities(findings),
        counted(findings.n, "image"),
        Unit::Percent.sentence(&scores.damaged),
        Unit::Percent.sentence(&scores.clean),
        listed(&worst)
    );
    claim(statement, evidence)
}

/// Whom to choose where images are damaged; `None` of a model alone.
pub(super) fn advice(findings: &CorruptionFindings, names: &Names) -> Option<Advice> {
    if findings.pairs.is_empty() {
        return None;
    }
    let ahead = findings.pairs.iter().map(|OfPair { models: [first, second], pair }| {
        match Better::of(&pair.difference.difference, pair.difference.p_value) {
            Better::Yes => Some([*first, *second]),
            Better::No => Some([*second, *first]),
            Better::CannotBeTold => None,
        }
    });
    let choice = Choice::first(&names.models(), ahead);
    let scores = findings
        .models
        .iter()
        .map(|(model, scores)| format!("{} {}", names.bare(model), Unit::Percent.brief(&scores.damaged)));
    let scores: Vec<String> = scores.collect();
    let difference = match &findings.pairs[..] {
        [only] => format!(
            "; the difference {} − {} is {}, {}",
            names.bare(only.models[0]),
            names.bare(only.models[1]),
            Unit::Points.sentence(&only.pair.difference.difference),
            p_value(only.pair.difference.p_value)
        ),
        _ => String::new(),
    };
    Some(Advice {
        decides: "images may be noisy, blurred or damaged".into(),
        choice,
        evidence: format!("Accuracy on damaged images {}{difference}.", scores.join(", ")),
    })
}

/// `severities 1, 3 and 5`.
pub(super) fn severities(findings: &CorruptionFindings) -> String {
    let numbers: Vec<String> = findings.severities.iter().map(ToString::to_string).collect();
    let word = if numbers.len() == 1 { "severity" } else { "severities" };
    format!("{word} {}", listed(&numbers))
}

fn of_pair(findings: &CorruptionFindings, OfPair { models, pair }: &OfPair, names: &Names) -> Claim {
    let [first, second] = models.map(|model| names.the(model));
    let lost = Better::of(&pair.lost.difference, pair.lost.p_value);
    let right = Better::of(&pair.difference.difference, pair.difference.p_value);
    let statement = match (lost, right) {
        (Better::Yes, _) => format!("Damage takes more from {first} than from {second}."),
        (Better::No, _) => format!("Damage takes more from {second} than from {first}."),
        (_, Better::Yes) => format!(
            "On damaged images {first} is right more often than {second}; that damage takes less from it cannot be shown."
        ),
        (_, Better::No) => format!(
            "On damaged images {second} is right more often than {first}; that damage takes less from it cannot be shown."
        ),
        _ => format!("That damage takes more from {first} or from {second} cannot be shown."),
    };
    let mce = pair.mce.known().map(|mce| {
        format!(
            " Mean corruption error of {second} relative to {first}: {}; 100\u{a0}% would be no difference.",
            Unit::Percent.sentence(mce)
        )
    });
    let evidence = format!(
        "On the same {}, the accuracy that damage takes from {first} less that which it takes from {second}: {} ({}; sign-flip \
         permutation test, whose null is that it takes as much from both). Accuracy on damaged images, {first} less {second}: {} \
         ({}).{}",
        counted(findings.n, "image"),
        Unit::Percent.sentence(&pair.lost.difference),
        p_value(pair.lost.p_value),
        Unit::Percent.sentence(&pair.difference.difference),
        p_value(pair.difference.p_value),
        mce.unwrap_or_default()
    );
    claim(statement, evidence)
}
