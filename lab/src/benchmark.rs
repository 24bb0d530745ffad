//! Sherds as a benchmark of explanations: what a model's answers depend on, and which methods say so.

use archaeo_analysis::attribution::{Attribution, Kind, methods_for};
use archaeo_analysis::statistics::{Better, Resampling, SignFlipTest};
use archaeo_experiments::findings::ModelTruth;
use archaeo_experiments::studies::causal::measure::{ImageTruth, Laboratory, shapes_of};
use archaeo_experiments::studies::causal::{benchmarked, methods_of, verdict};
use serde::Serialize;

use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::explain::{MethodChoice, chosen};
use crate::listener::Followed;
use crate::opened::Opened;
use crate::session::Session;

/// How explanations of a model score on Sherds.
#[derive(Clone, Debug, Serialize)]
pub struct Benchmarked {
    /// Name of the model.
    pub model: String,
    /// Name of the split.
    pub split: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Means over images, the explanations with the best single deletion first, then the baselines.
    #[serde(flatten)]
    pub found: ModelTruth,
    /// Of each explanation, by single deletion.
    pub verdicts: Vec<Verdict>,
    /// IDs of the methods in the order in which each image has their scores.
    pub order: Vec<&'static str>,
    /// The images, in the order of [`Opened::indices`].
    pub images: Vec<ImageTruth>,
}

/// Whether an explanation is better than heatmaps that know nothing of the model.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// ID of the method.
    pub method: String,
    /// Than a random one.
    pub better_than_random: Better,
    /// Than one of the image's centre.
    pub better_than_centre: Better,
}

impl Session {
    /// Draws images of Sherds again without each of their parts, measures what the margin of each answer loses, and scores heatmaps
    /// against that. `methods` are explanations; all that take few passes when `None`. Baselines are always scored.
    ///
    /// # Errors
    /// Data other than Sherds, a model that is not better than chance, a method that does not apply, answers that are not finite.
    pub fn benchmark(&self, opened: &Opened, methods: Option<&[String]>) -> Result<Benchmarked, LabError> {
        let Opened { model, indices, device, .. } = opened;
        let split = opened.split()?;
        let Some((sherds, which)) = split.sherds() else {
            return Err(LabError::NotDrawn(opened.dataset.name.clone()));
        };
        let answers = self.answers(opened, "every part in place")?;
        let accuracy = answers.scores()?.top_k_accuracy(1)?;
        let chance = 1.0 / opened.dataset.classes.len().max(1) as f64;
        if accuracy.low <= chance {
            let weights = opened.subject.model.weights.clone();
            return Err(LabError::NoBetterThanChance { weights, accuracy: accuracy.value, n: accuracy.n });
        }
        let methods: Vec<&dyn Attribution> = match methods {
            None => methods_of(model),
            Some(ids) => {
                let mut chosen = chosen(&MethodChoice::These(ids.to_vec()), model)?.0;
                chosen.retain(|method| method.info().kind == Kind::Explanation);
                [chosen, methods_for(model, Kind::Baseline)].concat()
            }
        };
        let laboratory = Laboratory {
            model,
            sherds,
            split: which,
            shapes: shapes_of(split),
            methods,
            seed: self.seed(),
            batch_size: opened.batch_size(),
            device,
        };
        let resampling = Resampling::new(self.seed());
        let progress = Followed(self.listener());
        let (found, images) = benchmarked(&laboratory, indices, &opened.labels()?, &resampling, &progress)?;
        let word = |test: &Option<SignFlipTest>| verdict(test.as_ref());
        let verdicts = found.methods.iter().filter(|score| !score.baseline).map(|score| Verdict {
            method: score.id.clone(),
            better_than_random: word(&score.over_random),
            better_than_centre: word(&score.over_centre),
        });
        Ok(Benchmarked {
            model: model.card().name.clone(),
            split: opened.split.clone(),
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            verdicts: verdicts.collect(),
            order: laboratory.methods.iter().map(|method| method.info().id).collect(),
            found,
            images,
        })
    }
}
