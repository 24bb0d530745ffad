//! Which heads and layers matter, and whether the gradient would have told.

use archaeo_analysis::ablation::Branch;
use archaeo_analysis::statistics::Estimate;
use archaeo_report::Claim;
use archaeo_report::evidence::{SIGNIFICANCE, Side, side, tested};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::HeadsStudy;
use super::findings::{BranchAblation, HeadAblation, HeadFindings, SelectedHead};
use crate::report::Names;
use crate::report::names::capitalised;
use crate::study::Study;
use crate::subjects::{ByModel, ModelName};

/// Rank correlation from which on two rankings are called close.
const CLOSE_AGREEMENT: f64 = 0.5;

/// Models up to which all is said of each.
const MOST_IN_FULL: usize = 3;

/// A model and what is known of its heads.
type Found<'a> = (ModelName, &'a HeadFindings);

pub(super) fn claims(findings: &ByModel<HeadFindings>, names: &Names) -> Vec<Claim> {
    let found: Vec<Found> = findings.iter().filter(|(_, found)| !found.ranking.is_empty()).collect();
    let mut claims = Vec::new();
    if !found.is_empty() {
        claims.extend([importance(&found, names), gradient(&found, names)]);
        claims.extend(order(&found, names));
    }
    let all: Vec<Found> = findings.iter().collect();
    claims.extend(layers(&all, names));
    claims
}

/// Whole layers of a model, or blocks of a residual network.
pub(super) fn branches_of(findings: &HeadFindings) -> impl Iterator<Item = &BranchAblation> {
    let all = findings.together.iter().flat_map(|together| &together.branches);
    all.filter(|of| of.branch == Branch::Layer)
}

/// Of the whole layers of a model, how many it measurably needs, and how many there are; `None` where none were taken away.
pub(super) fn costly_layers(findings: &HeadFindings) -> Option<(usize, usize)> {
    let needed = branches_of(findings).filter(|of| tested(&of.mean, of.adjusted_p) == Side::Above).count();
    let all = branches_of(findings).count();
    (all > 0).then_some((needed, all))
}

/// Which models can do without any one of their layers.
fn layers(found: &[Found], names: &Names) -> Option<Claim> {
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
fn order(found: &[Found], names: &Names) -> Option<Claim> {
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

/// Whether the model needs a head, after correction for looking at all heads. The interval of the loss increase comes from
/// the same test as the p-value, so that it lies on the side that the verdict names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Needed,
    BetterWithout,
    Undecided,
}

/// What the data say of a head.
pub(super) fn verdict(head: &HeadAblation) -> Verdict {
    match head.mean.value {
        _ if head.adjusted_p.is_nan() || head.adjusted_p >= SIGNIFICANCE => Verdict::Undecided,
        increase if increase > 0.0 => Verdict::Needed,
        increase if increase < 0.0 => Verdict::BetterWithout,
        _ => Verdict::Undecided,
    }
}

/// Heads with a verdict.
pub(super) fn with(findings: &HeadFindings, wanted: Verdict) -> usize {
    findings.ranking.iter().filter(|head| verdict(head) == wanted).count()
}

/// A head's name in sentences and tables, layers and heads counted from 1.
pub(super) fn head_name(layer: usize, head: usize) -> String {
    format!("layer {}, head {}", layer + 1, head + 1)
}

fn importance(found: &[Found], names: &Names) -> Claim {
    let statement = match found {
        few if few.len() <= MOST_IN_FULL => {
            few.iter().map(|of| needed(*of, names)).collect::<Vec<_>>().join(" ")
        }
        many => extremes(many, names),
    };
    let images = counted(found[0].1.n, "image");
    let mut evidence = format!(
        "Each head's output is replaced by its mean on {images}; a head counts when the sign-flip permutation test of the \
         mean change in loss, adjusted over all heads, has p\u{a0}<\u{a0}{SIGNIFICANCE}. "
    );
    evidence += &match found {
        [(_, only)] => largest(only),
        few if few.len() <= MOST_IN_FULL => {
            let each = few.iter().map(|(model, found)| {
                format!("{}: {}", capitalised(&names.the(*model)), uncapitalised(&largest(found)))
            });
            each.collect::<Vec<_>>().join(" ")
        }
        many => {
            let each = many.iter().map(|(model, found)| {
                format!("{} {} of {}", names.bare(*model), with(found, Verdict::Needed), found.ranking.len())
            });
            format!("Needed are: {}.", each.collect::<Vec<_>>().join(", "))
        }
    };
    Claim { section: HeadsStudy::ID, topic: "Heads", statement, evidence }
}

/// How many of its heads a model needs.
fn needed((model, findings): Found, names: &Names) -> String {
    let total = counted(findings.ranking.len(), "head");
    let the_model = names.the(model);
    let mut statement = match with(findings, Verdict::Needed) {
        0 => format!("For none of the {total} can it be shown that {the_model} needs it."),
        needed => format!("{} measurably needs {needed} of its {total}.", capitalised(&the_model)),
    };
    let harmful = with(findings, Verdict::BetterWithout);
    if harmful > 0 {
        statement += &format!(" Without {harmful} of them its loss would be lower.");
    }
    statement
}

/// The models that need the smallest and the largest share of their heads.
fn extremes(found: &[Found], names: &Names) -> String {
    let share = |(_, of): &Found| with(of, Verdict::Needed) as f64 / of.ranking.len() as f64;
    let mut sorted: Vec<&Found> = found.iter().collect();
    sorted.sort_by(|a, b| share(a).total_cmp(&share(b)));
    let of = |(model, of): &Found| {
        let total = counted(of.ranking.len(), "head");
        format!("{} of the {total} of {}", with(of, Verdict::Needed), names.the(*model))
    };
    format!("From {} to {} are measurably needed.", of(sorted[0]), of(sorted[sorted.len() - 1]))
}

/// The most important head.
fn largest(findings: &HeadFindings) -> String {
    match (&findings.selected, findings.ranking.first()) {
        (Some(selected), _) => on_other_images(selected),
        (None, Some(first)) => format!(
            "The largest increase ({}) is {}; chosen as the largest on the same images, it is biased upward.",
            head_name(first.layer, first.head),
            Unit::Nats.sentence(&first.mean)
        ),
        (None, None) => String::new(),
    }
}

fn uncapitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The head that one half of the images chooses, on the other half.
fn on_other_images(selected: &SelectedHead) -> String {
    let SelectedHead { layer, head, chosen_on, mean, p_value: p, accuracy_drop } = selected;
    let change = match mean.value < 0.0 {
        true => format!(
            "lowers the loss by {} (change: {})",
            Unit::Nats.value(-mean.value),
            Unit::Nats.interval_phrase(mean)
        ),
        false => format!("raises the loss by {}", Unit::Nats.sentence(mean)),
    };
    let accuracy = match side(accuracy_drop, 0.0) {
        Side::Above => format!("costs {} of accuracy", Unit::Points.sentence(accuracy_drop)),
        Side::Below => format!("raises accuracy by {}", Unit::Points.value(-accuracy_drop.value)),
        Side::Undecided => {
            format!("costs no accuracy that can be shown ({})", Unit::Points.interval_phrase(accuracy_drop))
        }
    };
    format!(
        "The head with the largest increase on {} ({}) {change} on the other {} and {accuracy}; {}.",
        counted(*chosen_on, "image"),
        head_name(*layer, *head),
        mean.n,
        p_value(*p)
    )
}

/// How the gradient ranks the heads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ranking {
    Close,
    Alike,
    Against,
    NotShown,
    Undefined,
}

impl Ranking {
    fn of(agreement: Option<&Estimate>) -> Self {
        match agreement.map(|agreement| (side(agreement, 0.0), side(agreement, CLOSE_AGREEMENT))) {
            None => Self::Undefined,
            Some((Side::Above, Side::Above)) => Self::Close,
            Some((Side::Above, _)) => Self::Alike,
            Some((Side::Below, _)) => Self::Against,
            Some((Side::Undecided, _)) => Self::NotShown,
        }
    }

    /// A sentence without its stop, of the heads of `models` where there are several to tell apart.
    fn sentence(self, models: Option<&str>) -> String {
        let of = models.map_or_else(String::new, |models| format!(" of {models}"));
        match self {
            Self::Close => format!("the gradient ranks the heads{of} much as taking them away does"),
            Self::Alike => format!(
                "the gradient's ranking of heads{of} agrees with taking them away, but is not shown to agree closely"
            ),
            Self::Against => format!("the gradient ranks the heads{of} against what taking them away shows"),
            Self::NotShown => {
                format!(
                    "no agreement between the gradient's ranking of heads{of} and taking them away can be shown"
                )
            }
            Self::Undefined => {
                format!("whether the gradient ranks the heads{of} as taking them away does cannot be said")
            }
        }
    }
}

fn gradient(found: &[Found], names: &Names) -> Claim {
    let groups = found.iter().map(|(model, found)| (*model, Ranking::of(found.gradient_agreement.as_ref())));
    let groups = names.grouped(groups);
    let sentence = |(ranking, models): &(Ranking, String)| {
        ranking.sentence((found.len() > 1).then_some(models.as_str()))
    };
    let statement = groups.iter().map(sentence).collect::<Vec<_>>().join("; ");
    let evidence = match found {
        [(_, only)] => {
            let heads = counted(only.ranking.len(), "head");
            match &only.gradient_agreement {
                None => format!(
                    "Spearman's ρ of the two rankings is undefined over {heads}: too few, or all alike in one of them."
                ),
                Some(agreement) => format!(
                    "Spearman's ρ of the two rankings over {heads}: {}.",
                    Unit::Coefficient.sentence(agreement)
                ),
            }
        }
        several => {
            let each = several.iter().map(|(model, found)| {
                let rho = found.gradient_agreement.as_ref().map_or_else(
                    || "undefined (too few, or all alike in one of the rankings)".to_owned(),
                    |agreement| Unit::Coefficient.sentence(agreement),
                );
                format!("{} {rho} over {}", names.bare(*model), counted(found.ranking.len(), "head"))
            });
            format!("Spearman's ρ of the two rankings: {}.", each.collect::<Vec<_>>().join("; "))
        }
    };
    Claim {
        section: HeadsStudy::ID,
        topic: "Gradient against ablation",
        statement: format!("{}.", capitalised(&statement)),
        evidence,
    }
}
