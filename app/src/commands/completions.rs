//! `archaeo completions`: what a shell needs to complete command lines.

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Completions, PROGRAM};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written to.
pub fn run(arguments: &Completions, printer: &Printer) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), PROGRAM, &mut script);
    printer.raw(&script)
}
