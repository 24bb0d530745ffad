//! Models on disk.
//!
//! [`read`] takes any format that vision models are published in: safetensors (one file or several with an index), PyTorch's
//! pickles (nothing in them is executed), the `.npz` of the original Vision Transformers, or a folder with one of them and its
//! `config.json`. Which arrays are the model is found by `locate/`; [`Checkpoint::into_model`] translates their names.
//!
//! `archaeo` writes safetensors whose metadata carries the model's card, so one file is complete.

mod archive;
mod element;
mod error;
mod load;
mod locate;
mod memory;
mod numpy;
mod safetensors;
mod source;
mod state_dict;
mod tensors;
mod torch;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use archaeo_store::InputFile;
use archaeo_store::memory::Budget;

use self::archive::Archive;
use self::error::Fault;
use self::locate::{Located, Shapes, locate};
use self::source::Format;
use self::torch::Contents;
use crate::describe::CARD_KEY;
use crate::state::{Array, State};

pub use self::error::WeightsError;
pub(crate) use self::error::printable;
pub use self::load::{LoadOptions, load, read_card, save};
pub use self::locate::TrainingCode;
pub use self::memory::ArrayView;
pub use self::safetensors::write_arrays;
pub use self::source::{choose, locate as file, parts};

/// Contents of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The file, or the folder, that was read.
    pub path: PathBuf,
    /// Its arrays of floats, widened to 32 bits. For a model of a known architecture only its own arrays, without wrapper
    /// prefixes and with the classifier under the model's name for it; otherwise all arrays, under the file's names. Integers are
    /// skipped: counters such as `num_batches_tracked`, indices and masks, which models here compute.
    pub state: State,
    /// Further information in the file: the metadata of safetensors, or numbers and texts that a training script saved with the
    /// model, such as `epoch` and `arch`.
    pub metadata: BTreeMap<String, String>,
    /// The `config.json` of Hugging Face or timm next to it, or the `open_clip_config.json` of open_clip.
    pub config: Option<serde_json::Value>,
    /// Mean and standard deviation of the channels, if the file has a normaliser next to the model.
    pub normalisation: Option<([f32; 3], [f32; 3])>,
    /// Which arrays were identified as the model and which were skipped: ends of sentences about the file.
    pub notes: Vec<String>,
    /// Training code that wrote the file, where that determines more than the arrays.
    pub code: Option<TrainingCode>,
    /// Path of the model within the file, such as `state_dict.model`; `None` if it is the whole file.
    pub entry: Option<String>,
}

/// Options for reading a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Where in the file the model is, such as `teacher` or `state_dict.model`, for a file with several.
    pub entry: Option<String>,
}

/// What to read from a file.
#[derive(Clone, Debug)]
enum Search {
    /// Every array.
    Everything,
    /// The model, in this entry if one is named.
    Model(Option<String>),
}

impl Search {
    /// Finds the model among arrays of these shapes, unless everything is requested or the file was written by `archaeo`.
    fn in_shapes(
        &self,
        metadata: &BTreeMap<String, String>,
        shapes: impl FnOnce() -> Shapes,
    ) -> Result<Option<Located>, Fault> {
        match self {
            Self::Model(entry) if !metadata.contains_key(CARD_KEY) => {
                locate(&shapes(), entry.as_deref()).map_err(Fault::Model)
            }
            Self::Model(_) | Self::Everything => Ok(None),
        }
    }
}

/// Reads a checkpoint, whose format is detected from its contents.
///
/// Files are read array by array: besides the result, memory holds only a few megabytes of the file. An array's claimed size is
/// compared with the file before memory is allocated.
///
/// # Errors
/// The path does not exist, no known format, a file that is damaged, truncated or malicious, arrays of quantised or
/// complex numbers, or several models of which none is the obvious one.
pub fn read(path: &Path) -> Result<Checkpoint, WeightsError> {
    read_with(path, &ReadOptions::default())
}

/// As [`read`], with options such as the place of the model in the file.
///
/// # Errors
/// As [`read`], and nothing in the entry that was named.
pub fn read_with(path: &Path, options: &ReadOptions) -> Result<Checkpoint, WeightsError> {
    let file = source::locate(path)?;
    let config = source::config_beside(&file)?;
    let (state, metadata, located) =
        read_file(&file, &Search::Model(options.entry.clone()), Budget::of_file)?;
    let checkpoint = Checkpoint { path: path.to_owned(), metadata, config, ..Checkpoint::default() };
    Ok(checkpoint.of_located(state, located))
}

impl Checkpoint {
    /// The checkpoint with the arrays that were read, under the names and with the notes that finding the model gave them.
    fn of_located(mut self, state: State, located: Option<Located>) -> Self {
        let Some(located) = located else { return Self { state, ..self } };
        let (state, normaliser) = located.apply(state);
        self.state = state;
        self.notes = located.notes;
        self.code = located.code;
        self.entry = located.entry;
        if let Some((mean, std)) = normaliser {
            self.normalisation = normalisation(&mean, &std);
            let name = located.normaliser.map(|(mean, _)| printable(&mean)).unwrap_or_default();
            self.notes.push(match &self.normalisation {
                Some((mean, std)) => {
                    format!("has a normaliser (`{name}`): mean {mean:?} and std {std:?} of the channels")
                }
                None => format!("has a normaliser (`{name}`) whose numbers make no sense; it is left out"),
            });
        }
        self
    }
}

/// A normaliser's numbers for images in [0, 1]; those for images in [0, 255] are rescaled.
fn normalisation(mean: &Array, std: &Array) -> Option<([f32; 3], [f32; 3])> {
    let three = |array: &Array| <[f32; 3]>::try_from(array.values.as_slice()).ok();
    let (mean, std) = (three(mean)?, three(std)?);
    let usable = mean.iter().all(|mean| mean.is_finite() && (0.0..=255.0).contains(mean))
        && std.iter().all(|std| std.is_finite() && *std > 0.0 && *std <= 255.0);
    let largest = mean.iter().fold(0f32, |largest, mean| largest.max(*mean));
    let scale = if largest > 1.5 { 255.0 } else { 1.0 };
    usable.then(|| (mean.map(|mean| mean / scale), std.map(|std| std / scale)))
}

/// Reads every array of a checkpoint under its own name, and its metadata; nothing else is interpreted. Meant for files written
/// by `archaeo`: they may take a multiple of their length in memory.
///
/// # Errors
/// As [`read`].
pub fn read_arrays(path: &Path) -> Result<(State, HashMap<String, String>), WeightsError> {
    let (state, metadata, _) = read_file(&source::locate(path)?, &Search::Everything, Budget::of_own_file)?;
    Ok((state, metadata.into_iter().collect()))
}

/// The contents of a file, or of all files of an index; `budget` maps a length to the memory it may take.
fn read_file(path: &Path, search: &Search, budget: fn(u64) -> Budget) -> Result<Contents, WeightsError> {
    let (file, format) = source::open(path)?;
    if format == Format::Index {
        drop(file);
        return read_shards(path, search, budget);
    }
    let mut budget = budget(file.len() as u64);
    read_opened(&file, &format, search, &mut budget).map_err(|fault| fault.of(path, format.name()))
}

/// The contents of one file, for which memory is taken from `budget`.
fn read_opened(
    file: &InputFile,
    format: &Format,
    search: &Search,
    budget: &mut Budget,
) -> Result<Contents, Fault> {
    match format {
        Format::Safetensors => safetensors::read(file, search, budget),
        Format::TorchArchive(pickle) => {
            torch::read_archive(&mut Archive::open(file)?, pickle, search, budget)
        }
        Format::TorchLegacy => torch::read_legacy(file, search, budget),
        Format::Numpy => {
            numpy::read(&mut Archive::open(file)?, budget).map(|state| (state, BTreeMap::new(), None))
        }
        Format::Index => Err(Fault::malformed("it is a list of files itself")),
    }
}

/// The arrays of all files of an index.
fn read_shards(index: &Path, search: &Search, budget: fn(u64) -> Budget) -> Result<Contents, WeightsError> {
    let fault = |fault: Fault| fault.of(index, Format::Index.name());
    let shards = source::shards(index).map_err(fault)?;
    let (mut state, mut metadata) = (State::new(), BTreeMap::new());
    // All files together are one checkpoint.
    let length =
        shards.iter().filter_map(|shard| std::fs::metadata(shard).ok()).map(|shard| shard.len()).sum();
    let mut budget = budget(length);
    for shard in shards {
        let (file, format) = source::open(&shard)?;
        if format == Format::Index {
            return Err(fault(Fault::malformed("one of its files is a list of files itself")));
        }
        let contents = read_opened(&file, &format, &Search::Everything, &mut budget);
        let (mut arrays, mut notes, _) = contents.map_err(|fault| fault.of(&shard, format.name()))?;
        state.append(&mut arrays);
        metadata.append(&mut notes);
    }
    let shapes = || state.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
    let located = search.in_shapes(&metadata, shapes).map_err(fault)?;
    Ok((state, metadata, located))
}
