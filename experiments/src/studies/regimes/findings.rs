//! What is found of models that differ in their training.

use serde::{Deserialize, Serialize};

use crate::regimes::RegimesCompared;
use crate::subjects::ModelName;

/// Models of one architecture that were trained in different ways on the same data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimesFindings {
    /// The regimes, each under the name of its model, and what distinguishes them.
    #[serde(flatten)]
    pub compared: RegimesCompared,
    /// Models that are not among them, each with the reason as the end of a sentence.
    pub left_out: Vec<(ModelName, String)>,
    /// Models whose attention before training is not known, each with the reason as the end of a sentence.
    pub without_attention: Vec<(ModelName, String)>,
}
