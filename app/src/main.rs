//! `archaeo`, a forensic laboratory for vision models: the command line.
//!
//! One command, one file under `commands/`. A command parses nothing and computes nothing: it opens data and models,
//! calls the library, and hands the result to the [`printer`].

mod cli;
mod commands;
mod device;
mod hub;
mod printer;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::printer::Printer;

/// Tensors of a few megabytes come and go with every operation. The system's allocator gives such memory back to the
/// kernel and faults it in again each time, which costs about a fifth of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { command, global } = Cli::parse();
    let printer = Printer::new(global.json);
    match run(command, &global, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, global: &cli::Global, printer: &Printer) -> anyhow::Result<()> {
    if let Some(threads) = global.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    match command {
        Command::Excavate(arguments) => commands::excavate::run(&arguments, global, printer),
        Command::Train(arguments) => commands::train::run(&arguments, global, printer),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments, global, printer),
        Command::Attention(arguments) => commands::attention::run(&arguments, global, printer),
        Command::Attack(arguments) => commands::attack::run(&arguments, global, printer),
        Command::Ablate(arguments) => commands::ablate::run(&arguments, global, printer),
        Command::Data(arguments) => commands::data::run(&arguments, global, printer),
        Command::Models(arguments) => commands::models::run(&arguments, printer),
        Command::Export(arguments) => commands::export::run(&arguments, printer),
        Command::Report(arguments) => commands::report::run(&arguments, printer),
    }
}
