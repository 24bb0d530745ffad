//! What natural damage to images costs each model: noise, blur, weather and the traces of files, at several severities.

mod chapter;
mod claims;
mod conclude;
pub mod findings;
#[cfg(test)]
pub(super) mod tests;

use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_data::corruptions::{Corruption, SEVERITIES};
use archaeo_training::RecipeError;
use archaeo_training::images::to_tensor;
use serde::{Deserialize, Serialize};

use self::findings::CorruptionFindings;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::ByModel;
use crate::units::{Recorded, Recorder, Unit};

pub use conclude::{Damage, corruption_pair, corruption_scores};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorruptionsOptions {
    /// Images damaged, at least 2.
    pub images: usize,
    /// Severities, from 1 to 5.
    pub severities: Vec<usize>,
    /// Kinds of damage; the 15 of the mean corruption error where none is named.
    pub corruptions: Vec<Corruption>,
}

impl Default for CorruptionsOptions {
    fn default() -> Self {
        Self { images: 120, severities: vec![1, 3, 5], corruptions: Vec::new() }
    }
}

impl Options for CorruptionsOptions {
    fn quick() -> Self {
        Self { images: 48, severities: vec![3], ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.corruptions.images", 2, "at least 2", self.images)?;
        let allowed = "one or more severities from 1 to 5";
        let found = match self.severities.iter().find(|severity| !(1..=SEVERITIES).contains(*severity)) {
            Some(severity) => severity.to_string(),
            None if self.severities.is_empty() => "none".into(),
            None => return Ok(()),
        };
        Err(RecipeError::Range { key: "studies.corruptions.severities", allowed, found })
    }
}

impl CorruptionsOptions {
    /// The kinds of damage, those that are not named included.
    fn corruptions(&self) -> Vec<Corruption> {
        match self.corruptions.is_empty() {
            true => Corruption::common().to_vec(),
            false => self.corruptions.clone(),
        }
    }
}

/// Shortest side of an image that can be damaged.
const SMALLEST: usize = 8;

/// Damages the images of a sample of the main split in every way, at the model's input size, and compares the answers.
pub struct CorruptionsStudy;

/// What became of one image: whether the answer is wrong, for each corruption and severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedImage {
    wrong: Vec<Vec<bool>>,
}

impl Study for CorruptionsStudy {
    const ID: &'static str = "corruptions";
    const TITLE: &'static str = "Damaged images";
    const FAILURE: bool = true;
    const QUESTION: &'static str = "what natural damage to images costs {it}";
    type Options = CorruptionsOptions;
    type Record = DamagedImage;
    type Findings = CorruptionFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let large = scene.subjects.iter().all(|of| of.model.card().preprocessing.image_size >= SMALLEST);
        let enough = scene.sample(Self::ID, 2)?.len() >= 2;
        Ok(Applicability::only_if(large && enough, "it takes two images of at least 8 pixels a side"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().images)?;
        let unit = |name| Unit::whole(name, format!("damaged images shown to {name}"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, DamagedImage>, StudyError> {
        let options = scene.options.of::<Self>();
        let (corruptions, model) = (options.corruptions(), scene.model(unit.model));
        let classes = model.card().classes.len();
        Ok(Box::new(move |batch| {
            let mut records = vec![DamagedImage { wrong: Vec::new() }; batch.indices.len()];
            for corruption in &corruptions {
                records.iter_mut().for_each(|record| record.wrong.push(Vec::new()));
                for &severity in &options.severities {
                    let images = batch.samples.iter().zip(batch.indices);
                    let damaged: Vec<_> = images
                        .map(|(sample, &index)| {
                            corruption.apply(&sample.image, severity, scene.seed, index as u64)
                        })
                        .collect();
                    let answers =
                        predicted_classes(&logits(model, to_tensor(&damaged, scene.device)), classes);
                    for ((record, answer), sample) in records.iter_mut().zip(answers).zip(batch.samples) {
                        let of_corruption = record.wrong.last_mut().expect("one was just added");
                        of_corruption.push(answer != sample.label);
                    }
                }
            }
            Ok(records)
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<DamagedImage>>,
    ) -> Result<CorruptionFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let (corruptions, resampling) = (options.corruptions(), scene.resampling());
        let split = scene.split()?;
        let mut damages = Vec::new();
        for Recorded { unit, records } in recorded {
            let answers = scene.predicted(scene.main_split, unit.model)?.scores()?.predicted();
            let wrong = |&index: &usize| answers[index] != split.label(index);
            damages.push((
                unit.model,
                Damage {
                    clean: unit.images.iter().map(wrong).collect(),
                    wrong: records.into_iter().map(|record| record.wrong).collect(),
                },
            ));
        }
        let mut models = ByModel::default();
        for (name, damage) in &damages {
            models.insert(*name, corruption_scores(damage, &corruptions, &resampling)?);
        }
        let mut pairs = Vec::new();
        for names in scene.pairs() {
            let of = |name| &damages.iter().find(|(of, _)| *of == name).expect("every model is a unit").1;
            let pair = corruption_pair(of(names[0]), of(names[1]), &corruptions, &resampling)?;
            pairs.push((names, pair));
        }
        Ok(CorruptionFindings {
            n: damages.first().map_or(0, |(_, damage)| damage.clean.len()),
            severities: options.severities.clone(),
            models,
            pairs: pairs.into_iter().map(|(models, pair)| findings::OfPair { models, pair }).collect(),
        })
    }

    fn chapter(findings: &CorruptionFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}
