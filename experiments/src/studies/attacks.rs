//! How small a change of the pixels fools each model, and how much of that was wrong anyway?

mod comparison;
mod examples;

use std::collections::BTreeMap;

use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::{Attack, Batch, Family, Norm, all, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, StatisticsError, wilson};

use super::{Laboratory, ROLES, StudyError};
use crate::findings::{AttackCurve, AttackFindings, AttackPoint, Role, epsilon_unit};
use comparison::comparisons;
use examples::examples;

/// Every attack whose size is counted in levels of an 8-bit image.
fn families() -> impl Iterator<Item = &'static Family> {
    all().iter().filter(|family| family.info.norm == Norm::Linf)
}

/// Size from which on a perturbation is shown, in units of 1/255; smaller ones are hard to see even enlarged.
const SHOWN_EPSILON: f64 = 4.0;

/// Robust accuracy of both models against attacks of growing size in L∞, on a sample of the main split: of all images, and of
/// those that are classified correctly without an attack.
///
/// # Errors
/// Data that cannot be read.
pub fn attacks(lab: &Laboratory) -> Result<AttackFindings, StudyError> {
    let indices = lab.sample("attacks", lab.sizes.attack_images)?;
    let split = lab.split()?;
    let labels: Vec<usize> = indices.iter().map(|&index| split.label(index)).collect();
    let mut clean = BTreeMap::new();
    for role in ROLES {
        clean.insert(role, clean_answers(lab, &indices, role)?);
    }

    let mut epsilons = lab.sizes.epsilons.clone();
    epsilons.sort_by(f64::total_cmp);
    epsilons.dedup();
    let largest = epsilons.last().copied();

    let (mut curves, mut outcomes) = (Vec::new(), Vec::new());
    for role in ROLES {
        for family in families() {
            let mut under_attack = Vec::new();
            for &epsilon in &epsilons {
                let chosen = family.sized(epsilon, lab.sizes.pgd_steps);
                let what =
                    format!("{} under {} {epsilon}/255", lab.model(role).card().name, family.info.title);
                let outcome = attacked(lab, &what, &indices, &labels, role, &clean[&role], &*chosen)?;
                under_attack.push((epsilon, outcome));
            }
            let largest = family.sized(largest.unwrap_or(0.0), lab.sizes.pgd_steps);
            curves.push(curve(role, &*largest, &clean[&role], &labels, &under_attack)?);
            outcomes.push(Outcomes { role, attack: family.info.title, under_attack });
        }
    }

    let before = |role: Role| robust(&clean[&role], &clean[&role], &labels);
    let comparisons = comparisons(&outcomes, [before(Role::Vit), before(Role::Cnn)])?;
    let shown = epsilons.iter().copied().find(|&epsilon| epsilon >= SHOWN_EPSILON).or(largest);
    // The strongest attack is the last.
    let shown = families().last().zip(shown);
    let (examples, example_answers) = examples(lab, &indices, &labels, &outcomes, &clean, shown)?;
    Ok(AttackFindings {
        n: indices.len(),
        unit: epsilon_unit(),
        curves,
        comparisons,
        examples,
        example_attack: shown.map(|(family, epsilon)| (family.info.title.into(), epsilon)),
        example_answers,
    })
}

/// One model under the sizes of one attack.
struct Outcomes {
    role: Role,
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

fn clean_answers(lab: &Laboratory, indices: &[usize], role: Role) -> Result<Vec<usize>, StudyError> {
    let model = lab.model(role);
    let mut answers = Vec::with_capacity(indices.len());
    lab.for_each_batch(&format!("{} unattacked", model.card().name), indices, model, |_, _, images| {
        answers.extend(predicted_classes(&logits(model, images), model.card().classes.len()));
        Ok(())
    })?;
    Ok(answers)
}

/// What an attack makes of the images that the model classifies correctly; the others need none.
fn attacked(
    lab: &Laboratory,
    what: &str,
    indices: &[usize],
    labels: &[usize],
    role: Role,
    clean: &[usize],
    with: &dyn Attack,
) -> Result<Outcome, StudyError> {
    let model = lab.model(role);
    let places: Vec<usize> = (0..indices.len()).filter(|&place| clean[place] == labels[place]).collect();
    let targets: Vec<usize> = places.iter().map(|&place| indices[place]).collect();
    let (mut found, mut zero_gradients) = (Vec::new(), 0);
    lab.for_each_batch(what, &targets, model, |batch, samples, images| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let ids: Vec<u64> = batch.iter().map(|&i| i as u64).collect();
        let keys = Keys { seed: lab.seed, images: &ids };
        let outcomes = with.run(model, &Batch { images, labels: &labels }, &keys);
        zero_gradients += outcomes.iter().filter(|outcome| outcome.zero_gradient).count();
        found.extend(outcomes.iter().map(|outcome| outcome.answer));
        Ok(())
    })?;
    let mut answers = clean.to_vec();
    places.iter().zip(&found).for_each(|(&place, &answer)| answers[place] = answer);
    let zero_gradient = zero_gradients as f64 / places.len().max(1) as f64;
    Ok(Outcome { robust: robust(clean, &answers, labels), answers, zero_gradient })
}

fn curve(
    role: Role,
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
        role,
        attack: largest.info().title.into(),
        settings: largest.describe(),
        points,
        zero_gradient,
    })
}
