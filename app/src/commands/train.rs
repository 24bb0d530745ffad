//! `archaeo train`: one model from a recipe, once or with several seeds.

use std::path::Path;

use anyhow::{Result, bail};
use archaeo_lab::{Session, SeveralRuns, Training, TrainingEnd};
use archaeo_training::OverRuns;

use super::configs::BuiltIn;
use super::evaluate::mask_line;
use crate::cli::Train;
use crate::interrupt;
use crate::printer::Printer;
use crate::ranks;

/// Runs the command.
///
/// # Errors
/// One sentence; the checkpoint of the last finished epoch is kept.
pub fn run(arguments: &Train, session: &Session, printer: &Printer) -> Result<()> {
    let Train { config, data, out, strict, .. } = arguments;
    let ended = ranks::run(session, |session, ranks| {
        let recipe = session.recipe(BuiltIn::or_file(config), &arguments.overrides())?;
        let training = Training { recipe: &recipe, data: data.as_deref(), out, strict: *strict };
        Ok(session.train_on(ranks, &training)?)
    })?;
    // Of several ranks, the first one says how it ended.
    let Some(ended) = ended else { return Ok(()) };
    match ended {
        TrainingEnd::Stopped { runs, epochs } => {
            interrupt::keeps(kept(runs, Some(epochs), out));
            bail!("interrupted")
        }
        TrainingEnd::Finished(result) => printer.result(&result, |result| {
            let masks =
                result.masks.as_ref().map(|masks| format!("\nOn validation images: {}", mask_line(masks)));
            format!("Model: {}{}", result.model, masks.unwrap_or_default())
        }),
        TrainingEnd::Several(result) => printer.result(&result, several),
    }
}

/// What is kept of an interrupted training: `runs` before it, and so many of its epochs, where that is known.
pub fn kept(runs: usize, epochs: Option<usize>, out: &Path) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let are = |count: usize| if count == 1 { "is" } else { "are" };
    let what = match (runs, epochs) {
        (0, Some(0)) => {
            return "no epoch was finished, so nothing is kept; run the same command again".into();
        }
        (0, None) => "every finished epoch is".into(),
        (0, Some(epochs)) => format!("{} {}", counted(epochs, "epoch"), are(epochs)),
        (_, Some(0)) => format!("{} {}", counted(runs, "run"), are(runs)),
        (_, None) => format!("{} and every finished epoch of the next are", counted(runs, "run")),
        (_, Some(epochs)) => {
            format!("{} and {} of the next are", counted(runs, "run"), counted(epochs, "epoch"))
        }
    };
    format!("{what} kept in {}; run the same command again to go on from there", out.display())
}

/// How much the results of several runs differ.
fn several(SeveralRuns { runs, spread }: &SeveralRuns) -> String {
    let mut lines: String = runs.iter().map(|run| format!("Model: {}\n", run.model)).collect();
    let percent = |share: f64| format!("{:.2}", 100.0 * share);
    let nats = |loss: f64| format!("{loss:.4}");
    lines += &line("validation accuracy", &spread.validation_accuracy, percent, [" %", " points"]);
    lines += &line("validation loss", &spread.validation_loss, nats, ["", ""]);
    lines
        + &format!("over {} runs that differ in their seed; intervals are Student's t over runs", runs.len())
}

/// `units`: of the number, and of its standard deviation.
fn line(title: &str, over: &OverRuns, number: impl Fn(f64) -> String, units: [&str; 2]) -> String {
    let OverRuns { mean, standard_deviation } = over;
    let [value, deviation, low, high] = [mean.value, *standard_deviation, mean.low, mean.high].map(number);
    let [unit, of_deviation] = units;
    format!(
        "{title:<20} {value}{unit}  (standard deviation {deviation}{of_deviation}, {:.0} % interval {low} to {high}{unit})\n",
        100.0 * mean.level
    )
}
