//! How often a model is right before an attack and under it.

use std::path::Path;

use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::{self, Batch as AttackedBatch, Family, Norm, Outcome, by_id, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use crate::classes::ClassesMatched;
use crate::doctor::DOCTOR;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// Which attack, of which sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackOptions {
    /// Its name in [`attacks::all`], such as `pgd-l2`; or [`DOCTOR`].
    pub attack: String,
    /// Sizes of the perturbation in the norm's unit; the norm's usual ones when empty.
    pub sizes: Vec<f64>,
    /// Steps of an iterated attack, at least 1.
    pub steps: usize,
}

impl AttackOptions {
    /// The attack of this name, with sizes as they are written: `8` or `8/255`.
    ///
    /// # Errors
    /// An attack that is not known, or a size that is none.
    pub fn parse(attack: &str, sizes: &[String], steps: usize) -> Result<Self, LabError> {
        let norm = if attack == DOCTOR { Norm::Linf } else { family(attack)?.info.norm };
        let parsed = sizes
            .iter()
            .map(|text| norm.parse(text).map_err(|reason| LabError::Epsilon { text: text.clone(), reason }));
        Ok(Self { attack: attack.into(), sizes: parsed.collect::<Result<_, _>>()?, steps })
    }
}

fn family(id: &str) -> Result<&'static Family, LabError> {
    by_id(id).ok_or_else(|| LabError::Attack {
        id: id.into(),
        known: attacks::all().iter().map(|family| family.info.id).collect(),
    })
}

/// What an attack did to a model.
#[derive(Clone, Debug, Serialize)]
pub struct Attacked {
    /// Name of the model.
    pub model: String,
    /// Title of the attack.
    pub attack: &'static str,
    /// The norm of its sizes.
    pub norm: Norm,
    /// What they are measured in.
    pub unit: &'static str,
    /// The attack of each size, in words.
    pub settings: Vec<String>,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Images.
    pub n: usize,
    /// Without an attack, then under each size.
    pub points: Vec<Point>,
}

/// What an attack of one size did.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The size; 0 without an attack.
    pub epsilon: f64,
    /// Share of images that are right before the attack and under it.
    pub accuracy: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Share of images whose gradient was zero where the attack began: robustness there may be an illusion.
    pub zero_gradient: f64,
    /// How often the model was asked, mean over images; `None` without an attack.
    pub queries: Option<f64>,
    /// The images whose answer became wrong; `None` where there is none.
    pub fooled: Option<Fooled>,
    /// The answer to each image, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub predicted: Vec<usize>,
}

/// Images whose answer an attack made wrong, and means over them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fooled {
    /// How many.
    pub n: usize,
    /// Largest change of a value in [0, 1].
    pub linf: f64,
    /// Euclidean length of the change.
    pub l2: f64,
    /// Sum of absolute changes.
    pub l1: f64,
    /// Values that changed.
    pub l0: f64,
    /// The step that found it.
    pub steps: f64,
}

impl Session {
    /// Attacks a model, and counts how often it stays right.
    ///
    /// # Errors
    /// An attack that is not known, images that cannot be read, answers that are not finite, or an export that cannot be
    /// written.
    pub fn attack(&self, opened: &Opened, options: &AttackOptions) -> Result<Attacked, LabError> {
        let family = family(&options.attack)?;
        let norm = family.info.norm;
        let sizes = if options.sizes.is_empty() { norm.usual().to_vec() } else { options.sizes.clone() };
        let labels = opened.labels()?;
        let mut points: Vec<Point> = Vec::new();
        for epsilon in std::iter::once(0.0).chain(sizes.iter().copied().filter(|epsilon| *epsilon > 0.0)) {
            let before = points.first().map(|clean| clean.predicted.as_slice());
            let point = self.attack_of_size(opened, family, epsilon, options, before)?;
            let (predicted, tally) = point;
            let clean: &[usize] = points.first().map_or(&predicted, |clean| &clean.predicted);
            let correct = robust(clean, &predicted, &labels).into_iter().filter(|&robust| robust).count();
            let accuracy = wilson(correct, labels.len(), DEFAULT_LEVEL)?;
            points.push(Point {
                epsilon,
                accuracy: accuracy.value,
                interval: [accuracy.low, accuracy.high],
                zero_gradient: tally.zero_gradient(),
                queries: tally.queries(),
                fooled: tally.fooled(),
                predicted,
            });
        }
        if let Some(path) = &opened.subject.export {
            write(path, opened, &labels, &points, family)?;
        }
        let model = opened.model.card().name.clone();
        Ok(Attacked {
            model,
            attack: family.info.title,
            norm,
            unit: norm.unit(),
            settings: sizes.iter().map(|&epsilon| family.sized(epsilon, options.steps).describe()).collect(),
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            n: opened.indices.len(),
            points,
        })
    }

    /// The answers under an attack of one size, or without one; `before` are those without.
    fn attack_of_size(
        &self,
        opened: &Opened,
        family: &Family,
        epsilon: f64,
        options: &AttackOptions,
        before: Option<&[usize]>,
    ) -> Result<(Vec<usize>, Tally), LabError> {
        let Opened { model, indices, device, .. } = opened;
        let split = opened.split()?;
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let classes = model.card().classes.len();
        let work = self.counting(&format!("{} at {epsilon}", family.info.title), indices.len());
        let (mut answers, mut tally) = (Vec::new(), Tally::default());
        for batch in indices.chunks(opened.batch_size()) {
            let loaded = Batch::load(&images, batch, 0)?;
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let clean = loaded.tensor(device);
            let (asked, logits) = match before {
                Some(before) => {
                    let (images, labels) = (clean.clone(), &loaded.labels);
                    let keys = Keys { seed: self.seed(), images: &ids };
                    let attack = family.sized(epsilon, options.steps);
                    let outcomes = attack.run(model, &AttackedBatch { images, labels }, &keys);
                    let before = before[answers.len()..].iter();
                    for ((outcome, answer), label) in outcomes.iter().zip(before).zip(labels) {
                        tally.add(outcome, answer == label);
                    }
                    let logits = outcomes.iter().flat_map(|outcome| outcome.logits.iter().copied());
                    (attacks::images(&outcomes, &clean), logits.collect())
                }
                None => (clean.clone(), logits(model, clean)),
            };
            if let Some(row) = first_not_finite(&logits, classes) {
                let image = asked.narrow(0, row, 1);
                let error = NotFinite::traced(model, &split.identifier(batch[row]), image);
                return Err(self.not_finite(error, opened));
            }
            answers.extend(predicted_classes(&logits, classes));
            work.advance(batch.len());
        }
        Ok((answers, tally))
    }
}

/// What an attack of one size did to the images, added up.
#[derive(Default)]
struct Tally {
    images: usize,
    /// Images whose gradient was zero where the attack began.
    zero_gradient: usize,
    queries: usize,
    /// Images whose answer the attack made wrong, and the sums over them of linf, l2, l1, l0 and steps.
    fooled: usize,
    sums: [f64; 5],
}

impl Tally {
    fn add(&mut self, outcome: &Outcome, correct_before: bool) {
        self.images += 1;
        self.zero_gradient += usize::from(outcome.zero_gradient);
        self.queries += outcome.queries;
        if outcome.success && correct_before {
            self.fooled += 1;
            let Outcome { linf, l2, l1, l0, best_step, .. } = *outcome;
            for (sum, value) in self.sums.iter_mut().zip([linf, l2, l1, l0 as f64, best_step as f64]) {
                *sum += value;
            }
        }
    }

    fn zero_gradient(&self) -> f64 {
        self.zero_gradient as f64 / self.images.max(1) as f64
    }

    fn queries(&self) -> Option<f64> {
        (self.images > 0).then(|| self.queries as f64 / self.images as f64)
    }

    fn fooled(&self) -> Option<Fooled> {
        let n = self.fooled;
        let [linf, l2, l1, l0, steps] = self.sums.map(|sum| sum / n as f64);
        (n > 0).then_some(Fooled { n, linf, l2, l1, l0, steps })
    }
}

/// Labels and, for each size, the predicted class of every image.
fn write(
    path: &Path,
    opened: &Opened,
    labels: &[usize],
    points: &[Point],
    family: &Family,
) -> Result<(), LabError> {
    let images = opened.images()?;
    let names = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
    let mut table = Table::default()
        .with("image", Column::Text(images.clone()))
        .with("label", Column::indices(labels))
        .with("class", Column::Text(names));
    let mut arrays = vec![NamedArray::indices("labels", labels)];
    for Point { epsilon, predicted, .. } in points {
        let name = format!("predicted_{epsilon}");
        arrays.push(NamedArray::indices(&name, predicted));
        table = table.with(name, Column::indices(predicted));
    }
    let epsilons = points.iter().map(|point| point.epsilon as f32).collect();
    arrays.push(NamedArray::floats("epsilons", &[points.len()], epsilons));
    let model = &opened.model.card().name;
    let (attack, unit) = (family.info.title, family.info.norm.unit());
    let notes = [("attack", attack), ("epsilon_unit", unit), ("model", model), ("split", &opened.split)];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Ok(Export { arrays, images, table, notes }.write(path)?)
}
