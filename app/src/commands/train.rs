//! `archaeo train`: one model, from a recipe.

use anyhow::{Result, bail};
use archaeo_lab::{Session, Training, TrainingResult};
use archaeo_training::Outcome;

use super::configs::BuiltIn;
use crate::cli::Train;
use crate::interrupt;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence; the checkpoint of the last finished epoch is kept.
pub fn run(arguments: &Train, session: &Session, printer: &Printer) -> Result<()> {
    let Train { config, data, set, out, strict } = arguments;
    let recipe = session.recipe(BuiltIn::or_file(config), set)?;
    let training = Training { recipe: &recipe, data: data.as_deref(), out, strict: *strict };
    match session.train(&training)? {
        Outcome::Stopped { epochs } => {
            let kept = |epochs: &str| {
                format!("{epochs} kept in {}; run the same command again to go on from there", out.display())
            };
            interrupt::keeps(match epochs {
                0 => "no epoch was finished, so nothing is kept; run the same command again".into(),
                1 => kept("1 epoch is"),
                _ => kept(&format!("{epochs} epochs are")),
            });
            bail!("interrupted")
        }
        Outcome::Finished(trained) => {
            printer.result(&TrainingResult::of(&trained), |result| format!("Model: {}", result.model))
        }
    }
}
