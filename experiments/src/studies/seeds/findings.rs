//! What the runs of each model answer, and how far they differ.

use archaeo_analysis::statistics::{Estimate, Measured, Welch};
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

/// Models with several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedsFindings {
    /// The split.
    pub split: String,
    /// Its images.
    pub n: usize,
    /// Models with two or more runs.
    pub models: ByModel<OverSeeds>,
    /// Every two of them.
    pub pairs: Vec<SeedsDifference>,
}

/// One model over its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverSeeds {
    /// The runs, in their order.
    pub runs: Vec<RunScore>,
    /// Mean accuracy; the interval, and `n`, are over runs.
    pub accuracy: Estimate,
    /// Standard deviation of the accuracy over runs, with `n − 1`.
    pub deviation: f64,
    /// Mean loss, nats; the interval is over runs.
    pub loss: Estimate,
    /// Share of images on which two runs give different answers, mean over pairs of runs; the interval is over images.
    pub disagreement: Estimate,
    /// Share of images that every run classifies correctly.
    pub always_right: Estimate,
    /// Share of images that no run classifies correctly.
    pub always_wrong: Estimate,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunScore {
    /// The seed that it was trained with, where that is known.
    pub seed: Option<u64>,
    /// The interval is over images.
    pub accuracy: Estimate,
    /// Nats.
    pub loss: f64,
}

/// Two models over their runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedsDifference {
    /// First and second.
    pub models: [ModelName; 2],
    /// Mean accuracy of the first minus that of the second; the test is over runs.
    pub difference: Measured<Welch>,
}
