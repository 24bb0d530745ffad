//! `archaeo report`: the report of an investigation, written again.

use anyhow::Result;
use archaeo_experiments::investigation::report_again;
use serde_json::json;

use crate::cli::Report;
use crate::interrupt;
use crate::printer::Printer;
use crate::progress::stage;

/// Runs the command.
///
/// # Errors
/// A folder without an investigation.
pub fn run(arguments: &Report, printer: &Printer) -> Result<()> {
    interrupt::keeps("the findings are kept; run the same command again to write the report");
    let writing = stage("writing the report");
    report_again(&arguments.folder, arguments.title.as_deref())?;
    drop(writing);
    let path = |name: &str| arguments.folder.join(name).display().to_string();
    let written = json!({ "html": path("report.html"), "markdown": path("report.md") });
    printer.result(&written, |_| format!("Report: {}", path("report.html")))
}
