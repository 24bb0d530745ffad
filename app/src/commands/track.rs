//! `archaeo track`: what trackers make of a training's log, written again.

use anyhow::Result;
use archaeo_training::trackers;
use serde_json::json;

use crate::cli::Track;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without a log, or one that is in use.
pub fn run(arguments: &Track, printer: &Printer) -> Result<()> {
    let kinds = trackers::chosen(&arguments.trackers)?;
    let mut written = Vec::new();
    for folder in archaeo_training::run_folders(&arguments.folder) {
        let files = trackers::track(&folder, &kinds)?;
        written.extend(files.into_iter().map(|file| file.display().to_string()));
    }
    printer.result(&json!({ "files": written }), |_| written.join("\n"))
}
