//! Are the explanations faithful to the model? Any data can answer: the model itself is asked, without what a heatmap marks.

mod chapter;
mod claims;
mod conclusion;
pub mod findings;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Evidence, explain_all};
use archaeo_analysis::faithfulness::{Asked, Metric, Score, metric as metric_of_id, metrics};
use archaeo_models::Classifier;
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use self::findings::FaithfulnessFindings;
use super::explained::{check_methods, scored_methods};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::units::{Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaithfulnessOptions {
    /// Images that are changed in the order of each heatmap, at least 2; baselines are held against from 10 on.
    pub images: usize,
    /// Images for which methods are asked again: with noise, with random weights, for another class; at least 2.
    pub images_asked_again: usize,
    /// Metrics, by their IDs; when empty, all that need no mask.
    pub metrics: Vec<String>,
    /// Explanations that are scored, by their IDs; when empty, all that make few passes of their own.
    pub methods: Vec<String>,
}

impl Default for FaithfulnessOptions {
    fn default() -> Self {
        Self { images: 64, images_asked_again: 24, metrics: Vec::new(), methods: Vec::new() }
    }
}

impl Options for FaithfulnessOptions {
    fn quick() -> Self {
        let metrics = ["deletion", "insertion", "contrastivity"].map(str::to_owned).into();
        Self { images: 24, images_asked_again: 4, metrics, methods: Vec::new() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.faithfulness.images", 2, "at least 2", self.images)?;
        at_least("studies.faithfulness.images_asked_again", 2, "at least 2", self.images_asked_again)?;
        check_methods("studies.faithfulness.methods", &self.methods)?;
        let known = |id: &&String| metric_of_id(id).is_some_and(|metric| !metric.info().needs_mask);
        match self.metrics.iter().find(|id| !known(id)) {
            None => Ok(()),
            Some(unknown) => Err(RecipeError::Range {
                key: "studies.faithfulness.metrics",
                allowed: "metrics of docs/faithfulness.md that need no mask",
                found: format!("`{unknown}`"),
            }),
        }
    }
}

impl FaithfulnessOptions {
    fn metrics(&self) -> impl Iterator<Item = &'static dyn Metric> + '_ {
        let wanted = |metric: &&'static dyn Metric| {
            let info = metric.info();
            let named = self.metrics.is_empty() || self.metrics.iter().any(|id| id == info.id);
            named && !info.needs_mask
        };
        metrics().iter().copied().filter(wanted)
    }
}

/// Scores every heatmap by what the model does without the pixels or tokens that it marks, and every method by whether its heatmaps
/// hold still under noise, depend on the weights and differ between classes. The class that the model names is explained.
pub struct FaithfulnessStudy;

/// What a unit's images are for.
const CHANGED: &str = "changed";
const ASKED_AGAIN: &str = "asked-again";

impl Study for FaithfulnessStudy {
    const ID: &'static str = "faithfulness";
    const TITLE: &'static str = "Can the explanations be believed?";
    const QUESTION: &'static str = "whether the explanations show what {it} uses";
    type Options = FaithfulnessOptions;
    type Record = ImageFaithfulness;
    type Findings = FaithfulnessFindings;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let options = scene.options.of::<Self>();
        let images = scene.sample(Self::ID, options.images.max(options.images_asked_again))?;
        let unit = |name, (aspect, count): (&str, usize)| Unit {
            model: name,
            aspect: aspect.into(),
            title: format!("faithfulness of {name}'s explanations, images {}", aspect.replace('-', " ")),
            images: images[..count.min(images.len())].to_vec(),
        };
        let aspects = [(CHANGED, options.images), (ASKED_AGAIN, options.images_asked_again)];
        Ok(scene.names().into_iter().flat_map(|name| aspects.map(|aspect| unit(name, aspect))).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, ImageFaithfulness>, StudyError> {
        let model = scene.model(unit.model);
        let options = scene.options.of::<Self>();
        let methods = scored_methods(model, &options.methods);
        let metrics = metrics_of(model, &options, &unit.aspect);
        Ok(Box::new(move |batch| {
            let ids = batch.ids();
            let evidence =
                Evidence::new(model, batch.images.clone(), Keys { seed: scene.seed, images: &ids });
            let targets = evidence.predicted()?;
            let heatmaps = explain_all(&methods, &evidence, &targets)?;
            let asked = Asked {
                evidence: &evidence,
                targets: &targets,
                methods: &methods,
                heatmaps: &heatmaps,
                masks: &[],
            };
            let scores: Vec<Vec<Vec<Score>>> =
                metrics.iter().map(|metric| metric.measure(&asked)).collect::<Result<_, _>>()?;
            let of_image = |row: usize| ImageFaithfulness {
                scores: scores
                    .iter()
                    .map(|methods| methods.iter().map(|images| images[row].clone()).collect())
                    .collect(),
            };
            Ok((0..ids.len()).map(of_image).collect())
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<ImageFaithfulness>>,
    ) -> Result<FaithfulnessFindings, StudyError> {
        conclusion::conclude(scene, &recorded)
    }

    fn chapter(findings: &FaithfulnessFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// What is recorded of one image and model.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImageFaithfulness {
    /// `[metric][method]`
    scores: Vec<Vec<Score>>,
}

/// The metrics of one kind of unit that apply to a model: those that ask methods again do not compare with baselines.
fn metrics_of(model: &Classifier, options: &FaithfulnessOptions, aspect: &str) -> Vec<&'static dyn Metric> {
    let fits = |metric: &&'static dyn Metric| {
        metric.info().judged == (aspect == CHANGED) && metric.applies(model).holds()
    };
    options.metrics().filter(fits).collect()
}

fn methods_of(scene: &Scene, unit: &Unit) -> Vec<&'static dyn Attribution> {
    scored_methods(scene.model(unit.model), &scene.options.of::<FaithfulnessStudy>().methods)
}

#[cfg(test)]
mod tests;
