//! Which heads and layers matter, and whether the gradient would have told.

mod gradient;
mod together;

use archaeo_report::Claim;
use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use archaeo_report::numbers::{Unit, counted, p_value};

pub(super) use self::together::{branches_of, costly_layers};
use super::HeadsStudy;
use super::findings::{HeadAblation, HeadFindings, SelectedHead};
use crate::report::Names;
use crate::report::names::capitalised;
use crate::study::Study;
use crate::subjects::{ByModel, ModelName};

/// Models up to which all is said of each.
const MOST_IN_FULL: usize = 3;

/// A model and what is known of its heads.
type Found<'a> = (ModelName, &'a HeadFindings);

pub(super) fn claims(findings: &ByModel<HeadFindings>, names: &Names) -> Vec<Claim> {
    let found: Vec<Found> = findings.iter().filter(|(_, found)| !found.ranking.is_empty()).collect();
    let mut claims = Vec::new();
    if !found.is_empty() {
        claims.extend([importance(&found, names), gradient::gradient(&found, names)]);
        claims.extend(together::order(&found, names));
    }
    let all: Vec<Found> = findings.iter().collect();
    claims.extend(together::layers(&all, names));
    claims
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
