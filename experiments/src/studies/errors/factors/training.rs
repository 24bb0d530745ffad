//! How near an image is to the images that a model may have learned from.

use archaeo_analysis::features::layers::pooled_features;
use archaeo_analysis::features::{Features, NEIGHBOURS, Neighbours};
use archaeo_data::{Image, NO_OUTPUT};
use archaeo_models::Classifier;
use archaeo_random::stratified;
use archaeo_training::features::{Depth, check, extract};
use archaeo_training::images::{Preprocessed, Subset, to_tensor};
use burn::module::Module;

use super::Factor;
use crate::scene::{Scene, StudyError, follow};
use crate::subjects::ModelName;
use crate::units::Batch;

/// The split that models learn from.
const TRAINING_SPLIT: &str = "train";

/// Nearest images whose distance counts.
const NEAREST: usize = 5;

/// Why nothing is known of training images: it can follow “because”.
pub(super) fn missing(scene: &Scene) -> Option<&'static str> {
    match scene.main_split {
        TRAINING_SPLIT => Some("the images are the training images themselves"),
        _ if !scene.dataset.splits().contains_key(TRAINING_SPLIT) => Some("the data has no training split"),
        _ if sample(scene, 1).is_empty() => Some("the training images have no labels"),
        _ => None,
    }
}

/// At most `most` images of the training split, each class in proportion, ascending.
pub(super) fn sample(scene: &Scene, most: usize) -> Vec<usize> {
    let Some(split) = scene.dataset.splits().get(TRAINING_SPLIT) else { return Vec::new() };
    let labelled: Vec<usize> = (0..split.len()).filter(|&image| split.label(image) != NO_OUTPUT).collect();
    let labels: Vec<usize> = labelled.iter().map(|&image| split.label(image)).collect();
    let chosen = stratified(scene.seed, "training images near errors", &labels, most);
    chosen.into_iter().map(|place| labelled[place]).collect()
}

/// Features of training images.
pub(super) struct Training {
    features: Features,
    labels: Vec<usize>,
}

impl Training {
    /// Those of at most `most` images; `None` where there are none to be near to ([`missing`]).
    ///
    /// # Errors
    /// Data that cannot be read, features that are not finite, an interruption.
    pub(super) fn of(scene: &Scene, name: ModelName, most: usize) -> Result<Option<Self>, StudyError> {
        if missing(scene).is_some() {
            return Ok(None);
        }
        let (model, split) = (scene.model(name), scene.dataset.split(TRAINING_SPLIT)?);
        let indices = sample(scene, most);
        scene.progress.begin(&format!("training images as {name} sees them"), indices.len());
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let source = Subset { images, indices };
        let mut advance = follow(scene.progress);
        let (size, device) = (scene.options.batch_size, scene.device);
        let extracted = extract(model, &source, Depth::Pooled, size, device, &mut advance)?;
        let extracted = extracted.ok_or(StudyError::Interrupted)?;
        check(model, &extracted, &source, |place| split.identifier(source.indices[place]), device)?;
        Ok(Some(Self { features: extracted.pooled, labels: extracted.labels }))
    }

    /// Distance to the nearest training images, and the share of the nearest that are of another class, for each image of a batch.
    ///
    /// # Errors
    /// Features that are not finite.
    pub(super) fn near(
        &self,
        scene: &Scene,
        model: &Classifier,
        batch: &Batch,
    ) -> Result<Vec<[(Factor, f64); 2]>, StudyError> {
        let images: Vec<Image> = batch.samples.iter().map(|sample| sample.image.clone()).collect();
        let images = to_tensor(&images, &scene.device.clone().inner());
        let own = pooled_features(&model.valid(), images);
        let most = NEIGHBOURS[NEIGHBOURS.len() - 1];
        let found = Neighbours::find(&own, &self.features, most)?;
        let alike = found.precision(&batch.labels(), &self.labels, found.k());
        let near = |(query, alike): (usize, f64)| {
            let nearest = &found.similarities(query)[..NEAREST.min(found.k())];
            let distance = nearest.iter().map(|&cosine| 1.0 - f64::from(cosine)).sum::<f64>();
            [(Factor::Distance, distance / nearest.len() as f64), (Factor::OtherNeighbours, 1.0 - alike)]
        };
        Ok(alike.into_iter().enumerate().map(near).collect())
    }
}
