//! The attacked images that are shown: which, and what is said of each.

use std::collections::BTreeMap;

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{Attack, Batch, Family, images};
use burn::tensor::Tensor;

use archaeo_data::Image;
use archaeo_random::{Draw, keyed_rng};

use super::findings::AttackExample;
use super::{AttacksStudy, Outcomes};
use crate::scene::{Scene, StudyError};
use crate::studies::pictures::{PANEL, panel};
use crate::subjects::{ByModel, Subject};

/// Images shown.
const SHOWN: usize = 6;
/// Names of the panels of an example: without the attack, the change, attacked.
const PANELS: [&str; 3] = ["clean", "change", "attacked"];
/// How much a perturbation is enlarged to be seen.
pub(super) const PERTURBATION_GAIN: f32 = 10.0;

/// Draws the examples of one attack into the run folder, and says what they show.
pub(super) fn examples(
    scene: &Scene,
    indices: &[usize],
    labels: &[usize],
    outcomes: &[Outcomes],
    clean: &ByModel<Vec<usize>>,
    shown: Option<(&Family, f64)>,
) -> Result<Vec<AttackExample>, StudyError> {
    let Some((family, epsilon)) = shown else { return Ok(Vec::new()) };
    let answers_of = |subject: &Subject| -> Vec<[usize; 2]> {
        let outcomes = outcomes.iter().find(|of| of.model == subject.name && of.attack == family.info.title);
        let outcome = outcomes.and_then(|of| of.under_attack.iter().find(|(size, _)| *size == epsilon));
        let (_, outcome) = outcome.expect("the attack that is shown is among those that were made");
        clean[subject.name].iter().zip(&outcome.answers).map(|(&before, &after)| [before, after]).collect()
    };
    let answers: Vec<Vec<[usize; 2]>> = scene.subjects.iter().map(answers_of).collect();
    let fates: Vec<Vec<Fate>> = (0..indices.len())
        .map(|place| answers.iter().map(|answers| Fate::of(answers[place], labels[place])).collect())
        .collect();
    let chosen = choose(labels, &fates, scene.seed, SHOWN);
    let with = family.sized(epsilon, scene.options.of::<AttacksStudy>().pgd_steps);

    let split = scene.split()?;
    let example = |place: usize| AttackExample {
        index: indices[place],
        identifier: split.identifier(indices[place]),
        label: labels[place],
        answers: scene
            .names()
            .into_iter()
            .zip(&answers)
            .map(|(name, answers)| (name, answers[place]))
            .collect(),
        pictures: ByModel::default(),
    };
    let mut found: Vec<AttackExample> = chosen.iter().map(|&place| example(place)).collect();
    for (model, subject) in scene.subjects.iter().enumerate() {
        let shown: Vec<usize> = chosen.iter().map(|&place| indices[place]).collect();
        let wrong: Vec<bool> = chosen.iter().map(|&place| fates[place][model] == Fate::WrongBefore).collect();
        for (example, panels) in found.iter_mut().zip(pictures(scene, &shown, &wrong, *subject, &*with)?) {
            let name = |panel: &str| format!("attack-{:05}-{}-{panel}", example.index, subject.name);
            let saved = panels.iter().zip(PANELS).map(|(picture, panel)| scene.save(&name(panel), picture));
            example.pictures.insert(subject.name, saved.collect::<Result<_, _>>()?);
        }
    }
    Ok(found)
}

/// What an attack did to one model on one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Correct before, wrong under attack.
    Fooled,
    /// Correct before and under attack.
    Held,
    /// Wrong without an attack.
    WrongBefore,
}

impl Fate {
    fn of([before, after]: [usize; 2], label: usize) -> Self {
        match (before == label, after == label) {
            (false, _) => Self::WrongBefore,
            (true, false) => Self::Fooled,
            (true, true) => Self::Held,
        }
    }
}

/// Places of up to `count` images: in turn one that fools the first model, one that fools the second and so on, one on which the
/// first holds, one on which the second does, as long as there are any; each of the class that is shown least so far, at random
/// among those. Images that every model has wrong without an attack come last.
fn choose(labels: &[usize], fates: &[Vec<Fate>], seed: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let mut rng = keyed_rng(seed, "attack examples", 0, 0);
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last + 1));
    }
    let models = fates.first().map_or(0, Vec::len);
    let turns =
        [Fate::Fooled, Fate::Held].into_iter().flat_map(|fate| (0..models).map(move |model| (model, fate)));
    let turns: Vec<(usize, Fate)> = turns.collect();
    let mut chosen: Vec<usize> = Vec::new();
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next = |chosen: &mut Vec<usize>, wanted: &dyn Fn(usize) -> bool| {
        let open = order.iter().copied().filter(|place| !chosen.contains(place) && wanted(*place));
        // The first among equals, so that the order decides.
        let best = open.min_by_key(|&place| seen.get(&labels[place]).copied().unwrap_or(0));
        if let Some(place) = best {
            *seen.entry(labels[place]).or_default() += 1;
            chosen.push(place);
        }
        best.is_some()
    };
    while chosen.len() < count {
        let mut any = false;
        for &(model, fate) in &turns {
            if chosen.len() < count {
                any |= next(&mut chosen, &|place| fates[place][model] == fate);
            }
        }
        if !any && !next(&mut chosen, &|_| true) {
            break;
        }
    }
    chosen
}

/// Clean image, enlarged perturbation and attacked image of each of `indices`; of those that are `wrong` without an attack, the
/// first alone.
fn pictures(
    scene: &Scene,
    indices: &[usize],
    wrong: &[bool],
    Subject { model, .. }: Subject,
    with: &dyn Attack,
) -> Result<Vec<Vec<Image>>, StudyError> {
    let mut found = Vec::new();
    scene.for_each_batch("adversarial examples", indices, model, |batch, samples, clean| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let ids: Vec<u64> = batch.iter().map(|&i| i as u64).collect();
        let keys = Keys { seed: scene.seed, images: &ids };
        let outcomes = with.run(model, &Batch::new(clean.clone(), &labels), &keys);
        let adversarial = images(&outcomes, &clean);
        let difference = (adversarial.clone() - clean.clone()) * PERTURBATION_GAIN + 0.5;
        let [clean, difference, adversarial] =
            [clean, difference, adversarial].map(|images| to_images(&images));
        for ((clean, difference), adversarial) in clean.iter().zip(&difference).zip(&adversarial) {
            // What is wrong without an attack was not attacked.
            let shown = if wrong[found.len()] { &[clean][..] } else { &[clean, difference, adversarial] };
            found.push(shown.iter().map(|image| panel(image, PANEL)).collect::<Result<_, _>>()?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// `[batch, 3, height, width]` in [0, 1] → images of 8 bits.
fn to_images(images: &Tensor<4>) -> Vec<Image> {
    let [_, _, height, width] = images.dims();
    let values = images.clone().into_data().try_into_vec::<f32>().expect("images are 32-bit floats");
    let plane = height * width;
    values
        .chunks_exact(3 * plane)
        .map(|image| {
            let pixels = (0..plane)
                .flat_map(|i| [0, 1, 2].map(|channel| image[channel * plane + i]))
                .map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8)
                .collect();
            Image::new(width, height, pixels)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_spread_over_classes_and_show_successes_and_failures() {
        // Sorted by class, as folders are: the first hundred images are of one class, and nearly all are fooled.
        let labels: Vec<usize> = (0..600).map(|i| i / 100).collect();
        let mut fates = vec![vec![Fate::Fooled; 2]; 600];
        fates[205] = vec![Fate::Held, Fate::Fooled];
        fates[470] = vec![Fate::Fooled, Fate::Held];
        for seed in 0..20 {
            let chosen = choose(&labels, &fates, seed, 6);
            let mut classes: Vec<usize> = chosen.iter().map(|&place| labels[place]).collect();
            classes.sort_unstable();
            classes.dedup();
            assert!(classes.len() >= 5, "classes {classes:?}, seed {seed}");
            for model in [0, 1] {
                for fate in [Fate::Fooled, Fate::Held] {
                    assert!(chosen.iter().any(|&place| fates[place][model] == fate), "{chosen:?}, {fate:?}");
                }
            }
        }
        assert_ne!(choose(&labels, &fates, 0, 6), choose(&labels, &fates, 1, 6));
    }

    #[test]
    fn what_is_wrong_without_an_attack_comes_last() {
        let all = |fate| vec![fate; 2];
        let wrong = || all(Fate::WrongBefore);
        let fates = [wrong(), wrong(), all(Fate::Held), wrong(), all(Fate::Fooled), wrong()];
        let chosen = choose(&[0, 1, 0, 2, 0, 3], &fates, 4, 4);
        assert_eq!(chosen[..2], [4, 2]);
        assert_eq!(chosen.len(), 4);
        assert_eq!(choose(&[0, 1], &[wrong(), wrong()], 0, 6).len(), 2);
        assert!(choose(&[], &[], 0, 6).is_empty());
    }

    #[test]
    fn a_fate_needs_a_correct_answer_to_lose() {
        assert_eq!(Fate::of([1, 1], 1), Fate::Held);
        assert_eq!(Fate::of([1, 0], 1), Fate::Fooled);
        assert_eq!(Fate::of([0, 1], 1), Fate::WrongBefore);
    }
}
