//! Whether explanations are faithful to their model: what is written to `findings/faithfulness.json`.

use std::collections::BTreeMap;

use archaeo_analysis::faithfulness::{Gain, MetricInfo, metric};
use archaeo_analysis::statistics::{Measured, RankCorrelation};
use archaeo_report::numbers::{Unit, counted};
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

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
    /// The score of a method of that title on a model by the first metric that baselines are held against, with the verdicts:
    /// `deletion 0.31 (lower is better) over 32 images, better than random: yes, than the centre: cannot be told`. `None` where it
    /// was not measured.
    pub fn said_of(&self, model: ModelName, title: &str) -> Option<String> {
        let found = self.models.get(model)?;
        let info = headline(self)?;
        let score = found.methods.iter().find(|method| method.title == title)?.scores.get(info.id)?;
        let mean = score.mean.known()?;
        let way = if info.higher_is_better { "higher" } else { "lower" };
        let said = |gain: &Option<Gain>| match gain {
            Some(gain) => gain.better.to_string(),
            None => "cannot be told from so few images".into(),
        };
        Some(format!(
            "{} {} ({way} is better) over {}, better than random: {}, than the centre: {}",
            info.title,
            Unit::Coefficient.value(mean.value),
            counted(mean.n, "image"),
            said(&score.over_random),
            said(&score.over_centre)
        ))
    }
}

/// The first metric that was asked for and that baselines are held against.
pub(super) fn headline(findings: &FaithfulnessFindings) -> Option<&'static MetricInfo> {
    let mut infos = findings.metrics.iter().filter_map(|id| metric(id)).map(|metric| metric.info());
    infos.find(|info| info.judged)
}
