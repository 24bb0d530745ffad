//! A model's source as Python says it: one JSON object.

use std::path::PathBuf;

use archaeo_lab::{ModelSource, Reading};
use archaeo_models::{Fit, Interpolation, PreprocessingChoice};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Deserialize;

/// What is said of a model besides its arrays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Said {
    weights: PathBuf,
    model: Option<String>,
    class_names: Option<PathBuf>,
    prompts: Option<String>,
    entry: Option<String>,
    specification: Vec<(String, String)>,
    allow_missing: Vec<String>,
    replace_head: bool,
    image_size: Option<usize>,
    crop: Option<f64>,
    fit: Option<Fit>,
    interpolation: Option<Interpolation>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

/// The source that a JSON object describes.
///
/// # Errors
/// A value that is none.
pub fn source(json: &str) -> PyResult<ModelSource> {
    let said: Said = serde_json::from_str(json).map_err(|error| {
        PyValueError::new_err(format!("what is said of the model cannot be used: {error}"))
    })?;
    let Said { image_size, crop, fit, interpolation, mean, std, .. } = said;
    Ok(ModelSource {
        weights: said.weights,
        name: said.model,
        class_names: said.class_names,
        prompts: said.prompts,
        reading: Reading {
            entry: said.entry,
            specification: said.specification,
            allow_missing: said.allow_missing,
            replace_head: said.replace_head,
            preprocessing: PreprocessingChoice { image_size, crop, fit, interpolation, mean, std },
        },
    })
}
