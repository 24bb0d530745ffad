//! `archaeo attack`: how often a model is correct before an attack and under it.

use std::path::Path;

use anyhow::{Result, anyhow};
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::{Attack as Attacker, attack_and_examine, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_experiments::epsilon::Norm;
use archaeo_experiments::studies::Progress;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde_json::json;

use super::subject::{Opened, Purpose, not_finite, open};
use crate::cli::{Attack, AttackKind, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, global: &Global, printer: &Printer) -> Result<()> {
    let norm = match arguments.attack {
        AttackKind::Fgsm | AttackKind::Pgd => Norm::Linf,
        AttackKind::PgdL2 => Norm::L2,
    };
    let sizes = sizes(&arguments.epsilon, norm)?;
    let subject = &arguments.subject;
    let opened = open(subject, global, Purpose::Score, printer)?;
    let Opened { model, indices, device, .. } = &opened;
    let steps = arguments.steps.into();
    let attacker = |epsilon: f64| match arguments.attack {
        AttackKind::Fgsm => Attacker::fgsm(epsilon / 255.0),
        AttackKind::Pgd => Attacker::pgd(epsilon / 255.0, steps),
        AttackKind::PgdL2 => Attacker::pgd_l2(epsilon, steps),
    };

    let split = opened.split()?;
    let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
    let classes = model.card().classes.len();
    let labels = opened.labels()?;
    let bars = Bars::default();
    let mut points = Vec::new();
    let mut answered: Vec<(f64, Vec<usize>)> = Vec::new();
    for epsilon in std::iter::once(0.0).chain(sizes.iter().copied().filter(|epsilon| *epsilon > 0.0)) {
        bars.begin(&format!("{} at {epsilon}", attacker(epsilon).name()), indices.len());
        let (mut answers, mut zero_gradients) = (Vec::new(), 0);
        for batch in indices.chunks(subject.batch_size.into()) {
            let loaded = Batch::load(&images, batch, 0)?;
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let clean = loaded.tensor(device);
            let seed = global.seed.unwrap_or(0);
            let attacked = match epsilon > 0.0 {
                true => {
                    let attacker = attacker(epsilon);
                    let found = attack_and_examine(model, clean, &loaded.labels, &ids, &attacker, seed);
                    zero_gradients += found.zero_gradient.iter().filter(|&&zero| zero).count();
                    found.images
                }
                false => clean,
            };
            let logits = logits(model, attacked.clone());
            if let Some(row) = first_not_finite(&logits, classes) {
                let image = attacked.narrow(0, row, 1);
                let error = NotFinite::traced(model, &split.identifier(batch[row]), image);
                return Err(not_finite(error, subject, global));
            }
            answers.extend(predicted_classes(&logits, classes));
            bars.advance(batch.len());
        }
        let clean: &[usize] = answered.first().map_or(&answers, |(_, clean)| clean);
        let correct = robust(clean, &answers, &labels).into_iter().filter(|&robust| robust).count();
        let zero_gradient = zero_gradients as f64 / labels.len() as f64;
        points.push((epsilon, wilson(correct, labels.len(), DEFAULT_LEVEL)?, zero_gradient));
        answered.push((epsilon, answers));
    }
    bars.finish();
    if let Some(path) = &subject.export {
        write(path, &opened, &labels, &answered, attacker(1.0).name(), norm)?;
    }
    let described: Vec<String> = sizes.iter().map(|&epsilon| attacker(epsilon).describe()).collect();
    let result = json!({
        "model": model.card().name,
        "attack": attacker(1.0).name(),
        "norm": norm,
        "unit": norm.unit(),
        "settings": described,
        "precision": global.precision_name(),
        "classes": opened.described_classes(),
        "n": indices.len(),
        "points": points.iter().map(|(epsilon, accuracy, zero_gradient)| json!({
            "epsilon": epsilon, "accuracy": accuracy.value, "interval": [accuracy.low, accuracy.high],
            "zero_gradient": zero_gradient,
        })).collect::<Vec<_>>(),
    });
    printer.result(&result, |_| {
        let unit = if norm == Norm::L2 { "" } else { "/255" };
        let mut lines = format!(
            "{} under {} ({norm}) on {} images\n",
            model.card().name,
            attacker(1.0).name(),
            indices.len()
        );
        for (epsilon, accuracy, zero_gradient) in &points {
            let [value, low, high] = [accuracy.value, accuracy.low, accuracy.high].map(|x| 100.0 * x);
            let size = format!("{epsilon}{unit}");
            lines += &format!("ε = {size:<8} robust accuracy {value:6.2} %  ({low:.1} to {high:.1})\n");
            if *zero_gradient > 0.0 {
                lines += &format!(
                    "             no gradient on {:.1} % of the images: robustness there may be an illusion\n",
                    100.0 * zero_gradient
                );
            }
        }
        lines + "robust: correctly classified before the attack and under it"
    })
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
