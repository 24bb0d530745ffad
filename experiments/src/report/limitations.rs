//! What these findings do not show, from what was actually done.

use archaeo_report::document::{Block, Section, Text};
use archaeo_report::numbers::{count, counted};
use archaeo_training::Ended;

use super::names::listed;
use crate::findings::Investigation;
use crate::studies::STUDIES;
use crate::study::{AnyStudy, Chapter};

/// Ratio of parameters from which on models are called unequal.
const UNEQUAL_SIZES: f64 = 1.5;

/// Images below which the main split is called small.
const SMALL_SPLIT: usize = 500;

pub(super) fn section(investigation: &Investigation, chapters: &[(&dyn AnyStudy, Chapter)]) -> Section {
    let mut items = training(investigation);
    items.extend(sizes(investigation));
    items.push(scope(investigation));
    items.extend(samples(investigation, chapters));
    items.extend(chapters.iter().flat_map(|(_, chapter)| chapter.limitations.iter().cloned()));
    items.extend(missing(investigation));
    let items = items.into_iter().map(Text::from).collect();
    Section { id: "limitations", title: "Limitations", blocks: vec![Block::List(items)] }
}

fn is_quick(investigation: &Investigation) -> bool {
    investigation.provenance.command.split_whitespace().any(|word| word == "--quick")
}

fn training(investigation: &Investigation) -> Vec<String> {
    let mut items = Vec::new();
    let trained: Vec<_> = investigation.models.iter().filter(|model| !model.history.is_empty()).collect();
    let once: Vec<String> = (trained.iter())
        .filter(|model| model.more_runs.is_empty())
        .map(|model| model.card.name.clone())
        .collect();
    if !once.is_empty() {
        let (which, was) = match once.len() {
            all if all == trained.len() => ("Each model".to_owned(), "was"),
            1 => (listed(&once), "was"),
            _ => (listed(&once), "were"),
        };
        items.push(format!(
            "{which} {was} trained once, with seed {}. Intervals tell how the numbers would vary with other images, not with \
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
    let falling: Vec<String> = (trained.iter())
        .filter(|model| model.training_end.is_some_and(|end| end.ended == Ended::StillFalling))
        .map(|model| model.card.name.clone())
        .collect();
    if !falling.is_empty() {
        items.push(format!(
            "{} had not come to rest: in the last epoch the validation loss still fell by 5 % or more. More epochs may reach more, and \
             comparisons hold for so much training, not for what the architectures can reach.",
            listed(&falling)
        ));
    }
    if is_quick(investigation) {
        items.push(
            "This is a quick run, with less training and fewer images than the full one; the models may be far from what they \
             could reach."
                .into(),
        );
    }
    items
}

/// Models of unequal size, the largest and the smallest.
fn sizes(investigation: &Investigation) -> Option<String> {
    let largest = investigation.models.iter().max_by_key(|model| model.parameters)?;
    let smallest = investigation.models.iter().min_by_key(|model| model.parameters)?;
    let unequal =
        smallest.parameters > 0 && largest.parameters as f64 / smallest.parameters as f64 > UNEQUAL_SIZES;
    unequal.then(|| {
        format!(
            "The models differ in size ({} has {} parameters, {} {}), which differences between them may reflect.",
            largest.card.name,
            count(largest.parameters),
            smallest.card.name,
            count(smallest.parameters)
        )
    })
}

fn scope(investigation: &Investigation) -> String {
    let number = match investigation.models.len() {
        1 => "One model".to_owned(),
        2 => "Two models".to_owned(),
        n => format!("{n} models"),
    };
    format!("{number} on one data set: nothing here says that all models of their kinds are like these.")
        .replace(
            "their kinds are like these",
            if investigation.models.len() == 1 {
                "its kind are like this one"
            } else {
                "their kinds are like these"
            },
        )
}

fn samples(investigation: &Investigation, chapters: &[(&dyn AnyStudy, Chapter)]) -> Vec<String> {
    let mut items = Vec::new();
    let Some((split, n)) = &investigation.main_split else { return items };
    if *n < SMALL_SPLIT {
        items.push(format!(
            "The {split} split has only {}: small differences cannot be seen.",
            counted(*n, "image")
        ));
    }
    let samples = chapters.iter().filter_map(|(_, chapter)| chapter.sample);
    let fewer: Vec<String> = samples
        .filter(|(_, looked_at)| looked_at < n)
        .map(|(name, looked_at)| format!("{name} {}", count(looked_at)))
        .collect();
    if !fewer.is_empty() {
        items.push(format!(
            "Some studies use fewer than the {} of the split: {}.",
            counted(*n, "image"),
            listed(&fewer)
        ));
    }
    let skipped = investigation.data.skipped.len();
    if skipped > 0 {
        items.push(format!("{} could not be used and were left out.", counted(skipped, "image")));
    }
    items
}

/// Studies that were not made, and why.
fn missing(investigation: &Investigation) -> Vec<String> {
    let absent = STUDIES.iter().filter(|study| !investigation.studies.contains_key(study.id()));
    absent
        .map(|study| {
            let reason = investigation.not_applicable.get(study.id());
            let reason = reason.map_or("it has not run", String::as_str);
            format!("Not part of this report: “{}”, because {reason}.", study.title())
        })
        .collect()
}
