//! How a study asks image by image: units of work, what is recorded of each image, and going on after an interruption.
//!
//! What is recorded of an image depends on nothing but the image, the model and the options. Records may therefore be made in any
//! order and in any number of pieces, and a study concludes from them to the same bits.

mod again;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use archaeo_data::Sample;
use archaeo_store::{RecordLog, StoreError};
use archaeo_training::images::{preprocess, to_tensor};
use burn::tensor::Tensor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::scene::{Scene, StudyError};
use crate::shard::Shard;
use crate::study::Study;
use crate::subjects::ModelName;

pub use again::{AgainError, AskedAgain, SpotCheck, ask_again, conclude_again};

/// Images of the main split that one model is asked the same about. It may be cut at every image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The model.
    pub model: ModelName,
    /// What is asked, where a study asks a model more than one thing: letters, digits, dots and hyphens.
    pub aspect: String,
    /// What progress says.
    pub title: String,
    /// Indices into the main split, each once.
    pub images: Vec<usize>,
}

impl Unit {
    /// The one thing that a study asks a model.
    pub fn whole(model: ModelName, title: String, images: Vec<usize>) -> Self {
        Self { model, aspect: String::new(), title, images }
    }

    fn file(&self) -> String {
        match self.aspect.as_str() {
            "" => format!("{}.jsonl", self.model),
            aspect => format!("{}.{aspect}.jsonl", self.model),
        }
    }
}

/// Some images of a unit, as its model wants them.
pub struct Batch<'a> {
    /// Indices into the main split.
    pub indices: &'a [usize],
    /// Place of each image within its unit.
    pub places: &'a [usize],
    /// Images and labels.
    pub samples: &'a [Sample],
    /// `[batch, 3, height, width]` in [0, 1].
    pub images: Tensor<4>,
}

impl Batch<'_> {
    /// The label of each image.
    pub fn labels(&self) -> Vec<usize> {
        self.samples.iter().map(|sample| sample.label).collect()
    }

    /// What keys each image's random choices.
    pub fn ids(&self) -> Vec<u64> {
        self.indices.iter().map(|&index| index as u64).collect()
    }
}

/// Records a batch of a unit: one record per image, in their order.
pub type Recorder<'a, R> = Box<dyn FnMut(&Batch) -> Result<Vec<R>, StudyError> + 'a>;

/// Of a study that needs no more than what the models answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum NoRecord {}

/// What was recorded of a unit, in the order of its images.
#[derive(Debug)]
pub struct Recorded<R> {
    /// The unit.
    pub unit: Unit,
    /// One record per image.
    pub records: Vec<R>,
}

/// Where records are kept, and what they were made from.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// Folder of the study's logs.
    pub folder: &'a Path,
    /// One line; records under another are made again.
    pub made_from: &'a str,
}

/// What is recorded of some images at once: a line of a log.
#[derive(Serialize, Deserialize)]
struct Piece<R> {
    images: Vec<usize>,
    records: Vec<R>,
}

/// Records what is not recorded yet of every unit of a study, and concludes. Without `keep`, nothing is read or written.
///
/// # Errors
/// Those of the study, an interruption, and a log that cannot be read or written.
pub fn ask<S: Study>(scene: &Scene, keep: Option<Keep>) -> Result<S::Findings, StudyError> {
    let units = S::units(scene)?;
    let mut recorded = Vec::with_capacity(units.len());
    for unit in units {
        let mut found = record::<S>(scene, &unit, &unit.images, keep)?;
        let taken =
            unit.images.iter().map(|image| found.remove(image).expect("every image is recorded once"));
        let records = taken.collect();
        recorded.push(Recorded { unit, records });
    }
    S::conclude(scene, recorded)
}

/// Records what is not recorded yet of the images that fall to `shard`, of every unit of a study; `false` where it has no units, so
/// that it cannot be divided.
///
/// # Errors
/// As [`ask`].
pub fn record_share<S: Study>(scene: &Scene, keep: Keep, shard: Shard) -> Result<bool, StudyError> {
    let units = S::units(scene)?;
    let split = scene.split()?;
    for unit in &units {
        let share = unit.images.iter().copied().filter(|&image| shard.holds(&split.identifier(image)));
        record::<S>(scene, unit, &share.collect::<Vec<_>>(), Some(keep))?;
    }
    Ok(!units.is_empty())
}

/// The record of each of `images` of a unit, and of others that are kept already.
fn record<S: Study>(
    scene: &Scene,
    unit: &Unit,
    images: &[usize],
    keep: Option<Keep>,
) -> Result<BTreeMap<usize, S::Record>, StudyError> {
    let (mut log, mut found) = match keep {
        None => (None, BTreeMap::new()),
        Some(keep) => {
            std::fs::create_dir_all(keep.folder).map_err(StoreError::io("make the folder", keep.folder))?;
            let (log, lines) = RecordLog::open(&keep.folder.join(unit.file()), keep.made_from)?;
            (Some(log), read(&lines))
        }
    };
    let open: BTreeSet<usize> = images.iter().copied().filter(|image| !found.contains_key(image)).collect();
    let places: Vec<usize> =
        (0..unit.images.len()).filter(|&place| open.contains(&unit.images[place])).collect();
    if !places.is_empty() {
        let (model, split) = (scene.model(unit.model), scene.split()?);
        let mut recorder = S::recorder(scene, unit)?;
        scene.progress.begin(&unit.title, images.len());
        scene.progress.advance(images.len() - places.len());
        for places in places.chunks(scene.options.batch_size) {
            if scene.progress.interrupted() {
                return Err(StudyError::Interrupted);
            }
            let indices: Vec<usize> = places.iter().map(|&place| unit.images[place]).collect();
            let samples = split.batch(&indices, |image| preprocess(image, &model.card().preprocessing))?;
            let images: Vec<_> = samples.iter().map(|sample| sample.image.clone()).collect();
            let images = to_tensor(&images, scene.device);
            let records = recorder(&Batch { indices: &indices, places, samples: &samples, images })?;
            assert_eq!(records.len(), indices.len(), "{} makes one record per image", S::ID);
            let piece = Piece { images: indices, records };
            if let Some(log) = &mut log {
                log.append(&serde_json::to_string(&piece).expect("records are plain data"))?;
            }
            found.extend(piece.images.into_iter().zip(piece.records));
            scene.progress.advance(places.len());
        }
    }
    Ok(found)
}

/// The records of the lines that can be read: those of any other are made again.
fn read<R: DeserializeOwned>(lines: &[String]) -> BTreeMap<usize, R> {
    let pieces = lines.iter().filter_map(|line| serde_json::from_str::<Piece<R>>(line).ok());
    pieces
        .filter(|piece| piece.images.len() == piece.records.len())
        .flat_map(|piece| piece.images.into_iter().zip(piece.records))
        .collect()
}

#[cfg(test)]
mod tests;
