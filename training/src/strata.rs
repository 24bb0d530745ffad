//! The model at several epochs of its training, like strata of an excavation: the checkpoints that `keep_checkpoints` asks for.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::events::{self, Happening, LOG};
use crate::journal::WEIGHTS;
use crate::runs::run_folders;
use crate::{EpochRecord, RecipeError, TrainError};

/// The model after one epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stratum {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Its weights as they were evaluated, with the model's card.
    pub weights: PathBuf,
    /// Accuracy on the validation split after that epoch, where the run's log has it.
    pub validation_accuracy: Option<f64>,
}

/// Where the model after an epoch is kept, within the run folder.
pub(crate) fn file_of(epoch: usize) -> String {
    format!("checkpoints/epoch-{epoch:02}.safetensors")
}

/// Refuses epochs that a training does not have, or that are not in their order.
pub(crate) fn check(kept: &[usize], epochs: usize) -> Result<(), RecipeError> {
    let refused = |reason: String| Err(RecipeError::Value(reason));
    if let Some(epoch) = kept.iter().find(|epoch| !(1..=epochs).contains(*epoch)) {
        return refused(format!(
            "`keep_checkpoints` has {epoch}, but epochs are numbered from 1 to {epochs}; leave it out, or raise `epochs`"
        ));
    }
    if !kept.is_sorted_by(|one, next| one < next) {
        return refused("`keep_checkpoints` must list each epoch once, in ascending order".into());
    }
    Ok(())
}

/// The epochs that the run in `folder` has kept, in their order, and its final model where that is a later epoch.
///
/// # Errors
/// A folder with several runs, one without kept epochs, or a damaged log.
pub fn strata(folder: &Path) -> Result<Vec<Stratum>, TrainError> {
    if run_folders(folder).iter().any(|run| run != folder) {
        return Err(TrainError::SeveralRuns(folder.to_owned()));
    }
    let records = match folder.join(LOG).is_file() {
        true => epochs(&folder.join(LOG))?,
        false => Vec::new(),
    };
    let accuracy =
        |epoch| records.iter().find(|record| record.epoch == epoch).map(|record| record.validation_accuracy);
    let stratum = |(epoch, weights)| Stratum { epoch, weights, validation_accuracy: accuracy(epoch) };
    let mut found: Vec<Stratum> = kept(folder).into_iter().map(stratum).collect();
    if found.is_empty() {
        return Err(TrainError::NoStrata(folder.to_owned()));
    }
    let (last, weights) = (records.last().map_or(0, |record| record.epoch), folder.join(WEIGHTS));
    if weights.is_file() && found.iter().all(|stratum| stratum.epoch < last) {
        found.push(stratum((last, weights)));
    }
    Ok(found)
}

/// The kept epochs with their files, in their order.
fn kept(folder: &Path) -> Vec<(usize, PathBuf)> {
    let entries = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    let epoch = |path: &Path| -> Option<usize> {
        let name = path.file_name()?.to_str()?;
        let epoch = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
        path.ends_with(file_of(epoch)).then_some(epoch)
    };
    let mut found: Vec<(usize, PathBuf)> =
        entries.filter_map(|entry| Some((epoch(&entry.path())?, entry.path()))).collect();
    found.sort();
    found
}

fn epochs(log: &Path) -> Result<Vec<EpochRecord>, TrainError> {
    let of = |event: Result<events::Event, TrainError>| match event.map(|event| event.what) {
        Ok(Happening::Epoch(record)) => Some(Ok(record)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    };
    events::read(log)?.filter_map(of).collect()
}
