//! Recipes: everything that decides how one model is trained.

use archaeo_models::{Classifier, ModelCard, NetworkSpec, Preprocessing};
use archaeo_ops::Precision;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::memory;
use super::optimizer::Algorithm;
use super::recipe_file::RecipeError;
use super::schedule::Schedule;
use crate::objective::ObjectiveChoice;
use crate::precision::precision_name;
use crate::transfer::Freeze;
use crate::{shards, strata, trackers};
use archaeo_data::augment::AugmentConfig;

/// Of a transformer with batch norms in its blocks.
pub(crate) const CHECKPOINTED_MOMENTS: &str = "`gradient_checkpointing` computes the blocks of a transformer twice, and those of this model \
                                               normalise over the batch, which has to happen once; leave the key out";

/// Which model to train: a name, or an architecture with all its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ModelChoice {
    /// One of [`NetworkSpec::names`].
    Named(String),
    /// The keys of a [`NetworkSpec`]; `classes` and `image_size` come from the data where they are left out.
    Sizes(Table),
}

/// The training data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataChoice {
    /// The data set, as `--data` takes it; overridden by the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Share of the training split to hold out for validation if the source has no such split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Seed of the splits that are drawn if the source has none.
    pub split_seed: u64,
}

/// Everything that decides how one model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Which model; a recipe with `init` may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelChoice>,
    /// Weights to start from: a checkpoint, a folder with one, or `hf:OWNER/NAME@REVISION`; overridden by the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// SHA-256 of `init`, added when it is read ([`Transfer`](crate::Transfer)): a run resumes only with the weights that it started
    /// from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_sha256: Option<String>,
    /// What keeps the values of `init`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub freeze: Freeze,
    /// Side of the model's input, in pixels; with `init` 0, or nothing, is the checkpoint's.
    #[serde(default)]
    pub image_size: usize,
    /// Seed of the initial values, the order of the images, augmentation, dropout and stochastic depth.
    #[serde(default)]
    pub seed: u64,
    /// Runs that differ only in their seed: `seed`, `seed + 1`, … ([`Recipe::runs`]).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub seeds: usize,
    /// Passes over the training split.
    pub epochs: usize,
    /// Batch size.
    pub batch_size: usize,
    /// Batches whose gradients are averaged into one optimiser step.
    #[serde(default = "one")]
    pub accumulation: usize,
    /// Equal parts of a batch, a power of two, of which each is a batch of its own for batch norm, mixup and contrastive objectives; ranks
    /// share them ([`crate::ranks`]).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub shards: usize,
    /// Whether a step keeps only the input of every block and recomputes the block for its gradient (Chen et al.,
    /// 2016): less memory at the cost of one more forward pass, with bit-identical gradients; transformers only.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Images per step (`batch_size · accumulation`) for which `learning_rate` is given; for other sizes it is scaled in
    /// proportion (Goyal et al., 2017, section 2.1). Without it, the rate is used unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate_batch: Option<usize>,
    /// Peak learning rate of everything except the head, which has `learning_rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone_learning_rate: Option<f64>,
    /// Factor of the learning rate from each layer to the one before it, from the head down ([`Depths`](archaeo_models::Depths)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f64>,
    /// Weight decay; biases, norms, tokens and positions have none.
    #[serde(default)]
    pub weight_decay: f64,
    /// Epochs of linear warm-up, fractions allowed.
    #[serde(default)]
    pub warmup_epochs: f64,
    /// Learning rate at the first step of the warm-up.
    #[serde(default)]
    pub warmup_learning_rate: f64,
    /// Learning rate that the cosine ends at.
    #[serde(default)]
    pub final_learning_rate: f64,
    /// Largest norm of all gradients together; larger ones are scaled down to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_clip: Option<f64>,
    /// Share of the target that is spread evenly over all classes (Szegedy et al., 2016, section 7).
    #[serde(default)]
    pub label_smoothing: f64,
    /// Stochastic depth of the last block; ViT only.
    #[serde(default)]
    pub drop_path: f64,
    /// Dropout on tokens and within the MLPs; ViT only.
    #[serde(default)]
    pub dropout: f64,
    /// Decay per step of an exponential moving average of all weights; if set, the average is evaluated and saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
    /// How matrix products and convolutions are computed, in training and in validation; weights, sums and everything else are
    /// f32 in any case.
    #[serde(default, with = "precision_name")]
    pub precision: Precision,
    /// What a step minimises.
    #[serde(default, skip_serializing_if = "is_default")]
    pub objective: ObjectiveChoice,
    /// Trackers of the training, by the ids of [`trackers::all`].
    #[serde(default = "trackers::usual", skip_serializing_if = "trackers::are_usual")]
    pub trackers: Vec<String>,
    /// Project that trackers of many runs put the run in; `archaeo` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Images of the validation split on which trackers show what the model looks at ([`crate::Sight`]).
    #[serde(default, skip_serializing_if = "is_default")]
    pub track_images: usize,
    /// Epochs from one such look to the next; the last epoch always has one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub track_every: usize,
    /// Epochs, from 1 and ascending, whose model is kept as `checkpoints/epoch-NN.safetensors` ([`crate::strata()`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_checkpoints: Vec<usize>,
    /// How gradients become updates.
    #[serde(default)]
    pub optimizer: Algorithm,
    /// Augmentation of the training images.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The training data.
    #[serde(default)]
    pub data: DataChoice,
}

/// Largest side of an image, in pixels: that of WebP and JPEG.
const LARGEST_IMAGE: usize = 1 << 16;

/// Most images of an optimiser step, far beyond any data set.
const MOST_STEP_IMAGES: usize = 1 << 40;

/// Most runs of one recipe.
const MOST_SEEDS: usize = 1000;

/// Most images whose heatmaps are tracked.
const MOST_TRACKED: usize = 64;

fn one() -> usize {
    1
}

// Default values are not written, so that recipes of earlier runs stay equal.
fn is_one(value: &usize) -> bool {
    *value == 1
}

/// The error of a key that is needed and not there.
pub(crate) fn missing(key: &str) -> RecipeError {
    RecipeError::Value(format!("missing field `{key}`"))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Recipe {
    /// Images of one optimiser step.
    pub fn step_images(&self) -> usize {
        self.batch_size.saturating_mul(self.accumulation)
    }

    /// Images of one shard, which are looked at together.
    pub fn shard_images(&self) -> usize {
        self.batch_size / self.shards
    }

    /// Passes whose gradients are summed into one optimiser step.
    pub(crate) fn passes(&self) -> f64 {
        self.accumulation as f64 * self.shards as f64
    }

    /// The learning rate of every step, for a training split of `images`.
    pub fn schedule(&self, images: usize) -> Schedule {
        let steps_per_epoch = (images / self.step_images()).max(1) as u64;
        let scale = self.learning_rate_batch.map_or(1.0, |batch| self.step_images() as f64 / batch as f64);
        Schedule {
            steps_per_epoch,
            total_steps: steps_per_epoch.saturating_mul(self.epochs as u64),
            warmup_steps: (self.warmup_epochs * steps_per_epoch as f64).round() as u64,
            warmup: self.warmup_learning_rate,
            peak: self.learning_rate * scale,
            last: self.final_learning_rate,
        }
    }

    /// The model's card, for data of these classes.
    ///
    /// # Errors
    /// An unknown model, or sizes that do not fit together.
    pub fn card(&self, classes: &[String]) -> Result<ModelCard, RecipeError> {
        let name = match &self.model {
            Some(ModelChoice::Named(name)) => name.clone(),
            Some(ModelChoice::Sizes(_)) | None => "custom".to_owned(),
        };
        let network = self.network(classes.len())?;
        if let Some(taken) = network.image_size().filter(|taken| *taken != self.image_size) {
            return Err(RecipeError::Value(format!(
                "the model takes images of {taken} px, but `image_size` is {}; set one like the other",
                self.image_size
            )));
        }
        let network = network.with_rates(self.drop_path, self.dropout);
        network.validate()?;
        let preprocessing = Preprocessing::plain(self.image_size);
        Ok(ModelCard { name, network, preprocessing, classes: classes.to_vec() })
    }

    /// The model that the recipe itself describes.
    pub(crate) fn network(&self, classes: usize) -> Result<NetworkSpec, RecipeError> {
        let table = match &self.model {
            Some(ModelChoice::Named(name)) => {
                return Ok(NetworkSpec::named(name, classes, self.image_size)?);
            }
            Some(ModelChoice::Sizes(table)) => table,
            None => return Err(missing("model")),
        };
        let mut table = table.clone();
        let architecture = table.get("architecture").and_then(Value::as_str);
        let any_size = architecture.is_some_and(NetworkSpec::takes_any_image_size);
        let mut default = |key: &str, value: usize| {
            table.entry(key).or_insert(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
        };
        default("classes", classes);
        if !any_size {
            default("image_size", self.image_size);
        }
        super::recipe_file::from_table(table, "model")
    }

    /// Whether the model is that of `init` alone, so that it is known only when the weights are read.
    pub fn takes_model_from_init(&self) -> bool {
        self.model.is_none() && self.init.is_some()
    }

    /// A freshly initialised model for data of these classes, by the recipe's seed.
    ///
    /// # Errors
    /// As [`Recipe::card`], and a training that certainly exceeds the memory.
    pub fn build(
        &self,
        classes: &[String],
        device: &burn::tensor::Device,
    ) -> Result<Classifier, RecipeError> {
        let model = Classifier::new(self.card_within_memory(classes)?, self.seed, device)?;
        Ok(model.in_precision(self.precision))
    }

    /// As [`Recipe::card`], and refuses a training that certainly exceeds the memory.
    ///
    /// # Errors
    /// Such a training.
    pub fn card_within_memory(&self, classes: &[String]) -> Result<ModelCard, RecipeError> {
        let card = self.card(classes)?;
        memory::check(self, &card.network)?;
        Ok(card)
    }

    /// Whether the model is certainly not a transformer, and so has no stochastic depth, dropout or blocks to recompute.
    fn is_no_transformer(&self) -> bool {
        self.network(1).is_ok_and(|network| network.attention_layers() == 0)
    }

    /// The recipe as TOML, defaults written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain data")
    }

    /// The same without what does not affect results, such as trackers: equal models are equal files.
    pub(crate) fn to_toml_of_results(&self) -> String {
        let same = Self {
            trackers: trackers::usual(),
            project: None,
            track_images: 0,
            track_every: one(),
            keep_checkpoints: Vec::new(),
            ..self.clone()
        };
        same.to_toml()
    }

    /// Refuses keys for a training that starts from other weights where there are none, and those that a frozen backbone leaves
    /// nothing to do for.
    fn check_transfer(&self) -> Result<(), RecipeError> {
        let refuse = |sentence: String| Err(RecipeError::Value(sentence));
        if self.init.is_none() && self.freeze != Freeze::None {
            return refuse(
                "`freeze` keeps the values of other weights, and there are none; name them with `init`"
                    .into(),
            );
        }
        if self.init.is_none() && self.init_sha256.is_some() {
            return refuse("`init_sha256` belongs to the weights of `init`, and there are none".into());
        }
        let idle = [
            ("backbone_learning_rate", self.backbone_learning_rate.is_some()),
            ("layer_decay", self.layer_decay.is_some()),
            ("drop_path", self.drop_path > 0.0),
            ("dropout", self.dropout > 0.0),
            ("gradient_checkpointing", self.gradient_checkpointing),
        ];
        match idle.into_iter().find(|(_, set)| *set && self.freeze == Freeze::Backbone) {
            None => Ok(()),
            Some((key, _)) => refuse(format!(
                "`freeze = \"backbone\"` trains the head alone, so that `{key}` does nothing; leave it out"
            )),
        }
    }

    /// Refuses values outside their range.
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let range = |key, value: f64, allowed, inside: bool| match inside {
            true => Ok(()),
            false => Err(RecipeError::Range { key, allowed, found: value.to_string() }),
        };
        let at_least_one = |key, value: usize| range(key, value as f64, "at least 1", value >= 1);
        let positive = |key, value: f64| range(key, value, "above 0", value.is_finite() && value > 0.0);
        let not_negative =
            |key, value: f64| range(key, value, "0 or more", value.is_finite() && value >= 0.0);
        let share =
            |key, value: f64| range(key, value, "at least 0 and below 1", (0.0..1.0).contains(&value));

        if self.model.is_none() && self.init.is_none() {
            return Err(missing("model"));
        }
        let of_init = self.init.is_some() && self.image_size == 0;
        range(
            "image_size",
            self.image_size as f64,
            "from 1 to 65536",
            of_init || (1..=LARGEST_IMAGE).contains(&self.image_size),
        )?;
        range("seeds", self.seeds as f64, "from 1 to 1000", (1..=MOST_SEEDS).contains(&self.seeds))?;
        // TOML has no larger whole number, and each run writes its seed into its own recipe.
        let last_seed = self.seed.checked_add(self.seeds as u64 - 1);
        if last_seed.is_none_or(|last| i64::try_from(last).is_err()) {
            return Err(RecipeError::Value(format!(
                "`seed` is {}, so that no seed is left for each of the {} of `seeds`; lower it",
                self.seed, self.seeds
            )));
        }
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("accumulation", self.accumulation)?;
        if self.batch_size.checked_mul(self.accumulation).is_none_or(|images| images > MOST_STEP_IMAGES) {
            return Err(RecipeError::Value(format!(
                "`batch_size` · `accumulation` is more than {MOST_STEP_IMAGES} images a step; lower one of them"
            )));
        }
        shards::check(self.shards, self.batch_size)?;
        if let Some(batch) = self.learning_rate_batch {
            at_least_one("learning_rate_batch", batch)?;
        }
        positive("learning_rate", self.learning_rate)?;
        if let Some(rate) = self.backbone_learning_rate {
            positive("backbone_learning_rate", rate)?;
        }
        if let Some(decay) = self.layer_decay {
            range("layer_decay", decay, "above 0 and at most 1", decay > 0.0 && decay <= 1.0)?;
        }
        self.check_transfer()?;
        for (key, value) in [
            ("weight_decay", self.weight_decay),
            ("warmup_epochs", self.warmup_epochs),
            ("warmup_learning_rate", self.warmup_learning_rate),
            ("final_learning_rate", self.final_learning_rate),
        ] {
            not_negative(key, value)?;
        }
        if self.warmup_epochs > self.epochs as f64 {
            return Err(RecipeError::Value(format!(
                "`warmup_epochs` is {}, more than the {} of `epochs`; the learning rate would never reach its peak, so lower it",
                self.warmup_epochs, self.epochs
            )));
        }
        if let Some(norm) = self.gradient_clip {
            positive("gradient_clip", norm)?;
        }
        for (key, value) in [
            ("label_smoothing", self.label_smoothing),
            ("drop_path", self.drop_path),
            ("dropout", self.dropout),
            ("ema_decay", self.ema_decay.unwrap_or(0.0)),
        ] {
            share(key, value)?;
        }
        if self.drop_path + self.dropout > 0.0 && self.is_no_transformer() {
            return Err(RecipeError::Value(
                "`drop_path` and `dropout` are for transformers; the model of this recipe has neither".into(),
            ));
        }
        if self.gradient_checkpointing && self.is_no_transformer() {
            return Err(RecipeError::Value(
                "`gradient_checkpointing` computes the blocks of a transformer twice, and the model of this recipe is none; \
                 leave the key out, or set it under the [models.NAME] of a transformer alone"
                    .into(),
            ));
        }
        if self.gradient_checkpointing && self.network(1).is_ok_and(|network| network.normalises_over_batch())
        {
            return Err(RecipeError::Value(CHECKPOINTED_MOMENTS.into()));
        }
        self.objective.check()?;
        let objective = self.objective.kind()?;
        if self.gradient_checkpointing && !objective.of_features {
            return Err(RecipeError::Value(format!(
                "`gradient_checkpointing` needs an objective that is a function of the features, and `{}` is not; leave the key out",
                objective.id
            )));
        }
        trackers::chosen(&self.trackers)?;
        self.project.as_deref().map_or(Ok(()), trackers::check_project)?;
        at_least_one("track_every", self.track_every)?;
        range("track_images", self.track_images as f64, "from 0 to 64", self.track_images <= MOST_TRACKED)?;
        strata::check(&self.keep_checkpoints, self.epochs)?;
        self.augment.check()?;
        match self.optimizer {
            Algorithm::Adamw { beta1, beta2, epsilon } => {
                share("optimizer.beta1", beta1)?;
                share("optimizer.beta2", beta2)?;
                positive("optimizer.epsilon", epsilon)
            }
            Algorithm::Sgd { momentum, .. } => share("optimizer.momentum", momentum),
        }
    }
}
