//! `archaeo benchmark`: which explanations say what a model's answers depend on.

use anyhow::Result;
use archaeo_lab::{Benchmarked, Purpose, Session, Subject};

use crate::cli::Benchmark;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// Data that cannot be drawn again, a model that is not better than chance on them, or a method that it does not have.
pub fn run(arguments: &Benchmark, session: &Session, printer: &Printer) -> Result<()> {
    let Benchmark { benchmark, methods, images, subject } = arguments;
    let subject = Subject { data: Some(benchmark.clone()), limit: Some(*images), ..subject.asked() };
    let opened = session.open(subject, Purpose::Score)?;
    let methods = (!methods.is_empty()).then_some(methods.as_slice());
    printer.result(&session.benchmark(&opened, methods)?, lines)
}

fn lines(result: &Benchmarked) -> String {
    let Benchmarked { model, split, found, verdicts, .. } = result;
    let accuracy = &found.accuracy;
    let mut lines = format!(
        "{model} on {} images of sherds/{split}, {:.1} % correct ({:.1} to {:.1})\n\nwhat the margin loses without\n",
        accuracy.n,
        100.0 * accuracy.value,
        100.0 * accuracy.low,
        100.0 * accuracy.high
    );
    for kind in &found.kinds {
        let effect = &kind.effect;
        lines +=
            &format!("{:<20} {:>6.2}  ({:.2} to {:.2})\n", kind.kind, effect.value, effect.low, effect.high);
    }
    for change in &found.changes {
        let kept = 100.0 * change.kept.value;
        lines += &format!("{}: {:.2}, answer kept {kept:.0} %\n", change.change.title(), change.effect.value);
    }
    lines += &format!(
        "\n{:<20} {:>7}  {:<16} {:>8} {:>8} {:>7} {:>8}  {:<18} {}\n",
        "",
        "causal",
        "interval",
        "strength",
        "contrast",
        "AUROC",
        "deletion",
        "better than random",
        "better than centre"
    );
    for score in &found.methods {
        let causal = &score.single_deletion;
        let verdict = verdicts.iter().find(|verdict| verdict.method == score.id);
        let [random, centre]: [String; 2] = verdict.map_or_else(Default::default, |verdict| {
            [verdict.better_than_random, verdict.better_than_centre].map(|better| better.to_string())
        });
        let line = format!(
            "{:<20} {:>7.3}  {:<16} {:>8} {:>8.3} {:>7.3} {:>8.3}  {random:<18} {centre}",
            score.id,
            causal.value,
            format!("{:.3} to {:.3}", causal.low, causal.high),
            score.strength.known().map_or_else(|| "–".into(), |strength| format!("{:.3}", strength.value)),
            score.contrastivity.value,
            score.auroc.value,
            score.deletion.value
        );
        lines += line.trim_end();
        lines.push('\n');
    }
    lines += "\nhow far scores rank explanations alike (Spearman)\n";
    let agreement = &found.agreement;
    for (names, measured) in [
        ("AUROC and causal", &agreement.mask_and_causal),
        ("deletion and causal", &agreement.deletion_and_causal),
        ("AUROC and deletion", &agreement.mask_and_deletion),
    ] {
        lines += &match (measured.known(), measured.reason()) {
            (Some(of), _) => format!("{names:<20} {:>6.2}  ({:.2} to {:.2})\n", of.value, of.low, of.high),
            (None, reason) => format!("{names:<20} none, because {}\n", reason.unwrap_or_default()),
        };
    }
    lines
}
