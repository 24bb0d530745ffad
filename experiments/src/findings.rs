//! What an investigation found: plain data that studies write and the report reads; neither reaches into the other.
//!
//! Each study's findings are one JSON file in the run folder, written as soon as the study is done. Pictures are named
//! by their path within the run folder. Every number with a sampling error is an [`Estimate`].

mod explanations;
mod numbering;
mod trust;

use std::collections::BTreeMap;

use archaeo_analysis::statistics::{AnswerAgreement, Estimate, Measured};
use archaeo_models::ModelCard;
use serde::{Deserialize, Serialize};

use crate::classes::MatchedBy;
use crate::run_folder::Build;
pub use explanations::{
    Agreement, AgreementGroup, AttentionFindings, Comparison, ComparisonFindings, Gains, HeadAttention,
    LayerAttention, LocalisationFindings, LocalisationScore, ShapeBias, ShapeBiasFindings,
};
pub use trust::*;

/// Everything that one run of `archaeo excavate` found; a study that has not run yet is `None`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Investigation {
    /// Where every number comes from.
    pub provenance: Provenance,
    /// The data.
    pub data: DataFindings,
    /// The models under investigation: first the ViT, then the CNN.
    pub models: Vec<ModelFindings>,
    /// Whether they can be trusted; missing from older findings.
    #[serde(default)]
    pub trust: Option<TrustFindings>,
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
    /// What to know about how the source was read, each a sentence.
    #[serde(default)]
    pub notes: Vec<String>,
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
    /// What the classes of a model that was loaded were matched with the data's by; its outputs are in the order of the card.
    #[serde(default)]
    pub classes_matched_by: Option<MatchedBy>,
    /// What to know about that, each a sentence.
    #[serde(default)]
    pub class_notes: Vec<String>,
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
    /// Expected calibration error of the answer's probability (top label), 15 equal-mass bins.
    pub ece: Estimate,
    /// The error that a perfectly calibrated model with the same confidences would show by chance; missing from older findings.
    #[serde(default)]
    pub ece_by_chance: Option<f64>,
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
    /// Error consistency κ (Geirhos et al., 2020); undefined where both models are always right or always wrong.
    pub kappa: Measured,
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
    /// The most important head of one half of the images, measured on the other half; `None` with fewer than four images, and
    /// in older findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<SelectedHead>,
    /// Spearman correlation of the ranking by gradient with the ranking by mean ablation, over heads; `None` where it is
    /// undefined: for fewer than four heads, or where one ranking puts all of them alike.
    pub gradient_agreement: Option<Estimate>,
}

/// One head taken away, in three ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAblation {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// Loss increase when its output is replaced by its mean over images, nats, with the interval of the sign-flip test.
    pub mean: Estimate,
    /// Loss increase when its output is zero.
    pub zero: Estimate,
    /// Loss increase when its output is another image's.
    pub resample: Estimate,
    /// Accuracy lost under mean replacement, paired.
    pub accuracy_drop: Estimate,
    /// Mean of |∂loss/∂gate| (Michel et al., 2019).
    pub gradient: Estimate,
    /// Benjamini-Hochberg adjusted p-value that mean replacement changes the mean loss: of the two-sided sign-flip test that
    /// `mean` has its interval from.
    pub adjusted_p: f64,
}

/// A head chosen on some images and measured on others, so that its being the largest does not make it look larger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelectedHead {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// Images it was chosen on, by the largest loss increase under mean replacement.
    pub chosen_on: usize,
    /// Loss increase on the other images, nats, with the interval of the sign-flip test.
    pub mean: Estimate,
    /// Two-sided p-value of that test.
    pub p_value: f64,
    /// Accuracy lost on the other images, paired.
    pub accuracy_drop: Estimate,
}

/// Accuracy under attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackFindings {
    /// Images of the sample.
    pub n: usize,
    /// Unit of every ε.
    #[serde(default = "epsilon_unit")]
    pub unit: String,
    /// One curve a model and attack.
    pub curves: Vec<AttackCurve>,
    /// Both models at each size of each attack; missing from older findings.
    #[serde(default)]
    pub comparisons: Vec<AttackComparison>,
    /// Picture: clean, perturbation (enlarged), adversarial, for a few images and both models.
    pub examples: String,
    /// The attack of the examples and its ε; `None` where no size was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example_attack: Option<(String, f64)>,
    /// What is on the picture, row by row.
    #[serde(default)]
    pub example_answers: Vec<AttackExample>,
}

/// What ε is counted in: levels of an 8-bit image.
pub fn epsilon_unit() -> String {
    "1/255".into()
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
    /// Share of the attacked images whose gradient was zero in every pixel where the attack began, at the size with most of
    /// them: images that were not attacked, only moved.
    #[serde(default)]
    pub zero_gradient: f64,
}

/// One point of an attack curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackPoint {
    /// Largest change of a channel value, in units of 1/255.
    pub epsilon: f64,
    /// Robust accuracy: share of images that are classified correctly without the attack and under it, after rounding to 8
    /// bits.
    pub accuracy: Estimate,
    /// Of the images classified correctly without the attack, the share that still is; `None` without any, and in older
    /// findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Estimate>,
}

/// Both models under one attack of one size, on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackComparison {
    /// Name of the attack.
    pub attack: String,
    /// Its size, in units of 1/255.
    pub epsilon: f64,
    /// Robust accuracy over all images of the sample.
    pub robust: PairedShares,
    /// Over the images that both models classify correctly without the attack: what the attack alone takes away. `None`
    /// without any.
    pub kept: Option<PairedShares>,
}

/// How many of the same images each of two models has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairedShares {
    /// The ViT's share.
    pub vit: Estimate,
    /// The CNN's share.
    pub cnn: Estimate,
    /// Images that the ViT alone has.
    pub only_vit: usize,
    /// Images that the CNN alone has.
    pub only_cnn: usize,
    /// Two-sided p-value of the exact McNemar test.
    pub p_value: f64,
    /// The same, adjusted over all sizes and attacks (Benjamini and Hochberg, 1995).
    pub adjusted_p: f64,
}

/// One image on the picture of adversarial examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackExample {
    /// Index within the main split.
    pub index: usize,
    /// True class.
    pub label: usize,
    /// Each model's answer without the attack and under it.
    pub answers: BTreeMap<Role, [usize; 2]>,
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
    /// That share against independent models with the same confusions; missing from older findings.
    #[serde(default)]
    pub same_answer: Option<Measured<AnswerAgreement>>,
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
    /// Most common confusions, most frequent first (for `Both`: of the ViT).
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
