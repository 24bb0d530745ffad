//! What each head does: what `findings/atlas.json` holds of each model.

use archaeo_analysis::attention::{HeadHalf, HeadLabel};
use serde::{Deserialize, Serialize};

/// The atlas of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AtlasFindings {
    /// Images of both halves together.
    pub n: usize,
    /// Whether a token attends only to those of its window.
    pub windows: bool,
    /// Every head, from the input.
    pub heads: Vec<HeadRole>,
    /// How many have a role.
    pub roles: Roles,
}

/// One head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadRole {
    /// From 1.
    pub layer: usize,
    /// From 1.
    pub head: usize,
    /// What it does, where both halves agree.
    pub label: HeadLabel,
    /// Criteria on the first half.
    pub first: HeadHalf,
    /// Criteria on the second half.
    pub second: HeadHalf,
    /// Mean read-out map, relative to the run's folder.
    pub picture: String,
}

/// Heads whose role both halves confirm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roles {
    /// Heads with a label.
    pub confirmed: usize,
    /// All heads.
    pub heads: usize,
    /// Mean number of heads with a label when the second half is that of a random head.
    pub shuffled: f64,
    /// Share of shuffles with as many labels or more, adjusted over models.
    pub adjusted_p: f64,
}
