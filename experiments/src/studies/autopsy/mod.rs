//! Where in each model does an attack happen, and what has to be put back for the answer to return?

mod chapter;
mod claims;
mod conclude;
mod example;
pub mod findings;
#[cfg(test)]
pub(super) mod tests;

use archaeo_analysis::Keys;
use archaeo_analysis::ablation::donors;
use archaeo_analysis::attacks::autopsy::{Autopsy, Case, autopsy};
use archaeo_analysis::attacks::{Attack, Batch, Norm, Pgd, images};
use archaeo_random::stratified;
use archaeo_training::RecipeError;
use archaeo_training::images::to_tensor;
use serde::{Deserialize, Serialize};

use self::conclude::concluded;
use self::findings::AutopsyFindings;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutopsyOptions {
    /// Images attacked, at least 4.
    pub images: usize,
    /// Size of the attack, in units of 1/255.
    pub epsilon: f64,
    /// Steps of PGD.
    pub steps: usize,
}

impl Default for AutopsyOptions {
    fn default() -> Self {
        Self { images: 96, epsilon: 4.0, steps: 10 }
    }
}

impl Options for AutopsyOptions {
    fn quick() -> Self {
        Self { images: 32, ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.autopsy.images", FEWEST, "at least 4", self.images)?;
        at_least("studies.autopsy.steps", 1, "at least 1", self.steps)?;
        match Norm::Linf.check(self.epsilon) {
            Ok(size) if size > 0.0 => Ok(()),
            _ => Err(RecipeError::Range {
                key: "studies.autopsy.epsilon",
                allowed: "a size from 1 to 255 (in units of 1/255)",
                found: self.epsilon.to_string(),
            }),
        }
    }
}

/// Two images that choose a part, and two that measure it.
const FEWEST: usize = 4;

/// Compares, in every model, the pass over an image with the pass over its adversarial version, and puts parts of the first into the
/// second.
pub struct AutopsyStudy;

/// Of an image that is right without the attack and wrong under it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AutopsyRecord {
    found: Option<Autopsy>,
}

impl Study for AutopsyStudy {
    const ID: &'static str = "autopsy";
    const TITLE: &'static str = "Where an attack happens";
    const FAILURE: bool = true;
    const QUESTION: &'static str = "where in {it} an attack changes the answer";
    type Options = AutopsyOptions;
    type Record = AutopsyRecord;
    type Findings = AutopsyFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let enough = scene.sample(Self::ID, FEWEST)?.len() >= FEWEST;
        Ok(match subjects(scene).is_empty() {
            true => Applicability::No("no model here has attention heads or residual blocks".into()),
            false => Applicability::only_if(enough, "it takes four images"),
        })
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().images)?;
        let unit = |Subject { name, .. }| {
            Unit::whole(name, format!("what an attack changes in {name}"), images.clone())
        };
        Ok(subjects(scene).into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, AutopsyRecord>, StudyError> {
        let (model, attack) = (scene.model(unit.model), attack(scene));
        let others = donors(unit.images.len(), scene.seed);
        Ok(Box::new(move |batch| {
            let (labels, ids) = (batch.labels(), batch.ids());
            let keys = Keys { seed: scene.seed, images: &ids };
            let outcomes = attack.run(model, &Batch::new(batch.images.clone(), &labels), &keys);
            let unrelated: Vec<usize> =
                batch.places.iter().map(|&place| unit.images[others[place]]).collect();
            let case = Case {
                clean: batch.images.clone(),
                attacked: images(&outcomes, &batch.images),
                unrelated: to_tensor(&scene.images_for(model, &unrelated)?, scene.device),
                labels: &labels,
            };
            let found = autopsy(model, &case)?.into_iter().zip(&labels);
            // A margin below 0 before the attack: the image was wrong anyway.
            let fooled = |of: &Autopsy, label: usize| of.answer != label && of.margins[0] > 0.0;
            Ok(found.map(|(of, &label)| AutopsyRecord { found: fooled(&of, label).then_some(of) }).collect())
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<AutopsyRecord>>,
    ) -> Result<AutopsyFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let mut models = ByModel::default();
        let mut n = 0;
        for Recorded { unit, records } in recorded {
            n = records.len();
            let fooled: Vec<(usize, Autopsy)> = unit
                .images
                .iter()
                .zip(records)
                .filter_map(|(&index, record)| Some((index, record.found?)))
                .collect();
            let mut chooses = vec![false; fooled.len()];
            stratified(scene.seed, "halves for choosing a part", &vec![0; fooled.len()], fooled.len() / 2)
                .into_iter()
                .for_each(|place| chooses[place] = true);
            let autopsies: Vec<&Autopsy> = fooled.iter().map(|(_, of)| of).collect();
            let mut found = concluded(&autopsies, &chooses, &scene.resampling())?;
            if let Some(found) = &mut found {
                found.example = Some(example::median(scene, unit.model, &fooled, &attack(scene))?);
            }
            models.insert(unit.model, findings::ModelAutopsy { fooled: fooled.len(), found });
        }
        Ok(AutopsyFindings { n, epsilon: options.epsilon, unit: "1/255".into(), models })
    }

    fn chapter(findings: &AutopsyFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, &investigation.data.classes, names)
    }
}

/// The models that can be taken apart.
fn subjects<'a>(scene: &Scene<'a>) -> Vec<Subject<'a>> {
    let parts = |of: &&Subject| of.model.has_attention() || of.model.network.residual().is_some();
    scene.subjects.iter().filter(parts).copied().collect()
}

fn attack(scene: &Scene) -> Pgd {
    let options = scene.options.of::<AutopsyStudy>();
    Pgd::usual(Norm::Linf.threat(options.epsilon), options.steps)
}
