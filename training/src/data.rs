//! A data set to learn from, and one training on it.
//!
//! [`open_to_learn`] opens and checks the images once for all trainings; a [`DataTraining`] chooses from them what one training sees.

use archaeo_analysis::masks::Overlap;
use archaeo_data::{DataError, Dataset, OpenOptions, Skipped};
use archaeo_models::{Classifier, ModelCard, Preprocessing};
use archaeo_store::run_folder::{DataIdentity, RunFolder};
use burn::tensor::Device;

use crate::images::{Augmented, ImageSource, Preprocessed, Repeated, Subset};
use crate::masks::evaluate_masks;
use crate::ranks::{Alone, Ranks};
use crate::{
    Artist, DataChoice, Job, Observer, Outcome, Recipe, RecipeError, TrainError, Transfer, VALIDATION_BATCH,
    train_on,
};

/// Share of the training images that is held out for validation where neither the source nor the recipe says otherwise.
const VALIDATION: f64 = 0.1;

impl DataChoice {
    /// How the data are opened; with `strict` an image that cannot be used is an error.
    pub fn options(&self, strict: bool) -> OpenOptions {
        OpenOptions {
            split_seed: self.split_seed,
            strict,
            validation: Some(self.validation.unwrap_or(VALIDATION)),
            ..OpenOptions::default()
        }
    }
}

/// How far the opening of a data set has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Its images are listed.
    Reading,
    /// This many images are about to be decoded, to find those that cannot be used.
    Checking(usize),
    /// This many more are decoded.
    Checked(usize),
    /// Its fingerprint is computed.
    Hashing,
}

/// A data set without the images that cannot be used.
pub struct LearningData {
    /// The images.
    pub dataset: Dataset,
    /// What they are, for run folders.
    pub identity: DataIdentity,
    /// Images left out: which, and why.
    pub skipped: Vec<(String, String)>,
}

/// Opens the data that `source` names, decodes every image once and leaves out those that cannot be used. `watch` follows.
///
/// # Errors
/// As [`archaeo_data::open`] and [`Dataset::verify`].
pub fn open_to_learn(
    source: &str,
    options: &OpenOptions,
    watch: &(dyn Fn(Opening) + Sync),
) -> Result<LearningData, DataError> {
    watch(Opening::Reading);
    let mut dataset = archaeo_data::open(source, options)?;
    watch(Opening::Checking(dataset.images_to_verify(&[])));
    let skipped = dataset.verify_watched(&[], &|images| watch(Opening::Checked(images)))?;
    watch(Opening::Hashing);
    let identity = DataIdentity {
        source: dataset.name.clone(),
        fingerprint: dataset.fingerprint(),
        classes: dataset.classes.clone(),
        counts: dataset.splits().iter().map(|(name, split)| (name.clone(), split.len())).collect(),
    };
    let skipped = skipped.into_iter().map(|Skipped { identifier, reason }| (identifier, reason)).collect();
    Ok(LearningData { dataset, identity, skipped })
}

/// Some of the training images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Their places in the training split.
    pub indices: Vec<usize>,
    /// How often an epoch goes through them, augmented anew each time.
    pub times: usize,
}

/// A training on a data set: it learns from the split `train` and is validated on the split that the data set selects models by.
#[derive(Clone, Copy)]
pub struct DataTraining<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// The weights that it starts from, where the recipe has `init`.
    pub transfer: Option<&'a Transfer>,
    /// The data.
    pub dataset: &'a Dataset,
    /// The training images; all of them when not given.
    pub portion: Option<&'a Portion>,
    /// The run folder; an existing run is resumed.
    pub folder: &'a RunFolder,
    /// Device, without autodiff.
    pub device: &'a Device,
    /// Draws what the recipe's `track_images` asks for.
    pub artist: Option<&'a dyn Artist>,
}

impl DataTraining<'_> {
    /// The card of the model that is trained.
    ///
    /// # Errors
    /// As [`Recipe::card_within_memory`].
    pub fn card(&self) -> Result<ModelCard, RecipeError> {
        match self.transfer {
            Some(transfer) => Ok(transfer.card().clone()),
            None => self.recipe.card_within_memory(&self.dataset.classes),
        }
    }

    /// Trains, or goes on where the same training was stopped.
    ///
    /// # Errors
    /// As [`train_on`]; a data set without training images.
    pub fn train(&self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        self.train_on(&Alone, observer)
    }

    /// The same by all of these ranks together.
    ///
    /// # Errors
    /// As [`train_on`].
    pub fn train_on(&self, ranks: &dyn Ranks, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let Self { recipe, transfer, dataset, portion, folder, device, artist } = *self;
        let preprocessing = &self.card()?.preprocessing;
        let split = dataset.split("train")?;
        let all = Augmented { split, augment: &recipe.augment, preprocessing, seed: recipe.seed };
        let portion = portion.map(|Portion { indices, times }| Repeated {
            images: Subset { images: all.clone(), indices: indices.clone() },
            times: *times,
        });
        let job = Job {
            recipe,
            classes: &dataset.classes,
            images: portion.as_ref().map_or(&all as &dyn ImageSource, |portion| portion),
            validation: &self.validation(preprocessing)?,
            transfer,
            folder,
            device,
            artist,
        };
        train_on(ranks, &job, observer)
    }

    /// The images that the training is validated on.
    fn validation<'b>(&'b self, preprocessing: &'b Preprocessing) -> Result<Preprocessed<'b>, DataError> {
        let name = self.dataset.selection_split().unwrap_or_else(|| self.dataset.evaluation_split());
        Ok(Preprocessed { split: self.dataset.split(name)?, preprocessing })
    }

    /// What the masks that `model`, which was trained, predicts of the validation images have in common with the true ones; `None` where it
    /// predicts none.
    ///
    /// # Errors
    /// An image or a mask that cannot be decoded.
    pub fn masks(&self, model: &Classifier) -> Result<Option<Vec<Overlap>>, DataError> {
        let images = self.validation(&model.card().preprocessing)?;
        evaluate_masks(model, &images, VALIDATION_BATCH, self.device, &mut |_| ())
    }
}
