//! How small a change of the pixels fools each model, and how much of that was wrong anyway?

mod chapter;
mod claims;
pub(in crate::studies) mod comparison;
mod examples;
pub mod findings;
mod ranking;
mod shown;
#[cfg(test)]
mod tests;

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{Attack, Batch, Family, Threat, by_id, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, StatisticsError, wilson};
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use self::comparison::comparisons;
use self::examples::examples;
use self::findings::{AttackCurve, AttackFindings, AttackPoint, epsilon_unit};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{Recorded, Recorder, Unit};

/// The attacks of the study, in L∞; the strongest is the last.
const ATTACKS: [&str; 2] = ["fgsm", "pgd"];

fn families() -> impl Iterator<Item = &'static Family> {
    ATTACKS.iter().map(|id| by_id(id).expect("the attacks of the study are on the list"))
}

/// Size from which on a perturbation is shown, in units of 1/255; smaller ones are hard to see even enlarged.
const SHOWN_EPSILON: f64 = 4.0;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttacksOptions {
    /// Images attacked.
    pub images: usize,
    /// Sizes of the perturbations, in units of 1/255, one level of an 8-bit image. At least 1: a smaller change is rounded
    /// away.
    pub epsilons: Vec<f64>,
    /// Steps of PGD.
    pub pgd_steps: usize,
}

impl Default for AttacksOptions {
    fn default() -> Self {
        Self { images: 250, epsilons: vec![1.0, 2.0, 4.0, 8.0], pgd_steps: 10 }
    }
}

impl Options for AttacksOptions {
    fn quick() -> Self {
        Self { images: 96, epsilons: vec![1.0, 4.0, 8.0], ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.attacks.images", 1, "at least 1", self.images)?;
        at_least("studies.attacks.pgd_steps", 1, "at least 1", self.pgd_steps)?;
        // Accuracy without an attack belongs to every curve, asked for or not.
        let attackable =
            |epsilon: &f64| epsilon.is_finite() && !Threat::Linf(epsilon / 255.0).is_rounded_away();
        match self.epsilons.iter().find(|epsilon| **epsilon <= 0.0 || !attackable(epsilon)) {
            None => Ok(()),
            Some(epsilon) => Err(RecipeError::Range {
                key: "studies.attacks.epsilons",
                allowed: "sizes of at least 1 (the unit is 1/255, so write 8 for 8/255; images have 8 bits, and a smaller \
                          change is rounded away)",
                found: epsilon.to_string(),
            }),
        }
    }
}

/// Robust accuracy of every model against FGSM and PGD of growing size, on a sample of the main split: of all images, and of
/// those that are classified correctly without an attack.
pub struct AttacksStudy;

impl Study for AttacksStudy {
    const ID: &'static str = "attacks";
    const TITLE: &'static str = "Under attack";
    const FAILURE: bool = true;
    const QUESTION: &'static str = "how {it} stands up to attack";
    type Options = AttacksOptions;
    type Record = Attacked;
    type Findings = AttackFindings;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    /// Every attack of every size, on the images that the model classifies correctly; the others need none.
    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let (sample, epsilons) = (Sample::of(scene)?, epsilons(scene));
        let mut units = Vec::new();
        for name in scene.names() {
            let places = sample.correct(name);
            for (family, &epsilon) in
                families().flat_map(|family| epsilons.iter().map(move |of| (family, of)))
            {
                units.push(Unit {
                    model: name,
                    aspect: aspect(family, epsilon),
                    title: format!("{name} under {} {epsilon}/255", family.info.title),
                    images: places.iter().map(|&place| sample.indices[place]).collect(),
                });
            }
        }
        Ok(units)
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, Attacked>, StudyError> {
        let epsilons = epsilons(scene);
        let mut all = families().flat_map(|family| epsilons.iter().map(move |epsilon| (family, *epsilon)));
        let found = all.find(|(family, epsilon)| aspect(family, *epsilon) == unit.aspect);
        let (family, epsilon) = found.expect("a unit is of an attack and a size");
        let attack = family.sized(epsilon, scene.options.of::<Self>().pgd_steps);
        let model = scene.model(unit.model);
        Ok(Box::new(move |batch| {
            let (labels, ids) = (batch.labels(), batch.ids());
            let keys = Keys { seed: scene.seed, images: &ids };
            let attacked = Batch::new(batch.images.clone(), &labels);
            let outcomes = attack.run(model, &attacked, &keys).into_iter();
            Ok(outcomes.map(|of| Attacked { answer: of.answer, zero_gradient: of.zero_gradient }).collect())
        }))
    }

    fn conclude(scene: &Scene, recorded: Vec<Recorded<Attacked>>) -> Result<AttackFindings, StudyError> {
        let (sample, epsilons) = (Sample::of(scene)?, epsilons(scene));
        let Sample { indices, labels, clean } = &sample;
        let (largest, steps) = (epsilons.last().copied(), scene.options.of::<Self>().pgd_steps);
        let mut recorded = recorded.into_iter();
        let (mut curves, mut outcomes) = (Vec::new(), Vec::new());
        for name in scene.names() {
            for family in families() {
                let of_size = |&epsilon: &f64| {
                    let Recorded { records, .. } = recorded.next().expect("a unit of every attack and size");
                    (epsilon, sample.outcome(name, &records))
                };
                let under_attack: Vec<_> = epsilons.iter().map(of_size).collect();
                let largest = family.sized(largest.unwrap_or(0.0), steps);
                curves.push(curve(name, &*largest, &clean[name], labels, &under_attack)?);
                outcomes.push(Outcomes { model: name, attack: family.info.title, under_attack });
            }
        }

        let correct = clean.iter().map(|(name, clean)| (name, robust(clean, clean, labels))).collect();
        let comparisons = comparisons(&scene.pairs(), &outcomes, &correct)?;
        let shown = epsilons.iter().copied().find(|&epsilon| epsilon >= SHOWN_EPSILON).or(largest);
        let shown = families().last().zip(shown);
        let example_answers = examples(scene, indices, labels, &outcomes, clean, shown)?;
        Ok(AttackFindings {
            n: indices.len(),
            unit: epsilon_unit(),
            curves,
            comparisons,
            example_attack: shown.map(|(family, epsilon)| (family.info.title.into(), epsilon)),
            example_answers,
        })
    }

    fn chapter(findings: &AttackFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

/// What became of an attacked image.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Attacked {
    answer: usize,
    /// Whether the gradient was zero where the attack began.
    zero_gradient: bool,
}

/// The sizes asked for, ascending.
fn epsilons(scene: &Scene) -> Vec<f64> {
    let mut epsilons = scene.options.of::<AttacksStudy>().epsilons;
    epsilons.sort_by(f64::total_cmp);
    epsilons.dedup();
    epsilons
}

fn aspect(family: &Family, epsilon: f64) -> String {
    format!("{}-{epsilon}", family.info.id)
}

/// The images that are attacked, and what every model answers to them without an attack.
struct Sample {
    indices: Vec<usize>,
    labels: Vec<usize>,
    clean: ByModel<Vec<usize>>,
}

impl Sample {
    fn of(scene: &Scene) -> Result<Self, StudyError> {
        let indices = scene.sample(AttacksStudy::ID, scene.options.of::<AttacksStudy>().images)?;
        let split = scene.split()?;
        let labels = indices.iter().map(|&index| split.label(index)).collect();
        let mut clean = ByModel::default();
        for name in scene.names() {
            let answers = scene.predicted(scene.main_split, name)?.scores()?.predicted();
            clean.insert(name, indices.iter().map(|&index| answers[index]).collect());
        }
        Ok(Self { indices, labels, clean })
    }

    /// Places of the images that a model classifies correctly.
    fn correct(&self, model: ModelName) -> Vec<usize> {
        let clean = &self.clean[model];
        (0..self.labels.len()).filter(|&place| clean[place] == self.labels[place]).collect()
    }

    /// What an attack makes of every image, from what was recorded of those that it was tried on.
    fn outcome(&self, model: ModelName, recorded: &[Attacked]) -> Outcome {
        let (places, clean) = (self.correct(model), &self.clean[model]);
        let mut answers = clean.clone();
        places.iter().zip(recorded).for_each(|(&place, attacked)| answers[place] = attacked.answer);
        let zero_gradients = recorded.iter().filter(|attacked| attacked.zero_gradient).count();
        Outcome {
            robust: robust(clean, &answers, &self.labels),
            answers,
            zero_gradient: zero_gradients as f64 / places.len().max(1) as f64,
        }
    }
}

/// One model under the sizes of one attack.
struct Outcomes {
    model: ModelName,
    attack: &'static str,
    /// Of each ε what became of the images.
    under_attack: Vec<(f64, Outcome)>,
}

/// One model under one attack.
struct Outcome {
    /// The answer to every image of the sample; that without the attack where it is wrong already.
    answers: Vec<usize>,
    /// Whether the model is robust on each image.
    robust: Vec<bool>,
    /// Share of the attacked images whose gradient was zero where the attack began.
    zero_gradient: f64,
}

fn curve(
    model: ModelName,
    largest: &dyn Attack,
    clean: &[usize],
    labels: &[usize],
    under_attack: &[(f64, Outcome)],
) -> Result<AttackCurve, StudyError> {
    let correct = robust(clean, clean, labels);
    let attackable = correct.iter().filter(|correct| **correct).count();
    let point = |epsilon: f64, robust: &[bool]| -> Result<AttackPoint, StudyError> {
        let standing = robust.iter().filter(|robust| **robust).count();
        let share = |of: usize| -> Result<Estimate, StatisticsError> { wilson(standing, of, DEFAULT_LEVEL) };
        let kept = if attackable > 0 { Some(share(attackable)?) } else { None };
        Ok(AttackPoint { epsilon, accuracy: share(robust.len())?, kept })
    };
    let mut points = vec![point(0.0, &correct)?];
    for (epsilon, outcome) in under_attack {
        points.push(point(*epsilon, &outcome.robust)?);
    }
    let zero_gradient = under_attack.iter().map(|(_, outcome)| outcome.zero_gradient).fold(0.0, f64::max);
    Ok(AttackCurve {
        model,
        attack: largest.info().title.into(),
        settings: largest.describe(),
        half_at: halving_epsilon(&points),
        points,
        zero_gradient,
    })
}

/// Smallest ε at which a curve reaches half its accuracy without an attack, by linear interpolation between the points; `None` if
/// it never does.
fn halving_epsilon(points: &[AttackPoint]) -> Option<f64> {
    let clean = points.first().filter(|point| point.epsilon == 0.0)?.accuracy.value;
    let half = clean / 2.0;
    points.windows(2).find_map(|pair| {
        let [(e0, a0), (e1, a1)] = [&pair[0], &pair[1]].map(|point| (point.epsilon, point.accuracy.value));
        (a0 > half && a1 <= half).then(|| e0 + (e1 - e0) * (a0 - half) / (a0 - a1))
    })
}
