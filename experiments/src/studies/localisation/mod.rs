//! Does an explanation point at the object? Only data that knows the object can answer.

mod below;
mod chapter;
mod claims;
pub mod findings;
mod scores;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Attribution, Evidence, explain_all};
use archaeo_analysis::faithfulness::{MaskScores, object_share};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, SHARE, mean_within};
use archaeo_data::Sample;
use archaeo_training::RecipeError;
use archaeo_training::images::preprocess_mask;
use serde::{Deserialize, Serialize};

use self::findings::LocalisationFindings;
use self::scores::Scores;
use super::explained::{check_methods, scored_methods};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::ByModel;
use crate::units::{Recorded, Recorder, Unit};

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

impl Options for LocalisationOptions {
    fn quick() -> Self {
        Self { images: 128, ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.localisation.images", 2, "at least 2", self.images)?;
        check_methods("studies.localisation.methods", &self.methods)
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
    type Record = Scored;
    type Findings = LocalisationFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let split = scene.split()?;
        let knows_mask = (0..split.len()).any(|image| split.has_mask(image));
        Ok(Applicability::only_if(knows_mask, "the data has no object masks"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = images(scene)?;
        let unit =
            |name| Unit::whole(name, format!("explanations of {name} against the mask"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, Scored>, StudyError> {
        let model = scene.model(unit.model);
        let preprocessing = &model.card().preprocessing;
        let options = scene.options.of::<Self>();
        let methods = scored_methods(model, &options.methods);
        let split = scene.split()?;
        Ok(Box::new(move |batch| {
            let ids = batch.ids();
            let keys = Keys { seed: scene.seed, images: &ids };
            let evidence = Evidence::new(model, batch.images.clone(), keys);
            let heatmaps = explain_all(&methods, &evidence, &evidence.predicted()?)?;
            let record = |(i, sample): (usize, &Sample)| -> Result<Scored, StudyError> {
                let Some(mask) = split.mask_of(batch.indices[i], sample)? else {
                    return Ok(Scored::default());
                };
                let mask = preprocess_mask(&mask, preprocessing);
                let size = [preprocessing.image_size; 2];
                let scores = heatmaps.iter().map(|of_method| MaskScores::of(&of_method[i], &mask, size));
                Ok(Scored { object_share: Some(object_share(&mask)), scores: scores.collect() })
            };
            batch.samples.iter().enumerate().map(record).collect()
        }))
    }

    fn conclude(scene: &Scene, recorded: Vec<Recorded<Scored>>) -> Result<LocalisationFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let images = recorded.first().map_or(0, |of_model| of_model.records.len());
        let known = |image: &usize| recorded.iter().all(|of| of.records[*image].object_share.is_some());
        let (scored, left_out): (Vec<usize>, Vec<usize>) = (0..images)
            .filter(known)
            .partition(|&image| recorded.iter().all(|of| of.records[image].scores.is_some()));
        let scores: ByModel<Vec<Scores>> = (recorded.iter())
            .map(|Recorded { unit, records }| {
                let of_method = |(place, method): (usize, &&dyn Attribution)| {
                    let of_image =
                        |&image: &usize| records[image].scores.as_ref().expect("it is scored")[place];
                    Scores::new(method.info(), unit.model, scored.iter().map(of_image))
                };
                let methods = scored_methods(scene.model(unit.model), &options.methods);
                (unit.model, methods.iter().enumerate().map(of_method).collect())
            })
            .collect();
        let share = |&image: &usize| recorded[0].records[image].object_share.expect("its mask is known");
        let shares: Vec<f64> = scored.iter().map(share).collect();
        let object_share = Measured::of(mean_within(&shares, SHARE, DEFAULT_LEVEL))?.or_not_a_number();
        let methods = match shares.len() {
            0 => Vec::new(),
            _ => scores::scored(&scores, &scene.resampling())?,
        };
        Ok(LocalisationFindings { n: shares.len(), left_out: left_out.len(), object_share, methods })
    }

    fn chapter(findings: &LocalisationFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// A sample of the images whose mask is known.
fn images(scene: &Scene) -> Result<Vec<usize>, StudyError> {
    let (split, count) = (scene.split()?, scene.options.of::<LocalisationStudy>().images);
    let sample = scene.sample(LocalisationStudy::ID, count)?;
    if sample.iter().all(|&image| split.has_mask(image)) {
        return Ok(sample);
    }
    let mut known = scene.sample(LocalisationStudy::ID, split.len())?;
    known.retain(|&image| split.has_mask(image));
    // At even steps, so that a list in the order of classes loses none.
    let taken = count.min(known.len());
    Ok((0..taken).map(|i| known[i * known.len() / taken]).collect())
}

/// What is recorded of one image and model.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Scored {
    /// Share of the model's input that is the object; `None` where its mask is not known.
    object_share: Option<f64>,
    /// Of every method, explanations and then baselines; `None` where the model sees nothing of the object, or nothing else.
    scores: Option<Vec<MaskScores>>,
}

#[cfg(test)]
mod tests;
