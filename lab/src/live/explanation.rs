//! Why a model answers as it does to one image, and whether the heatmap can be believed there.

use archaeo_analysis::attribution::{Attribution, Kind, MethodInfo, Resolution, explain_all, method};
use archaeo_analysis::faithfulness::{Asked, Metric, MetricInfo, metric};
use serde::Serialize;
use serde_json::json;

use super::model::LiveModel;
use super::{Live, LiveError, evidence};
use archaeo_store::arrays::{Array, Arrays};

/// By what a heatmap is measured on one image.
const METRICS: [&str; 2] = ["deletion", "insertion"];

/// What it is held against.
const BASELINES: [&str; 2] = ["random", "centre"];

/// How far a heatmap of one image can be believed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Believed {
    /// The method's ID.
    pub method: &'static str,
    /// By each metric.
    pub metrics: Vec<MeasuredHere>,
    /// What one image can tell, in a sentence.
    pub sentence: String,
}

/// A heatmap of one image and its baselines, by one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredHere {
    /// The metric's ID.
    pub id: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// Whether a larger score is a better one.
    pub higher_is_better: bool,
    /// The method's score.
    pub value: Option<f64>,
    /// That of random values.
    pub random: Option<f64>,
    /// That of a Gaussian at the centre.
    pub centre: Option<f64>,
}

impl LiveModel {
    /// The method of an ID, if it applies.
    pub(super) fn method(&self, id: &str) -> Result<&'static dyn Attribution, LiveError> {
        let method = method(id).ok_or_else(|| LiveError::Asked(format!("there is no method {id:?}")))?;
        match method.applies(&self.classifier).reason() {
            None => Ok(method),
            Some(reason) => {
                Err(LiveError::Asked(format!("{} does not apply: {reason}", method.info().title)))
            }
        }
    }
}

/// What the values of a method's heatmap stand for.
pub(super) fn over(info: &MethodInfo) -> &'static str {
    match info.resolution {
        Resolution::Pixels => "pixels",
        Resolution::Patches | Resolution::LastLayer | Resolution::FeatureMap => "tokens",
    }
}

impl Live {
    /// The heatmap of one method, for a class or the model's answer.
    ///
    /// # Errors
    /// A method that does not apply, or a class that the model does not have.
    pub fn explain(
        &self,
        model: &str,
        image: &str,
        id: &str,
        target: Option<usize>,
    ) -> Result<Arrays, LiveError> {
        let (_, live) = self.model(model)?;
        let method = live.method(id)?;
        let info = method.info();
        let seen = self.seen(model, image)?;
        let class = match (live.names.is_empty(), info.depends_on_class) {
            (true, false) => None,
            _ => Some(self.target(live, &seen, target)?),
        };
        let input = self.input(live, image)?;
        let key = [input.key];
        let evidence = evidence(live, &input, self.session.seed(), &key);
        let map = explain_all(&[method], &evidence, class.as_slice())?.swap_remove(0).swap_remove(0);
        let [lowest, highest] = [f32::min as fn(f32, f32) -> f32, f32::max]
            .map(|of| map.values.iter().copied().reduce(of).unwrap_or(0.0));
        let (probabilities, _) = live.ranked(&seen.logits, 0);
        let about = json!({
            "method": info.id,
            "title": info.title,
            "target": class.map(|class| live.called(class, &seen.logits, &probabilities)),
            "lowest": lowest,
            "highest": highest,
            "over": over(info),
            "signed": info.signed,
        });
        Ok(Arrays { arrays: vec![Array::f32("map", [map.height, map.width], map.values)], about })
    }

    /// How a heatmap of one image scores next to random values and the centre of the image: the area under the curve of the class's
    /// probability as the places it names are deleted, or inserted.
    ///
    /// # Errors
    /// As [`Live::explain`].
    pub fn believed(
        &self,
        model: &str,
        image: &str,
        id: &str,
        target: Option<usize>,
    ) -> Result<Believed, LiveError> {
        let (_, live) = self.model(model)?;
        let asked_method = live.method(id)?;
        let seen = self.seen(model, image)?;
        let target = self.target(live, &seen, target)?;
        let input = self.input(live, image)?;
        let key = [input.key];
        let evidence = evidence(live, &input, self.session.seed(), &key);
        let baselines = BASELINES.map(|id| method(id).expect("the baselines are methods"));
        let methods: Vec<&dyn Attribution> = vec![asked_method, baselines[0], baselines[1]];
        let heatmaps = explain_all(&methods, &evidence, &[target])?;
        let targets = [target];
        let asked = Asked {
            evidence: &evidence,
            targets: &targets,
            methods: &methods,
            heatmaps: &heatmaps,
            masks: &[],
        };
        let measure = |metric: &'static dyn Metric| -> Result<MeasuredHere, LiveError> {
            let scores = metric.measure(&asked)?;
            let [value, random, centre] = [0, 1, 2].map(|of: usize| scores[of][0].value);
            let MetricInfo { id, title, higher_is_better, .. } = *metric.info();
            Ok(MeasuredHere { id, title, higher_is_better, value, random, centre })
        };
        let metrics: Vec<MeasuredHere> =
            METRICS.into_iter().filter_map(metric).map(measure).collect::<Result<_, _>>()?;
        let sentence = match asked_method.info().kind {
            Kind::Baseline => "A baseline knows nothing of the model.".into(),
            Kind::Explanation => sentence(&metrics),
        };
        Ok(Believed { method: asked_method.info().id, metrics, sentence })
    }
}

/// What one image can tell of a method: how it scores, not whether it is better.
fn sentence(metrics: &[MeasuredHere]) -> String {
    let beats = |metric: &MeasuredHere, other: Option<f64>| match (metric.value, other) {
        (Some(own), Some(other)) => (own > other) == metric.higher_is_better && own != other,
        _ => false,
    };
    let random = metrics.iter().filter(|metric| beats(metric, metric.random)).count();
    let centre = metrics.iter().filter(|metric| beats(metric, metric.centre)).count();
    let measures = metrics.len();
    format!(
        "On this image it scores better than random values by {random} of {measures} measures, and better than the centre by {centre}. One \
         image cannot tell whether a method is better."
    )
}

/// Methods that apply to a model, in the order of the registry.
pub(super) fn applying(model: &LiveModel) -> Vec<&'static str> {
    let all = archaeo_analysis::attribution::methods().iter();
    all.filter(|method| method.applies(&model.classifier).holds()).map(|method| method.info().id).collect()
}
