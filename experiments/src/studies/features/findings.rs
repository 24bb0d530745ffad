//! What the features of each model hold: what `findings/features.json` holds.

use archaeo_analysis::features::layers::Pooling;
use archaeo_analysis::features::{CkaNull, FewShot, PictureTrust};
use archaeo_analysis::statistics::{Estimate, Measured};
use serde::{Deserialize, Serialize};

pub use super::roles::{ImageRoles, Part};
use crate::subjects::{ByModel, ModelName};

/// Features of all models on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeaturesFindings {
    /// Images by what they were for; `None` where nothing was learned.
    pub roles: Option<ImageRoles>,
    /// Why nothing was learned, where nothing was: it can follow “because”.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_learned: Option<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Each model.
    pub models: ByModel<ModelFeatures>,
    /// Layers of every model against themselves, and of every pair.
    pub cka: Vec<CkaMap>,
    /// Every two models on the same test images.
    pub pairs: Vec<FeaturePair>,
}

/// Features of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelFeatures {
    /// Features per image.
    pub width: usize,
    /// What was learned from them; `None` without labels.
    pub learned: Option<Learned>,
    /// Images as points; `None` of fewer than 30 images.
    pub picture: Option<Clouds>,
}

/// What neighbours and probes say of the features' classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learned {
    /// Share of the most common class among the test images: what a guess is right on.
    pub usual: f64,
    /// The k-NN classifier, by its number of neighbours.
    pub neighbours: Vec<NeighbourScore>,
    /// Accuracy of the one with the most neighbours on each class, with intervals that hold for all classes at once; `None` of a
    /// class without test images.
    pub of_class: Vec<Option<Estimate>>,
    /// Share of the nearest images that are of the same class.
    pub retrieval: Vec<NeighbourScore>,
    /// Examples of nearest images, one row for each.
    pub retrieved: Vec<Retrieved>,
    /// The linear probe.
    pub probe: ProbeScore,
    /// Probes of a few images per class.
    pub few_shot: Vec<FewShot>,
    /// Probes of every layer.
    pub layers: Vec<LayerScore>,
}

/// A score with `k` neighbours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeighbourScore {
    /// Neighbours.
    pub k: usize,
    /// Share.
    pub score: Estimate,
}

/// An image, and the images to learn from that are most similar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrieved {
    /// Which of the test images, by its place among them.
    pub query: usize,
    /// Its class.
    pub label: usize,
    /// Its picture, relative to the run's folder; empty where none was saved.
    #[serde(default)]
    pub picture: String,
    /// The nearest first.
    pub nearest: Vec<NearImage>,
}

/// A similar image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearImage {
    /// Name of its split.
    pub split: String,
    /// Which of that split.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// Cosine of the angle between the features.
    pub similarity: f32,
    /// Its picture, relative to the run's folder; empty where none was saved.
    #[serde(default)]
    pub picture: String,
}

/// A linear probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeScore {
    /// Share of test images.
    pub accuracy: Estimate,
    /// The penalty that was chosen.
    pub penalty: f64,
    /// Share of validation images under each penalty.
    pub validation: Vec<(f64, f64)>,
}

/// A linear probe of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerScore {
    /// `input`, `block 3`.
    pub layer: String,
    /// What is read of it.
    pub pooling: Pooling,
    /// Share of test images.
    pub accuracy: Estimate,
    /// The penalty that was chosen.
    pub penalty: f64,
}

/// Test images as points of two pictures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clouds {
    /// Class of each image; empty without labels.
    pub labels: Vec<usize>,
    /// By t-SNE.
    pub tsne: Cloud,
    /// Its perplexity.
    pub perplexity: f64,
    /// Kullback-Leibler divergence of the affinities, nats.
    pub divergence: f64,
    /// By the first two principal components.
    pub pca: Cloud,
    /// Share of the variance along each of the two.
    pub explained: [f64; 2],
}

/// Images as points.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cloud {
    /// How far neighbours in it can be trusted.
    pub trust: PictureTrust,
    /// One point per image.
    pub points: Vec<[f32; 2]>,
}

/// CKA of the layers of two models, or of one with itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CkaMap {
    /// Model of the rows and of the columns.
    pub models: [ModelName; 2],
    /// Test images that were compared.
    pub n: usize,
    /// Names of the first model's layers, from the input; the last is what its head reads.
    pub rows: Vec<String>,
    /// Those of the second.
    pub columns: Vec<String>,
    /// Row by row; `None` where a layer is the same for all images.
    pub values: Vec<Option<f64>>,
    /// Of what the heads read.
    pub features: Measured,
    /// The same with the images of the second model in random orders; `None` of one model with itself.
    pub null: Option<CkaNull>,
    /// Its p-value, adjusted for all pairs (Benjamini-Hochberg).
    pub adjusted_p: Option<f64>,
}

/// Two models on the same test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturePair {
    /// First and second.
    pub models: [ModelName; 2],
    /// By the vote of the most neighbours.
    pub neighbours: PairedScore,
    /// By the linear probe.
    pub probe: PairedScore,
}

/// Accuracies of two models on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedScore {
    /// First minus second, paired bootstrap.
    pub difference: Estimate,
    /// Images that only the first has right.
    pub only_first: usize,
    /// Images that only the second has right.
    pub only_second: usize,
    /// Exact McNemar test, adjusted for all pairs and both scores (Benjamini-Hochberg).
    pub adjusted_p: f64,
}
