//! Every budget attack against linear models, whose distance to the boundary is known in every norm, and what holds for all of
//! them: no other image, no thread and no scale of the logits changes a result.

use std::cell::Cell;

use burn::tensor::{Device, Tensor, TensorData};

use super::frequency::Filter;
use super::hyperplane::shortest_change;
use super::*;
use crate::Keys;
use crate::tensors::{per_image, values};

const VALUES: usize = 3 * 4 * 4;

/// Logits that are linear in the pixels, the same for every image.
struct Linear {
    /// `(classes, values)`, row by row.
    weights: Vec<Vec<f32>>,
    constants: Vec<f64>,
    scale: f64,
    asked: Cell<usize>,
}

impl Linear {
    /// Weights of a fixed pattern without zeros; class 0 leads on [`clean`] and class 1 follows, `levels` away in L∞, where the box is
    /// far. No sum of levels lies on a boundary.
    fn of(classes: usize, levels: f64) -> Self {
        let weight = |class: usize, i: usize| ((i * 7 + class * (13 + i % 5)) % 11) as f32 / 10.0 - 0.53;
        let weights: Vec<Vec<f32>> =
            (0..classes).map(|class| (0..VALUES).map(|i| weight(class, i)).collect()).collect();
        let mut model = Self { weights, constants: vec![0.0; classes], scale: 1.0, asked: Cell::new(0) };
        let logits = model.exact(&clean());
        let apart: f64 = model.toward(1).iter().map(|w| w.abs()).sum();
        for class in 1..classes {
            // The others are further away than class 1.
            let apart = if class == 1 {
                levels / 255.0 * apart
            } else {
                levels / 255.0 * (apart + class as f64 * 20.0)
            };
            model.constants[class] = logits[0] - logits[class] - apart;
        }
        model
    }

    /// How the margin of a class over class 0 changes with the pixels.
    fn toward(&self, class: usize) -> Vec<f64> {
        self.weights[class].iter().zip(&self.weights[0]).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    }

    fn exact(&self, image: &[f32]) -> Vec<f64> {
        let product = |weights: &Vec<f32>| -> f64 {
            image.iter().zip(weights).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum()
        };
        let sums = self.weights.iter().map(product).zip(&self.constants);
        sums.map(|(sum, constant)| self.scale * (sum + constant)).collect()
    }

    /// The length of the shortest change to class 1, with the box, in a norm and in the unit of its threat.
    fn distance(&self, norm: Norm, clean: &[f32]) -> f64 {
        let logits = self.exact(clean);
        let threat = norm.threat(1.0);
        let shortest = (1..self.weights.len()).map(|class| {
            let apart = (logits[0] - logits[class]) / self.scale;
            let change = shortest_change(&threat, clean, &self.toward(class), apart);
            threat.length(change.into_iter())
        });
        shortest.fold(f64::INFINITY, f64::min)
    }
}

impl Target for Linear {
    fn classes(&self) -> usize {
        self.weights.len()
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        let batch = images.dims()[0];
        self.asked.set(self.asked.get() + batch);
        let values = values(images);
        per_image(&values, batch).flat_map(|image| self.exact(image)).map(|logit| logit as f32).collect()
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        let logits = self.logits(images);
        let rows = logits.chunks_exact(self.classes()).enumerate();
        let gradient = rows.flat_map(|(image, row)| {
            let factors = slopes(image, row);
            let slope = |i: usize| -> f64 {
                let parts = factors.iter().zip(&self.weights);
                self.scale * parts.map(|(&f, w)| f64::from(f) * f64::from(w[i])).sum::<f64>()
            };
            (0..VALUES).map(|i| slope(i) as f32).collect::<Vec<f32>>()
        });
        TargetGradient { gradient: gradient.collect(), logits: logits.clone() }
    }
}

fn clean() -> Vec<f32> {
    (0..VALUES).map(|i| (100 + i) as f32 / 255.0).collect()
}

fn batch_of(images: &[Vec<f32>]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(images.concat(), [images.len(), 3, 4, 4]), &Device::flex())
}

fn attacked(target: &Linear, attack: &dyn Attack, images: &[Vec<f32>], ids: &[u64]) -> Vec<Outcome> {
    let labels = vec![0; images.len()];
    attack.run(target, &Batch::new(batch_of(images), &labels), &Keys { seed: 3, images: ids })
}

/// Those that look inside a model are tested on one that has an inside, and those that may change only some of an image's frequencies
/// or one square of it on their own.
const ELSEWHERE: [&str; 5] = ["pna-patchout", "attention-fool", "patch", "pgd-low", "pgd-high"];

fn budget() -> impl Iterator<Item = (&'static Family, Norm)> {
    let within = |family: &&Family| family.info.goal == Goal::Within && !ELSEWHERE.contains(&family.info.id);
    let families = all().iter().filter(within);
    families.flat_map(|family| family.info.norms.iter().map(move |&norm| (family, norm)))
}

/// The size of a threat in the unit of its norm.
fn in_unit(norm: Norm, size: f64) -> f64 {
    if norm == Norm::Linf { size * 255.0 } else { size }
}

/// In L∞ the boundary lies between two levels. Elsewhere rounding to 8 bits takes up to a few hundredths, and a random start some of
/// the way. A search without gradients finds no direction exactly.
#[test]
fn a_budget_attack_succeeds_just_above_the_distance_and_fails_just_below() {
    for classes in [2, 5] {
        let target = Linear::of(classes, 20.5);
        for (family, norm) in budget() {
            let id = family.info.id;
            let distance = in_unit(norm, target.distance(norm, &clean()));
            let (below, above) = match norm {
                Norm::Linf => (20.0, 21.0),
                _ => (0.98 * distance, distance * if id == "square" { 3.0 } else { 1.06 }),
            };
            let steps = match id {
                "square" => Some(3000),
                _ => family.info.steps.map(|_| 100),
            };
            for (size, success) in [(below, false), (above, true)] {
                // The stages of a cascade are tested one by one; those that fail take longest.
                if id == "autoattack" && !success {
                    continue;
                }
                let chosen = family.with(&Settings { steps, ..Settings::new(norm, size) }).unwrap();
                target.asked.set(0);
                let outcome = attacked(&target, &*chosen, &[clean()], &[7]).remove(0);
                let what = format!("{id} {norm} {size} of {distance}, {classes} classes");
                assert_eq!(outcome.success, success, "{what}");
                assert_eq!(outcome.queries, target.asked.get(), "{what}");
                let change = outcome.image.iter().zip(clean()).map(|(&x, c)| f64::from(x) - f64::from(c));
                assert!(chosen.threat().length(change) <= chosen.threat().size() + 1e-6, "{what}");
                let exact = target.exact(&outcome.image);
                assert_eq!(outcome.answer != 0, exact[1..].iter().any(|&logit| logit > exact[0]), "{what}");
            }
        }
    }
}

fn several() -> (Vec<Vec<f32>>, Vec<u64>) {
    let image = |k: usize| (0..VALUES).map(|i| (90 + 3 * k + (i * (k + 2)) % 60) as f32 / 255.0).collect();
    ((0..5).map(image).collect(), vec![11, 12, 13, 14, 15])
}

#[test]
fn an_images_result_does_not_depend_on_its_batch() {
    let target = Linear::of(5, 6.37);
    let (images, ids) = several();
    let (mut fallen, mut standing) = (0, 0);
    for (family, norm) in budget() {
        let distances: Vec<f64> = images.iter().map(|image| target.distance(norm, image)).collect();
        // Some of the images fall and leave the batch early.
        let size = in_unit(norm, distances.iter().sum::<f64>() / 5.0).round().max(1.0);
        let steps = family.info.steps.map(|steps| steps.min(30));
        let chosen = family.with(&Settings { steps, ..Settings::new(norm, size) }).unwrap();
        if family.info.id == "autoattack" {
            continue;
        }
        let together = attacked(&target, &*chosen, &images, &ids);
        let reversed: Vec<Vec<f32>> = images.iter().rev().cloned().collect();
        let mut backwards = attacked(&target, &*chosen, &reversed, &[15, 14, 13, 12, 11]);
        backwards.reverse();
        assert_eq!(backwards, together, "{} {norm}", family.info.id);
        for (place, outcome) in together.iter().enumerate() {
            let alone = attacked(&target, &*chosen, &images[place..=place], &ids[place..=place]);
            assert_eq!(alone[0], *outcome, "{} {norm}", family.info.id);
            fallen += usize::from(outcome.success);
            standing += usize::from(!outcome.success);
        }
    }
    assert!(fallen > 10 && standing > 10, "{fallen} {standing}");
}

/// Logits times 1,024 are the same to the last bit but for their exponent; times 1,000 they are rounded anew. Losses that are made of
/// probabilities weigh the classes by their logits, so that there the model is a confident one to begin with.
#[test]
fn scaled_logits_change_no_result() {
    let (images, ids) = several();
    let mut compared = 0;
    for (family, norm) in budget() {
        if family.info.id == "autoattack" {
            continue;
        }
        let steps = family.info.steps.map(|steps| steps.min(30));
        for size in [0.7, 1.02, 1.5] {
            let weighs = |loss: &&Loss| !matches!(loss, Loss::Margin | Loss::Dlr);
            let weighs = family.info.losses.first().filter(weighs).is_some();
            let of_scale = |scale: f64| {
                let scale = if weighs { 100.0 * scale } else { scale };
                let target = Linear { scale, ..Linear::of(5, 6.37) };
                let size = (size * in_unit(norm, target.distance(norm, &images[0]))).ceil();
                let chosen = family.with(&Settings { steps, ..Settings::new(norm, size) }).unwrap();
                attacked(&target, &*chosen, &images, &ids)
            };
            let (quiet, even, loud) = (of_scale(1.0), of_scale(1024.0), of_scale(1000.0));
            for ((quiet, even), loud) in quiet.iter().zip(&even).zip(&loud) {
                let what = format!("{} {norm} {size}", family.info.id);
                assert_eq!((even.success, loud.success), (quiet.success, quiet.success), "{what}");
                if !weighs {
                    assert_eq!(even.image, quiet.image, "{what}");
                }
                compared += usize::from(quiet.success);
            }
        }
    }
    assert!(compared > 50, "{compared}");
}

/// A targeted attack is done when the answer is the target, and not before.
#[test]
fn a_targeted_attack_ends_at_its_target() {
    let target = Linear::of(5, 6.37);
    let (images, ids) = (vec![clean(), clean()], [1, 2]);
    let far = target.exact(&clean());
    let away = |class: usize, norm: Norm| {
        let change = shortest_change(&norm.threat(1.0), &clean(), &target.toward(class), far[0] - far[class]);
        in_unit(norm, norm.threat(1.0).length(change.into_iter()))
    };
    // One step from the clean image need not arrive.
    for (family, norm) in budget().filter(|(family, _)| family.info.targeted && family.info.id != "fgsm") {
        let steps = family.info.steps.map(|steps| steps.clamp(100, 300));
        // A search without gradients finds no direction exactly.
        let factor = if family.info.id == "square" { 4.0 } else { 2.5 };
        let size = (factor * away(3, norm)).ceil();
        let chosen = family.with(&Settings { steps, ..Settings::new(norm, size) }).unwrap();
        let batch = Batch { images: batch_of(&images), labels: &[0, 0], targets: Some(&[3, 1]) };
        let found = chosen.run(&target, &batch, &Keys { seed: 3, images: &ids });
        for (outcome, wanted) in found.iter().zip([3, 1]) {
            assert_eq!(outcome.success, outcome.answer == wanted, "{} {norm}", family.info.id);
        }
        let answers: Vec<usize> = found.iter().map(|outcome| outcome.answer).collect();
        assert_eq!(answers, [3, 1], "{} {norm} {size}", family.info.id);
    }
}

/// What one seed draws for an image is the same in every run, and another for another seed or image.
#[test]
fn random_places_are_those_of_seed_and_image() {
    let target = Linear::of(5, 40.0);
    for id in ["pgd", "apgd", "apgd-t", "square"] {
        let chosen =
            by_id(id).unwrap().with(&Settings { steps: Some(1), ..Settings::new(Norm::L2, 0.5) }).unwrap();
        let of = |seed: u64, image: u64| {
            let batch = Batch::new(batch_of(&[clean()]), &[0]);
            chosen.run(&target, &batch, &Keys { seed, images: &[image] }).remove(0)
        };
        assert_eq!(of(1, 2), of(1, 2), "{id}");
        assert!(of(1, 2).image != of(2, 2).image && of(1, 2).image != of(1, 3).image, "{id}");
    }
}

/// Away from the label, to the class of the largest logit, and to no more classes than there are.
#[test]
fn a_cascade_asks_no_more_than_its_stages_need() {
    for (classes, size) in [(2, 21.0), (5, 21.0)] {
        let target = Linear::of(classes, 20.5);
        let autoattack = by_id("autoattack").unwrap();
        let chosen = autoattack.with(&Settings::new(Norm::Linf, size)).unwrap();
        let titles: Vec<_> = chosen.stages().iter().map(|stage| stage.info().title).collect();
        assert_eq!(titles, ["APGD", "APGD-T", "FAB-T", "Square"]);
        let outcome = attacked(&target, &*chosen, &[clean()], &[1]).remove(0);
        let first = attacked(&target, &*chosen.stages()[0], &[clean()], &[1]).remove(0);
        assert_eq!(outcome, first, "the first stage is enough, and the last one that is asked");
    }
    // What none finds has cost what all of them cost.
    let target = Linear::of(3, 20.5);
    let chosen = by_id("autoattack").unwrap().with(&Settings::new(Norm::Linf, 3.0)).unwrap();
    let outcome = attacked(&target, &*chosen, &[clean()], &[1]).remove(0);
    let stages = chosen.stages();
    let each: Vec<usize> =
        stages.iter().map(|stage| attacked(&target, &**stage, &[clean()], &[1]).remove(0).queries).collect();
    assert_eq!(outcome.queries, each.iter().sum::<usize>());
    // 100 steps and the start, and the last image; toward two classes, the clean image first; Square's queries and the last image.
    assert_eq!((each[0], each[1], each[3]), (102, 204, 5001));
}

/// A linear model falls to a square if and only if what the square can bring is as much as it takes.
#[test]
fn a_patch_succeeds_where_its_best_square_suffices() {
    let (mut target, clean) = (Linear::of(2, 1.0), clean());
    let gains: Vec<f64> = (0..4)
        .map(|square| {
            let inside = |i: &usize| (i % 16 / 4 / 2, i % 4 / 2) == (square / 2, square % 2);
            let gain = |i: usize| {
                let (w, x) = (target.toward(1)[i], f64::from(clean[i]));
                if w > 0.0 { w * (1.0 - x) } else { -w * x }
            };
            (0..VALUES).filter(inside).map(gain).sum()
        })
        .collect();
    let best = gains.iter().copied().fold(0.0, f64::max);
    for (share, success) in [(0.99, true), (1.01, false)] {
        target.constants[1] = 0.0;
        let logits = target.exact(&clean);
        target.constants[1] = logits[0] - logits[1] - share * best;
        // 12 values are a square of 2 × 2, and so are 26; 11 are one of 1 × 1.
        for (size, success) in [(12.0, success), (26.0, success), (11.0, false)] {
            let chosen = by_id("patch").unwrap().with(&Settings::new(Norm::L0, size)).unwrap();
            let outcome = attacked(&target, &*chosen, std::slice::from_ref(&clean), &[1]).remove(0);
            assert_eq!(outcome.success, success, "{size} {share}");
            let changed: Vec<usize> = (0..VALUES).filter(|&i| outcome.image[i] != clean[i]).collect();
            let squares = changed.iter().map(|i| (i % 16 / 4 / 2, i % 4 / 2));
            assert!(
                squares.collect::<std::collections::BTreeSet<_>>().len() <= 1
                    && changed.len() <= size as usize
            );
        }
    }
}

/// Of a linear model's weights only those of the band count: as many as the projection of the weights on it brings.
#[test]
fn a_band_succeeds_where_its_part_of_the_weights_suffices() {
    for (id, high) in [("pgd-low", false), ("pgd-high", true)] {
        let target = Linear::of(2, 10.0);
        let clean = clean();
        let band = Filter::new(Band { high, cutoff: 0.5 }, [4, 4]);
        let weights: Vec<f32> = target.toward(1).iter().map(|w| 0.5 + 0.05 * *w as f32).collect();
        let mut part = weights.clone();
        let grey = Clean { values: vec![0.5; VALUES], grey: false };
        band.limit(&mut part, &grey, &Threat::L2(f64::INFINITY));
        let brings: Vec<f64> = part.iter().map(|w| (f64::from(*w) - 0.5) / 0.05).collect();
        let length = Threat::L2(1.0).length(brings.iter().copied());
        let logits = target.exact(&clean);
        let distance = (logits[0] - logits[1]) / length;
        for (size, success) in [(0.96 * distance, false), (1.05 * distance, true)] {
            let settings = Settings { cutoff: Some(0.5), ..Settings::new(Norm::L2, size) };
            let outcome = attacked(
                &target,
                &*by_id(id).unwrap().with(&settings).unwrap(),
                std::slice::from_ref(&clean),
                &[1],
            );
            assert_eq!(outcome[0].success, success, "{id} {size} of {distance}");
        }
    }
    let refused = |id: &str, cutoff: f64| {
        let settings = Settings { cutoff: Some(cutoff), ..Settings::new(Norm::Linf, 8.0) };
        by_id(id).unwrap().with(&settings).err().map(|error| error.to_string())
    };
    assert_eq!(refused("pgd", 0.5).unwrap(), "PGD has no band of frequencies");
    assert!(refused("pgd-low", 0.0).unwrap().contains("more than 0 and at most 1"));
    assert_eq!(refused("pgd-low", 0.5), None);
}
