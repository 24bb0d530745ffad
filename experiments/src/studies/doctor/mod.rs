//! Do attacks measure these models' robustness, and does what fools one fool another?

mod chapter;
mod claims;
pub mod findings;
#[cfg(test)]
pub(super) mod tests;

use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::doctor::{Doctor, Examined, Health, diagnose};
use archaeo_analysis::attacks::{Attack, Batch, Norm, Pgd, Target, images, noise};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, StatisticsError, benjamini_hochberg, mcnemar, wilson,
};
use archaeo_models::Classifier;
use archaeo_training::RecipeError;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use self::findings::{DoctorFindings, Transfer};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoctorOptions {
    /// Images examined.
    pub images: usize,
    /// Size of the attacks, in units of 1/255.
    pub epsilon: f64,
    /// Steps of PGD.
    pub steps: usize,
    /// Queries of Square about each image.
    pub queries: usize,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        Self { images: 64, epsilon: 4.0, steps: 10, queries: 100 }
    }
}

impl Options for DoctorOptions {
    fn quick() -> Self {
        Self { images: 24, queries: 50, ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.doctor.images", 1, "at least 1", self.images)?;
        at_least("studies.doctor.steps", 1, "at least 1", self.steps)?;
        at_least("studies.doctor.queries", 1, "at least 1", self.queries)?;
        match Norm::Linf.check(self.epsilon) {
            Ok(size) if size > 0.0 => Ok(()),
            _ => Err(RecipeError::Range {
                key: "studies.doctor.epsilon",
                allowed: "a size from 1 to 255 (in units of 1/255)",
                found: self.epsilon.to_string(),
            }),
        }
    }
}

impl DoctorOptions {
    fn doctor(&self) -> Doctor {
        let Self { epsilon, steps, queries, .. } = *self;
        Doctor { epsilon, steps, queries, ..Doctor::default() }
    }
}

/// Holds every model to what a sound one obeys under attack ([`Doctor`]), and shows the adversarial images of each to all others.
pub struct DoctorStudy;

/// What became of one image in the hands of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DoctorRecord {
    /// `None` where the model gets it wrong without an attack.
    examined: Option<Examined>,
    /// For each model that takes images of this size, itself included: whether it is right on the image, on what PGD makes of it for
    /// this model, and with noise of the same size.
    shown: ByModel<[bool; 3]>,
}

impl Study for DoctorStudy {
    const ID: &'static str = "doctor";
    const TITLE: &'static str = "Robustness or illusion";
    const FAILURE: bool = true;
    const QUESTION: &'static str = "whether attacks measure how robust {it} is";
    type Options = DoctorOptions;
    type Record = DoctorRecord;
    type Findings = DoctorFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let several = scene.subjects.iter().all(|of| of.model.card().classes.len() > 1);
        Ok(Applicability::only_if(several, "a model here has one class, so that no answer can be changed"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().images)?;
        let unit = |name| Unit::whole(name, format!("{name} examined under attack"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, DoctorRecord>, StudyError> {
        let options = scene.options.of::<Self>();
        let (doctor, model) = (options.doctor(), scene.model(unit.model));
        let peers = peers(scene, unit.model);
        let other =
            peers.iter().find(|(name, _)| *name != unit.model).map(|(_, model)| *model as &dyn Target);
        let threat = Norm::Linf.threat(options.epsilon);
        let attack = Pgd::usual(threat, options.steps);
        Ok(Box::new(move |batch| {
            let (labels, ids) = (batch.labels(), batch.ids());
            let keys = Keys { seed: scene.seed, images: &ids };
            let attacked = Batch::new(batch.images.clone(), &labels);
            let examined = doctor.examine(model, other, &attacked, &keys);
            let adversarial = images(&attack.run(model, &attacked, &keys), &batch.images);
            let noisy = noise(&batch.images, &threat, &keys);
            let mut records: Vec<DoctorRecord> = examined
                .into_iter()
                .map(|examined| DoctorRecord { examined, shown: ByModel::default() })
                .collect();
            for (name, peer) in &peers {
                let right = [&batch.images, &adversarial, &noisy].map(|images| right(peer, images, &labels));
                for (place, record) in records.iter_mut().enumerate() {
                    record.shown.insert(*name, [0, 1, 2].map(|of: usize| right[of][place]));
                }
            }
            Ok(records)
        }))
    }

    fn conclude(scene: &Scene, recorded: Vec<Recorded<DoctorRecord>>) -> Result<DoctorFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let mut models = ByModel::default();
        let mut transfers = Vec::new();
        let mut n = 0;
        for Recorded { unit, records } in &recorded {
            n = records.len();
            let examined: Vec<Examined> =
                records.iter().filter_map(|record| record.examined.clone()).collect();
            let checks = diagnose(&options.doctor(), &examined);
            let verdict = Health::of_all(&checks);
            models.insert(unit.model, findings::Diagnosis { examined: examined.len(), checks, verdict });
            for (target, _) in peers(scene, unit.model) {
                transfers.push(transfer(unit.model, target, records)?);
            }
        }
        adjust_transfers(&mut transfers)?;
        Ok(DoctorFindings { n, epsilon: options.epsilon, unit: "1/255".into(), models, transfers })
    }

    fn chapter(findings: &DoctorFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// The models that take images as one does, itself included: of its size, prepared in the same way.
fn peers<'a>(scene: &Scene<'a>, name: ModelName) -> Vec<(ModelName, &'a Classifier)> {
    let as_prepared = |model: &Classifier| {
        let prepared = &model.card().preprocessing;
        (prepared.image_size, prepared.crop.to_bits(), prepared.fit, prepared.interpolation)
    };
    let own = as_prepared(scene.model(name));
    let all = scene.subjects.iter().map(|of| (of.name, of.model));
    all.filter(|(_, model)| as_prepared(model) == own).collect()
}

fn right(model: &Classifier, images: &Tensor<4>, labels: &[usize]) -> Vec<bool> {
    let answers = predicted_classes(&logits(model, images.clone()), model.card().classes.len());
    answers.iter().zip(labels).map(|(answer, label)| answer == label).collect()
}

/// What the adversarial images of one model do to another, on the images that both classify correctly without an attack.
fn transfer(source: ModelName, target: ModelName, records: &[DoctorRecord]) -> Result<Transfer, StudyError> {
    let both = records.iter().filter(|record| record.shown[source][0] && record.shown[target][0]);
    let both: Vec<[bool; 2]> =
        both.map(|record| [record.shown[target][1], record.shown[target][2]]).collect();
    Ok(transferred(source, target, &both)?)
}

/// What the adversarial images of a source do to a target: of each image that both classify correctly without an attack, whether the target
/// is right on it under attack and with noise of the same size. The p-value is that of one test.
///
/// # Errors
/// None that images could cause.
pub fn transferred(
    source: ModelName,
    target: ModelName,
    both: &[[bool; 2]],
) -> Result<Transfer, StatisticsError> {
    let right = |of: usize| both.iter().map(|right| right[of]).collect::<Vec<bool>>();
    let [attacked, noisy] = [right(0), right(1)];
    let wrong = |right: &[bool]| right.iter().filter(|right| !**right).count();
    let share = |right: &[bool]| Measured::of(wilson(wrong(right), right.len(), DEFAULT_LEVEL));
    Ok(Transfer {
        source,
        target,
        fooled: share(&attacked)?,
        by_noise: share(&noisy)?,
        p_value: if both.is_empty() { 1.0 } else { mcnemar(&attacked, &noisy)?.p_value },
    })
}

/// Adjusts the p-values of all pairs together.
///
/// # Errors
/// As [`benjamini_hochberg`].
pub fn adjust_transfers(transfers: &mut [Transfer]) -> Result<(), StatisticsError> {
    let p_values: Vec<f64> = transfers.iter().map(|of| of.p_value).collect();
    for (transfer, adjusted) in transfers.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        transfer.p_value = adjusted;
    }
    Ok(())
}
