//! `archaeo report`: the report of an investigation, written again.

use anyhow::Result;
use archaeo_lab::{ReportFormat, Session};

use crate::cli::Report;
use crate::interrupt;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without an investigation.
pub fn run(arguments: &Report, session: &Session, printer: &Printer) -> Result<()> {
    interrupt::keeps("the findings are kept; run the same command again to write the report");
    let Report { folder, title, format, detail } = arguments;
    let written = session.report_again(folder, title.as_deref(), *format, *detail)?;
    printer.result(&written, |written| {
        let file = match format {
            ReportFormat::Html => &written.html,
            ReportFormat::Markdown => &written.markdown,
            ReportFormat::Typst => &written.typst,
            ReportFormat::Latex => written.latex.as_ref().unwrap_or(&written.typst),
            ReportFormat::Notebook => written.notebook.as_ref().unwrap_or(&written.typst),
            ReportFormat::Pdf => written.pdf.as_ref().unwrap_or(&written.typst),
        };
        format!("Report: {file}")
    })
}
