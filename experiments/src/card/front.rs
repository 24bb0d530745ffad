//! The metadata of a card: YAML that the hub reads.

use archaeo_analysis::statistics::Estimate;
use archaeo_models::{Library, configuration};
use serde_json::Value;

use super::Known;
use super::body::Measured;
use crate::findings::SplitAccuracy;

/// The front matter, without the lines that enclose it.
pub(super) fn matter(known: &Known, measured: &Measured) -> String {
    let card = known.card;
    let library = match configuration(card).0 {
        Library::Timm => "timm",
        Library::Torchvision => "torchvision",
        Library::Archaeo => "archaeo",
    };
    // The hub's word for a licence that nobody stated.
    let license = known.license.unwrap_or("unknown");
    let mut text =
        format!("license: {}\nlibrary_name: {library}\npipeline_tag: image-classification\n", text(license));
    let kind =
        if card.network.attention_layers() > 0 { "vision-transformer" } else { "convolutional-network" };
    text += &format!("tags:\n- image-classification\n- {kind}\n- archaeo\nmetrics:\n- accuracy\n");
    text + &index(known, measured)
}

/// A string, quoted as JSON is, which YAML 1.2 reads.
fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// The results, of every split that was scored.
fn index(known: &Known, measured: &Measured) -> String {
    let mut results = String::new();
    if let (Some(accuracy), Some((investigation, name))) = (&measured.accuracy, known.investigation) {
        for SplitAccuracy { split, models, .. } in &accuracy.splits {
            let Some(scores) = models.get(name) else { continue };
            results += &dataset(&investigation.data.name, split);
            results += &metric("accuracy", "Accuracy", scores.top1.value);
            results += &interval(&scores.top1);
            results += &metric("nll", "Mean negative log-likelihood (nats)", scores.nll.value);
            results += &metric("ece", "Expected calibration error", scores.ece.value);
        }
    } else if let Some((training, last)) = known.training.and_then(|of| Some((of, of.history.last()?))) {
        let data = training.data.as_ref().map_or("", |data| &data.source);
        results += &dataset(data, "validation");
        results += &metric("accuracy", "Accuracy", last.validation_accuracy);
    }
    match results.is_empty() {
        true => String::new(),
        false => format!("model-index:\n- name: {}\n  results:\n{results}", text(&known.card.name)),
    }
}

fn dataset(name: &str, split: &str) -> String {
    let (name, split) = (text(name), text(split));
    format!(
        "  - task:\n      type: image-classification\n      name: Image Classification\n    dataset:\n      name: {name}\n      \
         type: {name}\n      split: {split}\n    metrics:\n"
    )
}

fn metric(kind: &str, name: &str, value: f64) -> String {
    // What is no number has no place in metadata.
    match value.is_finite() {
        true => format!("    - type: {kind}\n      name: {name}\n      value: {}\n", Value::from(value)),
        false => String::new(),
    }
}

/// The interval of the metric before it.
fn interval(estimate: &Estimate) -> String {
    let Estimate { low, high, level, n, .. } = estimate;
    let [low, high, level] = [low, high, level].map(|&value| Value::from(value));
    format!(
        "      args:\n        low: {low}\n        high: {high}\n        level: {level}\n        images: {n}\n"
    )
}
