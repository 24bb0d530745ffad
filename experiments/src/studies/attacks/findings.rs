//! Accuracy under attack: what is written to `findings/attacks.json`.

use archaeo_analysis::statistics::Estimate;
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

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
    /// Every two models at each size of each attack.
    #[serde(default)]
    pub comparisons: Vec<AttackComparison>,
    /// The attack of the examples and its ε; `None` where no size was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example_attack: Option<(String, f64)>,
    /// The images that are shown.
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
    pub model: ModelName,
    /// Name of the attack (`FGSM`, `PGD`).
    pub attack: String,
    /// Its settings, in words.
    pub settings: String,
    /// Points of the curve, from ε = 0.
    pub points: Vec<AttackPoint>,
    /// The ε at which robust accuracy has fallen to half of the accuracy without an attack, by linear interpolation between the
    /// points; `None` if it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_at: Option<f64>,
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

/// Two models under one attack of one size, on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackComparison {
    /// Which models.
    pub models: [ModelName; 2],
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
    /// The first model's share.
    pub first: Estimate,
    /// The second model's share.
    pub second: Estimate,
    /// Images that the first alone has.
    pub only_first: usize,
    /// Images that the second alone has.
    pub only_second: usize,
    /// Two-sided p-value of the exact McNemar test.
    pub p_value: f64,
    /// The same, adjusted over all sizes and attacks (Benjamini and Hochberg, 1995).
    pub adjusted_p: f64,
}

/// One image that is shown without and under an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackExample {
    /// Index within the main split.
    pub index: usize,
    /// Name of the image within its source; missing from older findings.
    #[serde(default)]
    pub identifier: String,
    /// True class.
    pub label: usize,
    /// Each model's answer without the attack and under it.
    pub answers: ByModel<[usize; 2]>,
    /// Pictures for each model: the image without the attack, the change enlarged, the attacked image; the first alone where the
    /// model is wrong without one. Missing from older findings.
    #[serde(default)]
    pub pictures: ByModel<Vec<String>>,
}
