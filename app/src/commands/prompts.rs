//! `archaeo prompts`: how far a zero-shot classifier depends on its prompts.

use anyhow::Result;
use archaeo_analysis::answers::{PromptScores, TemplateScore};
use archaeo_lab::{PromptsScored, Purpose, Session};

use crate::cli::PromptSensitivity;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model without prompts, data that cannot be read, or a folder that cannot be written.
pub fn run(arguments: &PromptSensitivity, session: &Session, printer: &Printer) -> Result<()> {
    let opened = session.open(arguments.subject.asked(), Purpose::Score)?;
    printer.result(&session.prompts(&opened, arguments.out.as_deref())?, lines)
}

fn lines(result: &PromptsScored) -> String {
    let PromptsScored { model, n, data, split, templates, scores, folder, .. } = result;
    let PromptScores { ensemble, mean, deviation, pairs, pairs_that_differ, .. } = scores;
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let mut lines = format!("{model} on {n} images of {data}/{split}, {} templates\n", templates.len());
    lines += &format!(
        "ensemble  {}  (95 % interval {} to {})\n",
        percent(ensemble.value),
        percent(ensemble.low),
        percent(ensemble.high)
    );
    let spread = deviation.map_or_else(String::new, |deviation| {
        format!(", standard deviation {:.2} points", 100.0 * deviation)
    });
    lines += &format!("alone     {} on average{spread}\n", percent(*mean));
    if *pairs > 0 {
        lines += &format!(
            "{pairs_that_differ} of {pairs} pairs of templates differ (McNemar, adjusted p below 0.05)\n"
        );
    }
    let mut order: Vec<(&String, &TemplateScore)> = templates.iter().zip(&scores.scores).collect();
    order.sort_by(|a, b| b.1.alone.value.total_cmp(&a.1.alone.value));
    lines += "\n   alone   minus ensemble (points)   adjusted p   without it   template\n";
    for (template, TemplateScore { alone, difference, adjusted_p, left_out }) in order {
        let difference = format!(
            "{:.2} ({:.2} to {:.2})",
            100.0 * difference.value,
            100.0 * difference.low,
            100.0 * difference.high
        );
        let left_out = left_out.as_ref().map_or_else(|| "–".into(), |left_out| percent(left_out.value));
        lines += &format!(
            "{:>8}   {difference:<23}   {adjusted_p:>10.3}   {left_out:>10}   {template}\n",
            percent(alone.value)
        );
    }
    if let Some(folder) = folder {
        lines += &format!("\npictures are in {}\n", folder.display());
    }
    lines
}
