//! `archaeo figure`: a figure of an investigation at a journal's width.

use anyhow::Result;
use archaeo_lab::Session;

use crate::cli::Figure;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without figures, one that is not there, or a file that cannot be written.
pub fn run(arguments: &Figure, session: &Session, printer: &Printer) -> Result<()> {
    let Figure { name, run, width, format, out } = arguments;
    let Some(name) = name else {
        return printer.result(&session.figures(run)?, |names| names.join("\n"));
    };
    let written = session.figure(run, name, width, *format, out.as_deref())?;
    printer.result(&written, |written| format!("Figure: {}", written.file.display()))
}
