//! Which frequencies fool each model, and which it needs: what is written to `findings/frequency.json`.

use archaeo_analysis::statistics::{Estimate, Measured, SignFlipTest};
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

/// Frequencies, in units of the Nyquist frequency along an axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrequencyFindings {
    /// Images.
    pub n: usize,
    /// Size of the attack in L∞.
    pub epsilon: f64,
    /// Its unit.
    pub unit: String,
    /// The spectrum of white noise at each model's size: the share of power in each band.
    pub white: ByModel<Vec<f64>>,
    /// Every model.
    pub models: ByModel<ModelFrequencies>,
    /// Every two models.
    pub pairs: Vec<FrequencyPair>,
}

/// One model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelFrequencies {
    /// Images that are right without an attack: those whose perturbations are looked at.
    pub attacked: usize,
    /// Share of the power of perturbations in each of eight bands of equal width from 0 to √2.
    pub bands: Vec<Measured>,
    /// Mean frequency of perturbations, weighted by power.
    pub mean_frequency: Measured,
    /// Accuracy on parts of images.
    pub cutoffs: Vec<Cutoff>,
}

/// Accuracy on images that are cut in two at a frequency; both parts keep the mean colour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cutoff {
    /// Where.
    pub cutoff: f64,
    /// On what lies below.
    pub low: Estimate,
    /// On what lies above.
    pub high: Estimate,
}

/// Two models on the same images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrequencyPair {
    /// Which.
    pub models: [ModelName; 2],
    /// Mean frequency of the perturbations that fool the first less that of those for the second, over images that both have right.
    pub finer: Measured<SignFlipTest>,
}
