//! `archaeo track`: what trackers make of a training's log, written and delivered afterwards.

use anyhow::Result;
use archaeo_lab::{Delivered, Session};

use crate::cli::Track;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without a log, or one that is in use; a server that does not take what is delivered.
pub fn run(arguments: &Track, session: &Session, printer: &Printer) -> Result<()> {
    let tracked = session.track(&arguments.folder, &arguments.trackers)?;
    printer.result(&tracked, |tracked| {
        let files = tracked.files.iter().map(|file| file.display().to_string());
        files.chain(tracked.delivered.iter().map(line)).collect::<Vec<_>>().join("\n")
    })
}

fn line(Delivered { tracker, to, lines, left_out, .. }: &Delivered) -> String {
    let delivered = match lines {
        0 => format!("{tracker}: nothing new for {to}"),
        1 => format!("{tracker}: 1 line delivered to {to}"),
        _ => format!("{tracker}: {lines} lines delivered to {to}"),
    };
    let left_out = left_out.as_ref().map(|sentence| format!("{tracker}: {sentence}"));
    std::iter::once(delivered).chain(left_out).collect::<Vec<_>>().join("\n")
}
