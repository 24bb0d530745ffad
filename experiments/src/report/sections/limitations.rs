//! What these findings do not show, from what was actually done.

use crate::findings::{Investigation, Role};

use super::super::claims::attacks as attacks_of;
use archaeo_report::document::{Block, Section, Text};
use super::super::names::{Names, listed};
use archaeo_report::numbers::{count, counted};

/// Ratio of parameters from which on the pair is called unequal.
const UNEQUAL_SIZES: f64 = 1.5;

/// Images below which the main split is called small.
const SMALL_SPLIT: usize = 500;

pub(super) fn section(investigation: &Investigation, names: &Names) -> Section {
    let mut items: Vec<String> = Vec::new();
    items.extend(training(investigation, names));
    items.extend(samples(investigation));
    items.extend(studies(investigation));
    items.extend(missing(investigation));
    let items = items.into_iter().map(Text::from).collect();
    Section { id: "limitations", title: "Limitations", blocks: vec![Block::List(items)] }
}

fn is_quick(investigation: &Investigation) -> bool {
    investigation.provenance.command.split_whitespace().any(|word| word == "--quick")
}

fn training(investigation: &Investigation, names: &Names) -> Vec<String> {
    let mut items = Vec::new();
    let trained: Vec<_> = investigation.models.iter().filter(|model| !model.history.is_empty()).collect();
    if !trained.is_empty() {
        items.push(format!(
            "Each model was trained once, with seed {}. Intervals tell how the numbers would vary with other images, not with \
             another training run.",
            investigation.provenance.seed
        ));
    }
    let loaded: Vec<String> = investigation
        .models
        .iter()
        .filter(|model| model.history.is_empty())
        .map(|model| model.card.name.clone())
        .collect();
    if !loaded.is_empty() {
        let verb = if loaded.len() == 1 { "was" } else { "were" };
        items.push(format!(
            "{} {verb} loaded: what the weights were trained on is not known here, and images of this evaluation may have been \
             among it.",
            listed(&loaded)
        ));
    }
    if is_quick(investigation) {
        items.push(
            "This is a quick run, with less training and fewer images than the full one; the models may be far from what they \
             could reach."
                .into(),
        );
    }
    let size =
        |role| investigation.models.iter().find(|model| model.role == role).map(|model| model.parameters);
    if let (Some(vit), Some(cnn)) = (size(Role::Vit), size(Role::Cnn)) {
        let (larger, smaller) = (vit.max(cnn), vit.min(cnn));
        if smaller > 0 && larger as f64 / smaller as f64 > UNEQUAL_SIZES {
            items.push(format!(
                "The models differ in size ({} has {} parameters, {} {}), which differences between them may reflect.",
                names.the(Role::Vit),
                count(vit),
                names.the(Role::Cnn),
                count(cnn)
            ));
        }
    }
    items.push(
        "Two models on one data set: nothing here says that all ViTs or all CNNs are like these.".into(),
    );
    items
}

fn samples(investigation: &Investigation) -> Vec<String> {
    let mut items = Vec::new();
    let Some(accuracy) = &investigation.accuracy else { return items };
    let Some(main) = accuracy.splits.iter().find(|split| split.split == accuracy.main_split) else {
        return items;
    };
    if main.n < SMALL_SPLIT {
        items.push(format!(
            "The {} split has only {}: small differences cannot be seen.",
            main.split,
            counted(main.n, "image")
        ));
    }
    let studies = [
        ("attention statistics", investigation.attention.as_ref().map(|found| found.n)),
        ("head ablation", investigation.heads.as_ref().map(|found| found.n)),
        ("attacks", investigation.attacks.as_ref().map(|found| found.n)),
        ("explanations against the truth", investigation.localisation.as_ref().map(|found| found.n)),
    ];
    let fewer: Vec<String> = studies
        .into_iter()
        .filter_map(|(name, n)| n.filter(|n| *n < main.n).map(|n| format!("{name} {}", count(n))))
        .collect();
    if !fewer.is_empty() {
        items.push(format!(
            "Some studies use fewer than the {} of the split: {}.",
            counted(main.n, "image"),
            listed(&fewer)
        ));
    }
    let skipped = investigation.data.skipped.len();
    if skipped > 0 {
        items.push(format!("{} could not be used and were left out.", counted(skipped, "image")));
    }
    items
}

fn studies(investigation: &Investigation) -> Vec<String> {
    let mut items = Vec::new();
    if investigation.attention.is_some() {
        items.push("Attention shows where information can flow, not what decided the answer.".into());
    }
    if let Some(comparisons) = &investigation.comparisons {
        items.push(format!(
            "The {} shown side by side are a selection ({}).",
            counted(comparisons.items.len(), "comparison"),
            comparisons.selection.trim_end_matches('.')
        ));
    }
    if investigation.heads.is_some() {
        items.push(
            "Heads were taken away one at a time: heads that stand in for each other look unimportant."
                .into(),
        );
    }
    if let Some(attacks) = &investigation.attacks {
        let names: Vec<String> = attacks_of(attacks).into_iter().map(str::to_owned).collect();
        if !names.is_empty() {
            items.push(format!(
                "Accuracy under {} is an upper bound of robustness: a stronger attack may find more.",
                listed(&names)
            ));
        }
    }
    if investigation.accuracy.is_some()
        && investigation.localisation.is_none()
        && investigation.comparisons.is_some()
    {
        items.push(
            "The explanations were not scored against ground truth, for this data has no object masks."
                .into(),
        );
    }
    items
}

fn missing(investigation: &Investigation) -> Option<String> {
    let studies = [
        (investigation.trust.is_none(), "whether the models can be trusted"),
        (investigation.accuracy.is_none(), "accuracy"),
        (investigation.attention.is_none(), "attention statistics"),
        (investigation.comparisons.is_none(), "side-by-side explanations"),
        (investigation.heads.is_none(), "head ablation"),
        (investigation.attacks.is_none(), "attacks"),
        (investigation.errors.is_none(), "errors"),
        (investigation.localisation.is_none(), "explanations against the truth"),
        (investigation.shape_bias.is_none(), "shape bias"),
    ];
    let absent: Vec<String> =
        studies.iter().filter(|(absent, _)| *absent).map(|(_, name)| (*name).into()).collect();
    if absent.is_empty() {
        return None;
    }
    Some(format!(
        "Not part of this report, because not run or not possible with this data: {}.",
        listed(&absent)
    ))
}
