//! The model that a command line names.

use std::path::Path;

use anyhow::Result;
use archaeo_models::{
    Checkpoint, Described, Fit, Interpolation, LoadOptions, ModelRequest, PreprocessingChoice,
    SourcedPreprocessing, checkpoint,
};

use serde_json::{Value, json};

use crate::cli::{Filter, Reading, Shape};
use crate::hub;
use crate::printer::Printer;

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
    let checkpoint = checkpoint::read(&hub::resolve(path)?)?;
    let request = ModelRequest {
        model: model.map(str::to_owned),
        preprocessing: choice(reading),
        class_names: class_names.to_vec(),
    };
    let mut described = checkpoint.describe(&request)?;
    if let Some(inferred) = &described.inferred {
        printer.say(&format!("{} is {inferred}", path.display()));
    }
    if reading.replace_head && !class_names.is_empty() {
        described.card.network = described.card.network.with_classes(class_names.len());
        described.card.classes = class_names.to_vec();
    }
    Ok(Found { checkpoint, described })
}

/// What a checkpoint may lack.
pub fn options(reading: &Reading) -> LoadOptions {
    LoadOptions { allow_missing: reading.allow_missing.clone(), replace_head: reading.replace_head }
}

fn choice(reading: &Reading) -> PreprocessingChoice {
    PreprocessingChoice {
        image_size: reading.image_size,
        crop: reading.crop,
        fit: reading.fit.map(|shape| match shape {
            Shape::Crop => Fit::Crop,
            Shape::Squash => Fit::Squash,
        }),
        interpolation: reading.interpolation.map(|filter| match filter {
            Filter::Bilinear => Interpolation::Bilinear,
            Filter::Bicubic => Interpolation::Bicubic,
            Filter::Lanczos => Interpolation::Lanczos,
        }),
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
