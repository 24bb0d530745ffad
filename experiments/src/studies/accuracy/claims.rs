//! Which model is more accurate, on every split, and whether their probabilities can be believed.

use archaeo_report::Claim;
use archaeo_report::evidence::{SIGNIFICANCE, Side, side};
use archaeo_report::numbers::{Unit, counted, p_value, percent};

use super::calibration;
use super::findings::{AccuracyFindings, PairComparison, SplitAccuracy};
use crate::advice::{Advice, Choice};
use crate::report::Names;
use crate::report::names::{capitalised, listed};
use crate::subjects::ModelName;

/// Pairs whose tests are reported one by one.
const MOST_PAIRS: usize = 3;

pub(super) fn claims(findings: &AccuracyFindings, names: &Names) -> Vec<Claim> {
    let Some(main) = findings.splits.iter().find(|split| split.split == findings.main_split) else {
        return Vec::new();
    };
    if main.models.is_empty() {
        return Vec::new();
    }
    let others = findings.splits.iter().filter(|split| split.split != findings.main_split);
    let images = format!("{} of the {} split", counted(main.n, "image"), main.split);
    let (statement, evidence) = match &main.pairs[..] {
        [] => (alone(main, names), format!("Over {images}.")),
        [pair] => (comparison(main, pair, names), format!("On {images}, {}.", tested(pair, names))),
        pairs => (ranking(main, names), among_several(&images, pairs, names)),
    };
    let evidence = [evidence].into_iter().chain(others.map(|split| on_another_split(split, names)));
    let accuracy = Claim {
        section: "accuracy",
        topic: "Accuracy",
        statement,
        evidence: evidence.collect::<Vec<_>>().join(" "),
    };
    vec![accuracy, calibration::claim(&main.models, names)]
}

/// Whom to choose where accuracy decides; `None` of a model alone.
pub(super) fn advice(findings: &AccuracyFindings, names: &Names) -> Option<Advice> {
    let main = findings.splits.iter().find(|split| split.split == findings.main_split)?;
    if main.pairs.is_empty() {
        return None;
    }
    let scores = main
        .models
        .iter()
        .map(|(name, scores)| format!("{} {}", names.bare(name), Unit::Percent.brief(&scores.top1)));
    let scores: Vec<String> = scores.collect();
    let tests = match &main.pairs[..] {
        [pair] => format!("; {}", tested(pair, names)),
        _ => String::new(),
    };
    Some(Advice {
        decides: "right answers on images like these count".into(),
        choice: Choice::first(&names.models(), main.pairs.iter().map(ahead)),
        evidence: format!("Accuracy {}{tests}.", scores.join(", ")),
    })
}

/// The model of a pair that the paired evidence shows to be ahead, then the other; both the test and the interval must say so.
fn ahead(pair: &PairComparison) -> Option<[ModelName; 2]> {
    let [first, second] = pair.models;
    match side(&pair.difference, 0.0) {
        Side::Above if pair.mcnemar_p < SIGNIFICANCE => Some([first, second]),
        Side::Below if pair.mcnemar_p < SIGNIFICANCE => Some([second, first]),
        _ => None,
    }
}

/// Whether two models are right on the very same images, so that there is nothing to test.
fn never_differ(pair: &PairComparison) -> bool {
    pair.only_first_right + pair.only_second_right == 0
}

fn top1(split: &SplitAccuracy, model: ModelName) -> String {
    split.models.get(model).map_or_else(String::new, |scores| percent(scores.top1.value))
}

fn alone(main: &SplitAccuracy, names: &Names) -> String {
    let each = main.models.iter().map(|(name, scores)| {
        format!("{} is right on {}", names.the(name), Unit::Percent.sentence(&scores.top1))
    });
    format!("{}.", capitalised(&listed(&each.collect::<Vec<_>>())))
}

fn comparison(main: &SplitAccuracy, pair: &PairComparison, names: &Names) -> String {
    let [first, second] = pair.models;
    match ahead(pair) {
        Some([better, worse]) => format!(
            "{} is more accurate than {}: {} against {}.",
            capitalised(&names.the(better)),
            names.the(worse),
            top1(main, better),
            top1(main, worse)
        ),
        None if never_differ(pair) => format!(
            "{} and {} are right on the very same images: both have an accuracy of {}.",
            capitalised(&names.the(first)),
            names.the(second),
            top1(main, first)
        ),
        None => format!(
            "No difference in accuracy between {} and {} can be shown: {} and {}.",
            names.the(first),
            names.the(second),
            top1(main, first),
            top1(main, second)
        ),
    }
}

/// Several models by their accuracy, and which of them the most accurate is shown to exceed.
fn ranking(main: &SplitAccuracy, names: &Names) -> String {
    let mut order: Vec<ModelName> = main.models.names().collect();
    order.sort_by(|a, b| main.models[*b].top1.value.total_cmp(&main.models[*a].top1.value));
    let first = order[0];
    let behind: Vec<String> = order[1..]
        .iter()
        .filter(|other| main.pairs.iter().any(|pair| ahead(pair) == Some([first, **other])))
        .map(|other| names.the(*other))
        .collect();
    let shown = match behind.len() {
        0 => "no other is shown to be less accurate".to_owned(),
        n if n + 1 == order.len() => "each of the others is shown to be less accurate".to_owned(),
        _ => format!("it is shown to be more accurate than {}", listed(&behind)),
    };
    let scores: Vec<String> =
        order.iter().map(|name| format!("{} {}", names.bare(*name), top1(main, *name))).collect();
    format!("{} comes out most accurate, and {shown}: {}.", capitalised(&names.the(first)), scores.join(", "))
}

/// The test of one pair.
fn tested(pair: &PairComparison, names: &Names) -> String {
    if never_differ(pair) {
        return "there is no image on which only one of them is right, and so no difference to test".into();
    }
    let [first, second] = pair.models.map(|name| names.bare(name));
    format!(
        "the difference {first} − {second} is {}; exact McNemar {}",
        Unit::Points.sentence(&pair.difference),
        p_value(pair.mcnemar_p)
    )
}

fn among_several(images: &str, pairs: &[PairComparison], names: &Names) -> String {
    if pairs.len() > MOST_PAIRS {
        return format!("On {images}; the tests of all {} pairs are in the section.", pairs.len());
    }
    let each = pairs.iter().map(|pair| {
        let [first, second] = pair.models.map(|name| names.bare(name));
        match never_differ(pair) {
            true => format!("{first} and {second} are right on the very same images"),
            false => tested(pair, names),
        }
    });
    format!("On {images}, {}.", each.collect::<Vec<_>>().join("; "))
}

fn on_another_split(split: &SplitAccuracy, names: &Names) -> String {
    let scores: Vec<String> = split
        .models
        .iter()
        .map(|(name, scores)| format!("{} {}", names.bare(name), percent(scores.top1.value)))
        .collect();
    let scores = scores.join(", ");
    match &split.pairs[..] {
        [pair] => {
            let verdict = match ahead(pair) {
                Some([better, _]) => format!("{} is ahead", names.the(better)),
                None if never_differ(pair) => "both are right on the very same images".into(),
                None => "neither is shown to be ahead".into(),
            };
            format!("On {}, {verdict} ({scores}; {}).", split.split, p_value(pair.mcnemar_p))
        }
        _ => format!("On {}: {scores}.", split.split),
    }
}
