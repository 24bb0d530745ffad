//! `archaeo attack`: accuracy of a model under attack.

use anyhow::Result;
use archaeo_analysis::attacks::{Attack as Attacker, attack};
use archaeo_analysis::predict::{logits, predicted_classes};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_experiments::export::{NamedArray, write_export};
use archaeo_experiments::images::{Batch, Preprocessed};
use archaeo_experiments::studies::Progress;
use serde_json::json;

use super::subject::{Opened, open};
use crate::cli::{Attack, AttackKind, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, global: &Global, printer: &Printer) -> Result<()> {
    for epsilon in &arguments.epsilon {
        anyhow::ensure!(epsilon.is_finite() && *epsilon >= 0.0, "--epsilon must be 0 or more, not {epsilon}");
    }
    let subject = &arguments.subject;
    let opened = open(subject, global, printer)?;
    let Opened { model, indices, device, .. } = &opened;
    let steps = arguments.steps.into();
    let attacker = |epsilon: f64| match arguments.attack {
        AttackKind::Fgsm => Attacker::fgsm(epsilon / 255.0),
        AttackKind::Pgd => Attacker::pgd(epsilon / 255.0, steps),
        AttackKind::PgdL2 => Attacker::pgd_l2(epsilon, steps),
    };

    let images = Preprocessed { split: opened.split()?, preprocessing: &model.card().preprocessing };
    let classes = model.card().classes.len();
    let bars = Bars::default();
    let (mut points, mut exported) = (Vec::new(), Vec::new());
    for epsilon in
        std::iter::once(0.0).chain(arguments.epsilon.iter().copied().filter(|epsilon| *epsilon > 0.0))
    {
        bars.begin(&format!("{} at {epsilon}", attacker(epsilon).name()), indices.len());
        let mut answers = Vec::new();
        let mut labels = Vec::new();
        for batch in indices.chunks(subject.batch_size.into()) {
            let loaded = Batch::load(&images, batch, 0)?;
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let clean = loaded.tensor(device);
            let seed = global.seed.unwrap_or(0);
            let attacked = match epsilon > 0.0 {
                true => attack(model, clean, &loaded.labels, &ids, &attacker(epsilon), seed),
                false => clean,
            };
            answers.extend(predicted_classes(&logits(model, attacked), classes));
            labels.extend(loaded.labels);
            bars.advance(batch.len());
        }
        let right = answers.iter().zip(&labels).filter(|(answer, label)| answer == label).count();
        let accuracy = wilson(right, labels.len(), DEFAULT_LEVEL)?;
        exported.push(NamedArray::indices(&format!("predicted_{epsilon}"), &answers));
        points.push((epsilon, accuracy));
    }
    bars.finish();
    if let Some(path) = &subject.export {
        write_export(path, &exported, &[("attack", attacker(1.0).name()), ("model", &model.card().name)])?;
    }
    let described: Vec<String> =
        arguments.epsilon.iter().map(|&epsilon| attacker(epsilon).describe()).collect();
    let result = json!({
        "model": model.card().name,
        "attack": attacker(1.0).name(),
        "settings": described,
        "precision": global.precision_name(),
        "n": indices.len(),
        "points": points.iter().map(|(epsilon, accuracy)| json!({
            "epsilon": epsilon, "accuracy": accuracy.value, "interval": [accuracy.low, accuracy.high],
        })).collect::<Vec<_>>(),
    });
    printer.result(&result, |_| {
        let unit = if arguments.attack == AttackKind::PgdL2 { "" } else { "/255" };
        let mut lines =
            format!("{} under {} on {} images\n", model.card().name, attacker(1.0).name(), indices.len());
        for (epsilon, accuracy) in &points {
            let [value, low, high] = [accuracy.value, accuracy.low, accuracy.high].map(|x| 100.0 * x);
            let size = format!("{epsilon}{unit}");
            lines += &format!("ε = {size:<8} accuracy {value:6.2} %  ({low:.1} to {high:.1})\n");
        }
        lines
    })
}
