//! Which file a path means, and its format: both are determined from contents, not from the extension.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use archaeo_store::{InputFile, read_bytes};

use super::error::{Fault, WeightsError};
use super::{archive, numpy, safetensors, torch};

/// File names of each kind in a folder, preferred first: the names of Hugging Face and timm, which agree.
const FILES_IN_FOLDERS: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
];

/// File extensions of checkpoints.
const ENDINGS: [&str; 6] = ["safetensors", "bin", "pth", "pt", "th", "npz"];

/// File extensions of other libraries' checkpoints.
const FOREIGN: [&str; 11] = [
    ".msgpack",
    ".h5",
    ".keras",
    ".pb",
    ".onnx",
    ".gguf",
    ".ckpt.index",
    ".tflite",
    ".mlmodel",
    ".npy",
    ".orbax",
];

/// Signatures of other libraries' checkpoints: offset, bytes, and what the file is.
const FOREIGN_STARTS: [(usize, &[u8], &str); 5] = [
    (0, b"GGUF", "it is a GGUF file of llama.cpp"),
    (0, b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as Keras and TensorFlow write them"),
    (4, b"TFL3", "it is a TensorFlow Lite model"),
    (0, b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    (0, b"BZh", "it is compressed with bzip2; unpack it first"),
];

/// The same by extension, for formats without a signature.
const FOREIGN_ENDINGS: [(&str, &str); 6] = [
    ("onnx", "it is an ONNX model"),
    ("msgpack", "it is a msgpack file of Flax"),
    ("pb", "it is a graph of TensorFlow"),
    ("index", "it is the index of a TensorFlow checkpoint"),
    ("ckpt", "it is none of PyTorch's checkpoints, but perhaps one of TensorFlow"),
    ("mlmodel", "it is a Core ML model"),
];

/// The configuration next to them.
const CONFIG: &str = "config.json";

/// The configuration of open_clip, which describes the weights where there is no other, or where they are in open_clip's own
/// format.
const OPEN_CLIP: &str = "open_clip_config.json";

/// How `transformers` prepares images, next to that file, and the key under which it is passed on.
const PREPROCESSOR: (&str, &str) = ("preprocessor_config.json", "preprocessor");

/// Largest JSON file that is read, in bytes; in memory it takes up to a hundred times as much.
const LARGEST_JSON: u64 = 4 << 20;

/// The format of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One safetensors file.
    Safetensors,
    /// A list of the files over which arrays are spread.
    Index,
    /// PyTorch's zip archive, and the name of its pickle.
    TorchArchive(String),
    /// PyTorch's older container.
    TorchLegacy,
    /// NumPy's `.npz`.
    Numpy,
}

impl Format {
    /// Name of the format in messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Safetensors => safetensors::FORMAT,
            Self::Index => "list of checkpoint files",
            Self::TorchArchive(_) | Self::TorchLegacy => torch::FORMAT,
            Self::Numpy => numpy::FORMAT,
        }
    }
}

/// The file that `path` means: itself, or the checkpoint in a folder, such as that of a training.
///
/// # Errors
/// The path does not exist, or is a folder without a checkpoint or with several.
pub fn locate(path: &Path) -> Result<PathBuf, WeightsError> {
    let metadata = archaeo_store::look(path).map_err(|error| Fault::from(error).of(path, ""))?;
    if !metadata.is_dir() {
        return Ok(path.to_owned());
    }
    let entries = fs::read_dir(path).map_err(|error| Fault::from(error).of(path, ""))?;
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let chosen = choose(names.iter().map(String::as_str));
    let unrecognised = |reason: String| WeightsError::Unrecognised { path: path.to_owned(), reason };
    Ok(path.join(chosen.map_err(unrecognised)?))
}

/// Which of the files of a folder, or of a repository, is the checkpoint: one of the usual names, or else the only file with a
/// checkpoint's extension.
///
/// # Errors
/// No such file or several, as the end of a sentence.
pub fn choose<'a>(names: impl Iterator<Item = &'a str>) -> Result<&'a str, String> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    if let Some(usual) = FILES_IN_FOLDERS.iter().find_map(|usual| names.iter().find(|name| name == &usual)) {
        return Ok(usual);
    }
    let is_checkpoint = |name: &&str| {
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ENDINGS.contains(&ending))
    };
    let foreign: Vec<&str> =
        names.iter().copied().filter(|name| FOREIGN.iter().any(|end| name.ends_with(end))).collect();
    names.retain(is_checkpoint);
    match names.as_slice() {
        [name] => Ok(name),
        [] => Err(match foreign.as_slice() {
            [] => "no file in it is one by its name".to_owned(),
            [name, ..] => format!("{name} is one of another library, which is not read"),
        }),
        [first, second, ..] => Err(format!("{first} and {second} are both there, so one has to be named")),
    }
}

/// The files that make up the checkpoint at `path`: itself, or, if it is an index, the files it lists.
///
/// # Errors
/// A file that cannot be read, or an invalid index.
pub fn parts(path: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    match open(path)? {
        (_, Format::Index) => shards(path).map_err(|fault| fault.of(path, Format::Index.name())),
        _ => Ok(vec![path.to_owned()]),
    }
}

/// The `config.json` next to a checkpoint that has one of the usual names, with the contents of `preprocessor_config.json` under
/// the key `preprocessor`. Next to any other file it may belong to something else.
///
/// # Errors
/// A file that cannot be read or is not JSON.
pub(super) fn config_beside(file: &Path) -> Result<Option<serde_json::Value>, WeightsError> {
    let usual = file.file_name().and_then(|name| name.to_str());
    if !usual.is_some_and(|name| FILES_IN_FOLDERS.contains(&name)) {
        return Ok(None);
    }
    let (path, open_clip) = (file.with_file_name(CONFIG), file.with_file_name(OPEN_CLIP));
    let is_open_clips = usual.is_some_and(|name| name.starts_with("open_clip"));
    if open_clip.exists() && (is_open_clips || !path.exists()) {
        return read_json(&open_clip).map(Some).map_err(|fault| fault.of(&open_clip, "configuration"));
    }
    if !path.exists() {
        return Ok(None);
    }
    let read = |path: &Path| read_json(path).map_err(|fault| fault.of(path, "configuration"));
    let mut config = read(&path)?;
    let preprocessor = file.with_file_name(PREPROCESSOR.0);
    if let (Some(config), true) = (config.as_object_mut(), preprocessor.exists()) {
        config.insert(PREPROCESSOR.1.into(), read(&preprocessor)?);
    }
    Ok(Some(config))
}

/// A JSON file of reasonable size.
pub(super) fn read_json(path: &Path) -> Result<serde_json::Value, Fault> {
    let bytes = read_bytes(path, LARGEST_JSON).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => Fault::malformed(error.to_string()),
        _ => Fault::Io(error),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Fault::malformed(format!("it does not parse: {error}")))
}

/// Opens a file and detects its format.
///
/// # Errors
/// A file that cannot be read or has no known format.
pub(super) fn open(path: &Path) -> Result<(InputFile, Format), WeightsError> {
    let fault = |fault: Fault, format| fault.of(path, format);
    let file = InputFile::open(path).map_err(|error| fault(error.into(), ""))?;
    let start = file.bytes(0..file.len().min(64)).map_err(|error| fault(error.into(), ""))?;
    let start = start.as_slice();
    let unrecognised =
        |reason: &str| WeightsError::Unrecognised { path: path.to_owned(), reason: reason.into() };
    let format = if start.starts_with(b"PK\x03\x04") {
        let archive = archive::Archive::open(&file).map_err(|error| fault(error, "zip archive"))?;
        match torch::pickle_entry(&archive) {
            Some(pickle) => Format::TorchArchive(pickle),
            None if archive.names().iter().any(|name| name.ends_with(".npy")) => Format::Numpy,
            None if archive.names().iter().any(|name| name.ends_with(".weights.h5")) => {
                return Err(unrecognised("it is a model of Keras"));
            }
            None => return Err(unrecognised("it is a zip archive with neither a pickle nor NumPy arrays")),
        }
    } else if safetensors::recognises(start) {
        Format::Safetensors
    } else if torch::recognises_legacy(start) {
        Format::TorchLegacy
    } else if start.trim_ascii_start().starts_with(b"{") {
        Format::Index
    } else if start.starts_with(b"version https://git-lfs") {
        return Err(unrecognised("it only stands for the real file; `git lfs pull` fetches that"));
    } else if start.trim_ascii_start().starts_with(b"<") {
        return Err(unrecognised("it is a web page, as some sites send instead of the file"));
    } else if path.extension().is_some_and(|ending| ending == "safetensors") {
        // A file too damaged for its signature is still best reported under the format of its extension.
        Format::Safetensors
    } else if let Some(what) = foreign(start, path) {
        return Err(unrecognised(what));
    } else if start.is_empty() {
        return Err(unrecognised("it is empty"));
    } else {
        return Err(unrecognised("it begins like none of the known formats"));
    };
    Ok((file, format))
}

/// Identifies the file of another library.
fn foreign(start: &[u8], path: &Path) -> Option<&'static str> {
    let begins =
        |(at, bytes, _): &&(usize, &[u8], &str)| start.get(*at..).is_some_and(|rest| rest.starts_with(bytes));
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let by_ending = || FOREIGN_ENDINGS.iter().find(|(known, _)| *known == ending && !start.is_empty());
    let by_start = FOREIGN_STARTS.iter().find(begins).map(|(.., what)| *what);
    by_start.or_else(|| by_ending().map(|(_, what)| *what))
}

/// The files that an index spreads arrays over, sorted, each next to the index.
///
/// # Errors
/// JSON that is not an index, or an index with files elsewhere.
pub(super) fn shards(index: &Path) -> Result<Vec<PathBuf>, Fault> {
    let json = read_json(index)?;
    let map = json.get("weight_map").and_then(|map| map.as_object());
    let map = map.ok_or_else(|| Fault::malformed("it has no `weight_map`"))?;
    let mut names: Vec<&str> = Vec::new();
    for (array, file) in map {
        let plain = file.as_str().filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
        names.push(plain.ok_or_else(|| Fault::malformed(format!("`{array}` is in no file next to it")))?);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names.into_iter().map(|name| index.with_file_name(name)).collect())
}
