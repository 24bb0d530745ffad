//! What an investigation found: plain data that studies write and the report reads; neither reaches into the other.
//!
//! Each study's findings are one JSON file in the run folder, written as soon as the study is done. Pictures are named
//! by their path within the run folder. Every number with a sampling error is an [`Estimate`](archaeo_analysis::statistics::Estimate).

pub(crate) mod numbering;
mod shown;

use std::collections::BTreeMap;

use archaeo_models::ModelCard;
use archaeo_store::run_folder::Build;
use archaeo_training::{EpochRecord, Recipe, TrainingEnd};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::classes::MatchedBy;
use crate::study::Study;
use crate::subjects::ModelName;

pub use crate::studies::findings::*;
pub use shown::{ExplainedImage, HeadMaps, HeatmapShown, ImageShown, LayerMaps};

/// Everything that one run of `archaeo excavate` found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Investigation {
    /// Title of the report, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where every number comes from.
    pub provenance: Provenance,
    /// The data.
    pub data: DataFindings,
    /// The split that questions are asked on, and its number of images.
    #[serde(default)]
    pub main_split: Option<(String, usize)>,
    /// The models under investigation, in the order in which they are shown.
    pub models: Vec<ModelFindings>,
    /// Studies that do not apply to these models and this data: which, and why.
    #[serde(default)]
    pub not_applicable: BTreeMap<String, String>,
    /// What each study that has run found, by its name.
    #[serde(flatten)]
    pub studies: BTreeMap<String, Value>,
}

impl Investigation {
    /// What a study found; `None` where it has not run.
    ///
    /// # Errors
    /// Findings that are not this study's.
    pub fn findings<S: Study>(&self) -> Result<Option<S::Findings>, serde_json::Error> {
        self.studies.get(S::ID).map(S::Findings::deserialize).transpose()
    }

    /// Takes up what a study found.
    pub fn insert<S: Study>(&mut self, findings: &S::Findings) {
        let findings = serde_json::to_value(findings).expect("findings are plain data");
        self.studies.insert(S::ID.into(), findings);
    }

    /// The model of a name.
    pub fn model(&self, name: ModelName) -> Option<&ModelFindings> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// Where every number of a run comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Commit the program was built from, with `-dirty` where the tree had changes; `unknown` outside a repository.
    pub commit: String,
    /// Other builds that were at work in the run folder: models that one of them trained were kept.
    #[serde(default)]
    pub earlier_builds: Vec<Build>,
    /// Findings that one of them made, by the names of their files.
    #[serde(default)]
    pub taken_over: Vec<(String, Build)>,
    /// The command line.
    pub command: String,
    /// The configuration in force, as TOML.
    pub config: String,
    /// Seed of the run.
    pub seed: u64,
    /// Threads used.
    pub threads: usize,
    /// Device that computed.
    pub device: String,
    /// Processor, as the operating system names it.
    pub processor: String,
    /// Start, UTC, ISO 8601.
    pub started: String,
    /// Wall-clock seconds of each part, in the order in which they ran.
    pub seconds: Vec<(String, f64)>,
}

/// The data of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataFindings {
    /// As given on the command line.
    pub source: String,
    /// Name of the data set.
    pub name: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Images a split and class: split name → count of each class.
    pub counts: BTreeMap<String, Vec<usize>>,
    /// SHA-256 over labels and encoded images, or over the generator's parameters.
    pub fingerprint: String,
    /// Images left out, with the reason.
    pub skipped: Vec<(String, String)>,
    /// What to know about how the source was read, each a sentence.
    #[serde(default)]
    pub notes: Vec<String>,
    /// A few images of each of some classes; missing from older findings.
    #[serde(default)]
    pub shown: Vec<ImageShown>,
}

/// One model under investigation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelFindings {
    /// What it is called in the investigation.
    pub name: ModelName,
    /// Architecture, sizes, preprocessing.
    pub card: ModelCard,
    /// Trained parameters.
    pub parameters: usize,
    /// Seed of its training, where that was here; of several runs the first's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Weights file, within the run folder or as given.
    pub weights: String,
    /// SHA-256 of the weights file.
    pub weights_sha256: String,
    /// The weights that its training here started from; random ones where it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<StartedFrom>,
    /// What the classes of a model that was loaded were matched with the data's by; its outputs are in the order of the card.
    #[serde(default)]
    pub classes_matched_by: Option<MatchedBy>,
    /// What to know about that, each a sentence.
    #[serde(default)]
    pub class_notes: Vec<String>,
    /// One entry an epoch; empty for a model that was loaded.
    pub history: Vec<EpochRecord>,
    /// Whether its training had come to rest; `None` for a model that was loaded, and after too few epochs to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_end: Option<TrainingEnd>,
    /// Further runs of the same network, from other seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_runs: Vec<RunFindings>,
}

/// The weights that a training started from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedFrom {
    /// Which weights, as the recipe names them.
    pub weights: String,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// What kept its values, as the end of a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
}

impl StartedFrom {
    /// What the recipe of a training starts from, completed by the hash of the weights.
    pub fn of(recipe: &Recipe) -> Option<Self> {
        let weights_sha256 = recipe.init_sha256.clone()?;
        Some(Self { weights: recipe.init.clone()?, weights_sha256, frozen: recipe.freeze.describe() })
    }
}

/// A run of a model after the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFindings {
    /// Seed of its training, where that was here.
    pub seed: Option<u64>,
    /// Weights file, within the run folder or as given.
    pub weights: String,
    /// SHA-256 of the weights file.
    pub weights_sha256: String,
    /// Its training; empty where it was loaded.
    pub history: Vec<EpochRecord>,
}

impl ModelFindings {
    /// Name and size, such as `vit_micro (0.8 M parameters)`.
    pub fn title(&self) -> String {
        format!("{} ({:.1} M parameters)", self.card.name, self.parameters as f64 / 1e6)
    }
}

/// One class taken for another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confusion {
    /// True class.
    pub truth: usize,
    /// Class named instead.
    pub predicted: usize,
    /// How often.
    pub count: usize,
}
