//! `archaeo evaluate`: scores of a model on a data set.

use anyhow::Result;
use archaeo_analysis::masks::MaskScores;
use archaeo_lab::{Evaluated, Purpose, Session};

use super::trust;
use crate::cli::Evaluate;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence for data or weights that cannot be used.
pub fn run(arguments: &Evaluate, session: &Session, printer: &Printer) -> Result<()> {
    let opened = session.open(arguments.subject.asked(), Purpose::ScoreOrExport)?;
    printer.result(&session.evaluate(&opened)?, lines)
}

/// How well predicted masks agree with true ones.
pub fn mask_line(MaskScores { mean_iou, object_iou, .. }: &MaskScores) -> String {
    let percent = |x: f64| format!("{:.2} %", 100.0 * x);
    let interval = format!("{} to {}", percent(mean_iou.low), percent(mean_iou.high));
    let [mean, object] = [mean_iou, object_iou].map(|iou| percent(iou.value));
    format!(
        "masks  mean IoU {mean}  (95 % interval {interval}), of the object {object}, over {} images",
        mean_iou.n
    )
}

fn lines(result: &Evaluated) -> String {
    let Evaluated { model, n, data, split, top1, top1_interval: [low, high], .. } = result;
    let percent = |x: f64| format!("{:.2} %", 100.0 * x);
    let mut lines = format!("{model} on {n} images of {data}/{split}\n");
    let interval = format!("{} to {}", percent(*low), percent(*high));
    lines += &format!("top-1  {}  (95 % interval {interval})\n", percent(*top1));
    if let Some(top5) = result.top5 {
        lines += &format!("top-5  {}\n", percent(top5));
    }
    if let Some(masks) = &result.masks {
        lines += &mask_line(masks);
        lines.push('\n');
    }
    lines += &format!("nll    {:.4}\nece    {}\n", result.nll, percent(result.ece));
    lines + &trust::lines(&result.trust)
}
