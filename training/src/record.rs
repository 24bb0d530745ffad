//! How a model was trained, as its run folder says.

use std::path::Path;

use archaeo_store::run_folder::DataIdentity;

use crate::events::{Happening, LOG, read};
use crate::journal::WEIGHTS;
use crate::{EpochRecord, Recipe, RecipeFile};

/// The course of a finished training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingRecord {
    /// The recipe, completed by what its weights decide.
    pub recipe: Recipe,
    /// The data, where the log names them.
    pub data: Option<DataIdentity>,
    /// The epochs.
    pub history: Vec<EpochRecord>,
}

impl TrainingRecord {
    /// That of the model whose weights, or run folder, are at `path`. `None` for weights outside a run folder, and for a folder whose
    /// recipe or log cannot be read or belongs to a training that is not finished.
    pub fn of(path: &Path) -> Option<Self> {
        let folder = match path.is_dir() {
            true => path,
            false if path.file_name()? == WEIGHTS => path.parent()?,
            false => return None,
        };
        if !folder.join(WEIGHTS).is_file() {
            return None;
        }
        let recipe = RecipeFile::read(&folder.join("config.toml"), &[]).ok()?.recipe(None).ok()?;
        let (mut data, mut history) = (None, Vec::new());
        for event in read(&folder.join(LOG)).ok()? {
            match event.ok()?.what {
                Happening::Started(start) => data = start.data,
                Happening::Epoch(record) => history.push(record),
                _ => {}
            }
        }
        (history.len() == recipe.epochs).then_some(Self { recipe, data, history })
    }
}
