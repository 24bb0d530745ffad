//! `archaeo evaluate`: scores of a model on a data set.

use anyhow::Result;
use archaeo_analysis::statistics::Resampling;
use archaeo_experiments::evaluate::evaluate;
use archaeo_experiments::export::write_export;
use archaeo_experiments::images::{Preprocessed, Subset};
use archaeo_experiments::predictions::arrays;
use archaeo_experiments::studies::{Progress, headlines, model_scores};
use serde_json::json;

use super::subject::{Opened, open};
use super::trust;
use crate::cli::{Evaluate, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Runs the command.
///
/// # Errors
/// One sentence for data or weights that cannot be used.
pub fn run(arguments: &Evaluate, global: &Global, printer: &Printer) -> Result<()> {
    let subject = &arguments.subject;
    let opened = open(subject, global, printer)?;
    let Opened { model, indices, device, .. } = &opened;
    let images = Subset {
        images: Preprocessed { split: opened.split()?, preprocessing: &model.card().preprocessing },
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
    if let Some(path) = &subject.export {
        write_export(path, &arrays(&evaluation), &[("split", &opened.split), ("model", &model.card().name)])?;
    }

    let resampling = Resampling::new(global.seed.unwrap_or(0));
    let scores = model_scores(&evaluation, &resampling)?;
    let classes = &model.card().classes;
    let trust = headlines(&evaluation, classes, None, &resampling)?;
    let mut result = json!({
        "model": model.card().name,
        "data": subject.data,
        "split": opened.split,
        "precision": global.precision_name(),
        "preprocessing": super::checkpoint::described(&opened.preprocessing),
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
            subject.data,
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
