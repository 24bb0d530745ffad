//! What the heads of a model attend to: what `findings/attention.json` holds of each model.

use archaeo_analysis::statistics::{Estimate, Measured, RankTrend};
use serde::{Deserialize, Serialize};

use crate::findings::{ExplainedImage, HeadMaps};

/// What the transformer's heads attend to, averaged over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttentionFindings {
    /// Images looked at.
    pub n: usize,
    /// How the distance treats the class token, in words.
    pub convention: String,
    /// Which tokens the model's head reads, in words: what rollout starts from.
    pub read_out: String,
    /// Side of the input, in pixels: the scale of the distances.
    pub image_size: usize,
    /// One entry a layer, from the input.
    pub layers: Vec<LayerAttention>,
    /// Whether the distance relative to even attention rises or falls with depth, with layers as units.
    pub trend: Measured<RankTrend>,
    /// What every head of every layer sends to the tokens that are read, for one image; missing from older findings.
    #[serde(default)]
    pub head_maps_shown: Option<HeadMaps>,
    /// Rollout over several images; missing from older findings.
    #[serde(default)]
    pub rollouts_shown: Vec<ExplainedImage>,
}

/// One layer's heads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerAttention {
    /// One entry a head.
    pub heads: Vec<HeadAttention>,
    /// Mean Jensen-Shannon divergence between the heads, nats.
    pub diversity: Estimate,
    /// Distance of attention spread evenly over all that a patch may attend to, pixels.
    pub even_distance: f64,
    /// Mean attention distance over heads, as a share of the even distance; `None` where a patch attends to itself alone and
    /// the even distance is zero.
    pub relative_distance: Option<Estimate>,
    /// Mean attention distance over heads, pixels; `None` without heads, and in older findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_distance: Option<f64>,
}

/// Statistics of one head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAttention {
    /// Mean attention distance, pixels.
    pub distance: Estimate,
    /// Entropy, nats.
    pub entropy: Estimate,
    /// Entropy over the logarithm of the number of keys: 0 one key, 1 all alike.
    pub normalised_entropy: Estimate,
    /// Hoyer sparsity: 0 all alike, 1 one key.
    pub hoyer: Estimate,
    /// Share of weights below one over the number of keys.
    pub below_uniform: Estimate,
    /// Weight that patches give to the class token; `None` without one.
    pub class_token_mass: Option<Estimate>,
    /// Weight that patches give to the distillation token; `None` without one.
    pub distillation_token_mass: Option<Estimate>,
    /// Weight that patches give to all registers together; `None` without any.
    pub register_mass: Option<Estimate>,
}
