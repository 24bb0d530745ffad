//! SimCLR (Chen et al., 2020): two augmented views of an image are to be recognised as such among all views of the batch.
//!
//! A projection MLP maps the features to embeddings, on which the loss is computed ([`nt_xent`]); it is left behind after training. The
//! recipe's augmentation makes the views, and decides what the features ignore. Labels train the head alone
//! ([`Student::learn_without_labels`]).

use archaeo_models::{Classifier, Linear, Pass};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::contrast::nt_xent;
use super::{Begun, Examples, Objective, ObjectiveKind, Own, OwnParameters, at_least_one, options, positive};
use crate::backward::{Share, Student};
use crate::{Job, Recipe, RecipeError, TrainError};

pub(super) static SIMCLR: ObjectiveKind = ObjectiveKind {
    id: "simclr",
    title: "telling the other view of an image from all others of the batch, without labels",
    of_features: false,
    weights: &[],
    check: |table| Options::read(table).map(drop),
    begin,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// τ of the similarities.
    temperature: f64,
    /// Hidden width of the projection.
    hidden: usize,
    /// Width of the embeddings.
    embedding: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { temperature: 0.5, hidden: 256, embedding: 128 }
    }
}

impl Options {
    fn read(table: &Table) -> Result<Self, RecipeError> {
        let options: Self = options(table)?;
        positive("objective.temperature", options.temperature)?;
        at_least_one("objective.hidden", options.hidden)?;
        at_least_one("objective.embedding", options.embedding)?;
        Ok(options)
    }
}

/// `W₂ · relu(W₁ · features)` (section 2.1).
#[derive(Module, Debug)]
struct Projection {
    projection1: Linear,
    projection2: Linear,
}

impl Projection {
    fn new(features: usize, options: &Options, device: &Device) -> Self {
        Self {
            projection1: Linear::new(features, options.hidden, true, device),
            projection2: Linear::new(options.hidden, options.embedding, false, device),
        }
    }
}

struct SimClr {
    temperature: f64,
    projection: Own<Projection>,
    guessing: f64,
}

fn begin(table: &Table, job: &Job, model: &Classifier) -> Begun {
    let options = Options::read(table)?;
    let recipe = job.recipe;
    refuse_mixing("simclr", job)?;
    refuse_single("simclr", "images", recipe)?;
    let device = job.device.clone().autodiff();
    let projection = Own::new(Projection::new(model.feature_dim(), &options, &device), recipe);
    let guessing = (2.0 * recipe.shard_images() as f64 - 1.0).ln();
    Ok(Box::new(SimClr { temperature: options.temperature, projection, guessing }))
}

/// Refuses blended images, which are views of two images.
pub(super) fn refuse_mixing(objective: &str, job: &Job) -> Result<(), RecipeError> {
    match job.recipe.augment.mixes() {
        false => Ok(()),
        true => Err(RecipeError::Value(format!(
            "`augment.mixup` and `augment.cutmix` blend images, of which `{objective}` needs each on its own; leave them out"
        ))),
    }
}

/// Refuses batches, or shards of them, of a single one of the `things` that the objective tells apart.
pub(super) fn refuse_single(objective: &str, things: &str, recipe: &Recipe) -> Result<(), RecipeError> {
    if recipe.shard_images() >= 2 {
        return Ok(());
    }
    let each = match recipe.shards {
        1 => String::new(),
        shards => format!(" for each of the {shards} shards"),
    };
    Err(RecipeError::Value(format!(
        "`{objective}` tells {things} of a batch apart, so `batch_size` must be at least 2{each}"
    )))
}

impl Objective for SimClr {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let second = examples.view(1)?;
        let images = Tensor::cat(vec![examples.images, second], 0);
        let Projection { projection1, projection2 } = self.projection.module();
        Ok(student.learn_without_labels(images, examples.targets, |model, images, step| {
            let precision = model.precision();
            let features = model.features(images, &mut Pass::train(&mut (), step));
            let [views, width] = features.dims();
            let hidden = relu(projection1.forward(features.clone(), precision));
            let loss = nt_xent(projection2.forward(hidden, precision), self.temperature);
            (loss, features.slice([0..views / 2, 0..width]))
        }))
    }

    fn guessing(&self, _: usize) -> f64 {
        self.guessing / self.temperature.min(1.0)
    }

    fn own(&self) -> Option<&dyn OwnParameters> {
        Some(&self.projection)
    }

    fn own_mut(&mut self) -> Option<&mut dyn OwnParameters> {
        Some(&mut self.projection)
    }
}
