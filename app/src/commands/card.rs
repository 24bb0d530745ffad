//! `archaeo card`: what a model is and what was measured of it, on one page.

use anyhow::Result;
use archaeo_lab::{CardOptions, Session, WrittenCard};

use crate::cli::Card;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without an investigation or a training, a model that is not there, a file that is no card.
pub fn run(arguments: &Card, session: &Session, printer: &Printer) -> Result<()> {
    let Card { path, model, license, out } = arguments;
    let options = CardOptions { model: model.clone(), license: license.clone(), out: out.clone() };
    let written = session.model_cards(path, &options)?;
    printer.result(&written, |written| {
        let line = |WrittenCard { model, file, text }: &WrittenCard| match file {
            Some(file) => format!("{model}: {}", file.display()),
            None => text.clone(),
        };
        written.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}
