//! Whether explanations are faithful to their model: what is written to `findings/faithfulness.json`.

use std::collections::BTreeMap;

use archaeo_analysis::faithfulness::Gain;
use archaeo_analysis::statistics::{Measured, RankCorrelation};
use serde::{Deserialize, Serialize};

use crate::subjects::ByModel;

/// Whether explanations are faithful to their model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaithfulnessFindings {
    /// The metrics that were asked for, in the order of the registry.
    pub metrics: Vec<String>,
    /// Of each model.
    pub models: ByModel<ModelFaithfulness>,
}

/// The explanations of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelFaithfulness {
    /// Images on which heatmaps were scored by changing the image.
    pub images: usize,
    /// Images on which methods were asked again.
    pub images_asked_again: usize,
    /// Metrics that do not apply to the model, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// Explanations, that of the best mean rank first, and then the baselines.
    pub methods: Vec<MethodFaithfulness>,
    /// Whether two metrics put the explanations in the same order.
    pub agreement: Vec<MetricAgreement>,
}

/// One method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MethodFaithfulness {
    /// ID of the method.
    pub method: String,
    /// What a reader calls it.
    pub title: String,
    /// Whether it knows nothing of the model.
    pub baseline: bool,
    /// Mean over the metrics that baselines are held against of its rank among all methods, 1 for the best.
    pub rank: Option<f64>,
    /// By the metric's ID.
    pub scores: BTreeMap<String, MetricScore>,
}

/// One method by one metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricScore {
    /// Mean over images.
    pub mean: Measured,
    /// Mean curve over images; empty of a metric without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<f64>,
    /// Over the random heatmap; p-values are adjusted over all models, explanations and metrics. `None` of baselines, of metrics
    /// that a heatmap that knows nothing may do best by, and of fewer than 10 images.
    pub over_random: Option<Gain>,
    /// Over the centred heatmap, likewise.
    pub over_centre: Option<Gain>,
}

/// Two metrics over the explanations of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricAgreement {
    /// Their IDs.
    pub metrics: [String; 2],
    /// Spearman correlation of the explanations' means, positive where both call the same explanations good; p-values are adjusted
    /// over all pairs of the model.
    pub correlation: Measured<RankCorrelation>,
}

impl FaithfulnessFindings {
    /// What was found of the method of a title on a model.
    pub fn of(&self, model: crate::subjects::ModelName, title: &str) -> Option<&MethodFaithfulness> {
        self.models.get(model)?.methods.iter().find(|method| method.title == title)
    }
}
