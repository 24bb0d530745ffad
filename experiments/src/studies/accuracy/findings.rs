//! How often each model is right: what is written to `findings/accuracy.json`.

use archaeo_analysis::statistics::{Estimate, Measured};
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

/// How often each model is right, on every evaluation split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccuracyFindings {
    /// The split that all other studies use (`test`).
    pub main_split: String,
    /// One entry a split.
    pub splits: Vec<SplitAccuracy>,
    /// Confusion counts on the main split, `[model][truth][predicted]`.
    pub confusion: ByModel<Vec<Vec<usize>>>,
    /// Accuracy of each class on the main split, `[model][class]`; `None` for a class without images there.
    pub per_class: ByModel<Vec<Option<Estimate>>>,
}

/// Both models on one split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitAccuracy {
    /// Name of the split.
    pub split: String,
    /// Number of images.
    pub n: usize,
    /// Scores of each model.
    pub models: ByModel<ModelScores>,
    /// Every two models compared image by image.
    pub pairs: Vec<PairComparison>,
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
    /// Which models.
    pub models: [ModelName; 2],
    /// Images both have right.
    pub both_right: usize,
    /// Images only the first has right.
    pub only_first_right: usize,
    /// Images only the second has right.
    pub only_second_right: usize,
    /// Images both have wrong.
    pub both_wrong: usize,
    /// Two-sided p-value of the exact McNemar test.
    pub mcnemar_p: f64,
    /// Accuracy of the first minus accuracy of the second, paired bootstrap.
    pub difference: Estimate,
    /// Error consistency κ (Geirhos et al., 2020); undefined where both models are always right or always wrong.
    pub kappa: Measured,
}
