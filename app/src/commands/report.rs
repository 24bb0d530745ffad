//! `archaeo report`: the report of an investigation, written again.

use anyhow::Result;
use archaeo_lab::Session;

use crate::cli::Report;
use crate::interrupt;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without an investigation.
pub fn run(arguments: &Report, session: &Session, printer: &Printer) -> Result<()> {
    interrupt::keeps("the findings are kept; run the same command again to write the report");
    let written = session.report_again(&arguments.folder, arguments.title.as_deref())?;
    printer.result(&written, |written| format!("Report: {}", written.html))
}
