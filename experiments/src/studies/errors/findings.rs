//! Who errs where: what is written to `findings/errors.json`.

use archaeo_analysis::statistics::{AnswerAgreement, Estimate, Measured};
use serde::{Deserialize, Serialize};

use crate::findings::{Confusion, ExplainedImage};
use crate::subjects::ModelName;

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
