//! Whether attacks measure robustness, and what carries over: what is written to `findings/doctor.json`.

use archaeo_analysis::attacks::doctor::{Check, Health};
use archaeo_analysis::statistics::Measured;
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

/// Whether attacks measure robustness.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DoctorFindings {
    /// Images of the sample.
    pub n: usize,
    /// Size of the attacks in L∞.
    pub epsilon: f64,
    /// Its unit.
    pub unit: String,
    /// Every model.
    pub models: ByModel<Diagnosis>,
    /// The adversarial images of each model, shown to each that takes images as it does, itself included.
    pub transfers: Vec<Transfer>,
}

/// What the doctor says of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Images that it classifies correctly without an attack: those that were examined.
    pub examined: usize,
    /// Every check; none without such an image.
    pub checks: Vec<Check>,
    /// Fail if any check fails, pass if all pass.
    pub verdict: Option<Health>,
}

/// What the adversarial images of one model do to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// The model that was attacked.
    pub source: ModelName,
    /// The model that they are shown to.
    pub target: ModelName,
    /// Of the images that both classify correctly, the share that the target then gets wrong.
    pub fooled: Measured,
    /// The same of random noise of the same size: the null.
    pub by_noise: Measured,
    /// Exact McNemar test of the two, adjusted over all pairs (Benjamini and Hochberg, 1995).
    pub p_value: f64,
}
