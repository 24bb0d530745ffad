//! Models on disk: safetensors whose metadata carries the model's card, so that one file says all.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use burn::tensor::{Device, bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use thiserror::Error;

use crate::classifier::{Classifier, ModelCard};
use crate::names;
use crate::spec::SpecError;
use crate::state::{Array, Mismatch, State, state_of, with_state};

/// Key of the metadata entry that holds a [`ModelCard`] as JSON.
const CARD_KEY: &str = "archaeo.model";

/// Key of the metadata in a safetensors header.
const METADATA_KEY: &str = "__metadata__";

/// Bytes of the largest header that is read; that of a model of a thousand arrays has about 100,000.
const LARGEST_HEADER: u64 = 16 << 20;

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
        source: io::Error,
    },
    /// The file is not a safetensors file, or is cut short.
    #[error("{path} is not a readable safetensors file ({reason}); download or export it again")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An array of something else than floats.
    #[error("{path} holds `{name}` as {dtype}; export it with 16-, 32- or 64-bit floats")]
    Dtype {
        /// Which file.
        path: PathBuf,
        /// Which array.
        name: String,
        /// Its type, in the format's own word.
        dtype: String,
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
    /// The model that the file is said to hold cannot be built.
    #[error("cannot build the model of {path}: {source}")]
    Spec {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: SpecError,
    },
}

/// Writes arrays and string metadata, to a temporary name first, so that `path` is never half a file.
///
/// Equal input gives equal bytes: names and metadata are sorted, so that a file's hash identifies its contents.
///
/// # Errors
/// What the file system says, with the path.
pub fn write_arrays(
    path: &Path,
    state: &State,
    metadata: HashMap<String, String>,
) -> Result<(), WeightsError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let written =
        write_to(Path::new(&temporary), state, metadata).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&temporary); // what is left of a failed write; the failure itself is reported
        WeightsError::Io { action: "write", path: path.to_owned(), source }
    })
}

fn write_to(path: &Path, state: &State, metadata: HashMap<String, String>) -> io::Result<()> {
    // The crate's own writer takes the metadata as a hash map and writes it in a different order every time.
    let metadata: BTreeMap<String, String> = metadata.into_iter().collect();
    let mut header = serde_json::Map::new();
    header.insert(METADATA_KEY.into(), serde_json::to_value(metadata)?);
    let mut end = 0;
    for (name, Array { shape, values }) in state {
        let data_offsets = (end, end + 4 * values.len());
        end = data_offsets.1;
        let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets };
        header.insert(name.clone(), serde_json::to_value(info)?);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for value in state.values().flat_map(|array| &array.values) {
        file.write_all(&value.to_le_bytes())?;
    }
    file.into_inner()?.sync_all()
}

/// Reads every array of a safetensors file, widened to 32-bit floats, and its metadata.
///
/// The file is read array by array: beside the result, memory holds no more than the largest array's bytes.
///
/// # Errors
/// A file that cannot be read, is malformed, or holds an array of another type than 16-, 32- or 64-bit floats (arrays of
/// 32- and 64-bit integers are counters or indices, which no model here stores, and are left out).
pub fn read_arrays(path: &Path) -> Result<(State, HashMap<String, String>), WeightsError> {
    let io_error = |source| WeightsError::Io { action: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io_error)?;
    let header = read_header(&mut file, path)?;
    let mut state = State::new();
    let mut bytes = Vec::new();
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        // The header was checked against the file's length, so this cannot ask for more than there is.
        bytes.resize(info.data_offsets.1 - info.data_offsets.0, 0);
        file.read_exact(&mut bytes).map_err(io_error)?;
        if matches!(info.dtype, Dtype::I64 | Dtype::I32) {
            continue;
        }
        let values = widen(info.dtype, &bytes).ok_or_else(|| WeightsError::Dtype {
            path: path.to_owned(),
            name: name.clone(),
            dtype: info.dtype.to_string(),
        })?;
        state.insert(name, Array { shape: info.shape.clone(), values });
    }
    Ok((state, header.metadata().clone().unwrap_or_default()))
}

/// The header of a safetensors file, checked against the file's length; `file` is left at the first array.
fn read_header(file: &mut File, path: &Path) -> Result<Metadata, WeightsError> {
    let io_error = |source| WeightsError::Io { action: "read", path: path.to_owned(), source };
    let malformed = |reason: String| WeightsError::Malformed { path: path.to_owned(), reason };
    let file_length = file.metadata().map_err(io_error)?.len();
    if file_length < 8 {
        return Err(malformed(format!("it has {file_length} bytes, fewer than any such file")));
    }
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io_error)?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER || length > file_length - 8 {
        return Err(malformed(format!(
            "it announces a header of {length} bytes but has {file_length} in all"
        )));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(io_error)?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| malformed(format!("its header does not parse: {error}")))?;
    let expected = 8 + length + header.data_len() as u64;
    if expected != file_length {
        return Err(malformed(format!("it should have {expected} bytes but has {file_length}")));
    }
    Ok(header)
}

/// Little-endian floats of any width as 32-bit floats; `None` for types that are not floats.
fn widen(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Option<Vec<f32>> {
        Some(bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect())
    }
    match dtype {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        _ => None,
    }
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
/// [`save`] do. A prefix that wrappers put before every name (`module.`, `model.`) is taken off.
///
/// # Errors
/// A file that cannot be read, is malformed, names no model, holds other arrays than the model needs (all of them
/// listed), or a value that is not finite.
pub fn load(path: &Path, card: Option<ModelCard>, device: &Device) -> Result<Classifier, WeightsError> {
    let (state, metadata) = read_arrays(path)?;
    let card = match card {
        Some(card) => card,
        None => parse_card(path, &metadata)?.ok_or_else(|| WeightsError::NoCard(path.to_owned()))?,
    };
    let diverged = |array: &Array| array.values.iter().any(|value| !value.is_finite());
    if let Some((name, _)) = state.iter().find(|(_, array)| diverged(array)) {
        return Err(WeightsError::NotFinite { path: path.to_owned(), name: name.clone() });
    }
    let name = card.name.clone();
    let state = names::canonical(state, &card.network);
    let blank = Classifier::blank(card, device)
        .map_err(|source| WeightsError::Spec { path: path.to_owned(), source })?;
    with_state(blank, state).map_err(|mismatch| WeightsError::Mismatch {
        path: path.to_owned(),
        model: name,
        mismatch,
    })
}

/// The card that a checkpoint carries, without reading its arrays.
///
/// # Errors
/// A file that cannot be read or is malformed.
pub fn read_card(path: &Path) -> Result<Option<ModelCard>, WeightsError> {
    let mut file = File::open(path).map_err(|source| WeightsError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let header = read_header(&mut file, path)?;
    parse_card(path, &header.metadata().clone().unwrap_or_default())
}

fn parse_card(path: &Path, metadata: &HashMap<String, String>) -> Result<Option<ModelCard>, WeightsError> {
    let Some(json) = metadata.get(CARD_KEY) else { return Ok(None) };
    serde_json::from_str(json).map(Some).map_err(|error| WeightsError::Malformed {
        path: path.to_owned(),
        reason: format!("its model card does not parse: {error}"),
    })
}
