//! Export for other libraries: `model.safetensors` under timm's or torchvision's names, and a `config.json` in timm's format with
//! the model's sizes and preprocessing.

use std::fs;
use std::path::Path;

use archaeo_store::StoreError;
use serde_json::{Map, Value, json};

use crate::architectures::Architecture;
use crate::checkpoint::{WeightsError, save};
use crate::classifier::{Classifier, ModelCard};
use crate::preprocessing::Fit;

/// Epsilon of timm's layer norms, except CLIP's.
pub(crate) const TIMM_EPSILON: f64 = 1e-6;

/// Which library builds an exported model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `timm.create_model("local-dir:FOLDER", pretrained=True)`
    Timm,
    /// torchvision's `ResNet` with another stem or other widths; `docs/export.md` shows how.
    Torchvision,
    /// No other library has this model; only `archaeo` reads the file.
    Archaeo,
}

/// How timm builds a model.
pub(crate) struct TimmModel {
    pub(crate) library: Library,
    /// Name of a timm model.
    pub(crate) architecture: String,
    /// Arguments that differ from that model's.
    pub(crate) arguments: Map<String, Value>,
}

impl TimmModel {
    /// A model that timm does not have.
    pub(crate) fn of_none(name: &str) -> Self {
        Self { library: Library::Archaeo, architecture: name.to_owned(), arguments: Map::new() }
    }
}

/// Writes `model.safetensors` and `config.json` into `folder`, atomically, and returns the library that can load them.
///
/// # Errors
/// An I/O error, with the path.
pub fn export(folder: &Path, model: &Classifier) -> Result<Library, WeightsError> {
    fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
    save(&folder.join("model.safetensors"), model, &[])?;
    write_configuration(folder, model.card())
}

/// Writes `config.json` into `folder`, atomically, and returns the library that can load the `model.safetensors` next to it.
///
/// # Errors
/// An I/O error, with the path.
pub fn write_configuration(folder: &Path, card: &ModelCard) -> Result<Library, WeightsError> {
    let (library, config) = configuration(card);
    let text = serde_json::to_string_pretty(&config).expect("a configuration is plain data") + "\n";
    archaeo_store::write(&folder.join("config.json"), text.as_bytes())?;
    Ok(library)
}

/// timm's `config.json` for a model, and the library that can build it.
pub fn configuration(card: &ModelCard) -> (Library, Value) {
    let TimmModel { library, architecture, arguments } = card.network.sizes().timm(&card.name);
    let preprocessing = &card.preprocessing;
    let side = preprocessing.image_size;
    let mut config = json!({
        "architecture": architecture,
        "num_classes": card.network.classes(),
        "label_names": card.classes,
        "pretrained_cfg": {
            "input_size": [3, side, side],
            "fixed_input_size": card.network.image_size().is_some(),
            "interpolation": preprocessing.interpolation,
            "crop_pct": preprocessing.crop,
            "crop_mode": match preprocessing.fit {
                Fit::Crop => "center",
                Fit::Squash => "squash",
            },
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "num_classes": card.network.classes(),
            "custom_load": false,
        },
    });
    if !arguments.is_empty() {
        config["model_args"] = Value::Object(arguments);
    }
    (library, config)
}

pub(crate) fn arguments(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(arguments) => arguments,
        _ => unreachable!("arguments are written as an object"),
    }
}

/// timm's arguments for the sizes of a transformer with equal blocks.
pub(crate) fn sizes(
    [image_size, patch_size, width, depth, heads, mlp_width]: [usize; 6],
) -> Map<String, Value> {
    arguments(json!({
        "img_size": image_size,
        "patch_size": patch_size,
        "embed_dim": width,
        "depth": depth,
        "num_heads": heads,
        "mlp_ratio": mlp_width as f64 / width as f64,
    }))
}

/// The standard sizes are timm's and torchvision's own; stems for small images and other widths are built from torchvision's
/// blocks.
pub(crate) fn by_own_name<A: Architecture + PartialEq>(sizes: &A, name: &str) -> TimmModel {
    let same = |name: &String| A::named(name, sizes.classes(), 224).is_some_and(|named| named == *sizes);
    let named = A::names().into_iter().find(same);
    let library = match &named {
        Some(name) if !name.contains('_') => Library::Timm,
        _ => Library::Torchvision,
    };
    TimmModel { library, architecture: named.unwrap_or_else(|| name.to_owned()), arguments: Map::new() }
}
