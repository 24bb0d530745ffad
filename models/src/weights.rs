//! Models on disk: safetensors whose metadata carries the model's card, so that one file says all.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use thiserror::Error;

use crate::classifier::{Classifier, ModelCard};
use crate::spec::SpecError;
use crate::state::{Array, Mismatch, State, state_of, with_state};

/// Key of the metadata entry that holds a [`ModelCard`] as JSON.
const CARD_KEY: &str = "archaeo.model";

/// A checkpoint that cannot be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not a safetensors file, or is cut short.
    #[error("{path} is not a readable safetensors file ({reason}); download or export it again")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file does not say what model it is.
    #[error("{0} does not say which model it holds; name it with --model (see `archaeo models`)")]
    NoCard(PathBuf),
    /// The arrays are not those of the model.
    #[error(
        "{path} does not fit {model}:\n{mismatch}hint: --model may name another architecture or class count than the file holds"
    )]
    Mismatch {
        /// Which file.
        path: PathBuf,
        /// Which model.
        model: String,
        /// Every difference.
        mismatch: Mismatch,
    },
    /// A value that is no number.
    #[error(
        "{path} holds a value that is not finite in `{name}`; the training that wrote it diverged, take an earlier checkpoint"
    )]
    NotFinite {
        /// Which file.
        path: PathBuf,
        /// Which array.
        name: String,
    },
    /// The model cannot be built.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// Writes arrays and string metadata, to a temporary name first, so that `path` is never half a file.
///
/// # Errors
/// What the file system says, with the path.
pub fn write_arrays(
    path: &Path,
    state: &State,
    metadata: HashMap<String, String>,
) -> Result<(), WeightsError> {
    let bytes: Vec<(&String, Vec<u8>)> = state
        .iter()
        .map(|(name, array)| (name, array.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views: Vec<(&String, TensorView<'_>)> = bytes
        .iter()
        .map(|(name, bytes)| {
            let shape = state[*name].shape.clone();
            (*name, TensorView::new(Dtype::F32, shape, bytes).expect("four bytes a value"))
        })
        .collect();
    let encoded = safetensors::serialize(views, Some(metadata)).expect("views are consistent");
    let temporary = path.with_extension("tmp");
    let io = |action| move |source| WeightsError::Io { action, path: path.to_owned(), source };
    fs::write(&temporary, encoded).map_err(io("write"))?;
    fs::rename(&temporary, path).map_err(io("write"))
}

/// Reads every array of a safetensors file, widened to 32-bit floats, and its metadata.
///
/// # Errors
/// A file that cannot be read, is malformed, or holds an array of another type than 16-, 32- or 64-bit floats (integer
/// counters such as `num_batches_tracked` are left out).
pub fn read_arrays(path: &Path) -> Result<(State, HashMap<String, String>), WeightsError> {
    let bytes = fs::read(path).map_err(|source| WeightsError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let malformed = |reason: String| WeightsError::Malformed { path: path.to_owned(), reason };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| malformed(error.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    let mut state = State::new();
    for (name, view) in tensors.iter() {
        let values = match view.dtype() {
            Dtype::F32 => {
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            Dtype::F64 => view
                .data()
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes(b.try_into().unwrap()) as f32)
                .collect(),
            Dtype::BF16 => view
                .data()
                .chunks_exact(2)
                .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(b.try_into().unwrap())) << 16))
                .collect(),
            Dtype::I64 | Dtype::I32 if view.shape().is_empty() => continue,
            other => return Err(malformed(format!("`{name}` is of type {other:?}"))),
        };
        state.insert(name.to_owned(), Array { shape: view.shape().to_vec(), values });
    }
    Ok((state, metadata))
}

/// Writes a model with its card; `notes` are further metadata entries (what trained it, and how).
///
/// # Errors
/// What the file system says, with the path.
pub fn save(path: &Path, model: &Classifier, notes: &[(&str, &str)]) -> Result<(), WeightsError> {
    let mut metadata: HashMap<String, String> =
        notes.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    metadata.insert(CARD_KEY.into(), serde_json::to_string(model.card()).expect("a card is plain data"));
    metadata.insert("format".into(), "pt".into());
    write_arrays(path, &state_of(model), metadata)
}

/// Reads a model. `card` says what the file holds; without it the file must say so itself, as those written by
/// [`save`] do.
///
/// # Errors
/// A file that cannot be read, is malformed, names no model, holds other arrays than the model needs (all of them
/// listed), or a value that is not finite.
pub fn load(path: &Path, card: Option<ModelCard>, device: &Device) -> Result<Classifier, WeightsError> {
    let (state, metadata) = read_arrays(path)?;
    let card = match (card, metadata.get(CARD_KEY)) {
        (Some(card), _) => card,
        (None, Some(json)) => serde_json::from_str(json).map_err(|error| WeightsError::Malformed {
            path: path.to_owned(),
            reason: format!("its model card does not parse: {error}"),
        })?,
        (None, None) => return Err(WeightsError::NoCard(path.to_owned())),
    };
    if let Some((name, _)) =
        state.iter().find(|(_, array)| array.values.iter().any(|value| !value.is_finite()))
    {
        return Err(WeightsError::NotFinite { path: path.to_owned(), name: name.clone() });
    }
    let model = card.name.clone();
    with_state(Classifier::blank(card, device)?, state).map_err(|mismatch| WeightsError::Mismatch {
        path: path.to_owned(),
        model,
        mismatch,
    })
}

/// The card that a checkpoint carries, without building the model.
///
/// # Errors
/// As [`read_arrays`].
pub fn read_card(path: &Path) -> Result<Option<ModelCard>, WeightsError> {
    let (_, metadata) = read_arrays(path)?;
    metadata.get(CARD_KEY).map(|json| serde_json::from_str(json)).transpose().map_err(|error| {
        WeightsError::Malformed {
            path: path.to_owned(),
            reason: format!("its model card does not parse: {error}"),
        }
    })
}
