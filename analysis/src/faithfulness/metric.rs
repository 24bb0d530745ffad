//! The contract of a metric, and what it says about itself.

use archaeo_models::Classifier;
use serde::{Deserialize, Serialize};

use super::perturbation::Explained;
use crate::attribution::{Applicability, Attribution, Capability, Evidence, Heatmap};
use crate::{AnalysisError, Paper};

/// A measure of how far heatmaps tell the truth about a model.
pub trait Metric: Sync {
    /// What the metric is.
    fn info(&self) -> &'static MetricInfo;

    /// One score for each method and image, `[method][image]`. A score depends on the model, the image, the heatmap and the seed
    /// alone.
    ///
    /// # Errors
    /// Exactly where [`Metric::applies`] says that the metric does not apply, and those of the methods that it asks again.
    fn measure(&self, asked: &Asked) -> Result<Vec<Vec<Score>>, AnalysisError>;

    /// Whether a model has what the metric needs.
    fn applies(&self, model: &Classifier) -> Applicability {
        match self.info().needs.iter().find_map(|need| need.lacking(model)) {
            None => Applicability::Applies,
            Some(reason) => Applicability::DoesNot(reason),
        }
    }
}

/// A batch of images with the heatmaps that are to be scored.
pub struct Asked<'a> {
    /// The model and the images.
    pub evidence: &'a Evidence<'a>,
    /// The class of each image that is explained.
    pub targets: &'a [usize],
    /// The methods, each applying to the model.
    pub methods: &'a [&'a dyn Attribution],
    /// Their heatmaps of these images for these classes, `[method][image]`.
    pub heatmaps: &'a [Vec<Heatmap>],
    /// Whether each pixel of the model's input is object, `(height, width)`, image by image; empty where nothing is known.
    pub masks: &'a [Option<Vec<bool>>],
}

impl Asked<'_> {
    pub(super) fn explained(&self) -> Explained<'_> {
        Explained { keys: self.evidence.keys(), targets: self.targets, heatmaps: self.heatmaps }
    }
}

/// What a metric gives one heatmap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// `None` where it is not defined, as a rank correlation with a constant heatmap.
    pub value: Option<f64>,
    /// The values that it was formed from, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<f64>,
}

impl Score {
    /// A score that is one number.
    pub fn of(value: Option<f64>) -> Self {
        Self { value, curve: Vec::new() }
    }
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MetricInfo {
    /// What the command line and files call it, such as `deletion`.
    pub id: &'static str,
    /// What a reader calls it.
    pub title: &'static str,
    /// What it measures, in a few words.
    pub summary: &'static str,
    /// Whether a larger score is a better one.
    pub higher_is_better: bool,
    /// The smallest and the largest score that there can be.
    #[serde(skip)]
    pub range: [f64; 2],
    /// Whether scores of the random and the centred heatmap are what a method has to beat; otherwise a heatmap that knows nothing may
    /// score best, or cannot be scored.
    pub judged: bool,
    /// Whether it needs the object's true mask.
    pub needs_mask: bool,
    /// What a model must have.
    pub needs: &'static [Capability],
    /// Passes through the model for each heatmap, about; 0 where there are none.
    pub passes: usize,
    /// What the points of its curve stand for; empty of a metric without one.
    pub curve: &'static [f64],
    /// Where it comes from.
    pub paper: Paper,
}
