//! `archaeo attack`: how often a model is correct before an attack and under it.

use std::path::Path;

use anyhow::{Result, anyhow};
use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::{self, Batch as Attacked, Norm, Outcome, by_id, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_experiments::scene::Progress;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde_json::json;

use super::subject::{Opened, Purpose, not_finite, open};
use crate::cli::{Attack, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, global: &Global, printer: &Printer) -> Result<()> {
    let family = by_id(&arguments.attack).expect("the command line offers the attacks that there are");
    let norm = family.info.norm;
    let sizes = sizes(&arguments.epsilon, norm)?;
    let subject = &arguments.subject;
    let opened = open(subject, global, Purpose::Score, printer)?;
    let Opened { model, indices, device, .. } = &opened;
    let steps = arguments.steps.into();
    let attack = |epsilon: f64| family.sized(epsilon, steps);

    let split = opened.split()?;
    let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
    let classes = model.card().classes.len();
    let labels = opened.labels()?;
    let bars = Bars::default();
    let mut points = Vec::new();
    let mut answered: Vec<(f64, Vec<usize>)> = Vec::new();
    for epsilon in std::iter::once(0.0).chain(sizes.iter().copied().filter(|epsilon| *epsilon > 0.0)) {
        bars.begin(&format!("{} at {epsilon}", family.info.title), indices.len());
        let (mut answers, mut tally) = (Vec::new(), Tally::default());
        for batch in indices.chunks(subject.batch_size.into()) {
            let loaded = Batch::load(&images, batch, 0)?;
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let clean = loaded.tensor(device);
            let seed = global.seed.unwrap_or(0);
            let (asked, logits) = match epsilon > 0.0 {
                true => {
                    let (images, labels) = (clean.clone(), &loaded.labels);
                    let keys = Keys { seed, images: &ids };
                    let outcomes = attack(epsilon).run(model, &Attacked { images, labels }, &keys);
                    let before = answered[0].1[answers.len()..].iter();
                    for ((outcome, answer), label) in outcomes.iter().zip(before).zip(labels) {
                        tally.add(outcome, answer == label);
                    }
                    let logits = outcomes.iter().flat_map(|outcome| outcome.logits.iter().copied());
                    (attacks::images(&outcomes, &clean), logits.collect())
                }
                false => (clean.clone(), logits(model, clean)),
            };
            if let Some(row) = first_not_finite(&logits, classes) {
                let image = asked.narrow(0, row, 1);
                let error = NotFinite::traced(model, &split.identifier(batch[row]), image);
                return Err(not_finite(error, subject, global));
            }
            answers.extend(predicted_classes(&logits, classes));
            bars.advance(batch.len());
        }
        let clean: &[usize] = answered.first().map_or(&answers, |(_, clean)| clean);
        let correct = robust(clean, &answers, &labels).into_iter().filter(|&robust| robust).count();
        let accuracy = wilson(correct, labels.len(), DEFAULT_LEVEL)?;
        points.push((epsilon, accuracy, tally));
        answered.push((epsilon, answers));
    }
    bars.finish();
    if let Some(path) = &subject.export {
        write(path, &opened, &labels, &answered, family.info.title, norm)?;
    }
    let described: Vec<String> = sizes.iter().map(|&epsilon| attack(epsilon).describe()).collect();
    let result = json!({
        "model": model.card().name,
        "attack": family.info.title,
        "norm": norm,
        "unit": norm.unit(),
        "settings": described,
        "precision": global.precision_name(),
        "classes": opened.described_classes(),
        "n": indices.len(),
        "points": points.iter().map(|(epsilon, accuracy, tally)| json!({
            "epsilon": epsilon, "accuracy": accuracy.value, "interval": [accuracy.low, accuracy.high],
            "zero_gradient": tally.zero_gradient(), "queries": tally.queries(), "fooled": tally.fooled(),
        })).collect::<Vec<_>>(),
    });
    printer.result(&result, |_| {
        let unit = if norm == Norm::L2 { "" } else { "/255" };
        let mut lines = format!(
            "{} under {} ({norm}) on {} images\n",
            model.card().name,
            family.info.title,
            indices.len()
        );
        for (epsilon, accuracy, tally) in &points {
            let [value, low, high] = [accuracy.value, accuracy.low, accuracy.high].map(|x| 100.0 * x);
            let size = format!("{epsilon}{unit}");
            lines += &format!("ε = {size:<8} robust accuracy {value:6.2} %  ({low:.1} to {high:.1})\n");
            let zero_gradient = tally.zero_gradient();
            if zero_gradient > 0.0 {
                lines += &format!(
                    "             no gradient on {:.1} % of the images: robustness there may be an illusion\n",
                    100.0 * zero_gradient
                );
            }
        }
        lines + "robust: correctly classified before the attack and under it"
    })
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

    /// Mean over images of how often the model was asked; `None` without an attack.
    fn queries(&self) -> Option<f64> {
        (self.images > 0).then(|| self.queries as f64 / self.images as f64)
    }

    /// Means over the images whose answer the attack made wrong.
    fn fooled(&self) -> serde_json::Value {
        if self.fooled == 0 {
            return serde_json::Value::Null;
        }
        let [linf, l2, l1, l0, steps] = self.sums.map(|sum| sum / self.fooled as f64);
        json!({ "n": self.fooled, "linf": linf, "l2": l2, "l1": l1, "l0": l0, "steps": steps })
    }
}

/// Sizes in the norm's unit: those that are written, or the usual ones.
fn sizes(written: &[String], norm: Norm) -> Result<Vec<f64>> {
    match written {
        [] => Ok(norm.usual().to_vec()),
        written => written
            .iter()
            .map(|text| norm.parse(text).map_err(|why| anyhow!("--epsilon {text}: {why}")))
            .collect(),
    }
}

/// Labels and, for each size, the predicted class of every image.
fn write(
    path: &Path,
    opened: &Opened,
    labels: &[usize],
    answered: &[(f64, Vec<usize>)],
    attack: &str,
    norm: Norm,
) -> Result<()> {
    let images = opened.images()?;
    let names = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
    let mut table = Table::default()
        .with("image", Column::Text(images.clone()))
        .with("label", Column::indices(labels))
        .with("class", Column::Text(names));
    let mut arrays = vec![NamedArray::indices("labels", labels)];
    for (epsilon, answers) in answered {
        let name = format!("predicted_{epsilon}");
        arrays.push(NamedArray::indices(&name, answers));
        table = table.with(name, Column::indices(answers));
    }
    let epsilons = answered.iter().map(|(epsilon, _)| *epsilon as f32).collect();
    arrays.push(NamedArray::floats("epsilons", &[answered.len()], epsilons));
    let model = &opened.model.card().name;
    let notes =
        [("attack", attack), ("epsilon_unit", norm.unit()), ("model", model), ("split", &opened.split)];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Ok(Export { arrays, images, table, notes }.write(path)?)
}
