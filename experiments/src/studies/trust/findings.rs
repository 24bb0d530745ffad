//! What decides whether a model can be trusted, in few numbers.

use archaeo_analysis::statistics::{Estimate, Measured};
use serde::{Deserialize, Serialize};

use crate::findings::Confusion;
use crate::subjects::ByModel;

/// Probability from which on an answer is called confident.
pub const CONFIDENT: f64 = 0.9;

/// Images below which nothing is said of a class by itself.
pub const FEWEST_OF_CLASS: usize = 10;

/// The few numbers to know before a model is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrustFindings {
    /// The split that the numbers are of.
    pub split: String,
    /// The most common class of the training split, where there is one, and of the split above.
    pub most_common: Vec<MostCommonClass>,
    /// One entry a model.
    pub models: ByModel<Trust>,
}

/// The most common class of a split, the first among equals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MostCommonClass {
    /// Name of the split.
    pub split: String,
    /// The class.
    pub class: usize,
    /// Images of it.
    pub images: usize,
    /// Images of the split.
    pub n: usize,
}

/// One model's headline numbers on one split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trust {
    /// Images.
    pub n: usize,
    /// Share of images that is right.
    pub accuracy: Estimate,
    /// The model against always giving the same answer.
    pub constant: ConstantAnswer,
    /// The answer that the model gives most often.
    pub usual: UsualAnswer,
    /// Mean over classes of the share of their images that is right.
    pub balanced: Measured,
    /// Classes with at least [`FEWEST_OF_CLASS`] images, the worst first.
    pub classes: Vec<ClassAccuracy>,
    /// Classes with at least one image and fewer than [`FEWEST_OF_CLASS`].
    pub too_small: usize,
    /// How much better the model is on the images that it was chosen on.
    pub gap: Measured<SplitGap>,
    /// Errors that the model was sure of.
    pub confident: ConfidentAnswers,
    /// For models of two classes.
    pub binary: Option<BinaryScores>,
}

/// Always naming the most common class, and how much better the model is on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConstantAnswer {
    /// The most common class.
    pub class: usize,
    /// Images of it, which that answer gets right.
    pub images: usize,
    /// Share of images that it gets right.
    pub share: f64,
    /// Accuracy of the model minus that share, paired bootstrap.
    pub gain: Estimate,
    /// Two-sided p-value of the exact McNemar test of the model against the constant answer.
    pub p_value: f64,
}

/// The answer that a model gives most often, the first among equals.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsualAnswer {
    /// The class named.
    pub class: usize,
    /// Share of images to which it is the answer.
    pub share: Estimate,
    /// Share of images that are of that class.
    pub truth: f64,
}

/// One class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassAccuracy {
    /// The class.
    pub class: usize,
    /// Share of its images that is right; the interval holds for all classes at once, so that it may be quoted of the worst.
    pub accuracy: Estimate,
    /// What it is most often taken for; `None` if all of its images are right.
    pub taken_for: Option<Confusion>,
}

/// A split that models are chosen on, and how much better a model is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitGap {
    /// Name of the split.
    pub split: String,
    /// Accuracy there.
    pub accuracy: Estimate,
    /// That accuracy minus the one on the main split, as of two independent sets of images.
    pub difference: Estimate,
}

/// Answers with a probability of at least [`CONFIDENT`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfidentAnswers {
    /// All errors.
    pub errors: usize,
    /// Confident errors.
    pub confident_errors: usize,
    /// Share of the errors that are confident.
    pub share_of_errors: Measured,
    /// Confident answers.
    pub answers: usize,
    /// Share of the confident answers that is wrong.
    pub wrong: Measured,
}

/// What is asked of a test with two outcomes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BinaryScores {
    /// The class whose presence is tested for.
    pub positive: usize,
    /// Whether the names of the classes say which one that is; otherwise it is the second.
    pub by_name: bool,
    /// Share of the positive images that is right.
    pub sensitivity: Measured,
    /// Share of the other images that is right.
    pub specificity: Measured,
    /// Area under the ROC curve.
    pub auc: Measured,
}
