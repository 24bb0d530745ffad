//! The picture of attacked images: which are shown, and what is said of each.

use std::collections::BTreeMap;

use archaeo_analysis::Keys;
use archaeo_analysis::attacks::{Attack, Batch, Family, images};
use archaeo_plot::{Cell, Picture, SheetLayout, contact_sheet};
use burn::tensor::Tensor;

use super::super::pictures::panel;
use super::super::{Laboratory, ROLES, StudyError};
use super::Outcomes;
use crate::findings::{AttackExample, Role};
use archaeo_data::Image;
use archaeo_random::{Draw, keyed_rng};

/// Images on the picture.
const SHOWN: usize = 6;
/// Clean, perturbation, attacked.
const PANELS_PER_EXAMPLE: usize = 3;
/// How much a perturbation is enlarged to be seen.
const PERTURBATION_GAIN: f32 = 10.0;

/// Draws the examples of one attack into the run folder: the picture's path, and what is on it, row by row.
pub(super) fn examples(
    lab: &Laboratory,
    indices: &[usize],
    labels: &[usize],
    outcomes: &[Outcomes],
    clean: &BTreeMap<Role, Vec<usize>>,
    shown: Option<(&Family, f64)>,
) -> Result<(String, Vec<AttackExample>), StudyError> {
    let Some((family, epsilon)) = shown else {
        let caption = "no size of attack was asked for".into();
        let blank = Cell { picture: Picture::filled(8, 8, [255; 3])?, caption };
        let picture = contact_sheet(&[blank], &SheetLayout::default())?;
        return Ok((lab.save("attack-examples", &picture)?, Vec::new()));
    };
    let answers_of = |role: Role| -> Vec<[usize; 2]> {
        let outcomes = outcomes.iter().find(|of| of.role == role && of.attack == family.info.title);
        let outcome = outcomes.and_then(|of| of.under_attack.iter().find(|(size, _)| *size == epsilon));
        let (_, outcome) = outcome.expect("the attack that is shown is among those that were made");
        clean[&role].iter().zip(&outcome.answers).map(|(&before, &after)| [before, after]).collect()
    };
    let answers = ROLES.map(answers_of);
    let fates: Vec<[Fate; 2]> = (0..indices.len())
        .map(|place| [0, 1].map(|model: usize| Fate::of(answers[model][place], labels[place])))
        .collect();
    let chosen = choose(labels, &fates, lab.seed, SHOWN);

    let mut cells = vec![Vec::new(); chosen.len()];
    for (model, role) in ROLES.into_iter().enumerate() {
        let shown: Vec<usize> = chosen.iter().map(|&place| indices[place]).collect();
        let wrong: Vec<bool> = chosen.iter().map(|&place| fates[place][model] == Fate::WrongBefore).collect();
        let with = family.sized(epsilon, lab.sizes.pgd_steps);
        let pictures = pictures(lab, &shown, &wrong, role, &*with)?;
        let name = &lab.model(role).card().name;
        let classes = &lab.model(role).card().classes;
        for ((row, &place), panels) in cells.iter_mut().zip(&chosen).zip(pictures) {
            let [before, after] = answers[model][place].map(|class| classes[class].as_str());
            let fate = fates[place][model];
            let captions = [
                format!("{name}\ntrue: {}\nclean: {before}", classes[labels[place]]),
                match fate {
                    Fate::WrongBefore => "no attack needed".to_owned(),
                    _ => {
                        let attack = family.info.title;
                        format!("{attack} {epsilon}/255\nthe change,\ntimes {PERTURBATION_GAIN}")
                    }
                },
                format!("attacked:\n{after}\n{}", fate.in_words()),
            ];
            for (picture, caption) in panels.into_iter().zip(captions) {
                row.push(Cell { picture, caption });
            }
        }
    }
    let layout = SheetLayout { columns: 2 * PANELS_PER_EXAMPLE, ..SheetLayout::default() };
    let picture = contact_sheet(&cells.concat(), &layout)?;
    let said = chosen.iter().map(|&place| AttackExample {
        index: indices[place],
        label: labels[place],
        answers: ROLES.into_iter().zip(&answers).map(|(role, answers)| (role, answers[place])).collect(),
    });
    let said = said.collect();
    Ok((lab.save("attack-examples", &picture)?, said))
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

    fn in_words(self) -> &'static str {
        match self {
            Self::Fooled => "fooled",
            Self::Held => "not fooled",
            Self::WrongBefore => "wrong before",
        }
    }
}

/// Places of up to `count` images: in turn one that fools the first model, one that fools the second, one on which the first
/// holds, one on which the second does, as long as there are any; each of the class that is shown least so far, at random
/// among those. Images that both models have wrong without an attack come last.
fn choose(labels: &[usize], fates: &[[Fate; 2]], seed: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let mut rng = keyed_rng(seed, "attack examples", 0, 0);
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last + 1));
    }
    let turns = [Fate::Fooled, Fate::Held].into_iter().flat_map(|fate| [(0, fate), (1, fate)]);
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

/// Clean image, enlarged perturbation and attacked image of each of `indices`; those that are `wrong` without an attack stay
/// as they are.
fn pictures(
    lab: &Laboratory,
    indices: &[usize],
    wrong: &[bool],
    role: Role,
    with: &dyn Attack,
) -> Result<Vec<[Picture; PANELS_PER_EXAMPLE]>, StudyError> {
    let model = lab.model(role);
    let mut found = Vec::new();
    lab.for_each_batch("adversarial examples", indices, model, |batch, samples, clean| {
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let ids: Vec<u64> = batch.iter().map(|&i| i as u64).collect();
        let keys = Keys { seed: lab.seed, images: &ids };
        let outcomes = with.run(model, &Batch { images: clean.clone(), labels: &labels }, &keys);
        let adversarial = images(&outcomes, &clean);
        let difference = (adversarial.clone() - clean.clone()) * PERTURBATION_GAIN + 0.5;
        let [clean, difference, adversarial] =
            [clean, difference, adversarial].map(|images| to_images(&images));
        for ((clean, difference), adversarial) in clean.iter().zip(&difference).zip(&adversarial) {
            found.push(match wrong[found.len()] {
                true => [
                    panel(clean)?,
                    panel(&Image::filled(clean.width, clean.height, [128; 3]))?,
                    panel(clean)?,
                ],
                false => [panel(clean)?, panel(difference)?, panel(adversarial)?],
            });
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
            Image { width, height, pixels }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOOLED: [Fate; 2] = [Fate::Fooled; 2];
    const HELD: [Fate; 2] = [Fate::Held; 2];

    #[test]
    fn examples_are_spread_over_classes_and_show_successes_and_failures() {
        // Sorted by class, as folders are: the first hundred images are of one class, and nearly all are fooled.
        let labels: Vec<usize> = (0..600).map(|i| i / 100).collect();
        let mut fates = vec![FOOLED; 600];
        fates[205] = [Fate::Held, Fate::Fooled];
        fates[470] = [Fate::Fooled, Fate::Held];
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
        let wrong = [Fate::WrongBefore; 2];
        let fates = [wrong, wrong, HELD, wrong, FOOLED, wrong];
        let chosen = choose(&[0, 1, 0, 2, 0, 3], &fates, 4, 4);
        assert_eq!(chosen[..2], [4, 2]);
        assert_eq!(chosen.len(), 4);
        assert_eq!(choose(&[0, 1], &[wrong; 2], 0, 6).len(), 2);
        assert!(choose(&[], &[], 0, 6).is_empty());
    }

    #[test]
    fn a_fate_needs_a_correct_answer_to_lose() {
        assert_eq!(Fate::of([1, 1], 1), Fate::Held);
        assert_eq!(Fate::of([1, 0], 1), Fate::Fooled);
        assert_eq!(Fate::of([0, 1], 1), Fate::WrongBefore);
    }
}
