//! The same images under every model's explanation: what is written to `findings/comparisons.json`.

use archaeo_analysis::statistics::{Estimate, Measured, Pairing};
use serde::{Deserialize, Serialize};

use crate::findings::HeatmapShown;
use crate::subjects::{ByModel, ModelName};

/// The same images under every model's explanation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparisonFindings {
    /// How the images were chosen, in words.
    pub selection: String,
    /// The pictures.
    pub items: Vec<Comparison>,
    /// How each model is explained: the name of its heatmap (`rollout`, `Grad-CAM`).
    pub methods: ByModel<String>,
    /// Every two models' heatmaps.
    pub pairs: Vec<HeatmapAgreement>,
    /// The first of the pictures through every layer of each model.
    #[serde(default)]
    pub depth: ByModel<Vec<LayerShown>>,
}

/// What one layer of a model makes of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerShown {
    /// Name of the layer, counted from 1.
    pub layer: String,
    /// Attention of what is read to the patches, mean over heads, or mean absolute features.
    pub shown: HeatmapShown,
}

/// The heatmaps of two models.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeatmapAgreement {
    /// Which models.
    pub models: [ModelName; 2],
    /// Images left out of the agreement, because one of their heatmaps is constant.
    pub constant: usize,
    /// How well the heatmaps of one image agree, against heatmaps of different images.
    pub agreement: Measured<Agreement>,
    /// How the rank correlations of the images are spread; `None` where no image has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// Where the middle half of some values lies: by the values nearest to the quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The value in the middle.
    pub median: f64,
    /// The value with a quarter of them below.
    pub lower: f64,
    /// The value with a quarter of them above.
    pub upper: f64,
}

/// Agreement of two models' heatmaps over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agreement {
    /// Rank correlation of heatmaps of one image and of different images, and the difference.
    pub pairing: Pairing,
    /// The images to which both models give the same answer.
    pub same_answer: AgreementGroup,
    /// Those to which they give different answers, so that the heatmaps belong to different classes.
    pub other_answer: AgreementGroup,
}

/// Agreement on some of the images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgreementGroup {
    /// Images with two heatmaps that are not constant.
    pub n: usize,
    /// Mean agreement of the heatmaps of one image; `None` without an image.
    pub together: Option<Estimate>,
    /// How much that exceeds agreement with heatmaps of other images; `None` without an image.
    pub difference: Option<Estimate>,
}

/// One image under every explanation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Index within the main split.
    pub index: usize,
    /// Name of the image within its source.
    pub identifier: String,
    /// True class.
    pub label: usize,
    /// Predicted class and its probability, of each model.
    pub predictions: ByModel<(usize, f64)>,
    /// Class that each model's heatmap explains; `None` for one that belongs to no class, as rollout does.
    pub explains: ByModel<Option<usize>>,
    /// Rank correlation of every two models' heatmaps over the grid of the first, in the order of
    /// [`ComparisonFindings::pairs`].
    pub agreements: Vec<Measured<f64>>,
    /// Picture: the image. In older findings with both heatmaps next to it.
    pub picture: String,
    /// Each model's heatmap over the image as that model sees it; missing from older findings.
    #[serde(default)]
    pub heatmaps: ByModel<HeatmapShown>,
}
