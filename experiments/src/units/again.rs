//! What a study found, found once more: from its records alone, or from the images of some of them.

use std::path::{Path, PathBuf};

use archaeo_random::stratified;
use archaeo_store::{RecordLog, StoreError};
use archaeo_training::images::{preprocess, to_tensor};
use serde_json::Value;
use thiserror::Error;

use super::{Batch, Recorded, Unit, read};
use crate::scene::{Scene, StudyError};
use crate::study::Study;

/// Why something cannot be found once more.
#[derive(Debug, Error)]
pub enum AgainError {
    /// Records that are not all there.
    #[error("{} {reason}", path.display())]
    Records {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, as the end of a sentence.
        reason: String,
    },
    /// As in the study itself.
    #[error(transparent)]
    Study(#[from] StudyError),
}

impl From<StoreError> for AgainError {
    fn from(error: StoreError) -> Self {
        Self::Study(error.into())
    }
}

/// How many records of a study are made again, and which.
#[derive(Clone, Copy, Debug)]
pub struct SpotCheck {
    /// Key of the choice.
    pub seed: u64,
    /// Units at most.
    pub units: usize,
    /// Images per unit at most.
    pub images: usize,
}

/// A record as it is kept and as it is made now.
#[derive(Clone, Debug)]
pub struct AskedAgain {
    /// The file of its unit.
    pub file: String,
    /// The image, as an index into the main split.
    pub image: usize,
    /// As it is kept.
    pub kept: Value,
    /// As it is made now.
    pub now: Value,
}

/// Concludes from the records in `folder` alone, which stay as they are.
///
/// # Errors
/// Records that are not all there, and those of the study.
pub fn conclude_again<S: Study>(scene: &Scene, folder: &Path) -> Result<S::Findings, AgainError> {
    let mut recorded = Vec::new();
    for unit in S::units(scene)? {
        let records = kept::<S>(&unit, folder)?;
        recorded.push(Recorded { unit, records });
    }
    Ok(S::conclude(scene, recorded)?)
}

/// Makes some of the records in `folder` again, from their images.
///
/// # Errors
/// As [`conclude_again`], and an interruption.
pub fn ask_again<S: Study>(
    scene: &Scene,
    folder: &Path,
    check: SpotCheck,
) -> Result<Vec<AskedAgain>, AgainError> {
    let units = S::units(scene)?;
    let some = |stream: &str, count: usize, of: usize| {
        stratified(check.seed, &format!("{} {stream}", S::ID), &vec![0; of], count)
    };
    let mut asked = Vec::new();
    for unit in some("units to verify", check.units, units.len()) {
        if scene.progress.interrupted() {
            return Err(StudyError::Interrupted.into());
        }
        let unit = &units[unit];
        let records = kept::<S>(unit, folder)?;
        let places = some(&unit.file(), check.images, unit.images.len());
        let indices: Vec<usize> = places.iter().map(|&place| unit.images[place]).collect();
        let model = scene.model(unit.model);
        let samples = scene
            .split()?
            .batch(&indices, |image| preprocess(image, &model.card().preprocessing))
            .map_err(StudyError::from)?;
        let images: Vec<_> = samples.iter().map(|sample| sample.image.clone()).collect();
        let images = to_tensor(&images, scene.device);
        let batch = Batch { indices: &indices, places: &places, samples: &samples, images };
        let now = S::recorder(scene, unit)?(&batch)?;
        for ((&place, &image), now) in places.iter().zip(&indices).zip(&now) {
            let [kept, now] = [&records[place], now].map(as_written);
            asked.push(AskedAgain { file: unit.file(), image, kept, now });
        }
    }
    Ok(asked)
}

/// A record with the digits that a log has of it.
fn as_written(record: &impl serde::Serialize) -> Value {
    let text = serde_json::to_string(record).expect("records are plain data");
    serde_json::from_str(&text).expect("it was written as JSON")
}

/// The records of a unit that are in `folder`, in the order of its images.
fn kept<S: Study>(unit: &Unit, folder: &Path) -> Result<Vec<S::Record>, AgainError> {
    let path = folder.join(unit.file());
    let wrong = |reason: String| AgainError::Records { path: path.clone(), reason };
    let (_, lines) = RecordLog::read(&path)?.ok_or_else(|| wrong("is missing".into()))?;
    let mut found = read::<S::Record>(&lines);
    let taken: Option<Vec<S::Record>> = unit.images.iter().map(|image| found.remove(image)).collect();
    taken.ok_or_else(|| wrong(format!("does not hold all {} records of its unit", unit.images.len())))
}
