//! What damage costs: what is written to `findings/corruptions.json`.

use archaeo_analysis::statistics::{Estimate, Measured, SignFlipTest};
use archaeo_data::corruptions::Corruption;
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

/// What damage costs each model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CorruptionFindings {
    /// Images.
    pub n: usize,
    /// Severities, from 1 to 5.
    pub severities: Vec<usize>,
    /// Every model.
    pub models: ByModel<CorruptionScores>,
    /// Every two models.
    pub pairs: Vec<OfPair>,
}

/// Two models on the same damaged images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfPair {
    /// Which.
    pub models: [ModelName; 2],
    /// How they compare.
    #[serde(flatten)]
    pub pair: CorruptionPair,
}

/// Accuracy of one model on damaged images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CorruptionScores {
    /// Without damage, on the same images.
    pub clean: Estimate,
    /// Mean over corruptions and severities.
    pub damaged: Estimate,
    /// Mean over corruptions at each severity.
    pub by_severity: Vec<Estimate>,
    /// Every corruption.
    pub corruptions: Vec<CorruptionScore>,
}

/// Accuracy of one model under one corruption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CorruptionScore {
    /// Which.
    pub corruption: Corruption,
    /// At each severity.
    pub accuracy: Vec<Estimate>,
}

/// A second model next to a first, its baseline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CorruptionPair {
    /// Accuracy of the first less that of the second, a mean over corruptions and severities, paired over images.
    pub difference: SignFlipTest,
    /// The same of what damage takes: the first model's loss of accuracy less the second's. A difference that is there without damage
    /// is not in it.
    pub lost: SignFlipTest,
    /// The first's accuracy less the second's under each corruption; p-values adjusted over corruptions (Benjamini and Hochberg, 1995).
    pub by_corruption: Vec<SignFlipTest>,
    /// Mean corruption error of the second relative to the first, a share.
    pub mce: Measured,
    /// The same of errors that damage adds.
    pub relative_mce: Measured,
}
