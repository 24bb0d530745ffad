//! Ways of training, next to one another: from scratch, on frozen features, fine-tuned, distilled; on all images and on few.
//!
//! Every regime is a recipe. Each is trained on growing shares of the training images, the smaller ones part of the larger ones and each
//! class in proportion, and every model is scored on the same test images.

mod conclusion;
mod config;
pub(crate) mod page;
#[cfg(test)]
mod tests;

use archaeo_analysis::attention::HeadChange;
use archaeo_analysis::statistics::{Estimate, Resampling, StatisticsError};
use archaeo_store::run_folder::Environment;
use archaeo_training::EpochRecord;
use serde::{Deserialize, Serialize};

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
    /// What distinguishes the regimes.
    #[serde(flatten)]
    pub compared: RegimesCompared,
}

/// Regimes whose models were scored on the same images, and what distinguishes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimesCompared {
    /// The regimes: from random weights first, then by what they start and learn from.
    pub regimes: Vec<Regime>,
    /// Every pair of regimes on every share.
    pub pairs: Vec<RegimePair>,
    /// Of each other regime against each that starts from random weights without a teacher.
    pub leads: Vec<Lead>,
    /// What training did to attention, of each regime that starts from a transformer's weights.
    pub attention: Vec<AttentionShift>,
}

impl RegimesCompared {
    /// Compares regimes.
    ///
    /// # Errors
    /// Runs that were scored on different numbers of images, or on none.
    pub fn of(
        mut regimes: Vec<Regime>,
        attention: Vec<AttentionShift>,
        resampling: &Resampling,
    ) -> Result<Self, StatisticsError> {
        regimes.sort_by_key(|regime| (regime.kind as u8, regime.name.clone()));
        let pairs = conclusion::compared(&regimes, resampling)?;
        let leads = conclusion::leads(&regimes, resampling)?;
        Ok(Self { regimes, pairs, leads, attention })
    }

    /// The shares of the training images, ascending.
    fn shares(&self) -> Vec<f64> {
        let mut shares: Vec<f64> =
            self.regimes.iter().flat_map(|regime| regime.runs.iter().map(|run| run.share)).collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        shares
    }

    fn of_kind(&self, kind: RegimeKind) -> impl Iterator<Item = &Regime> {
        self.regimes.iter().filter(move |regime| regime.kind == kind)
    }
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

    /// Its training on most images.
    fn largest(&self) -> Option<&RegimeRun> {
        self.runs.last()
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

    /// Whether it starts from other weights and trains their attention.
    pub fn changes_attention(self) -> bool {
        self.is_pretrained() && self != Self::Frozen
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
    /// Whether each test image is classified correctly, in the split's order; empty where the run folder keeps what the model answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
    /// Each head; missing from earlier comparisons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<HeadChange>,
}

impl LayerShift {
    /// Means over the heads of the layers, from the input to the output.
    pub fn of(layers: Vec<Vec<HeadChange>>) -> Vec<Self> {
        let of_layer = |(layer, heads): (usize, Vec<HeadChange>)| {
            let mean = |value: &dyn Fn(&HeadChange) -> f64| {
                heads.iter().map(value).sum::<f64>() / heads.len() as f64
            };
            let between = heads.iter().map(|head| head.between_images.as_ref().map(|found| found.value));
            let between: Option<Vec<f64>> = between.collect();
            Self {
                layer,
                distance: [mean(&|head| head.distance.before), mean(&|head| head.distance.after)],
                entropy: [mean(&|head| head.entropy.before), mean(&|head| head.entropy.after)],
                divergence: mean(&|head| head.map_divergence.value),
                between_images: between.map(|values| values.iter().sum::<f64>() / values.len() as f64),
                heads,
            }
        };
        (1..).zip(layers).map(of_layer).collect()
    }
}
