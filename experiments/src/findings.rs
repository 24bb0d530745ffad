//! What an investigation found: plain data that studies write and the report reads; neither reaches into the other.
//!
//! Each study's findings are one JSON file in the run folder, written as soon as the study is done. Pictures are named
//! by their path within the run folder. Every number with a sampling error is an [`Estimate`].

use std::collections::BTreeMap;

use archaeo_analysis::statistics::Estimate;
use archaeo_models::ModelCard;
use serde::{Deserialize, Serialize};

use crate::run_folder::Build;

/// Everything that one run of `archaeo excavate` found; a study that has not run yet is `None`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Investigation {
    /// Where every number comes from.
    pub provenance: Provenance,
    /// The data.
    pub data: DataFindings,
    /// The models under investigation: first the ViT, then the CNN.
    pub models: Vec<ModelFindings>,
    /// How often each is right.
    pub accuracy: Option<AccuracyFindings>,
    /// What the ViT's heads attend to.
    pub attention: Option<AttentionFindings>,
    /// Pictures of both models' explanations side by side.
    pub comparisons: Option<ComparisonFindings>,
    /// What each head is worth.
    pub heads: Option<HeadFindings>,
    /// Accuracy under attack.
    pub attacks: Option<AttackFindings>,
    /// Who errs where.
    pub errors: Option<ErrorFindings>,
    /// Explanations against the true mask; only for data that knows it.
    pub localisation: Option<LocalisationFindings>,
    /// Shape against texture; only for data with conflicting cues.
    pub shape_bias: Option<ShapeBiasFindings>,
}

/// Where every number of a run comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Commit the program was built from, with `-dirty` where the tree had changes; `unknown` outside a repository.
    pub commit: String,
    /// Other builds that were at work in the run folder: whatever they found was found again by this one, but a model that one
    /// of them trained was kept.
    #[serde(default)]
    pub earlier_builds: Vec<Build>,
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
    /// A few images of each class.
    pub contact_sheet: String,
}

/// Whether a model is the ViT or the CNN of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The Vision Transformer.
    Vit,
    /// The convolutional network.
    Cnn,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vit => "vit",
            Self::Cnn => "cnn",
        })
    }
}

/// One model under investigation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelFindings {
    /// Which of the pair.
    pub role: Role,
    /// Architecture, sizes, preprocessing.
    pub card: ModelCard,
    /// Trained parameters.
    pub parameters: usize,
    /// Weights file, within the run folder or as given.
    pub weights: String,
    /// SHA-256 of the weights file.
    pub weights_sha256: String,
    /// One entry an epoch; empty for a model that was loaded.
    pub history: Vec<EpochRecord>,
}

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
    /// Training images a second.
    pub images_per_second: f64,
    /// Wall-clock seconds of the epoch, validation included.
    pub seconds: f64,
}

/// How often each model is right, on every evaluation split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccuracyFindings {
    /// The split that all other studies use (`test`).
    pub main_split: String,
    /// One entry a split.
    pub splits: Vec<SplitAccuracy>,
    /// Confusion counts on the main split, `[role][truth][predicted]`.
    pub confusion: BTreeMap<Role, Vec<Vec<usize>>>,
    /// Accuracy of each class on the main split, `[role][class]`; `None` for a class without images there.
    pub per_class: BTreeMap<Role, Vec<Option<Estimate>>>,
}

/// Both models on one split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitAccuracy {
    /// Name of the split.
    pub split: String,
    /// Number of images.
    pub n: usize,
    /// Scores of each model.
    pub models: BTreeMap<Role, ModelScores>,
    /// The pair compared image by image.
    pub pair: PairComparison,
}

/// Scores of one model on one split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelScores {
    /// Share of images whose likeliest class is right.
    pub top1: Estimate,
    /// Share of images whose class is among the five likeliest; `None` for five classes or fewer.
    pub top5: Option<Estimate>,
    /// Mean negative log-likelihood, nats.
    pub nll: Estimate,
    /// Expected calibration error, 15 equal-mass bins.
    pub ece: Estimate,
}

/// Two models on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairComparison {
    /// Images both have right.
    pub both_right: usize,
    /// Images only the ViT has right.
    pub only_vit_right: usize,
    /// Images only the CNN has right.
    pub only_cnn_right: usize,
    /// Images both have wrong.
    pub both_wrong: usize,
    /// Two-sided p-value of the exact McNemar test.
    pub mcnemar_p: f64,
    /// Accuracy of the ViT minus accuracy of the CNN, paired bootstrap.
    pub difference: Estimate,
    /// Error consistency κ (Geirhos et al., 2020).
    pub kappa: Estimate,
}

/// What the transformer's heads attend to, averaged over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttentionFindings {
    /// Images looked at.
    pub n: usize,
    /// How the distance treats the class token, in words.
    pub convention: String,
    /// Side of the input, in pixels: the scale of the distances.
    pub image_size: usize,
    /// One entry a layer, from the input.
    pub layers: Vec<LayerAttention>,
    /// Picture: attention of the class token (or mean) in every layer and head, for one image.
    pub head_maps: String,
    /// Picture: rollout over several images.
    pub rollouts: String,
}

/// One layer's heads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerAttention {
    /// One entry a head.
    pub heads: Vec<HeadAttention>,
    /// Mean Jensen-Shannon divergence between the heads, nats.
    pub diversity: Estimate,
    /// Distance of attention spread evenly over all that a patch may attend to, pixels; missing from older findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub even_distance: Option<f64>,
}

/// Statistics of one head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAttention {
    /// Mean attention distance, pixels.
    pub distance: Estimate,
    /// Entropy, nats.
    pub entropy: Estimate,
    /// Entropy over the logarithm of the number of keys: 0 one key, 1 all alike.
    pub normalised_entropy: Estimate,
    /// Hoyer sparsity: 0 all alike, 1 one key.
    pub hoyer: Estimate,
    /// Share of weights below one over the number of keys.
    pub below_uniform: Estimate,
    /// Weight that patches give to the class token; `None` without one.
    pub class_token_mass: Option<Estimate>,
}

/// Side-by-side pictures: input, ViT rollout, CNN Grad-CAM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparisonFindings {
    /// How the images were chosen, in words.
    pub selection: String,
    /// The pictures.
    pub items: Vec<Comparison>,
}

/// One image under both explanations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Index within the main split.
    pub index: usize,
    /// Name of the image within its source.
    pub identifier: String,
    /// True class.
    pub label: usize,
    /// Predicted class and its probability, of each model.
    pub predictions: BTreeMap<Role, (usize, f64)>,
    /// Rank correlation of the two heatmaps over the ViT's patch grid; not a number where one of them is constant and ranks
    /// nothing, which JSON writes as `null`.
    #[serde(deserialize_with = "number_or_null")]
    pub agreement: f64,
    /// One picture: input, rollout, Grad-CAM.
    pub picture: String,
}

fn number_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// What each attention head is worth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadFindings {
    /// Images used.
    pub n: usize,
    /// Accuracy on them with all heads in place.
    pub baseline: Estimate,
    /// Every head, the most important first (by loss increase under mean replacement).
    pub ranking: Vec<HeadAblation>,
    /// Spearman correlation of the ranking by gradient with the ranking by mean ablation, over heads.
    pub gradient_agreement: Estimate,
}

/// One head taken away, in three ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAblation {
    /// Block, counted from 0.
    pub layer: usize,
    /// Head, counted from 0.
    pub head: usize,
    /// Loss increase when its output is replaced by its mean over images, nats.
    pub mean: Estimate,
    /// Loss increase when its output is zero.
    pub zero: Estimate,
    /// Loss increase when its output is another image's.
    pub resample: Estimate,
    /// Accuracy lost under mean replacement, paired.
    pub accuracy_drop: Estimate,
    /// Mean of |∂loss/∂gate| (Michel et al., 2019).
    pub gradient: Estimate,
    /// Benjamini-Hochberg adjusted p-value that mean replacement changes the loss (sign-flip or Wilcoxon, two-sided).
    pub adjusted_p: f64,
}

/// Accuracy under attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackFindings {
    /// Images attacked.
    pub n: usize,
    /// One curve a model and attack.
    pub curves: Vec<AttackCurve>,
    /// Picture: clean, perturbation (enlarged), adversarial, for a few images and both models.
    pub examples: String,
}

/// Accuracy of one model against the size of one attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackCurve {
    /// Which model.
    pub role: Role,
    /// Name of the attack (`FGSM`, `PGD`).
    pub attack: String,
    /// Its settings, in words.
    pub settings: String,
    /// Points of the curve, from ε = 0.
    pub points: Vec<AttackPoint>,
}

/// One point of an attack curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackPoint {
    /// Largest change of a channel value, in units of 1/255.
    pub epsilon: f64,
    /// Accuracy on the attacked images, after rounding them to 8 bits.
    pub accuracy: Estimate,
}

/// Who errs where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorFindings {
    /// Images.
    pub n: usize,
    /// Share of images in each group.
    pub groups: BTreeMap<ErrorGroup, ErrorGroupFindings>,
    /// Of the images both have wrong, the share where both name the same wrong class; `None` without such images.
    pub same_wrong_class: Option<Estimate>,
    /// Errors of each class: class, images, ViT only, CNN only, both.
    pub by_class: Vec<ClassErrors>,
}

/// Which model errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorGroup {
    /// Only the ViT.
    VitOnly,
    /// Only the CNN.
    CnnOnly,
    /// Both.
    Both,
}

/// The images of one group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorGroupFindings {
    /// Number of images.
    pub count: usize,
    /// Share of all images.
    pub share: Estimate,
    /// Commonest confusions, most frequent first (for `Both`: of the ViT).
    pub confusions: Vec<Confusion>,
    /// Mean probability that the erring model (for `Both`: the ViT) gave to its wrong answer; `None` if empty.
    pub confidence: Option<f64>,
    /// Picture: some of the images with truth and both answers; `None` if empty.
    pub picture: Option<String>,
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

/// Errors of one class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassErrors {
    /// Class.
    pub class: usize,
    /// Images of it.
    pub n: usize,
    /// Only the ViT errs.
    pub vit_only: usize,
    /// Only the CNN errs.
    pub cnn_only: usize,
    /// Both err.
    pub both: usize,
}

/// Explanations against the true object mask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalisationFindings {
    /// Images.
    pub n: usize,
    /// Mean share of an image that the object covers: what a heatmap that knows nothing puts inside.
    pub object_share: Estimate,
    /// One entry a heatmap, random and centre heatmaps included.
    pub methods: Vec<LocalisationScore>,
}

/// How well one heatmap finds the object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalisationScore {
    /// Name of the heatmap.
    pub method: String,
    /// Which model it explains; `None` for the baselines.
    pub role: Option<Role>,
    /// Share of images whose hottest pixel lies on the object (pointing game, Zhang et al., 2018).
    pub pointing: Estimate,
    /// Share of the heatmap's mass on the object.
    pub mass: Estimate,
    /// Mass minus the random heatmap's on the same images, paired; `None` for the random heatmap itself.
    pub mass_over_random: Option<Estimate>,
}

/// Which cue decides when shape and texture disagree (Geirhos et al., 2019).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShapeBiasFindings {
    /// Cue-conflict images.
    pub n: usize,
    /// One entry a model.
    pub models: BTreeMap<Role, ShapeBias>,
}

/// One model's decisions on cue-conflict images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShapeBias {
    /// Decisions for the shape's class.
    pub shape: usize,
    /// Decisions for the texture's class.
    pub texture: usize,
    /// Decisions for a third class.
    pub other: usize,
    /// `shape / (shape + texture)`.
    pub bias: Estimate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_that_is_no_number_survives_the_way_through_json() {
        let comparison = Comparison {
            index: 0,
            identifier: "a".into(),
            label: 0,
            predictions: BTreeMap::new(),
            agreement: f64::NAN,
            picture: "a.png".into(),
        };
        let text = serde_json::to_string(&comparison).unwrap();
        let read: Comparison = serde_json::from_str(&text).unwrap();
        assert!(read.agreement.is_nan());
    }
}
