//! Models on disk.
//!
//! [`read`] takes any format that vision models are published in: safetensors (one file or several with an index), PyTorch's
//! pickles (nothing in them is run), the `.npz` of the original Vision Transformers, or a folder with one of them and its
//! `config.json`. The arrays keep the file's own names; [`Checkpoint::into_model`] translates them.
//!
//! What `archaeo` writes is safetensors whose metadata carries the model's card, so that one file says all.

mod archive;
mod element;
mod error;
mod load;
mod numpy;
mod pickle;
mod safetensors;
mod source;
mod state_dict;
mod tensors;
mod torch;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use self::archive::Archive;
use self::source::Format;
use crate::state::State;

pub use self::error::WeightsError;
pub(crate) use self::error::printable;
pub use self::load::{LoadOptions, load, read_card, save};
pub use self::safetensors::write_arrays;
pub use self::source::{choose, parts};

/// What a checkpoint holds.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The file, or the folder, that was read.
    pub path: PathBuf,
    /// Its arrays of floats, widened to 32 bits, under the file's own names. Integers are left out: counters such as
    /// `num_batches_tracked`, indices and masks, which models here have as code.
    pub state: State,
    /// What the file says beside: the metadata of safetensors, or numbers and texts that a training script saved with the
    /// model, such as `epoch` and `arch`.
    pub metadata: BTreeMap<String, String>,
    /// The `config.json` of Hugging Face or timm beside it.
    pub config: Option<serde_json::Value>,
}

/// Reads a checkpoint, recognised by looking at it.
///
/// Files are mapped and read array by array: beside the result, memory holds no more than a few megabytes of the file. What
/// an array claims is compared with the file before memory is taken for it.
///
/// # Errors
/// Nothing of that name, no known format, a file that is damaged, cut short or made to do harm, or arrays of quantised or
/// complex numbers.
pub fn read(path: &Path) -> Result<Checkpoint, WeightsError> {
    let file = source::locate(path)?;
    let config = source::config_beside(&file)?;
    let (state, metadata) = read_file(&file)?;
    Ok(Checkpoint { path: path.to_owned(), state, metadata, config })
}

/// Reads every array of a checkpoint, and its metadata; for those who need nothing else of it.
///
/// # Errors
/// As [`read`].
pub fn read_arrays(path: &Path) -> Result<(State, HashMap<String, String>), WeightsError> {
    let Checkpoint { state, metadata, .. } = read(path)?;
    Ok((state, metadata.into_iter().collect()))
}

fn read_file(path: &Path) -> Result<(State, BTreeMap<String, String>), WeightsError> {
    let (file, format) = source::open(path)?;
    let contents = match &format {
        Format::Safetensors => safetensors::read(&file),
        Format::Index => {
            drop(file);
            return read_shards(path);
        }
        Format::TorchArchive(pickle) => {
            Archive::open(&file).and_then(|mut archive| torch::read_archive(&file, &mut archive, pickle))
        }
        Format::TorchLegacy => torch::read_legacy(&file),
        Format::Numpy => Archive::open(&file)
            .and_then(|mut archive| numpy::read(&file, &mut archive))
            .map(|state| (state, BTreeMap::new())),
    };
    contents.map_err(|fault| fault.of(path, format.name()))
}

/// The arrays of all files of an index.
fn read_shards(index: &Path) -> Result<(State, BTreeMap<String, String>), WeightsError> {
    let shards = source::shards(index).map_err(|fault| fault.of(index, Format::Index.name()))?;
    let (mut state, mut metadata) = (State::new(), BTreeMap::new());
    for shard in shards {
        let (file, format) = source::open(&shard)?;
        drop(file);
        if format == Format::Index {
            return Err(error::Fault::malformed("one of its files is a list of files itself")
                .of(index, Format::Index.name()));
        }
        let (mut arrays, mut notes) = read_file(&shard)?;
        state.append(&mut arrays);
        metadata.append(&mut notes);
    }
    Ok((state, metadata))
}
