//! Images that a report shows: which they are, and where their pictures lie in the run folder.

use serde::{Deserialize, Serialize};

use crate::subjects::ByModel;

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShown {
    /// Index within its split.
    pub index: usize,
    /// Name of the image within its source.
    pub identifier: String,
    /// True class.
    pub label: usize,
    /// Picture: the image.
    pub picture: String,
}

/// What every head of a transformer attends to in one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMaps {
    /// The image as the model sees it.
    pub image: ImageShown,
    /// One entry a layer, from the input.
    pub layers: Vec<LayerMaps>,
}

/// The heads of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMaps {
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// Pictures: the map of each head over the image.
    pub heads: Vec<String>,
}

/// An image with what its models said and what they looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainedImage {
    /// The image.
    pub image: ImageShown,
    /// Each model's answer and its probability.
    #[serde(default)]
    pub predictions: ByModel<(usize, f64)>,
    /// Each model's heatmap over the image as that model sees it.
    pub heatmaps: ByModel<HeatmapShown>,
}

/// A heatmap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatmapShown {
    /// Rows and columns of the heatmap itself.
    pub grid: [usize; 2],
    /// Picture: each of its cells over the image, in one colour.
    pub picture: String,
}
