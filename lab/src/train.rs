//! One model, trained from a recipe, once or with several seeds.

use std::path::Path;

use archaeo_data::OpenOptions;
use archaeo_store::run_folder::DataIdentity;
use archaeo_training::images::{Augmented, Preprocessed};
use archaeo_training::{EpochRecord, Job, Outcome, RecipeFile, Spread, Trained, open_runs, train};
use serde::Serialize;

use crate::error::LabError;
use crate::listener::{Kept, Work};
use crate::session::Session;

/// What is to be trained.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// How, as [`Session::recipe`] reads it.
    pub recipe: &'a RecipeFile,
    /// The images; by default the recipe's, else Sherds.
    pub data: Option<&'a str>,
    /// The run folder; the same folder resumes an interrupted run.
    pub out: &'a Path,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
}

/// How a training ended.
#[derive(Clone, Debug)]
pub enum TrainingEnd {
    /// The listener stopped it: so many runs are done, and so many epochs of the next.
    Stopped {
        /// Runs that are done.
        runs: usize,
        /// Epochs of the next run that are kept.
        epochs: usize,
    },
    /// The one run of the recipe is done.
    Finished(TrainingResult),
    /// All of its several runs are.
    Several(SeveralRuns),
}

/// A run that is done.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingResult {
    /// The file of the model.
    pub model: String,
    /// Its epochs.
    pub epochs: usize,
    /// What the last epoch gave.
    pub validation: Option<EpochRecord>,
    /// Its seed, where there are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Runs that differ in their seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeveralRuns {
    /// The runs, in their order.
    pub runs: Vec<TrainingResult>,
    /// How much they differ.
    pub spread: Spread,
}

impl TrainingResult {
    fn of(trained: &Trained, seed: Option<u64>) -> Self {
        Self {
            model: trained.weights.display().to_string(),
            epochs: trained.history.len(),
            validation: trained.history.last().cloned(),
            seed,
        }
    }
}

impl Session {
    /// Trains a model, or goes on where the same training was stopped or killed; one run after the other where the recipe asks
    /// for several.
    ///
    /// # Errors
    /// One sentence; the checkpoint of the last finished epoch is kept.
    pub fn train(&self, training: &Training) -> Result<TrainingEnd, LabError> {
        let mut recipe = training.recipe.recipe(None)?;
        recipe.objective.find_weights(|path| self.resolve(path))?;
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
        let train_split = dataset.split("train")?;
        let validation_split = dataset.selection_split().unwrap_or_else(|| dataset.evaluation_split());
        let validation = Preprocessed {
            split: dataset.split(validation_split)?,
            preprocessing: &blank.card().preprocessing,
        };
        let (runs, environment, out) = (recipe.runs(), self.environment(), training.out);
        let of_all = match runs.len() {
            1 => None,
            _ => Some(open_runs(&recipe, out, &identity, &environment)?),
        };
        let mut done = Vec::new();
        for run in &runs {
            let folder = run.open(out, &identity, &environment)?;
            let images = Augmented {
                split: train_split,
                augment: &run.recipe.augment,
                image_size: run.recipe.image_size,
                seed: run.recipe.seed,
            };
            let job = Job {
                recipe: &run.recipe,
                classes: &dataset.classes,
                images: &images,
                validation: &validation,
                folder: &folder,
                device: &device,
            };
            let title = match of_all {
                None => blank.card().name.clone(),
                Some(_) => format!("{} run {}/{}", blank.card().name, done.len() + 1, runs.len()),
            };
            self.listener().keeps(Kept::Epochs { runs: done.len(), folder: out });
            let ended = Work::of(self.listener());
            let outcome = train(&job, &mut *self.listener().training(&title))?;
            drop(ended);
            match outcome {
                Outcome::Stopped { epochs } => return Ok(TrainingEnd::Stopped { runs: done.len(), epochs }),
                Outcome::Finished(trained) => {
                    done.push(TrainingResult::of(&trained, of_all.as_ref().map(|_| run.recipe.seed)));
                }
            }
        }
        let Some(folder) = of_all else { return Ok(TrainingEnd::Finished(done.remove(0))) };
        let last: Vec<EpochRecord> = done.iter().filter_map(|run| run.validation.clone()).collect();
        let several = SeveralRuns { spread: Spread::of(&last)?, runs: done };
        folder.write_json("runs.json", &several)?;
        Ok(TrainingEnd::Several(several))
    }
}
