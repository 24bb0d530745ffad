//! What a training shows of its model besides numbers: heatmaps of fixed images, and how much each attention head matters.
//!
//! `track_images = 4` in a recipe asks for it, after every `track_every`-th epoch. Pictures are files of the run folder which the log
//! names with their hashes, so that trackers still follow from the log.

use std::path::Path;

use archaeo_analysis::ablation::{RemovalPoint, gradient_importance};
use archaeo_data::Image;
use archaeo_models::Classifier;
use archaeo_random::spread;
use archaeo_store::StoreError;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::images::{Batch, to_tensor};
use crate::{EpochRecord, Job, TrainError};

/// Folder of the pictures, within the run folder.
const FOLDER: &str = "pictures";

/// Images over which the importance of heads is averaged.
const IMPORTANCE_IMAGES: usize = 32;

/// Draws what a model looks at.
pub trait Artist {
    /// Heatmaps of these images, which are as the model takes them, for the answers of the model.
    ///
    /// # Errors
    /// The reason, as the end of a sentence.
    fn draw(
        &self,
        model: &Classifier,
        images: &[Image],
        labels: &[usize],
        device: &Device,
    ) -> Result<Vec<Drawing>, String>;
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// What is drawn, for a name of a file: `attention`, `grad-cam`.
    pub what: String,
    /// Place of the image among those given.
    pub image: usize,
    /// What is seen.
    pub caption: String,
    /// Width and height, in pixels.
    pub size: [usize; 2],
    /// The picture as PNG.
    pub png: Vec<u8>,
}

/// What was seen of the model after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Optimiser steps so far.
    pub step: u64,
    /// The pictures.
    pub pictures: Vec<Picture>,
    /// Importance of each head, `[layer][head]`: the mean over images of |∂L/∂ξ| (Michel et al., 2019); empty without attention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<Vec<f64>>,
}

/// A picture in the run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// What is drawn: `attention`, `grad-cam`.
    pub what: String,
    /// Place of the image among the tracked ones.
    pub image: usize,
    /// What is seen.
    pub caption: String,
    /// Path within the run folder.
    pub file: String,
    /// Width, in pixels.
    pub width: usize,
    /// Height, in pixels.
    pub height: usize,
    /// Length of the file in bytes.
    pub bytes: usize,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Picture {
    /// The file, which lies in this run folder; `None` if it is not there any more as it was.
    pub fn read(&self, run: &Path) -> Option<Vec<u8>> {
        let bytes = archaeo_store::read_bytes(&run.join(&self.file), self.bytes as u64).ok()?;
        (archaeo_store::sha256(&bytes) == self.sha256).then_some(bytes)
    }
}

/// Looks at the model after an epoch, and writes the pictures, if the recipe asks for it.
///
/// # Errors
/// An image that cannot be read, a file that cannot be written, a method that fails.
pub(crate) fn look(job: &Job, model: &Classifier, record: &EpochRecord) -> Result<Option<Sight>, TrainError> {
    let Job { recipe, validation, device, folder, .. } = *job;
    let every = recipe.track_every;
    if recipe.track_images == 0 || !(record.epoch.is_multiple_of(every) || record.epoch == recipe.epochs) {
        return Ok(None);
    }
    let load = |count| {
        let labels: Vec<usize> = (0..validation.len()).map(|index| validation.label(index)).collect();
        let all: Vec<usize> = (0..validation.len()).collect();
        Batch::load(validation, &spread(&labels, &all, count), 0)
    };
    let mut pictures = Vec::new();
    if let Some(artist) = job.artist {
        let Batch { images, labels, .. } = load(recipe.track_images)?;
        let drawings = artist.draw(model, &images, &labels, device).map_err(TrainError::NotDrawn)?;
        for Drawing { what, image, caption, size: [width, height], png } in drawings {
            let file = format!("{FOLDER}/epoch-{:03}-{what}-{}.png", record.epoch, image + 1);
            let path = folder.file(&file);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
            }
            archaeo_store::write(&path, &png)?;
            let (bytes, sha256) = (png.len(), archaeo_store::sha256(&png));
            pictures.push(Picture { what, image, caption, file, width, height, bytes, sha256 });
        }
    }
    let heads = match model.has_attention() {
        false => Vec::new(),
        true => importance(model, &load(IMPORTANCE_IMAGES)?, device)?,
    };
    Ok(Some(Sight { epoch: record.epoch, step: record.step, pictures, heads }))
}

fn importance(model: &Classifier, batch: &Batch, device: &Device) -> Result<Vec<Vec<f64>>, TrainError> {
    let images = to_tensor(&batch.images, device);
    let by_image = gradient_importance(model, images, &batch.labels, RemovalPoint::Output)
        .map_err(|error| TrainError::NotDrawn(error.to_string()))?;
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    Ok(by_image.iter().map(|layer| layer.iter().map(mean).collect()).collect())
}
