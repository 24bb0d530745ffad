//! The model that a command line names.

use std::path::Path;

use anyhow::{Result, bail};
use archaeo_models::{
    Checkpoint, Classifier, Described, Fit, LoadOptions, ModelRequest, Pass, PreprocessingChoice,
    ReadOptions, SourcedPreprocessing, checkpoint,
};
use burn::tensor::{Device, Tensor};

use serde_json::{Value, json};

use super::models::said_by;
use crate::cli::{Reading, Shape};
use crate::hub;
use crate::printer::Printer;
use crate::progress::stage;

/// A checkpoint that was read, and what it was found to be.
pub struct Found {
    /// The arrays.
    pub checkpoint: Checkpoint,
    /// What they are.
    pub described: Described,
}

/// Reads a checkpoint and finds out which model it holds; `class_names` serve where it has none itself.
///
/// # Errors
/// One sentence for a file that cannot be read, or that does not say what it is.
pub fn find(
    path: &Path,
    model: Option<&str>,
    reading: &Reading,
    class_names: &[String],
    printer: &Printer,
) -> Result<Found> {
    let options = ReadOptions { entry: reading.entry.clone() };
    let file = hub::resolve(path)?;
    let reading_file = stage(&format!("reading {}", path.display()));
    let checkpoint = checkpoint::read_with(&file, &options)?;
    drop(reading_file);
    let request = ModelRequest {
        model: model.map(str::to_owned),
        preprocessing: choice(reading),
        class_names: class_names.to_vec(),
        specification: specification(reading),
    };
    let mut described = checkpoint.describe(&request)?;
    for note in &described.notes {
        printer.note(format!("{} {note}", path.display()));
    }
    if let Some(inferred) = &described.inferred {
        printer.note(format!("{} is {inferred}", path.display()));
    }
    say_details(path, &checkpoint, &described, printer);
    if reading.replace_head && !class_names.is_empty() {
        described.card.network = described.card.network.with_classes(class_names.len());
        described.card.classes = class_names.to_vec();
    }
    Ok(Found { checkpoint, described })
}

/// What was decided of a checkpoint, for those who want to know.
fn say_details(path: &Path, checkpoint: &Checkpoint, described: &Described, printer: &Printer) {
    let Described { card, preprocessing, .. } = described;
    let (file, arrays) = (path.display(), checkpoint.state.len());
    let from =
        checkpoint.entry.as_ref().map_or_else(String::new, |entry| format!(" from its entry `{entry}`"));
    printer.detail(format!("{file}: {arrays} arrays are read{from}"));
    printer.detail(format!("{file}: the model is {}, a {}", card.name, card.network.describe()));
    let network = serde_json::to_value(&card.network).expect("plain data");
    if let Some(pooling) = network["pooling"].as_str() {
        printer.detail(format!("{file}: the pooling is {pooling}"));
    }
    let values = serde_json::to_value(&preprocessing.values).expect("plain data");
    for &(name, origin) in &preprocessing.origins {
        printer.detail(format!("{file}: {name} is {}, from {}", values[name], said_by(origin)));
    }
}

/// What a checkpoint may lack.
pub fn options(reading: &Reading) -> LoadOptions {
    LoadOptions { allow_missing: reading.allow_missing.clone(), replace_head: reading.replace_head }
}

/// Refuses to measure a model of which published models have something otherwise that no array shows. Where its answers are
/// not finite either way, that is what has to be said.
///
/// # Errors
/// Such a model.
pub fn require_decided(
    path: &Path,
    described: &Described,
    model: &Classifier,
    device: &Device,
) -> Result<()> {
    let Some(doubt) = &described.doubt else { return Ok(()) };
    let side = described.card.preprocessing.image_size;
    let grey = Tensor::<4>::full([1, 3, side, side], 0.5, device);
    let answers = model.logits(grey, &mut Pass::evaluate(&mut ())).into_data();
    let finite = answers.iter::<f32>().all(f32::is_finite);
    anyhow::ensure!(
        finite,
        "{} gives answers that are not finite; the training that wrote it diverged, take an earlier checkpoint",
        path.display()
    );
    bail!("{} {doubt}", path.display());
}

/// Fields of the specification that are said, the dedicated options first.
fn specification(reading: &Reading) -> Vec<(String, String)> {
    let heads = reading.heads.map(|heads| ("heads".to_owned(), heads.to_string()));
    let pooling = reading.pooling.map(|pooling| ("pooling".to_owned(), pooling.name()));
    let grid = reading.grid.clone().map(|grid| ("grid".to_owned(), grid));
    [heads, pooling, grid].into_iter().flatten().chain(reading.spec.clone()).collect()
}

fn choice(reading: &Reading) -> PreprocessingChoice {
    PreprocessingChoice {
        image_size: reading.image_size,
        crop: reading.crop,
        fit: reading.fit.map(|shape| match shape {
            Shape::Crop => Fit::Crop,
            Shape::Squash => Fit::Squash,
        }),
        interpolation: reading.interpolation,
        mean: reading.mean,
        std: reading.std,
    }
}

/// A preprocessing as JSON: each value, and who said it.
pub fn described(preprocessing: &SourcedPreprocessing) -> Value {
    let values = serde_json::to_value(&preprocessing.values).expect("plain data");
    let each = preprocessing
        .origins
        .iter()
        .map(|&(name, origin)| (name.to_owned(), json!({ "value": values[name], "from": origin })));
    Value::Object(each.collect())
}
