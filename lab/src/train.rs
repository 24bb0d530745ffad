//! One model, trained from a recipe.

use std::path::Path;

use archaeo_data::OpenOptions;
use archaeo_store::run_folder::{DataIdentity, RunFolder};
use archaeo_training::images::{Augmented, Preprocessed};
use archaeo_training::{EpochRecord, Job, Outcome, RecipeFile, Trained, train};
use serde::Serialize;

use crate::error::LabError;
use crate::listener::{Kept, Work};
use crate::session::Session;

/// What is to be trained.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// How, as [`Session::recipe`] reads it.
    pub recipe: &'a RecipeFile,
    /// The images; the recipe's when not given, else Sherds.
    pub data: Option<&'a str>,
    /// The run folder; the same again resumes.
    pub out: &'a Path,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
}

/// A training that is done.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingResult {
    /// The file of the model.
    pub model: String,
    /// Its epochs.
    pub epochs: usize,
    /// What the last epoch gave.
    pub validation: Option<EpochRecord>,
}

impl TrainingResult {
    /// What a finished training tells.
    pub fn of(trained: &Trained) -> Self {
        Self {
            model: trained.weights.display().to_string(),
            epochs: trained.history.len(),
            validation: trained.history.last().cloned(),
        }
    }
}

impl Session {
    /// Trains a model, or goes on where the same training was stopped or killed.
    ///
    /// # Errors
    /// One sentence; the checkpoint of the last finished epoch is kept.
    pub fn train(&self, training: &Training) -> Result<Outcome, LabError> {
        let recipe = training.recipe.recipe(None)?;
        let device = self.device_for(&[recipe.precision])?;
        if let Some(note) = recipe.augment.note() {
            self.note(note);
        }

        let source = training.data.or(recipe.data.source.as_deref()).unwrap_or("sherds").to_owned();
        let options = OpenOptions {
            split_seed: recipe.data.split_seed,
            strict: training.strict,
            validation: Some(recipe.data.validation.unwrap_or(0.1)),
            ..OpenOptions::default()
        };
        let mut dataset = self.open_data(&source, &options)?;
        self.verify(&mut dataset, &[])?;
        let hashing = self.stage("hashing the data");
        let identity = DataIdentity {
            source,
            fingerprint: dataset.fingerprint(),
            classes: dataset.classes.clone(),
            counts: dataset.splits().iter().map(|(name, split)| (name.clone(), split.len())).collect(),
        };

        drop(hashing);
        let blank = recipe.build(&dataset.classes, &device)?;
        let images = Augmented {
            split: dataset.split("train")?,
            augment: &recipe.augment,
            image_size: recipe.image_size,
            seed: recipe.seed,
        };
        let validation_split = dataset.selection_split().unwrap_or_else(|| dataset.evaluation_split());
        let validation = Preprocessed {
            split: dataset.split(validation_split)?,
            preprocessing: &blank.card().preprocessing,
        };
        let folder = RunFolder::open(training.out, &recipe.to_toml(), &identity, &self.environment())?;
        let job = Job {
            recipe: &recipe,
            classes: &dataset.classes,
            images: &images,
            validation: &validation,
            folder: &folder,
            device: &device,
        };
        self.listener().keeps(Kept::Epochs(training.out));
        let _ended = Work::of(self.listener());
        Ok(train(&job, &mut *self.listener().training(&blank.card().name))?)
    }
}
