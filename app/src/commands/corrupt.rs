//! `archaeo corrupt`: how often a model is right on damaged images.

use anyhow::Result;
use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_lab::{CorruptOptions, Corrupted, ModelSource, Purpose, Session, Subject};

use crate::cli::Corrupt;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// Data or weights that cannot be used, or answers that are not finite.
pub fn run(arguments: &Corrupt, session: &Session, printer: &Printer) -> Result<()> {
    let Corrupt { corruption, severity, baseline, subject, out } = arguments;
    let mut severities: Vec<usize> = severity.iter().map(|&severity| severity.into()).collect();
    severities.sort_unstable();
    severities.dedup();
    let options = CorruptOptions { corruptions: corruption.clone(), severities, out: out.clone() };
    let opened = session.open(subject.asked(), Purpose::Score)?;
    let baseline = baseline.as_ref().map(|weights| {
        let asked =
            Subject { model: ModelSource::new(weights), export: None, class_map: None, ..subject.asked() };
        session.open(asked, Purpose::Score)
    });
    let baseline = baseline.transpose()?;
    printer.result(&session.corrupt(&opened, baseline.as_ref(), &options)?, lines)
}

fn lines(result: &Corrupted) -> String {
    let Corrupted { model, data, split, n, severities, scores, baseline, pictures, .. } = result;
    let mut lines = format!("{model} on {n} images of {data}/{split}\n");
    lines += &format!("undamaged            {}\n", with_interval(&scores.clean));
    lines += &format!("damaged, mean        {}\n\n{:<20}", with_interval(&scores.damaged), "severity");
    lines += &severities.iter().map(|severity| format!("{severity:>7}")).collect::<String>();
    for of in &scores.corruptions {
        let accuracies = of.accuracy.iter().map(|at| format!("{:>7.1}", 100.0 * at.value));
        lines += &format!("\n{:<20}{}", of.corruption.id(), accuracies.collect::<String>());
    }
    let means = scores.by_severity.iter().map(|at| format!("{:>7.1}", 100.0 * at.value));
    lines += &format!("\n{:<20}{}", "mean", means.collect::<String>());
    if let Some(of) = baseline {
        let difference = &of.pair.difference;
        lines += &format!(
            "\n\nnext to {}: undamaged {}, damaged {}\n",
            of.model,
            with_interval(&of.scores.clean),
            with_interval(&of.scores.damaged)
        );
        lines += &format!("mCE                  {}\n", measured(&of.pair.mce));
        lines += &format!("relative mCE         {}\n", measured(&of.pair.relative_mce));
        lines += &format!(
            "accuracy, {} less {model}: {} (sign-flip test, p = {:.3})",
            of.model,
            with_interval(&difference.difference),
            difference.p_value
        );
    }
    for picture in pictures {
        lines += &format!("\nwrote {}", picture.display());
    }
    lines
}

fn with_interval(of: &Estimate) -> String {
    let [value, low, high] = [of.value, of.low, of.high].map(|share| 100.0 * share);
    format!("{value:.1} %  ({low:.1} to {high:.1})")
}

fn measured(of: &Measured) -> String {
    match of {
        Measured::Known(known) => with_interval(known),
        Measured::Undefined { undefined } => format!("n/a, because {undefined}"),
    }
}
