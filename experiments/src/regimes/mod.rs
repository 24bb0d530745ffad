//! Ways of training, next to one another: from scratch, on frozen features, fine-tuned, distilled; on all images and on few.
//!
//! Every regime is a recipe. Each is trained on growing shares of the training images, the smaller ones part of the larger ones and each
//! class in proportion, and every model is scored on the same test images.

mod conclusion;
mod config;
mod page;
#[cfg(test)]
mod tests;

use archaeo_analysis::statistics::Estimate;
use archaeo_store::run_folder::Environment;
use archaeo_training::EpochRecord;
use serde::{Deserialize, Serialize};

pub use conclusion::{compared, leads};
pub use config::{Init, RegimesConfig, WEIGHTS, place};
pub use page::write;

/// Regimes on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regimes {
    /// Where they were trained.
    pub environment: Environment,
    /// Name of the data.
    pub data: String,
    /// Number of classes.
    pub classes: usize,
    /// The split that models are scored on.
    pub split: String,
    /// Its images.
    pub n: usize,
    /// The regimes, in the order of the configuration.
    pub regimes: Vec<Regime>,
    /// Every pair of regimes on every share.
    pub pairs: Vec<RegimePair>,
    /// Of each other regime against each that starts from random weights without a teacher.
    pub leads: Vec<Lead>,
    /// What fine-tuning did to attention, of each regime that starts from a transformer's weights.
    pub attention: Vec<AttentionShift>,
}

/// One way of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regime {
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub kind: RegimeKind,
    /// Name of the model.
    pub model: String,
    /// The trainings, by share of the training images, ascending.
    pub runs: Vec<RegimeRun>,
}

impl Regime {
    /// Its training on a share of the training images.
    pub fn on(&self, share: f64) -> Option<&RegimeRun> {
        self.runs.iter().find(|run| run.share == share)
    }
}

/// What a regime starts from and learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegimeKind {
    /// From random weights.
    Scratch,
    /// The head alone, on features of other weights.
    Frozen,
    /// From other weights, of which some blocks keep their values.
    Partial,
    /// All of other weights.
    FineTuned,
    /// From random weights, with a teacher.
    Distilled,
    /// From other weights, with a teacher.
    DistilledFineTuned,
}

impl RegimeKind {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Scratch => "from random weights",
            Self::Frozen => "a new head on frozen pretrained features",
            Self::Partial => "pretrained, some blocks frozen",
            Self::FineTuned => "pretrained, all weights trained",
            Self::Distilled => "from random weights, taught by another model",
            Self::DistilledFineTuned => "pretrained, taught by another model",
        }
    }

    /// Whether it starts from other weights.
    pub fn is_pretrained(self) -> bool {
        !matches!(self, Self::Scratch | Self::Distilled)
    }
}

/// One regime on one share of the training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimeRun {
    /// Share of the training images.
    pub share: f64,
    /// Training images.
    pub images: usize,
    /// The file of the model, within the folder.
    pub weights: String,
    /// Its epochs.
    pub history: Vec<EpochRecord>,
    /// Images of an optimiser step.
    pub step_images: usize,
    /// Accuracy on the test images.
    pub accuracy: Estimate,
    /// Whether each test image is classified correctly, in the split's order.
    pub correct: Vec<bool>,
}

impl RegimeRun {
    /// Seconds of training, validation after each epoch included.
    pub fn seconds(&self) -> f64 {
        self.history.iter().map(|epoch| epoch.seconds).sum()
    }

    /// Images seen until the end of an epoch, each as often as it was seen.
    pub fn images_seen(&self, epoch: &EpochRecord) -> f64 {
        epoch.step as f64 * self.step_images as f64
    }
}

/// How soon a training came near its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    /// Validation accuracy that counts as near.
    pub target: f64,
    /// Epochs until the first that reaches it.
    pub epochs: usize,
    /// Images seen until then.
    pub images: f64,
    /// Seconds until then.
    pub seconds: f64,
}

/// Two regimes on one share, on the same test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimePair {
    /// First and second, by their names.
    pub regimes: [String; 2],
    /// Share of the training images.
    pub share: f64,
    /// Accuracy of the first less that of the second, with the paired bootstrap's interval.
    pub difference: Estimate,
    /// Exact two-sided p-value of McNemar's test.
    pub p_value: f64,
    /// The same, adjusted by Benjamini and Hochberg for all pairs and shares.
    pub adjusted: f64,
}

/// How the lead of one regime over another depends on the number of training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// The regime that may lead, and the other.
    pub regimes: [String; 2],
    /// Smallest and largest share that both were trained on.
    pub shares: [f64; 2],
    /// Lead in accuracy on the smallest share less that on the largest, with the bootstrap's interval over test images.
    pub change: Estimate,
}

/// What training did to the attention of a transformer that started from other weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionShift {
    /// Name of the regime.
    pub regime: String,
    /// Images.
    pub n: usize,
    /// Per layer.
    pub layers: Vec<LayerShift>,
}

/// One layer before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerShift {
    /// Number, from 1.
    pub layer: usize,
    /// Mean over heads of the attention distance, pixels, before and after.
    pub distance: [f64; 2],
    /// Mean over heads of the entropy, nats, before and after.
    pub entropy: [f64; 2],
    /// Mean over heads of the Jensen-Shannon divergence between the maps before and after, nats.
    pub divergence: f64,
    /// The same between maps of two different images before; `None` for one image.
    pub between_images: Option<f64>,
}
