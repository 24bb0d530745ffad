//! Does an explanation point at the object? Only data that knows the object can answer.

mod chapter;
mod claims;
pub mod findings;
mod scores;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{
    Attribution, Cost, Evidence, Heatmap, Kind, explain_all, method, methods_for,
};
use archaeo_analysis::faithfulness::object_share;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, mean_t};
use archaeo_training::RecipeError;
use archaeo_training::images::{preprocess_mask, to_tensor};
use serde::{Deserialize, Serialize};

use self::findings::LocalisationFindings;
use self::scores::{Scores, scored};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, Subject};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalisationOptions {
    /// Images whose heatmaps are held against the true mask, at least 2: a mean has an interval from two values on.
    pub images: usize,
    /// Explanations that are scored, by their IDs, each of the models that it applies to; when empty, all that make few passes of
    /// their own.
    pub methods: Vec<String>,
}

impl Default for LocalisationOptions {
    fn default() -> Self {
        Self { images: 400, methods: Vec::new() }
    }
}

impl LocalisationOptions {
    fn wants(&self, method: &dyn Attribution) -> bool {
        let info = method.info();
        match self.methods.is_empty() {
            true => info.cost == Cost::Shared,
            false => self.methods.iter().any(|id| id == info.id),
        }
    }
}

impl Options for LocalisationOptions {
    fn quick() -> Self {
        Self { images: 128, ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.localisation.images", 2, "at least 2", self.images)?;
        let known = |id: &&String| method(id).is_some_and(|method| method.info().kind == Kind::Explanation);
        match self.methods.iter().find(|id| !known(id)) {
            None => Ok(()),
            Some(unknown) => Err(RecipeError::Range {
                key: "studies.localisation.methods",
                allowed: "explanations that `archaeo attention --help` lists",
                found: format!("`{unknown}`"),
            }),
        }
    }
}

/// Holds every heatmap against the true mask on a sample of the main split.
///
/// Every heatmap is brought to the size of its model's input bilinearly, and compared with baselines of that size on the same
/// images and the same mask. Images of which one of the models sees nothing of the object, or nothing else, are left out.
pub struct LocalisationStudy;

impl Study for LocalisationStudy {
    const ID: &'static str = "localisation";
    const TITLE: &'static str = "Explanations against the truth";
    const QUESTION: &'static str = "whether the explanations are true";
    /// 2: with every explanation that makes few passes.
    const SCHEMA: u32 = 2;
    type Options = LocalisationOptions;
    type Findings = LocalisationFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let split = scene.split()?;
        let knows_mask =
            scene.sample(Self::ID, 1)?.first().is_some_and(|&first| split.texture(first).is_some());
        Ok(Applicability::only_if(knows_mask, "the data has no object masks"))
    }

    fn run(scene: &Scene) -> Result<LocalisationFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let indices = scene.sample(Self::ID, options.images)?;
        let first = scene.subjects[0];
        // Of each model, explanations and then baselines.
        let methods_of = |subject: &Subject| {
            let of = |kind| methods_for(subject.model, kind);
            let mut explanations = of(Kind::Explanation);
            explanations.retain(|method| options.wants(*method));
            [explanations, of(Kind::Baseline)].concat()
        };
        let mut scores: ByModel<Vec<Scores>> = (scene.subjects.iter())
            .map(|subject| {
                let scores = |method: &&dyn Attribution| Scores::new(method.info(), subject.name);
                (subject.name, methods_of(subject).iter().map(scores).collect())
            })
            .collect();
        let (mut shares, mut left_out) = (Vec::new(), 0);
        scene.for_each_batch(
            "explanations against the mask",
            &indices,
            first.model,
            |batch, samples, _| {
                let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
                let mut heatmaps: ByModel<Vec<Vec<Heatmap>>> = ByModel::default();
                for subject in scene.subjects {
                    let images = to_tensor(&scene.images_for(subject.model, batch)?, scene.device);
                    let keys = Keys { seed: scene.seed, images: &ids };
                    let evidence = Evidence::new(subject.model, images, keys);
                    let found = explain_all(&methods_of(subject), &evidence, &evidence.predicted()?)?;
                    heatmaps.insert(subject.name, found);
                }
                for (i, sample) in samples.iter().enumerate() {
                    let Some(truth) = &sample.truth else { continue };
                    let mask = |subject: &Subject| {
                        (subject.name, preprocess_mask(&truth.mask, &subject.model.card().preprocessing))
                    };
                    let masks: ByModel<Vec<bool>> = scene.subjects.iter().map(mask).collect();
                    if masks.values().any(|mask| [0.0, 1.0].contains(&object_share(mask))) {
                        left_out += 1;
                        continue;
                    }
                    shares.push(object_share(&masks[first.name]));
                    for ((name, mask), of_model) in masks.iter().zip(scores.values_mut()) {
                        let side = scene.model(name).card().preprocessing.image_size;
                        for (scores, heatmaps) in of_model.iter_mut().zip(&heatmaps[name]) {
                            scores.add(&heatmaps[i].resized(side, side), mask);
                        }
                    }
                }
                Ok(())
            },
        )?;
        let object_share = Measured::of(mean_t(&shares, DEFAULT_LEVEL))?.or_not_a_number();
        let methods = match shares.len() {
            0 => Vec::new(),
            _ => scored(&scores, &scene.resampling())?,
        };
        Ok(LocalisationFindings { n: shares.len(), left_out, object_share, methods })
    }

    fn chapter(findings: &LocalisationFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

#[cfg(test)]
mod tests;
