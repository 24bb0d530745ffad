//! What can be wrong with a checkpoint: one sentence each, with its remedy.

use archaeo_pickle::PickleError;
use std::io;
use std::path::{Path, PathBuf};

use archaeo_store::StoreError;
use archaeo_store::memory::TooMuch;
use thiserror::Error;

use crate::describe::DescribeError;
use crate::memory::TooLarge;
use crate::spec::SpecError;
use crate::state::Mismatch;

/// A checkpoint that cannot be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The path does not exist.
    #[error("cannot read {0}: No such file or folder; check the path")]
    Missing(PathBuf),
    /// A file of no known format, or a folder without a checkpoint.
    #[error(
        "{path} holds no checkpoint that is recognised: {reason}; give safetensors, a PyTorch .pth, .pt or .bin, an .npz of \
         the original ViT release, or a folder with one of them"
    )]
    Unrecognised {
        /// Path of the file or folder.
        path: PathBuf,
        /// What was found instead, as the end of a sentence.
        reason: String,
    },
    /// A file of a known format that is damaged, truncated or malicious.
    #[error("{path} is not a readable {format} ({reason}); download or export it again")]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Name of the format.
        format: &'static str,
        /// What is wrong, in parentheses in the sentence.
        reason: String,
    },
    /// A pickle that calls a function which loading weights never needs.
    #[error(
        "{path} would run `{function}` on the machine of anyone who loads it with Python; nothing of it was run here, but do \
         not trust the file"
    )]
    WouldRun {
        /// Path of the file.
        path: PathBuf,
        /// The function it calls, as `module.name`.
        function: String,
    },
    /// The arrays of the model cannot be identified or cannot be used.
    #[error("{path} {reason}")]
    Model {
        /// Path of the file.
        path: PathBuf,
        /// The end of a sentence about it.
        reason: String,
    },
    /// An array whose elements are not floats.
    #[error("{path} holds `{name}` as {dtype}; export it with 16-, 32- or 64-bit floats")]
    Dtype {
        /// Path of the file.
        path: PathBuf,
        /// Name of the array.
        name: String,
        /// Its type, as the format calls it.
        dtype: String,
    },
    /// The file does not say what model it is.
    #[error("{0} does not say which model it holds; name it with --model (see `archaeo models`)")]
    NoCard(PathBuf),
    /// The model cannot be determined, or its description cannot be used.
    #[error("{path} {source}")]
    Description {
        /// Path of the file.
        path: PathBuf,
        /// The reason.
        source: DescribeError,
    },
    /// The arrays do not match the model.
    #[error(
        "{path} does not fit {model}:\n{mismatch}hint: --model may name another architecture or class count than the file holds"
    )]
    Mismatch {
        /// Path of the file.
        path: PathBuf,
        /// Which model.
        model: String,
        /// All differences.
        mismatch: Mismatch,
    },
    /// A value that is not a finite number.
    #[error(
        "{path} holds a value that is not finite in `{name}`; the training that wrote it diverged, take an earlier checkpoint"
    )]
    NotFinite {
        /// Path of the file.
        path: PathBuf,
        /// Name of the array.
        name: String,
    },
    /// One image takes more memory than the machine has.
    #[error(
        "{path} is to be given images of {image_size} px, of which one {source}; set a smaller --image-size"
    )]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Side of the images, in pixels.
        image_size: usize,
        /// The memory it needs and the memory available.
        source: TooLarge,
    },
    /// Its arrays exceed the memory budget.
    #[error("{path} is too large: {source}")]
    Memory {
        /// Path of the file.
        path: PathBuf,
        /// The memory they need and the budget.
        source: TooMuch,
    },
    /// The file's model cannot be built.
    #[error("cannot build the model of {path}: {source}")]
    Spec {
        /// Path of the file.
        path: PathBuf,
        /// The reason.
        source: SpecError,
    },
}

/// An error of a format's reader, before the path is attached.
#[derive(Debug)]
pub(super) enum Fault {
    /// An I/O error.
    Io(io::Error),
    /// Invalid contents, with the reason.
    Malformed(String),
    /// This array has elements of this type, which cannot be weights.
    Dtype(String, String),
    /// The file calls this function.
    WouldRun(String),
    /// The arrays of the model cannot be identified or cannot be used; the end of a sentence.
    Model(String),
    /// Its arrays exceed the memory budget.
    TooMuch(TooMuch),
}

impl From<TooMuch> for Fault {
    fn from(refused: TooMuch) -> Self {
        Self::TooMuch(refused)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::Malformed(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<PickleError> for Fault {
    fn from(error: PickleError) -> Self {
        match error {
            PickleError::Malformed(reason) => Self::Malformed(reason),
            PickleError::WouldRun(function) => Self::WouldRun(function),
        }
    }
}

impl Fault {
    /// A fault for invalid contents.
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }

    /// The error for the file at `path`, read as `format`.
    pub(super) fn of(self, path: &Path, format: &'static str) -> WeightsError {
        let path = path.to_owned();
        match self {
            Self::Io(source) if source.kind() == io::ErrorKind::NotFound => WeightsError::Missing(path),
            Self::Io(source) => StoreError::io("read", path)(source).into(),
            Self::Malformed(reason) => WeightsError::Malformed { path, format, reason: printable(&reason) },
            Self::Dtype(name, dtype) => {
                WeightsError::Dtype { path, name: printable(&name), dtype: printable(&dtype) }
            }
            Self::WouldRun(function) => WeightsError::WouldRun { path, function: printable(&function) },
            Self::TooMuch(source) => WeightsError::Memory { path, source },
            Self::Model(reason) => WeightsError::Model { path, reason: printable(&reason) },
        }
    }
}

/// Longest text from a file that is quoted in a message.
const LONGEST_QUOTE: usize = 400;

/// A text from a file made safe for a terminal: one line, without control characters, truncated.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        match character {
            _ if count == LONGEST_QUOTE => return shown + "…",
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}
