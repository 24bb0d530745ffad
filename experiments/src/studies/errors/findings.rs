//! Who errs where: what is written to `findings/errors.json`.

use archaeo_analysis::statistics::{
    AnswerAgreement, Better, Enrichment, Estimate, Measured, SIGNIFICANCE, SignFlipTest,
};
use serde::{Deserialize, Serialize};

pub use super::factors::Factor;
use crate::findings::{Confusion, ExplainedImage, ImageShown};
use crate::subjects::{ByModel, ModelName};

/// Who errs where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorFindings {
    /// Images.
    pub n: usize,
    /// The images that exactly some of the models have wrong: first one model alone, in their order, then two, and so on. With many
    /// models only the groups that have an image.
    pub groups: Vec<ErrorGroup>,
    /// The wrong answers that every two models share.
    pub pairs: Vec<SharedErrors>,
    /// Errors of each class.
    pub by_class: Vec<ClassErrors>,
    /// What sets errors apart from right answers.
    pub factors: ErrorFactors,
}

/// What sets errors apart from right answers of the same classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorFactors {
    /// Images that were measured.
    pub images: usize,
    /// Training images that they were compared with, or why with none.
    pub training_images: Measured<usize>,
    /// Each factor that at least one model could be asked about.
    pub factors: Vec<FactorFinding>,
    /// Factors that no image has, and why.
    pub left_out: Vec<(Factor, String)>,
    /// Errors of each model by the factors that are shown to set them apart; models without any are left out.
    pub kinds: ByModel<ErrorKinds>,
    /// Labels that all models together doubt, or why they cannot be asked.
    pub doubted: Measured<DoubtedLabels>,
}

/// One factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorFinding {
    /// Which.
    pub factor: Factor,
    /// Each model's errors against its right answers.
    pub models: ByModel<Measured<FactorEffect>>,
    /// Every two models.
    pub pairs: Vec<FactorPair>,
}

/// A factor among the errors of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorEffect {
    /// Errors against right answers of the same classes.
    pub enrichment: Enrichment,
    /// Its p-value, adjusted for all factors and models (Benjamini-Hochberg).
    pub adjusted_p: f64,
}

impl FactorEffect {
    /// Whether errors are shown to have larger values (`true`) or smaller ones; `None` where neither is shown. Test and interval must
    /// agree.
    pub fn larger(&self) -> Option<bool> {
        let Estimate { low, high, .. } = self.enrichment.superiority;
        match self.adjusted_p < SIGNIFICANCE {
            true if low > 0.5 => Some(true),
            true if high < 0.5 => Some(false),
            _ => None,
        }
    }
}

/// A factor among the errors of two models, on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorPair {
    /// First and second.
    pub models: [ModelName; 2],
    /// Probability of superiority of the first minus that of the second.
    pub difference: Measured<SignFlipTest>,
    /// Its p-value, adjusted for all factors and pairs (Benjamini-Hochberg); `None` where there is none.
    pub adjusted_p: Option<f64>,
}

impl FactorPair {
    /// Whether the factor is shown to have a larger effect in the first model (`true`) or in the second; test and interval must agree.
    pub fn larger(&self) -> Option<bool> {
        let test = self.difference.known()?;
        match Better::of(&test.difference, self.adjusted_p?) {
            Better::Yes => Some(true),
            Better::No => Some(false),
            Better::CannotBeTold => None,
        }
    }
}

/// Errors of one model by what sets them apart. An error may be of several kinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorKinds {
    /// Errors among the images that were measured.
    pub errors: usize,
    /// Of which no kind below holds.
    pub of_no_kind: usize,
    /// The kinds, in the order of the factors.
    pub kinds: Vec<ErrorKind>,
}

/// Errors in the outer quarter of their class in one factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorKind {
    /// The factor.
    pub factor: Factor,
    /// Whether its large values set errors apart, or its small ones.
    pub larger: bool,
    /// Errors whose value lies beyond three quarters of the right answers of their class, ties half.
    pub count: usize,
    /// Share of the right answers that do, with the classes as often as among the errors.
    pub expected: f64,
    /// The outermost of them, the outermost first.
    pub examples: Vec<FactorExample>,
}

/// An error that a factor sets apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactorExample {
    /// The image.
    pub image: ImageShown,
    /// What the model answered.
    pub answer: usize,
    /// The factor's value.
    pub value: f64,
}

/// Labels that confident learning doubts, by the mean probabilities of all models.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DoubtedLabels {
    /// Number of images.
    pub count: usize,
    /// Whether no label can be wrong, because the images were drawn from them.
    pub right_by_construction: bool,
    /// The most doubted, the most doubted first.
    pub examples: Vec<DoubtedLabel>,
}

/// A label that all models together doubt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoubtedLabel {
    /// The image.
    pub image: ImageShown,
    /// The class that they take it for.
    pub class: usize,
    /// Mean probability of its label.
    pub of_label: f64,
    /// Mean probability of that class.
    pub of_class: f64,
}

/// The images that exactly these models have wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorGroup {
    /// The models that err, in their order.
    pub erring: Vec<ModelName>,
    /// Number of images.
    pub count: usize,
    /// Share of all images.
    pub share: Estimate,
    /// Most common confusions of the first of them, most frequent first.
    pub confusions: Vec<Confusion>,
    /// Mean probability that the first of them gave to its wrong answer; `None` if empty.
    pub confidence: Option<f64>,
    /// The errors that one of them was surest of, the surest first.
    #[serde(default)]
    pub surest: Vec<ExplainedImage>,
}

/// Wrong answers of two models.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SharedErrors {
    /// Which models.
    pub models: [ModelName; 2],
    /// Of the images both have wrong, the share where both name the same wrong class; `None` without such images.
    pub same_wrong_class: Option<Estimate>,
    /// That share against independent models with the same confusions.
    pub same_answer: Measured<AnswerAgreement>,
}

/// Errors of one class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassErrors {
    /// Class.
    pub class: usize,
    /// Images of it.
    pub n: usize,
    /// Images of it in each of [`ErrorFindings::groups`].
    pub counts: Vec<usize>,
}
