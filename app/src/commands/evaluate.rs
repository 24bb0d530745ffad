//! `archaeo evaluate`: scores of a model on a data set.

use std::path::Path;

use anyhow::Result;
use archaeo_analysis::statistics::Resampling;
use archaeo_experiments::predictions::arrays;
use archaeo_experiments::scene::Progress;
use archaeo_experiments::studies::{headlines, model_scores};
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::evaluate::{Evaluation, evaluate};
use archaeo_training::finite;
use archaeo_training::images::{Preprocessed, Subset};
use serde_json::json;

use super::subject::{Opened, Purpose, answers_error, open, unscored};
use super::trust;
use crate::cli::{Evaluate, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Likeliest classes of each image in an export.
const MOST_LIKELY: usize = 5;

/// Runs the command.
///
/// # Errors
/// One sentence for data or weights that cannot be used.
pub fn run(arguments: &Evaluate, global: &Global, printer: &Printer) -> Result<()> {
    let subject = &arguments.subject;
    let opened = open(subject, global, Purpose::ScoreOrExport, printer)?;
    let Opened { model, indices, device, .. } = &opened;
    let split = opened.split()?;
    let images = Subset {
        images: Preprocessed { split, preprocessing: &model.card().preprocessing },
        indices: indices.clone(),
    };
    let bars = Bars::default();
    bars.begin(&model.card().name, indices.len());
    let mut done = 0;
    let evaluation = evaluate(model, &images, subject.batch_size.into(), device, &mut |so_far| {
        bars.advance(so_far - done);
        done = so_far;
    })?;
    bars.finish();
    finite::check(model, &evaluation, &images, |position| split.identifier(indices[position]), device)
        .map_err(|error| answers_error(error, subject, global))?;
    if let Some(path) = &subject.export {
        write(path, &evaluation, &opened)?;
        if let Some(Err(sentence)) = &opened.matching {
            return Err(unscored(sentence, path));
        }
    }

    let resampling = Resampling::new(global.seed.unwrap_or(0));
    let scores = model_scores(&evaluation, &resampling)?;
    let classes = &model.card().classes;
    let trust = headlines(&evaluation, classes, None, &resampling)?;
    let mut result = json!({
        "model": model.card().name,
        "data": opened.dataset.name,
        "split": opened.split,
        "precision": global.precision_name(),
        "preprocessing": super::checkpoint::described(&opened.preprocessing),
        "classes": opened.described_classes(),
        "n": evaluation.len(),
        "top1": scores.top1.value,
        "top1_interval": [scores.top1.low, scores.top1.high],
        "top5": scores.top5.as_ref().map(|top5| top5.value),
        "nll": scores.nll.value,
        "nll_interval": [scores.nll.low, scores.nll.high],
        "ece": scores.ece.value,
        "ece_interval": [scores.ece.low, scores.ece.high],
    });
    result.as_object_mut().expect("an object").extend(trust::json(&trust, classes));
    printer.result(&result, |_| {
        let percent = |x: f64| format!("{:.2} %", 100.0 * x);
        let top1 = &scores.top1;
        let interval = format!("{} to {}", percent(top1.low), percent(top1.high));
        let mut lines = format!(
            "{} on {} images of {}/{}\n",
            model.card().name,
            evaluation.len(),
            opened.dataset.name,
            opened.split
        );
        lines += &format!("top-1  {}  (95 % interval {interval})\n", percent(top1.value));
        if let Some(top5) = &scores.top5 {
            lines += &format!("top-5  {}\n", percent(top5.value));
        }
        lines += &format!("nll    {:.4}\nece    {}\n", scores.nll.value, percent(scores.ece.value));
        lines + &trust::lines(&trust, classes)
    })
}

/// Logits, the likeliest classes and, where classes were matched, labels.
fn write(path: &Path, evaluation: &Evaluation, opened: &Opened) -> Result<()> {
    let names = match &opened.matching {
        Some(Ok(matching)) => &matching.outputs.names,
        Some(Err(_)) | None => &opened.model.card().classes,
    };
    let scored = matches!(opened.matching, Some(Ok(_)));
    let shown = evaluation.classes.min(MOST_LIKELY);
    let ranked: Vec<Vec<(usize, f64)>> = (0..evaluation.len())
        .map(|image| {
            let mut ranked: Vec<(usize, f64)> =
                evaluation.probabilities(image).into_iter().enumerate().collect();
            // By logit, so that answers whose probabilities round to the same stay in order; the first of equals first.
            let logits = &evaluation.logits[image * evaluation.classes..][..evaluation.classes];
            ranked.sort_by(|a, b| logits[b.0].total_cmp(&logits[a.0]).then(a.0.cmp(&b.0)));
            ranked.truncate(shown);
            ranked
        })
        .collect();
    let place = |place: usize| -> Vec<usize> { ranked.iter().map(|ranked| ranked[place].0).collect() };
    let called =
        |outputs: &[usize]| Column::Text(outputs.iter().map(|&output| names[output].clone()).collect());

    let images = opened.images()?;
    let labels = &evaluation.labels;
    let predicted = place(0);
    let mut table = Table::default().with("image", Column::Text(images.clone()));
    if scored {
        table = table.with("label", Column::indices(labels)).with("class", called(labels));
    } else {
        let own = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
        table = table.with("class", Column::Text(own));
    }
    table = table.with("predicted", Column::indices(&predicted)).with("predicted_class", called(&predicted));
    if scored {
        let correct = predicted.iter().zip(labels).map(|(answer, label)| answer == label).collect();
        table = table.with("correct", Column::Flags(correct));
    }
    table = table.with("probability", Column::Numbers(ranked.iter().map(|ranked| ranked[0].1).collect()));
    for rank in 1..shown {
        let (outputs, number) = (place(rank), rank + 1);
        let probabilities = ranked.iter().map(|ranked| ranked[rank].1).collect();
        table = table
            .with(format!("class_{number}"), called(&outputs))
            .with(format!("probability_{number}"), Column::Numbers(probabilities));
    }

    let top: Vec<i64> = ranked.iter().flatten().map(|&(output, _)| output as i64).collect();
    let mut exported = vec![
        NamedArray::indices("predicted", &predicted),
        NamedArray::integers("top_k", &[evaluation.len(), shown], top),
    ];
    let arrays = arrays(evaluation).into_iter().filter(|array| scored || array.name != "labels");
    exported.extend(arrays);
    let notes =
        [("split", &opened.split), ("model", &opened.model.card().name), ("data", &opened.dataset.name)];
    let mut notes: Vec<(String, String)> = notes.map(|(key, value)| (key.to_owned(), value.clone())).to_vec();
    notes.push(("outputs".into(), serde_json::to_string(names)?));
    Ok(Export { arrays: exported, images, table, notes }.write(path)?)
}
