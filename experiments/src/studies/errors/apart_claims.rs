//! What sets errors apart from right answers, in sentences that the tests choose.

use archaeo_analysis::statistics::Measured;
use archaeo_report::Claim;
use archaeo_report::numbers::{Unit, counted, p_value};

use super::factors::Factor;
use super::findings::{ErrorFactors, FactorEffect, FactorFinding, FactorPair};
use crate::report::Names;
use crate::report::names::listed;
use crate::subjects::ModelName;

/// Up to so many pairs of models each has a sentence.
const FEW_PAIRS: usize = 3;

/// Effects named as evidence for a model.
const MOST_EFFECTS: usize = 3;

pub(super) fn claims(findings: &ErrorFactors, names: &Names) -> Vec<Claim> {
    let of_images = apart(findings, names, "Image factors", &|factor| !factor.is_of_model());
    let of_models = apart(findings, names, "Errors seen by the model", &Factor::is_of_model);
    of_images.into_iter().chain(between(findings, names)).chain(of_models).collect()
}

fn claim(topic: &'static str, statement: String, evidence: String) -> Claim {
    Claim { section: "errors", topic, statement, evidence }
}

/// Effects of one model, those that are shown first, then by size.
fn effects<'a>(
    findings: &'a ErrorFactors,
    model: ModelName,
    asked: &dyn Fn(Factor) -> bool,
) -> Vec<(Factor, &'a FactorEffect)> {
    let of_model = |finding: &'a FactorFinding| Some((finding.factor, finding.models.get(model)?.known()?));
    let asked = findings.factors.iter().filter(|finding| asked(finding.factor));
    let mut found: Vec<_> = asked.filter_map(of_model).collect();
    let size = |effect: &FactorEffect| (effect.enrichment.superiority.value - 0.5).abs();
    found.sort_by(|(_, a), (_, b)| {
        b.larger().is_some().cmp(&a.larger().is_some()).then(size(b).total_cmp(&size(a)))
    });
    found
}

/// What sets the errors of each model apart, models of which the same is shown together.
fn apart(
    findings: &ErrorFactors,
    names: &Names,
    topic: &'static str,
    asked: &dyn Fn(Factor) -> bool,
) -> Option<Claim> {
    let models: Vec<ModelName> =
        names.models().into_iter().filter(|model| !effects(findings, *model, asked).is_empty()).collect();
    if models.is_empty() {
        return None;
    }
    let shown = |model: ModelName| -> Vec<(Factor, bool)> {
        let mut shown: Vec<(Factor, bool)> = effects(findings, model, asked)
            .into_iter()
            .filter_map(|(factor, effect)| Some((factor, effect.larger()?)))
            .collect();
        // In the order of the factors, so that models of which the same is shown are named together.
        shown.sort_unstable();
        shown
    };
    let groups = names.grouped(models.iter().map(|&model| (model, shown(model))));
    let sentences = groups.iter().map(|(shown, whose)| match shown.is_empty() {
        true => format!(
            "Nothing that was measured is shown to set the errors of {whose} apart from right answers in the same classes."
        ),
        false => {
            let phrases: Vec<String> =
                shown.iter().map(|(factor, larger)| factor.phrase(*larger).to_owned()).collect();
            format!(
                "Compared with right answers in the same classes, the errors of {whose} are more often images {}.",
                listed(&phrases)
            )
        }
    });
    let statement = sentences.collect::<Vec<_>>().join(" ");
    let each = models.iter().map(|&model| {
        let effects = effects(findings, model, asked);
        let shown = effects.iter().filter(|(_, effect)| effect.larger().is_some()).count();
        let named = effects.iter().take(shown.clamp(1, MOST_EFFECTS)).map(|(factor, effect)| {
            format!(
                "{} {}, {}",
                factor.title().to_lowercase(),
                Unit::Coefficient.sentence(&effect.enrichment.superiority),
                p_value(effect.adjusted_p)
            )
        });
        let largest = if shown == 0 { "the largest effect is " } else { "" };
        let more =
            if shown > MOST_EFFECTS { format!(", and {} more", shown - MOST_EFFECTS) } else { String::new() };
        let whose = if names.models().len() > 1 { format!("{}: ", names.bare(model)) } else { String::new() };
        format!("{whose}{largest}{}{more}", named.collect::<Vec<_>>().join("; "))
    });
    let known = findings.factors.iter().flat_map(|finding| finding.models.values());
    let tests = known.filter(|effect| effect.known().is_some()).count();
    let evidence = format!(
        "Probability that an error has the larger value than a right answer of its class, 0.5 if the factor tells nothing: {}. \
         Permutation within classes, p-values adjusted for {}.",
        each.collect::<Vec<_>>().join(". "),
        counted(tests, "test")
    );
    Some(claim(topic, statement, evidence))
}

/// Which way a factor is shown to mark the errors of one model of a pair more than those of the other: that model, and whether by large
/// values. The effect in that model must be shown, too.
fn marks_more(finding: &FactorFinding, pair: &FactorPair) -> Option<(ModelName, bool)> {
    let first_larger = pair.larger()?;
    let shown = |model: ModelName| finding.models.get(model)?.known()?.larger();
    let [first, second] = pair.models;
    // Of the two, the first has the larger values, or the second the smaller ones: what is shown of either says which it is.
    let [upper, lower] = if first_larger { [first, second] } else { [second, first] };
    let size = |model: ModelName| {
        let effect = finding.models.get(model).and_then(Measured::known);
        effect.map_or(0.0, |effect| (effect.enrichment.superiority.value - 0.5).abs())
    };
    match (shown(upper), shown(lower)) {
        (Some(true), Some(false)) if size(lower) > size(upper) => Some((lower, false)),
        (Some(true), _) => Some((upper, true)),
        (_, Some(false)) => Some((lower, false)),
        _ => None,
    }
}

/// Whether a factor marks the errors of one model more than those of another.
fn between(findings: &ErrorFactors, names: &Names) -> Option<Claim> {
    let pairs = names.pairs();
    let of_images = || findings.factors.iter().filter(|finding| !finding.factor.is_of_model());
    let compared = |pair: &FactorPair| pair.difference.known().is_some();
    let tests = of_images().flat_map(|finding| &finding.pairs).filter(|pair| compared(pair)).count();
    if tests == 0 {
        return None;
    }
    // Of a model and another, what marks the errors of the one more.
    let mut found: Vec<([ModelName; 2], Vec<String>)> = Vec::new();
    let mut numbers = Vec::new();
    for finding in of_images() {
        for pair in &finding.pairs {
            let Some((model, larger)) = marks_more(finding, pair) else { continue };
            let other = pair.models.into_iter().find(|other| *other != model).expect("a pair has two");
            let phrase = finding.factor.phrase(larger).to_owned();
            match found.iter_mut().find(|(known, _)| *known == [model, other]) {
                Some((_, phrases)) => phrases.push(phrase),
                None => found.push(([model, other], vec![phrase])),
            }
            if let (Some(test), Some(adjusted)) = (pair.difference.known(), pair.adjusted_p) {
                let whose = match pairs.len() {
                    1 => String::new(),
                    _ => format!(" ({} minus {})", names.bare(pair.models[0]), names.bare(pair.models[1])),
                };
                numbers.push(format!(
                    "{}{whose} {}, {}",
                    finding.factor.title().to_lowercase(),
                    Unit::Coefficient.sentence(&test.difference),
                    p_value(adjusted)
                ));
            }
        }
    }
    let sentence = |([model, other], phrases): &([ModelName; 2], Vec<String>)| {
        format!(
            "Images {} are more typical of the errors of {} than of those of {}.",
            listed(phrases),
            names.the(*model),
            names.the(*other)
        )
    };
    let sentences: Vec<String> = found.iter().map(sentence).collect();
    let all_tests =
        findings.factors.iter().flat_map(|finding| &finding.pairs).filter(|pair| compared(pair)).count();
    let method = format!(
        "models exchange answers and values image by image; p-values adjusted for {}",
        counted(all_tests, "test")
    );
    let statement = match (sentences.len(), pairs.len()) {
        (0, 1) => "No measured property of the images is shown to mark the errors of one model more than those of the other.".into(),
        (0, _) => "No measured property of the images is shown to mark the errors of one model more than those of another.".into(),
        (_, ..=FEW_PAIRS) => sentences.join(" "),
        (found, _) => format!("{} The like is shown of {} of models in all.", sentences[0], counted(found, "pair")),
    };
    let evidence = match numbers.is_empty() {
        true => format!("Differences of the probability between two models, on the same images: {method}."),
        false => format!("Difference of the probability: {}; {method}.", numbers.join("; ")),
    };
    Some(claim("Image factors compared", statement, evidence))
}
