//! What is left of a model in the worst case, and how small a change is enough for an error?

mod chapter;
mod claims;
mod conclude;
pub mod findings;
#[cfg(test)]
pub(super) mod tests;

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{Attack, Batch, Norm, Settings, by_id, in_turn, nearest_of};
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use self::conclude::{nearest_in, resistance, worst_pairs};
use self::findings::WorstCaseFindings;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{Recorded, Recorder, Unit};

/// Norms in which the smallest perturbations are looked for.
const NORMS: [Norm; 2] = [Norm::L2, Norm::Linf];

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorstCaseOptions {
    /// Images attacked with perturbations of a given size.
    pub images: usize,
    /// Their sizes in L∞, in units of 1/255.
    pub epsilons: Vec<f64>,
    /// Steps of PGD.
    pub pgd_steps: usize,
    /// How often PGD starts.
    pub restarts: usize,
    /// Steps of APGD-T toward each class.
    pub apgd_steps: usize,
    /// Images of which the smallest perturbation is looked for.
    pub smallest_images: usize,
    /// Steps of the attacks that look for it.
    pub smallest_steps: usize,
}

impl Default for WorstCaseOptions {
    fn default() -> Self {
        Self {
            images: 64,
            epsilons: vec![4.0, 8.0],
            pgd_steps: 10,
            restarts: 3,
            apgd_steps: 20,
            smallest_images: 32,
            smallest_steps: 30,
        }
    }
}

impl Options for WorstCaseOptions {
    fn quick() -> Self {
        Self {
            images: 24,
            epsilons: vec![4.0],
            restarts: 2,
            apgd_steps: 10,
            smallest_images: 12,
            smallest_steps: 15,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.worst_case.images", 1, "at least 1", self.images)?;
        at_least("studies.worst_case.pgd_steps", 1, "at least 1", self.pgd_steps)?;
        at_least("studies.worst_case.restarts", 1, "at least 1", self.restarts)?;
        at_least("studies.worst_case.apgd_steps", 1, "at least 1", self.apgd_steps)?;
        at_least("studies.worst_case.smallest_images", 1, "at least 1", self.smallest_images)?;
        at_least("studies.worst_case.smallest_steps", 1, "at least 1", self.smallest_steps)?;
        let refused = |found: String| RecipeError::Range {
            key: "studies.worst_case.epsilons",
            allowed: "one or more sizes from 1 to 255 (in units of 1/255)",
            found,
        };
        if self.epsilons.is_empty() {
            return Err(refused("none".into()));
        }
        match self.epsilons.iter().find(|size| **size <= 0.0 || Norm::Linf.check(**size).is_err()) {
            None => Ok(()),
            Some(size) => Err(refused(size.to_string())),
        }
    }
}

impl WorstCaseOptions {
    /// The sizes, ascending.
    fn sizes(&self) -> Vec<f64> {
        let mut sizes = self.epsilons.clone();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        sizes
    }

    /// The attacks of one size in L∞, each for what the last leaves standing: PGD with one start, with all starts, and APGD-T.
    fn attacks(&self, size: f64) -> Vec<Box<dyn Attack>> {
        let settings = Settings::new(Norm::Linf, size);
        let once = Settings { steps: Some(self.pgd_steps), ..settings };
        let pgd = Settings { restarts: self.restarts, ..once };
        let apgd = Settings { steps: Some(self.apgd_steps), ..settings };
        let with = |(id, settings): (&str, Settings)| {
            by_id(id)
                .and_then(|family| family.with(&settings).ok())
                .expect("a listed attack with its settings")
        };
        [("pgd", once), ("pgd", pgd), ("apgd-t", apgd)].map(with).into()
    }

    /// The attacks that look for the smallest perturbation in a norm.
    fn nearest(&self, norm: Norm) -> Vec<Box<dyn Attack>> {
        let settings = Settings { steps: Some(self.smallest_steps), ..Settings::new(norm, 0.0) };
        nearest_of(norm).map(|family| family.with(&settings).expect("the norm's own attacks")).into()
    }
}

/// Robust accuracy under PGD with restarts and APGD-T together, and the smallest perturbations in L2 and L∞, each on a sample of the main
/// split.
pub struct WorstCaseStudy;

/// What was found of one image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WorstCaseRecord {
    /// Under attacks of a given size.
    Attacked {
        /// The place of the attack that fooled the model among those tried in turn, `None` where it stands.
        fell_to: Option<usize>,
        /// Whether the gradient was zero where the attack began.
        zero_gradient: bool,
    },
    /// The smallest perturbation that each of some attacks found, in the norm's unit.
    Nearest(Vec<Option<f64>>),
}

impl Study for WorstCaseStudy {
    const ID: &'static str = "worst_case";
    const TITLE: &'static str = "The worst case";
    const QUESTION: &'static str = "what is left of {it} in the worst case";
    type Options = WorstCaseOptions;
    type Record = WorstCaseRecord;
    type Findings = WorstCaseFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let several = scene.subjects.iter().all(|of| of.model.card().classes.len() > 1);
        Ok(Applicability::only_if(several, "a model here has one class, so that no answer can be changed"))
    }

    /// Of every model each size and each norm, on the images that it classifies correctly.
    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let options = scene.options.of::<Self>();
        let [sample, nearest] = samples(scene)?;
        let mut units = Vec::new();
        for model in scene.names() {
            for size in options.sizes() {
                units.push(Unit {
                    model,
                    aspect: format!("linf-{size}"),
                    title: format!("{model} under PGD and APGD-T {size}/255"),
                    images: sample.correct(model),
                });
            }
            for norm in NORMS {
                units.push(Unit {
                    model,
                    aspect: format!("nearest-{}", norm.id()),
                    title: format!("smallest perturbations for {model} in {norm}"),
                    images: nearest.correct(model),
                });
            }
        }
        Ok(units)
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, WorstCaseRecord>, StudyError> {
        let options = scene.options.of::<Self>();
        let model = scene.model(unit.model);
        if let Some(norm) = NORMS.into_iter().find(|norm| unit.aspect == format!("nearest-{}", norm.id())) {
            let attacks = options.nearest(norm);
            return Ok(Box::new(move |batch| {
                let (labels, ids) = (batch.labels(), batch.ids());
                let keys = Keys { seed: scene.seed, images: &ids };
                let attacked = Batch::new(batch.images.clone(), &labels);
                let found: Vec<_> =
                    attacks.iter().map(|attack| attack.run(model, &attacked, &keys)).collect();
                let of_image = |image: usize| {
                    found
                        .iter()
                        .map(|of| of[image].distance.map(|distance| norm.in_units(distance)))
                        .collect()
                };
                Ok((0..labels.len()).map(|image| WorstCaseRecord::Nearest(of_image(image))).collect())
            }));
        }
        let size = options.sizes().into_iter().find(|size| unit.aspect == format!("linf-{size}"));
        let attacks = options.attacks(size.expect("a unit is of a size or of a norm"));
        Ok(Box::new(move |batch| {
            let (labels, ids) = (batch.labels(), batch.ids());
            let keys = Keys { seed: scene.seed, images: &ids };
            let attacked = Batch::new(batch.images.clone(), &labels);
            let outcomes = in_turn(&attacks, model, &attacked, &keys).into_iter();
            let record = outcomes.map(|(outcome, stage)| WorstCaseRecord::Attacked {
                fell_to: outcome.success.then_some(stage),
                zero_gradient: outcome.zero_gradient,
            });
            Ok(record.collect())
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<WorstCaseRecord>>,
    ) -> Result<WorstCaseFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let [sample, nearest] = samples(scene)?;
        let of = |model: ModelName, aspect: String| {
            let unit = recorded.iter().find(|of| of.unit.model == model && of.unit.aspect == aspect);
            unit.expect("every unit was recorded").records.as_slice()
        };
        let sizes = options.sizes();
        let mut models = ByModel::default();
        let mut robust = ByModel::default();
        for model in scene.names() {
            let mut resistances = Vec::new();
            let mut standing = Vec::new();
            for &size in &sizes {
                let records = of(model, format!("linf-{size}"));
                let (found, stands) = resistance(size, &sample.right[model], records)?;
                resistances.push(found);
                standing.push(stands);
            }
            models.insert(model, resistances);
            robust.insert(model, standing);
        }
        let mut norms = Vec::new();
        for norm in NORMS {
            let of_model =
                |model| (model, (nearest.right[model].clone(), of(model, format!("nearest-{}", norm.id()))));
            let found: ByModel<_> = scene.names().into_iter().map(of_model).collect();
            let settings = options.nearest(norm).iter().map(|attack| attack.describe()).collect();
            norms.push(nearest_in(norm, settings, &found, &scene.pairs())?);
        }
        conclude::adjust(&mut norms)?;
        let largest = sizes.last().copied().unwrap_or_default();
        Ok(WorstCaseFindings {
            n: sample.indices.len(),
            unit: Norm::Linf.unit().into(),
            restarts: options.restarts,
            settings: options.attacks(largest).iter().skip(1).map(|attack| attack.describe()).collect(),
            pairs: worst_pairs(&scene.pairs(), &sizes, &robust)?,
            models,
            smallest_n: nearest.indices.len(),
            norms,
        })
    }

    fn chapter(findings: &WorstCaseFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

/// Some images, and which of them every model classifies correctly.
struct Sample {
    indices: Vec<usize>,
    right: ByModel<Vec<bool>>,
}

impl Sample {
    fn correct(&self, model: ModelName) -> Vec<usize> {
        let right = self.indices.iter().zip(&self.right[model]);
        right.filter(|(_, right)| **right).map(|(&index, _)| index).collect()
    }
}

/// The images attacked with a given size, and those of which the smallest perturbation is looked for.
fn samples(scene: &Scene) -> Result<[Sample; 2], StudyError> {
    let WorstCaseOptions { images, smallest_images, .. } = scene.options.of::<WorstCaseStudy>();
    let split = scene.split()?;
    let sample = |count: usize| -> Result<Sample, StudyError> {
        let indices = scene.sample(WorstCaseStudy::ID, count)?;
        let mut right = ByModel::default();
        for name in scene.names() {
            let answers = scene.predicted(scene.main_split, name)?.scores()?.predicted();
            right.insert(name, indices.iter().map(|&index| answers[index] == split.label(index)).collect());
        }
        Ok(Sample { indices, right })
    };
    Ok([sample(images)?, sample(smallest_images)?])
}
