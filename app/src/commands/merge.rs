//! `archaeo merge`: what was recorded in shards, concluded from as one process would.

use anyhow::Result;
use archaeo_lab::Session;

use super::excavate::told;
use crate::cli::Merge;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// Shards that are missing or do not belong together.
pub fn run(arguments: &Merge, session: &Session, printer: &Printer) -> Result<()> {
    let Merge { folder, missing } = arguments;
    match missing {
        true => printer.result(&session.missing_shards(folder)?, Clone::clone),
        false => printer.result(&session.merge(folder)?, |excavated| told(excavated, folder)),
    }
}
