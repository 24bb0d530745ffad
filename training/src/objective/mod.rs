//! What a training step minimises.
//!
//! Every objective is an [`Objective`] in one list, [`all`]: recipes name it by its id, `objective = "cross-entropy"`,
//! or in a section that also holds its options:
//!
//! ```toml
//! [objective]
//! kind = "distillation"
//! temperature = 3.0
//! ```
//!
//! An objective receives the [`Student`] and the [`Examples`] of one batch. It decides which images go through the student and
//! how the output is scored, and the student turns that loss into gradients; accumulation, precision and gradient checkpointing
//! are up to the student. This covers:
//!
//! | objective | how |
//! |---|---|
//! | cross-entropy (`cross_entropy.rs`) | the loss of the student's logits and the targets |
//! | distillation (`distillation.rs`, `teacher.rs`; Hinton et al., 2015; Touvron et al., 2021) | [`ObjectiveKind::begin`] loads the teacher, which sees the same pictures as the student, [`Examples::pictures`] |
//! | adversarial training (`adversarial/`; Madry et al., 2018) | attacks [`Student::frozen`], keyed by [`Student::step`], and learns from the images found; with TRADES (Zhang et al., 2019) from both, as two views |
//! | contrastive (`simclr.rs`; Chen et al., 2020) | learns from [`Examples::images`] and [`Examples::view`] as one batch |
//! | masked images (`mae.rs`; He et al., 2022) | a pass with a probe that removes tokens |
//! | images and captions (`clip.rs`; Radford et al., 2021) | features of the images, and captions by [`Examples::indices`] |
//! | masks (`segmentation.rs`) | masks of the pictures shown, [`Examples::masks`] |
//!
//! The last four need no labels: [`Student::learn_without_labels`] trains the head on features that nothing else learns from, so that
//! a model of such a training is a classifier, whose accuracy is that of a linear probe.
//!
//! Randomness is keyed by [`Student::step`]. An objective may have parameters of its own, such as a projection or a decoder: an
//! [`Own`] module in one of its fields, which [`Objective::own`] and [`Objective::own_mut`] hand to the training. They are drawn by
//! the recipe's seed, trained by its optimiser, kept in checkpoints, and no part of the trained model. There is no other state
//! between steps; what a resumed training would only compute again, [`Objective::keep`] may write to the run folder.

mod adversarial;
mod choice;
mod clip;
mod contrast;
mod cross_entropy;
mod distillation;
mod mae;
mod own;
#[cfg(test)]
mod reference;
mod segmentation;
mod simclr;
mod teacher;
#[cfg(test)]
mod tests;

use std::fmt;

use archaeo_models::Classifier;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use toml::Table;

use crate::backward::{Share, Student};
use crate::images::{Batch, ImageSource, to_tensor};
use crate::{Job, RecipeError, TrainError};
use archaeo_data::{DataError, Image};

pub use choice::{NoOptions, ObjectiveChoice, options};
pub use own::{Own, OwnParameters};

/// What a training step minimises.
pub trait Objective: Send + Sync {
    /// The student's loss on a batch, a mean over its images in nats, and the gradients that follow from it.
    ///
    /// # Errors
    /// A view of an image that cannot be decoded.
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError>;

    /// The loss of a guessing student, in nats: a loss many times as large counts as divergence.
    fn guessing(&self, classes: usize) -> f64 {
        (classes.max(2) as f64).ln()
    }

    /// What was decided at the beginning: a sentence for the log, without a full stop.
    fn note(&self) -> Option<String> {
        None
    }

    /// Called after every epoch: writes what a resumed training would compute again.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn keep(&self) -> Result<(), TrainError> {
        Ok(())
    }

    /// Its own parameters, if it has any.
    fn own(&self) -> Option<&dyn OwnParameters> {
        None
    }

    /// The same, to be changed.
    fn own_mut(&mut self) -> Option<&mut dyn OwnParameters> {
        None
    }
}

/// An objective ready for training.
pub type Begun = Result<Box<dyn Objective>, TrainError>;

/// An objective whose options are still open: an entry of the list of objectives.
pub struct ObjectiveKind {
    /// Id in recipes.
    pub id: &'static str,
    /// Short description.
    pub title: &'static str,
    /// Whether it uses only [`Student::learn_from_features`] or [`Student::learn_from_logits`], as gradient checkpointing requires.
    pub of_features: bool,
    /// Options that are paths of weights, or their names on the hub.
    pub weights: &'static [&'static str],
    /// Refuses options that do not exist or are out of range: the section `[objective]` without `kind`. See [`options`].
    pub check: fn(&Table) -> Result<(), RecipeError>,
    /// The objective of a training of the model, with options that were checked.
    pub begin: fn(&Table, &Job, &Classifier) -> Begun,
}

/// Every objective.
static ALL: &[&ObjectiveKind] = &[
    &cross_entropy::CROSS_ENTROPY,
    &distillation::DISTILLATION,
    &adversarial::ADVERSARIAL,
    &simclr::SIMCLR,
    &mae::MAE,
    &clip::CLIP,
    &segmentation::SEGMENTATION,
];

/// Every objective.
pub fn all() -> &'static [&'static ObjectiveKind] {
    ALL
}

/// Refuses a value that is not a number above 0.
fn positive(key: &'static str, value: f64) -> Result<(), RecipeError> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(RecipeError::Range { key, allowed: "above 0", found: value.to_string() }),
    }
}

/// Refuses 0, and what is more than any module has.
fn at_least_one(key: &'static str, value: usize) -> Result<(), RecipeError> {
    match (1..=LARGEST).contains(&value) {
        true => Ok(()),
        false => Err(RecipeError::Range { key, allowed: "from 1 to 65536", found: value.to_string() }),
    }
}

/// Largest width or depth of an objective's own module.
const LARGEST: usize = 1 << 16;

/// The objective of that id.
pub fn by_id(id: &str) -> Option<&'static ObjectiveKind> {
    all().iter().copied().find(|kind| kind.id == id)
}

impl fmt::Debug for ObjectiveKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectiveKind({})", self.id)
    }
}

/// Offset of the epoch key for additional views of an image, larger than the epochs of any training.
const VIEW: u64 = 1 << 32;

/// The images and targets of one batch.
pub struct Examples<'a> {
    /// The images, augmented and mixed according to the recipe, `[batch, 3, height, width]` in [0, 1].
    pub images: Tensor<4>,
    /// The same as pictures of 8 bits.
    pub pictures: &'a [Image],
    /// A distribution over classes for each image, smoothed and mixed according to the recipe, `[batch, classes]`.
    pub targets: Tensor<2>,
    /// The true class of each image before mixing.
    pub labels: &'a [usize],
    /// Index of each image in the training split.
    pub indices: &'a [usize],
    pub(crate) source: &'a dyn ImageSource,
    pub(crate) epoch: u64,
}

impl<'a> Examples<'a> {
    /// The images and targets of a batch on `device`; `source` provides additional views of the images.
    pub(crate) fn new(
        batch: &'a Batch,
        targets: Tensor<2>,
        source: &'a dyn ImageSource,
        epoch: u64,
        device: &Device,
    ) -> Self {
        Self {
            images: batch.tensor(device),
            pictures: &batch.images,
            targets,
            labels: &batch.labels,
            indices: &batch.indices,
            source,
            epoch,
        }
    }

    /// Which of its [variants](ImageSource::variants) each image is shown as, where these are counted.
    pub fn variants(&self) -> Vec<usize> {
        self.indices.iter().map(|&index| self.source.variant(index, self.epoch)).collect()
    }

    /// Where the object is on the images: 1 there, 0 elsewhere, `[batch, height, width]`.
    ///
    /// # Errors
    /// A mask that cannot be decoded.
    ///
    /// # Panics
    /// If an image has no true mask.
    pub fn masks(&self) -> Result<Tensor<3>, DataError> {
        let [batch, _, height, width] = self.images.dims();
        let masks = self.indices.par_iter().map(|&index| self.source.mask(index, self.epoch));
        let mut values = Vec::with_capacity(batch * height * width);
        for mask in masks.collect::<Vec<_>>() {
            let mask = mask?.expect("every image has a mask");
            values.extend(mask.into_iter().map(|inside| f32::from(u8::from(inside))));
        }
        Ok(Tensor::from_data(TensorData::new(values, [batch, height, width]), &self.images.device()))
    }

    /// View `number` of each image, from 1: freshly augmented and not mixed, `[batch, 3, height, width]`.
    ///
    /// # Errors
    /// An image that cannot be decoded.
    pub fn view(&self, number: u32) -> Result<Tensor<4>, DataError> {
        let epoch = self.epoch + u64::from(number) * VIEW;
        Ok(to_tensor(&Batch::load(self.source, self.indices, epoch)?.images, &self.images.device()))
    }
}
