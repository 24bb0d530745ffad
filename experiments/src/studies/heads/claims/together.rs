//! Whether the order of importance says what heads are worth together, and which layers matter.

use archaeo_analysis::ablation::Branch;
use archaeo_report::Claim;
use archaeo_report::evidence::{SIGNIFICANCE, Side, tested};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::super::HeadsStudy;
use super::super::findings::{BranchAblation, HeadFindings};
use super::Found;
use crate::report::Names;
use crate::report::names::capitalised;
use crate::study::Study;

/// Whole layers of a model, or blocks of a residual network.
pub(in crate::studies::heads) fn branches_of(
    findings: &HeadFindings,
) -> impl Iterator<Item = &BranchAblation> {
    let all = findings.together.iter().flat_map(|together| &together.branches);
    all.filter(|of| of.branch == Branch::Layer)
}

/// Of the whole layers of a model, how many it measurably needs, and how many there are; `None` where none were taken away.
pub(in crate::studies::heads) fn costly_layers(findings: &HeadFindings) -> Option<(usize, usize)> {
    let needed = branches_of(findings).filter(|of| tested(&of.mean, of.adjusted_p) == Side::Above).count();
    let all = branches_of(findings).count();
    (all > 0).then_some((needed, all))
}

/// Which models can do without any one of their layers.
pub(super) fn layers(found: &[Found], names: &Names) -> Option<Claim> {
    let counted_layers = |(model, found): &Found| {
        let (needed, all) = costly_layers(found)?;
        let kind = if found.ranking.is_empty() { "block" } else { "layer" };
        Some(format!("{} measurably needs {needed} of its {}", names.the(*model), counted(all, kind)))
    };
    let statements: Vec<String> = found.iter().filter_map(counted_layers).collect();
    let largest = |(model, found): &Found| {
        let of = branches_of(found).max_by(|a, b| a.mean.value.total_cmp(&b.mean.value))?;
        Some(format!(
            "{}: largest without number {}, {}",
            names.bare(*model),
            of.layer + 1,
            Unit::Nats.sentence(&of.mean)
        ))
    };
    let largest: Vec<String> = found.iter().filter_map(largest).collect();
    (!statements.is_empty()).then(|| Claim {
        section: HeadsStudy::ID,
        topic: "Layers",
        statement: capitalised(&statements.join("; ")) + ".",
        evidence: format!(
            "What a whole layer, or the branch of a residual block, adds is replaced by its mean; it counts when the sign-flip \
             permutation test of the mean change in loss, adjusted over all branches of the model, has p\u{a0}<\u{a0}{SIGNIFICANCE}. \
             Loss increase: {}; the largest is chosen on the same images and biased upward.",
            largest.join("; ")
        ),
    })
}

/// Whether the order of importance says more than a random one of what heads are worth together.
pub(super) fn order(found: &[Found], names: &Names) -> Option<Claim> {
    let tested_models = found.iter().filter_map(|(model, found)| {
        let curve = found.together.as_ref()?.curve.as_ref()?;
        let [most, least] = [curve.most_against_random.as_ref()?, curve.least_against_random.as_ref()?];
        Some((*model, most, least, found.together.as_ref()?.n))
    });
    let all: Vec<_> = tested_models.collect();
    let (_, _, _, n) = *all.first()?;
    let groups = all.iter().map(|(model, most, least, _)| {
        let sides = (tested(&most.difference, most.p_value), tested(&least.difference, least.p_value));
        (*model, sides)
    });
    let sentence = |((most, least), models): &((Side, Side), String)| {
        let of = if found.len() > 1 { format!(" of {models}") } else { String::new() };
        match (most, least) {
            (Side::Below, Side::Above) => format!(
                "heads{of} that matter one by one matter together: without them accuracy falls sooner than in random order, \
                 and later when the least important go first"
            ),
            (Side::Below, _) => {
                format!(
                    "without the most important heads{of} first, accuracy falls sooner than in random order"
                )
            }
            (_, Side::Above) => {
                format!(
                    "without the least important heads{of} first, accuracy falls later than in random order"
                )
            }
            _ => format!("that the order of importance of the heads{of} beats a random one cannot be shown"),
        }
    };
    let sentences: Vec<String> = names.grouped(groups).iter().map(sentence).collect();
    let evidence = all.iter().map(|(model, most, least, _)| {
        format!(
            "{}: {} with the most important first ({}), {} with the least important first ({})",
            names.bare(*model),
            Unit::Points.sentence(&most.difference),
            p_value(most.p_value),
            Unit::Points.sentence(&least.difference),
            p_value(least.p_value)
        )
    });
    Some(Claim {
        section: HeadsStudy::ID,
        topic: "Heads together",
        statement: capitalised(&sentences.join("; ")) + ".",
        evidence: format!(
            "Accuracy averaged over the pruning curve against that in random order, paired on {} that did not choose the order. {}.",
            counted(n, "image"),
            evidence.collect::<Vec<_>>().join("; ")
        ),
    })
}
