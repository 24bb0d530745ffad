//! Training: one loop, from a [`Recipe`] and images to a model and its history.
//!
//! [`train`] is the outer loop: epoch, evaluation, checkpoint. `epoch.rs` is the inner one: batch, forward pass,
//! backward pass, update. Every random number is keyed by (seed, epoch or step, image), so a training that was killed and resumed
//! ends with the same bits as one that never stopped.

mod average;
mod backward;
mod checkpoint;
mod data;
mod diagnosis;
mod epoch;
pub mod evaluate;
pub mod events;
pub mod features;
pub mod finite;
pub mod images;
mod journal;
pub mod masks;
mod memory;
pub mod objective;
mod optimizer;
mod precision;
pub mod ranks;
mod recipe;
mod recipe_file;
mod record;
mod runs;
mod schedule;
mod shards;
mod sight;
mod strata;
pub mod trackers;
mod training_end;
mod transfer;

use std::path::PathBuf;
use std::thread::Scope;
use std::time::Instant;

use archaeo_models::{Classifier, WeightsError, save, write_configuration};
use archaeo_store::StoreError;
use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use backward::{Share, Student};
pub use data::{DataTraining, LearningData, Opening, Portion, open_to_learn};
pub use diagnosis::Divergence;
pub use objective::{NoOptions, ObjectiveChoice};
pub use optimizer::{Algorithm, NamedGradients, Optimizer, decays};
pub use precision::precision_name;
pub use recipe::{DataChoice, ModelChoice, Recipe};
pub use recipe_file::{LONGEST_RECIPE, RecipeError, RecipeFile, assign_text, from_table, merge, unknown_key};
pub use record::TrainingRecord;
pub use runs::{OverRuns, Run, Spread, open_runs, run_folders};
pub use schedule::Schedule;
pub use sight::{Artist, Drawing, Picture, Sight};
pub use strata::{Stratum, strata};
pub use training_end::{Ended, TrainingEnd};
pub use transfer::{Freeze, Transfer, TransferError};

use crate::evaluate::evaluate_together;
use crate::images::{Batch, ImageSource};
use crate::objective::Objective;
use crate::ranks::{Alone, RankError, Ranks};
use archaeo_data::DataError;
use archaeo_store::run_folder::{RunFolder, RunFolderError};
use checkpoint::Training;
use epoch::train_epoch;
use events::LOG;
use journal::{Journal, WEIGHTS};

/// One epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Optimiser steps so far.
    pub step: u64,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
    /// Mean training loss (with whatever smoothing and mixing the recipe has), nats.
    pub train_loss: f64,
    /// Mean loss on the validation split, nats.
    pub validation_loss: f64,
    /// Accuracy on the validation split.
    pub validation_accuracy: f64,
    /// Training images per second.
    pub images_per_second: f64,
    /// Share of the time of the training steps that was spent waiting for images; `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// Share of the time of the training steps that went into exchanges with other ranks, waiting for them included; `None` on one rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanging: Option<f64>,
    /// Wall-clock seconds of the epoch, validation included.
    pub seconds: f64,
}

/// Batch size of the validation after each epoch.
const VALIDATION_BATCH: usize = 128;

/// Errors that end a training.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe is invalid.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// An image cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A checkpoint or the model cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint was not written by this program.
    #[error("{} cannot be resumed from ({reason}); remove it to start afresh", path.display())]
    Checkpoint {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong, in parentheses in the sentence.
        reason: String,
    },
    /// A recipe with `init`, whose weights were not read.
    #[error("the recipe starts from {0}, which was not read")]
    NotRead(String),
    /// A line of a log that is not an event.
    #[error("{} is damaged at line {line} ({reason}); remove it to go on without it", path.display())]
    Event {
        /// Path of the log.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong, in parentheses in the sentence.
        reason: String,
    },
    /// A folder without a log.
    #[error(
        "{} holds no {LOG}, which `archaeo train` writes and trackers read; give the run folder of a training",
        .0.display()
    )]
    NoLog(PathBuf),
    /// A folder of a single run, where several are expected.
    #[error("{} holds a single run; give --out another folder for several seeds", .0.display())]
    SingleRun(PathBuf),
    /// A teacher that cannot teach.
    #[error("the teacher {} {reason}", path.display())]
    Teacher {
        /// Its weights, as the recipe names them.
        path: PathBuf,
        /// The rest of the sentence.
        reason: String,
    },
    /// A folder of several runs, where one is expected.
    #[error("{} holds several runs; give the folder of one of them, such as {}", .0.display(), .0.join("run-0").display())]
    SeveralRuns(PathBuf),
    /// A folder without checkpoints of earlier epochs.
    #[error(
        "{} holds no checkpoints of earlier epochs; train with `keep_checkpoints = [1, 2, 5]` in the recipe, and give the run folder",
        .0.display()
    )]
    NoStrata(PathBuf),
    /// A picture for trackers that cannot be drawn.
    #[error("what the model looks at cannot be drawn: {0}")]
    NotDrawn(String),
    /// Not enough images.
    #[error("the {split} split holds {found} images, but at least {needed} are needed; {remedy}")]
    TooFewImages {
        /// Name of the split.
        split: &'static str,
        /// Its images.
        found: usize,
        /// Images needed.
        needed: usize,
        /// Advice, as a clause.
        remedy: &'static str,
    },
    /// The training diverged.
    #[error(transparent)]
    Diverged(#[from] Divergence),
    /// Ranks that cannot go on together.
    #[error(transparent)]
    Ranks(#[from] RankError),
}

/// A training: recipe, data, and destination.
pub struct Job<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// Class names, in the order of the labels.
    pub classes: &'a [String],
    /// Images to learn from, augmented by epoch.
    pub images: &'a dyn ImageSource,
    /// Images to validate on after every epoch, not augmented.
    pub validation: &'a dyn ImageSource,
    /// The weights that the recipe's `init` means; its [`Transfer::recipe`] is the recipe, apart from the seed.
    pub transfer: Option<&'a Transfer>,
    /// Folder for checkpoints, metrics and the model; an existing run is resumed.
    pub folder: &'a RunFolder,
    /// Device, without autodiff.
    pub device: &'a Device,
    /// Draws what the recipe's `track_images` asks for.
    pub artist: Option<&'a dyn Artist>,
}

impl Job<'_> {
    /// Whether each image has few features that never change, and the objective asks for nothing else.
    fn learns_from_features(&self) -> bool {
        self.recipe.freeze == Freeze::Backbone
            && self.recipe.objective.needs_targets_alone()
            && !self.recipe.augment.mixes()
            && self.images.variants().is_some()
    }
}

/// One optimiser step, as an [`Observer`] sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Epoch it belongs to, counted from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Steps taken, this one included.
    pub step: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Images in the step.
    pub images: usize,
    /// Its training loss, nats.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Norm of its gradient, before clipping.
    pub gradient_norm: f64,
}

/// Follows a training, and may stop it.
pub trait Observer {
    /// Called at the start with what the objective decided, a sentence without a full stop.
    fn note(&mut self, _text: &str) {}

    /// Called with what went wrong without stopping the training, a sentence without a full stop.
    fn warn(&mut self, text: &str) {
        self.note(text);
    }

    /// Called while the features of a frozen backbone are computed, before the first step: images done, of this many.
    fn features(&mut self, _done: usize, _total: usize) {}

    /// Called after every optimiser step.
    fn step(&mut self, _report: &StepReport) {}

    /// Called after every epoch, once its checkpoint is written.
    fn epoch(&mut self, _record: &EpochRecord) {}

    /// Whether to stop, asked after every step. The current epoch is lost; the checkpoint of the previous one remains.
    fn should_stop(&self) -> bool {
        false
    }

    /// Called at the end, however the training ended, once its log is complete.
    fn ended(&mut self) {}
}

/// Observes nothing.
impl Observer for () {}

/// How a training ended.
#[allow(clippy::large_enum_variant)] // one exists in a program
#[derive(Debug)]
pub enum Outcome {
    /// All epochs are done.
    Finished(Trained),
    /// The observer stopped it; `epochs` are kept and the same job resumes from there.
    Stopped {
        /// Epochs kept.
        epochs: usize,
    },
}

/// A trained model.
#[derive(Debug)]
pub struct Trained {
    /// The model, without autodiff; with averaged weights if the recipe enables them.
    pub model: Classifier,
    /// One entry per epoch.
    pub history: Vec<EpochRecord>,
    /// The file it was saved to.
    pub weights: PathBuf,
}

/// Trains a model, or resumes where an earlier call with the same job was stopped or killed.
///
/// # Errors
/// See [`TrainError`]. The checkpoint of the last finished epoch remains in any case.
pub fn train(job: &Job, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    train_on(&Alone, job, observer)
}

/// The same by all of these ranks together, each of which calls it with the same job. The folder of rank 0 is written to, that of the
/// others is a [`RunFolder::of_another`].
///
/// # Errors
/// As [`train`]; ranks that do not fit the recipe or one another, or one that is lost.
pub fn train_on(ranks: &dyn Ranks, job: &Job, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    ranks.fit(job.recipe)?;
    std::thread::scope(|scope| train_within(Together { scope, job, ranks }, observer))
}

/// A training, who takes part, and where its threads live.
#[derive(Clone, Copy)]
struct Together<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    job: &'scope Job<'scope>,
    ranks: &'scope dyn Ranks,
}

fn train_within(together: Together, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let Together { job, ranks, .. } = together;
    let Job { recipe, folder, .. } = *job;
    check_counts(job)?;
    let checkpoint = folder.file("checkpoints/last.safetensors");
    let fresh = match (job.transfer, &recipe.init) {
        (Some(transfer), _) => transfer.begin(recipe.seed)?,
        (None, None) => {
            let model = recipe.build(job.classes, &job.device.clone().autodiff())?;
            if checkpoint.exists() { model } else { fitted(model, job.images)? }
        }
        (None, Some(init)) => return Err(TrainError::NotRead(init.clone())),
    };
    let mut objective = recipe.objective.begin(job, &fresh)?;
    let training = match checkpoint.exists() {
        true => Training::resume(recipe, fresh, &mut *objective, &checkpoint, &folder.file(LOG))?,
        false => Training::begin(recipe, fresh),
    };
    if ranks.size() > 1 {
        let data = folder.data()?.map(|data| data.fingerprint);
        let begun = format!("{} {data:?} {}", recipe.to_toml(), training.checksum(objective.own()));
        if let Some(rank) = ranks.first_other(crc32c::crc32c(begun.as_bytes()))? {
            return Err(RankError::OtherBeginning(rank).into());
        }
    }
    let mut journal = match ranks.writes() {
        true => Journal::open(job, &training)?,
        false => Journal::of_another(job),
    };
    if let Some(note) = objective.note() {
        observer.note(&note);
        journal.note(note)?;
    }
    journal.tell(observer);
    let outcome = learn(together, &mut *objective, training, &mut journal, observer);
    let logged = journal.ended(&outcome);
    journal.tell(observer);
    observer.ended();
    // The first error is reported.
    outcome.and_then(|outcome| logged.map(|()| outcome))
}

/// The model with what its architecture sets from training images, which are at even steps, as the first epoch sees them.
fn fitted(model: Classifier, images: &dyn ImageSource) -> Result<Classifier, TrainError> {
    let count = model.fitting_images().min(images.len());
    if count == 0 {
        return Ok(model);
    }
    let indices: Vec<usize> = (0..count).map(|place| place * images.len() / count).collect();
    let batch = Batch::load(images, &indices, 0)?;
    Ok(model.fitted_to(batch.tensor(&Device::flex())))
}

/// Runs the remaining epochs.
fn learn(
    together: Together,
    objective: &mut dyn Objective,
    mut training: Training,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let Together { job, ranks, .. } = together;
    let Job { recipe, folder, .. } = *job;
    let epochs_done = training.progress.history.len();
    let lessons = match job.transfer.filter(|_| job.learns_from_features() && epochs_done < recipe.epochs) {
        None => None,
        Some(transfer) => {
            let model = training.model().valid();
            // The others read what rank 0 has written.
            let mut lessons = match ranks.writes() {
                true => transfer.lessons(job, &model, observer)?,
                false => None,
            };
            let stopped = ranks.writes() && lessons.is_none();
            if !ranks.any(stopped)? && !ranks.writes() {
                lessons = transfer.lessons(job, &model, observer)?;
            }
            match ranks.any(lessons.is_none())? {
                true => return Ok(Outcome::Stopped { epochs: epochs_done }),
                false => lessons,
            }
        }
    };
    for epoch in training.progress.history.len()..recipe.epochs {
        let started = Instant::now();
        let summary =
            train_epoch(together, objective, lessons.as_deref(), epoch, &mut training, journal, observer)?;
        let Some(summary) = summary else { return Ok(Outcome::Stopped { epochs: epoch }) };
        let result = training.result();
        let answers = match &lessons {
            Some(lessons) => lessons.validate(&result, job)?,
            None => evaluate_together(&result, job.validation, VALIDATION_BATCH, job.device, ranks)?,
        };
        let record = EpochRecord {
            epoch: epoch + 1,
            step: training.progress.step,
            learning_rate: summary.learning_rate,
            train_loss: summary.loss,
            validation_loss: answers.loss(),
            validation_accuracy: answers.accuracy(),
            images_per_second: summary.images_per_second,
            waiting: Some(summary.waiting),
            exchanging: summary.exchanging,
            seconds: started.elapsed().as_secs_f64(),
        };
        diagnosis::check_validation(&record, &result, job)?;
        if ranks.size() > 1
            && let Some(rank) = ranks.first_other(training.checksum(objective.own()))?
        {
            return Err(RankError::OtherWeights { rank, epoch: record.epoch }.into());
        }
        let looked = if ranks.writes() { sight::look(job, &result, &record) } else { Ok(None) };
        let sight = looked.unwrap_or_else(|error| {
            observer.warn(&format!("epoch {} has no pictures, the training goes on: {error}", record.epoch));
            None
        });
        journal.epoch(&mut training, objective, &result, record.clone(), sight)?;
        journal.tell(observer);
        observer.epoch(&record);
    }

    let model = training.result();
    let weights = folder.file(WEIGHTS);
    if !ranks.writes() {
        return Ok(Outcome::Finished(Trained { model, history: training.progress.history, weights }));
    }
    save(&weights, &model, &[("archaeo.recipe", &recipe.to_toml_of_results())])?;
    // With this next to the weights, timm builds the model by itself.
    write_configuration(folder.path(), model.card())?;
    Ok(Outcome::Finished(Trained { model, history: training.progress.history, weights }))
}

fn check_counts(job: &Job) -> Result<(), TrainError> {
    let enough = |split, found, needed, remedy| match found >= needed {
        true => Ok(()),
        false => Err(TrainError::TooFewImages { split, found, needed, remedy }),
    };
    enough(
        "training",
        job.images.len(),
        job.recipe.step_images(),
        "lower batch_size, or accumulation, until one step fits",
    )?;
    enough(
        "validation",
        job.validation.len(),
        1,
        "give the data a validation split, or set data.validation = 0.1",
    )
}
