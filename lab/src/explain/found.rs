//! What is found about images, and what is shown of each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use archaeo_analysis::attribution::{Heatmap, MethodInfo};
use archaeo_plot::Image;
use serde::Serialize;

use super::counterfactual::Flips;
use super::faithfulness::Faithfulness;
use super::localisation::{ImageScores, Localisation};
use super::methods::LeftOut;

/// What was found about all images.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// Where the pictures are; `None` where none were written.
    pub folder: Option<PathBuf>,
    /// Whether every image is in it.
    pub complete: bool,
    /// Images.
    pub n: usize,
    /// What the model's head reads; `None` of a model without attention.
    pub read_out: Option<&'static str>,
    /// The layer whose heads are shown, from 1; `None` of a model without attention.
    pub layer: Option<usize>,
    /// The methods, in the order of the registry.
    pub methods: Vec<MethodInfo>,
    /// What is not usual about the rollout, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// Methods that do not apply to the model.
    pub left_out: Vec<LeftOut>,
    /// How far the heatmaps of each method can be believed on this model and these images.
    pub faithfulness: Faithfulness,
    /// How the methods score where the images say where the object is; `None` where they do not.
    pub localisation: Option<Localisation>,
    /// How few patches change the answer, by the method's ID; empty where it was not asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counterfactuals: BTreeMap<&'static str, Flips>,
    /// The images, source by source.
    pub images: Vec<ExplainedImage>,
}

/// What was found about one image.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExplainedImage {
    /// Its name in its source.
    pub image: String,
    /// The source.
    pub source: String,
    /// Its folder of pictures, within [`Explained::folder`]; `None` where none were written.
    pub folder: Option<String>,
    /// What the data call it; `None` without labels.
    pub label: Option<String>,
    /// The class that is explained; `None` of a model without classes.
    pub target: Option<Answer>,
    /// The most probable classes, that of the largest probability first.
    pub predictions: Vec<Answer>,
    /// Smallest and largest value of each heatmap, by the method's ID.
    pub heatmaps: BTreeMap<&'static str, HeatmapRange>,
    /// How the heatmaps agree with the true mask; `None` where it is not known, or holds everything or nothing of the image.
    pub localisation: Option<ImageScores>,
    /// What it took to change the answer, by the method's ID; empty where it was not asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counterfactuals: BTreeMap<&'static str, Flip>,
}

/// A class, and what the model gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Number of the output, from 0.
    pub class: usize,
    /// What it is called.
    pub name: String,
    /// Softmax of the logits.
    pub probability: f64,
}

/// The fewest patches, in the order of a heatmap, that change the answer when the mean colour of the preprocessing covers them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// The patches, from 0 in reading order, the most relevant first; all of them where nothing changes the answer.
    pub covered: Vec<usize>,
    /// The share of all patches.
    pub share: f64,
    /// The class that is named instead; `None` where nothing changes the answer.
    pub after: Option<String>,
}

/// What the colours of a heatmap stand for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HeatmapRange {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Smallest value.
    pub lowest: f32,
    /// Largest value.
    pub highest: f32,
}

/// One image with its heatmaps.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// What is known of it.
    pub found: ExplainedImage,
    /// The image as the model takes it.
    pub picture: Image,
    /// One heatmap for each of [`Explained::methods`].
    pub heatmaps: Vec<Heatmap>,
    /// What the read tokens receive from the patches in each layer, mean over heads, on the layer's grid; none of a model without
    /// attention.
    pub layers: Vec<Heatmap>,
    /// The same of each head of [`Explained::layer`].
    pub heads: Vec<Heatmap>,
    /// The image with the patches covered that each of [`Explained::methods`] needs to change the answer; none where it was not asked.
    pub covered: Vec<Image>,
}

impl HeatmapRange {
    pub(super) fn of(map: &Heatmap) -> Self {
        let bound = |start: f32, pick: fn(f32, f32) -> f32| map.values.iter().copied().fold(start, pick);
        Self {
            rows: map.height,
            columns: map.width,
            lowest: bound(f32::INFINITY, f32::min),
            highest: bound(f32::NEG_INFINITY, f32::max),
        }
    }
}
