//! Explanations against the true mask: what is written to `findings/localisation.json`.

use archaeo_analysis::statistics::{Estimate, SignFlipTest};
use serde::{Deserialize, Serialize};

use crate::subjects::ModelName;

/// Explanations against the true object mask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalisationFindings {
    /// Images scored.
    pub n: usize,
    /// Images not scored, because the object covers nothing or everything of what a model sees.
    pub left_out: usize,
    /// Mean share of an image that the object covers: what a heatmap that knows nothing puts inside.
    pub object_share: Estimate,
    /// One entry a heatmap, baselines included.
    pub methods: Vec<LocalisationScore>,
}

/// How well one heatmap finds the object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalisationScore {
    /// Name of the heatmap.
    pub method: String,
    /// Which model it explains; `None` for the baselines.
    pub model: Option<ModelName>,
    /// Share of the heatmap's mass on the object, after the one normalisation of all heatmaps.
    pub mass: Estimate,
    /// Probability that a pixel of the object is hotter than one outside, ties counting half.
    pub auroc: Estimate,
    /// Area under the curve of precision over recall of the object's pixels.
    pub average_precision: Estimate,
    /// Share of images whose hottest pixel lies on the object (pointing game, Zhang et al., 2018).
    pub pointing: Estimate,
    /// Images on which the heatmap is constant and scores as chance.
    pub constant: usize,
    /// Less the random heatmap's score on the same images; `None` for baselines, and for fewer than two images.
    pub over_random: Option<Gains>,
    /// Less the centred heatmap's score on the same images; `None` as above.
    pub over_centre: Option<Gains>,
}

/// Scores of a heatmap minus those of a baseline, image by image. The p-values are adjusted over all explanations and scores
/// held against that baseline (Benjamini-Hochberg).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gains {
    /// Of mass.
    pub mass: SignFlipTest,
    /// Of the area under the ROC curve.
    pub auroc: SignFlipTest,
    /// Of average precision.
    pub average_precision: SignFlipTest,
    /// Of the pointing game.
    pub pointing: SignFlipTest,
}
