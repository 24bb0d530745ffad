//! Training: one loop, from a [`Recipe`] and images to a model and its history.
//!
//! [`train`] reads from top to bottom: for every epoch the images in a keyed order, for every batch a forward and a
//! backward pass, for every step an update, after every epoch an evaluation and a checkpoint. Every random number is
//! keyed by (seed, epoch or step, image), so that a training that was killed and resumed ends with the same bits as
//! one that never stopped.

mod average;
mod checkpoint;
mod diagnosis;
mod optimizer;
mod recipe;
mod schedule;

use std::io;
use std::path::PathBuf;
use std::thread::Scope;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use archaeo_models::{Classifier, Pass, TrainingStep, WeightsError, save};
use archaeo_ops::soft_cross_entropy;
use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

pub use diagnosis::Divergence;
pub use optimizer::{Algorithm, NamedGradients, Optimizer, decays};
pub use recipe::{DataChoice, ModelChoice, Recipe, RecipeError, RecipeFile};
pub use schedule::Schedule;

use crate::augment::{mix_images, mix_plan, soft_targets};
use crate::data::DataError;
use crate::evaluate::evaluate;
use crate::findings::EpochRecord;
use crate::images::{Batch, ImageSource, load_ahead};
use crate::random::{Draw, keyed_rng};
use crate::run_folder::{RunFolder, RunFolderError, write_atomic};
use crate::tensorboard::EventFile;
use checkpoint::Training;

/// Share of the batch's moments that batch norm's running moments take in each step, as in PyTorch.
const MOMENT_MOMENTUM: f64 = 0.1;

/// Images that are evaluated at once after an epoch.
const VALIDATION_BATCH: usize = 128;

/// Why a training ended early.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe does not fit.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// An image cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A checkpoint or the model cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint is not what this program writes.
    #[error("{} cannot be resumed from ({reason}); remove it to start afresh", path.display())]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Not enough images.
    #[error("the {split} split holds {found} images, but at least {needed} are needed; {remedy}")]
    TooFewImages {
        /// Which split.
        split: &'static str,
        /// Its images.
        found: usize,
        /// Images needed.
        needed: usize,
        /// What to change.
        remedy: &'static str,
    },
    /// The numbers blew up.
    #[error(transparent)]
    Diverged(#[from] Divergence),
}

/// What a model is trained on, and where the results go.
pub struct Job<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// Class names, in the order of the labels.
    pub classes: &'a [String],
    /// Images to learn from, augmented by epoch.
    pub images: &'a dyn ImageSource,
    /// Images to validate on after every epoch, not augmented.
    pub validation: &'a dyn ImageSource,
    /// Where checkpoints, metrics and the model go. What is there is resumed.
    pub folder: &'a RunFolder,
    /// Where to compute, without autodiff.
    pub device: &'a Device,
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
    /// Images that went into it.
    pub images: usize,
    /// Its training loss, nats.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Norm of its gradient, before clipping.
    pub gradient_norm: f64,
}

/// Someone who follows a training, and may end it.
pub trait Observer {
    /// After every optimiser step.
    fn step(&mut self, _report: &StepReport) {}

    /// After every epoch, its checkpoint written.
    fn epoch(&mut self, _record: &EpochRecord) {}

    /// Asked after every step: whether to stop there. The current epoch is lost, the checkpoint of the one before it
    /// stays.
    fn should_stop(&self) -> bool {
        false
    }
}

/// Nobody is looking.
impl Observer for () {}

/// How a training ended.
#[derive(Debug)]
pub enum Outcome {
    /// All epochs are done.
    Finished(Trained),
    /// The observer stopped it; `epochs` are kept and the same job goes on from there.
    Stopped {
        /// Epochs kept.
        epochs: usize,
    },
}

/// A trained model.
#[derive(Debug)]
pub struct Trained {
    /// The model, without autodiff; with averaged weights where the recipe asks for them.
    pub model: Classifier,
    /// One entry an epoch.
    pub history: Vec<EpochRecord>,
    /// The file it was saved to.
    pub weights: PathBuf,
}

/// Trains a model, or goes on where an earlier call with the same job was stopped or killed.
///
/// # Errors
/// See [`TrainError`]. The checkpoint of the last finished epoch stays in any case.
pub fn train(job: &Job, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    std::thread::scope(|scope| train_within(scope, job, observer))
}

fn train_within<'scope>(
    scope: &'scope Scope<'scope, '_>,
    job: &'scope Job<'scope>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let Job { recipe, images, validation, folder, .. } = *job;
    check_counts(job)?;
    let schedule = recipe.schedule(images.len());
    let used = schedule.steps_per_epoch as usize * recipe.step_images();
    let device = job.device.clone().autodiff();
    let last_path = folder.file("checkpoints/last.safetensors");

    let model = recipe.build(job.classes, &device)?;
    let mut training = match last_path.exists() {
        true => Training::resume(recipe, model, &last_path)?,
        false => Training::begin(recipe, model),
    };
    let mut journal = Journal::open(folder, &training)?;

    for epoch in training.progress.history.len()..recipe.epochs {
        let started = Instant::now();
        let Training { mut model, mut optimizer, mut average, mut progress } = training;
        let mut gradients = NamedGradients::default();
        let (mut step_loss, mut epoch_loss, mut learning_rate) = (0.0, 0.0, 0.0);

        let order = shuffled(recipe.seed, epoch as u64, images.len()).into_iter().take(used).collect();
        for (index, batch) in
            load_ahead(scope, images, order, recipe.batch_size, epoch as u64).iter().enumerate()
        {
            let Mixed { images, targets, identities } = mix(recipe, job.classes.len(), epoch as u64, batch?);
            let mut step = TrainingStep::new(recipe.seed, progress.step, identities);
            let targets = Tensor::from_data(targets, &device);

            let logits = model.logits(images.tensor(&device), &mut Pass::train(&mut (), &mut step));
            let loss = soft_cross_entropy(logits, targets) / recipe.accumulation as f64;
            step_loss += f64::from(loss.clone().inner().into_scalar::<f32>());
            gradients.add(NamedGradients::take(&model, &mut loss.backward()));
            model = model.absorb_moments(step.moments, MOMENT_MOMENTUM);
            if (index + 1) % recipe.accumulation != 0 {
                continue;
            }

            learning_rate = schedule.learning_rate(progress.step);
            let gradient_norm = gradients.norm();
            let at =
                diagnosis::Moment { epoch: epoch + 1, step: progress.step + 1, learning_rate, gradient_norm };
            diagnosis::check(&at, step_loss, job.classes.len(), &model, &gradients, job.folder)?;
            if let Some(limit) = recipe.gradient_clip.filter(|limit| gradient_norm > *limit) {
                gradients.scale((limit / gradient_norm) as f32);
            }
            model = optimizer.step(model, &gradients, learning_rate);
            progress.step += 1;
            if let Some(average) = &mut average {
                average.follow(&model, progress.step);
            }

            observer.step(&StepReport {
                epoch: epoch + 1,
                epochs: recipe.epochs,
                step: progress.step,
                total_steps: schedule.total_steps,
                images: recipe.step_images(),
                loss: step_loss,
                learning_rate,
                gradient_norm,
            });
            if observer.should_stop() {
                return Ok(Outcome::Stopped { epochs: epoch });
            }
            epoch_loss += step_loss / schedule.steps_per_epoch as f64;
            step_loss = 0.0;
            gradients = NamedGradients::default();
        }

        let images_per_second = used as f64 / started.elapsed().as_secs_f64();
        training = Training { model, optimizer, average, progress };
        let result = training.result();
        let answers = evaluate(&result, validation, VALIDATION_BATCH, job.device, &mut |_| ())?;
        let record = EpochRecord {
            epoch: epoch + 1,
            step: training.progress.step,
            learning_rate,
            train_loss: epoch_loss,
            validation_loss: answers.loss(),
            validation_accuracy: answers.accuracy(),
            images_per_second,
            seconds: started.elapsed().as_secs_f64(),
        };
        diagnosis::check_validation(&record, &result, job.folder)?;
        journal.write(&mut training, &result, record.clone())?;
        observer.epoch(&record);
    }

    let model = training.result();
    let weights = folder.file("model.safetensors");
    save(&weights, &model, &[("archaeo.recipe", &recipe.to_toml())])?;
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

/// A batch whose images are blended with each other where the recipe says so, with what is to be answered.
struct Mixed {
    images: Batch,
    /// A distribution over classes for each image, `[batch, classes]`.
    targets: TensorData,
    /// What the random numbers of each image are keyed by.
    identities: Vec<u64>,
}

fn mix(recipe: &Recipe, classes: usize, epoch: u64, mut images: Batch) -> Mixed {
    let identities: Vec<u64> = images.indices.iter().map(|&index| index as u64).collect();
    let mut plan = Vec::new();
    if recipe.augment.mixes() {
        plan = mix_plan(
            &recipe.augment,
            &identities,
            (recipe.image_size, recipe.image_size),
            recipe.seed,
            epoch,
        );
        images.images = mix_images(&images.images, &plan);
    }
    let targets = soft_targets(&images.labels, classes, recipe.label_smoothing as f32, &plan);
    let targets = TensorData::new(targets, [images.labels.len(), classes]);
    Mixed { images, targets, identities }
}

/// The order of the images in an epoch (Fisher & Yates, 1938).
fn shuffled(seed: u64, epoch: u64, images: usize) -> Vec<usize> {
    let mut rng = keyed_rng(seed, "train/order", 0, epoch);
    let mut order: Vec<usize> = (0..images).collect();
    for last in (1..images).rev() {
        order.swap(last, rng.below(last + 1));
    }
    order
}

/// What is written after every epoch.
struct Journal<'a> {
    folder: &'a RunFolder,
    events: EventFile,
}

impl<'a> Journal<'a> {
    /// Goes on where `training` stands: what was written after its checkpoint is dropped.
    fn open(folder: &'a RunFolder, training: &Training) -> Result<Self, TrainError> {
        let path = folder.file("events.out.tfevents.archaeo");
        let events = EventFile::open(&path, training.progress.events_length, seconds_since_1970())
            .map_err(|source| RunFolderError::Io { action: "write", path, source })?;
        let journal = Self { folder, events };
        journal.write_metrics(&training.progress.history)?;
        Ok(journal)
    }

    /// Adds an epoch to the history and writes everything. The checkpoint decides what has happened, so it comes after
    /// all that a rerun would write again in the same way, and before the metrics that are made from it.
    fn write(
        &mut self,
        training: &mut Training,
        result: &Classifier,
        record: EpochRecord,
    ) -> Result<(), TrainError> {
        let folder = self.folder;
        let is_best = |earlier: &EpochRecord| record.validation_accuracy > earlier.validation_accuracy;
        if training.progress.history.iter().all(is_best) {
            save(&folder.file("checkpoints/best.safetensors"), result, &[])?;
        }
        self.add_events(&record).map_err(|source| RunFolderError::Io {
            action: "write",
            path: folder.file("events.out.tfevents.archaeo"),
            source,
        })?;
        training.progress.events_length = self.events.length();
        training.progress.history.push(record);
        training.write(&folder.file("checkpoints/last.safetensors"))?;
        self.write_metrics(&training.progress.history)
    }

    fn add_events(&mut self, record: &EpochRecord) -> io::Result<()> {
        let scalars = [
            ("loss/train", record.train_loss),
            ("loss/validation", record.validation_loss),
            ("accuracy/validation", record.validation_accuracy),
            ("learning_rate", record.learning_rate),
            ("images_per_second", record.images_per_second),
        ];
        self.events.scalars(seconds_since_1970(), record.step, &scalars)
    }

    /// The whole file anew, so that it never holds half a line or an epoch that the checkpoint does not know.
    fn write_metrics(&self, history: &[EpochRecord]) -> Result<(), TrainError> {
        let line = |record| serde_json::to_string(record).expect("plain data") + "\n";
        let lines: String = history.iter().map(line).collect();
        Ok(write_atomic(&self.folder.file("metrics.jsonl"), lines.as_bytes())?)
    }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
