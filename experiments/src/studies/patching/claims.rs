//! What heads and layers are said to carry.

use archaeo_analysis::statistics::{Better, SIGNIFICANCE};
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, apart, side, tested};
use archaeo_report::numbers::{Unit, counted, p_value, percent};

use super::PatchingStudy;
use super::findings::{Carried, FactorPatching, PatchedTokens, PatchingFindings};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::study::Study;
use crate::subjects::ModelName;

/// Whether a part carries a factor: its share is above 0, and above that of an unrelated image. `No` where it moves the answer
/// away from the other image, and farther than an unrelated one does.
pub(super) fn verdict(carried: &Carried) -> Better {
    let test = &carried.over_unrelated;
    let share = carried.share.known().map_or(Side::Undecided, |share| side(share, 0.0));
    match (share, Better::of(&test.difference, test.p_value)) {
        (Side::Above, Better::Yes) => Better::Yes,
        (Side::Below, Better::No) => Better::No,
        _ => Better::CannotBeTold,
    }
}

/// Number of heads that carry a factor.
pub(super) fn carriers(of: &FactorPatching) -> usize {
    of.heads.iter().filter(|head| verdict(&head.carried) == Better::Yes).count()
}

pub(super) fn claims(findings: &PatchingFindings, names: &Names) -> Vec<Claim> {
    let of_model = |(model, factors): (ModelName, &Vec<FactorPatching>)| {
        let heads = factors.first().map_or(0, |of| of.heads.len());
        let heads = (heads > 0).then(|| of_heads(model, factors, findings.pairs, names));
        heads.into_iter().chain(of_layers(model, factors, findings.pairs, names)).collect::<Vec<_>>()
    };
    findings.models.iter().flat_map(of_model).collect()
}

fn of_heads(model: ModelName, factors: &[FactorPatching], pairs: usize, names: &Names) -> Claim {
    let total = factors[0].heads.len();
    let counts: Vec<usize> = factors.iter().map(carriers).collect();
    let statement = match counts.iter().sum() {
        0 => format!("No head of {} is shown to carry any of the factors.", names.the(model)),
        _ => {
            let verb = if counts[0] == 1 { "is shown to carry" } else { "are shown to carry" };
            let first = format!("{} {verb} {}", counts[0], factors[0].factor);
            let others =
                factors.iter().zip(&counts).skip(1).map(|(of, count)| format!("{count} {}", of.factor));
            let all: Vec<String> = std::iter::once(first).chain(others).collect();
            format!("Of the {} of {}, {}.", counted(total, "head"), names.the(model), listed(&all))
        }
    };
    let largest = factors.iter().filter_map(|of| {
        let selected = of.selected.as_ref()?;
        let share = selected.carried.share.known()?;
        let unrelated =
            selected.carried.unrelated.known().map_or_else(|| "n/a".into(), |value| percent(*value));
        let test = &selected.carried.over_unrelated;
        let end = match tested(&test.difference, test.p_value) {
            Side::Undecided => ", not shown to differ",
            Side::Above | Side::Below => "",
        };
        Some(format!(
            "for {} layer {}, head {}: {}, unrelated {unrelated} ({}{end})",
            of.factor,
            selected.layer + 1,
            selected.head + 1,
            Unit::Percent.brief(share),
            p_value(test.p_value)
        ))
    });
    let largest: Vec<String> = largest.collect();
    let mut evidence = format!(
        "The output of one head is taken from the same scene with that factor changed, over {}. A head carries a factor when the \
         share of the change that this brings about is above 0 and above that of the null, its output for an unrelated scene \
         (sign-flip permutation test, adjusted over all factors, heads and layers, p\u{a0}<\u{a0}{SIGNIFICANCE}).",
        counted(pairs, "pair")
    );
    if !largest.is_empty() {
        evidence += &format!(
            " The head farthest above the null in one half of the pairs, measured in the other half: {}.",
            largest.join("; ")
        );
    }
    Claim { section: PatchingStudy::ID, topic: "What heads carry", statement, evidence }
}

/// The first layer after which the tokens before the patches hold more of a factor than the object's patches.
pub(super) fn handed_over(of: &FactorPatching) -> Option<usize> {
    let share = |layer: usize, tokens: PatchedTokens| {
        let found = of.layers.iter().find(|found| (found.layer, found.tokens) == (layer, tokens))?;
        found.carried.share.known()
    };
    let layers = of.layers.iter().map(|found| found.layer + 1).max().unwrap_or(0);
    (0..layers).find(|&layer| {
        let (prefix, object) = (share(layer, PatchedTokens::Prefix), share(layer, PatchedTokens::Object));
        prefix.zip(object).is_some_and(|(prefix, object)| apart(prefix, object) == Side::Above)
    })
}

fn of_layers(model: ModelName, factors: &[FactorPatching], pairs: usize, names: &Names) -> Option<Claim> {
    let has_prefix =
        factors.iter().flat_map(|of| &of.layers).any(|layer| layer.tokens == PatchedTokens::Prefix);
    let layers = factors.first()?.layers.iter().map(|of| of.layer + 1).max()?;
    if !has_prefix {
        return None;
    }
    let mut groups: Vec<(Option<usize>, Vec<String>)> = Vec::new();
    for of in factors {
        let layer = handed_over(of);
        match groups.iter_mut().find(|(known, _)| *known == layer) {
            Some((_, factors)) => factors.push(of.factor.to_string()),
            None => groups.push((layer, vec![of.factor.to_string()])),
        }
    }
    groups.sort_by_key(|(layer, _)| layer.unwrap_or(usize::MAX));
    let sentences: Vec<String> = groups
        .iter()
        .map(|(layer, factors)| match layer {
            Some(layer) => format!(
                "after layer {} of {layers}, the tokens before the patches of {} hold more of the difference in {} than the \
                 object's patches",
                layer + 1,
                names.the(model),
                listed(factors)
            ),
            None => format!(
                "after no layer of {} is it shown that the tokens before the patches hold more of the difference in {}",
                names.the(model),
                listed(factors)
            ),
        })
        .collect();
    Some(Claim {
        section: PatchingStudy::ID,
        topic: "Where the difference is",
        statement: capitalised(&sentences.join("; ")) + ".",
        evidence: format!(
            "Tokens as a layer leaves them, taken from the same scene with the factor changed, over {}; the layer is the first after \
             which the 95\u{a0}% intervals of the two shares do not touch. All tokens of a layer together bring about all of the \
             change.",
            counted(pairs, "pair")
        ),
    })
}
