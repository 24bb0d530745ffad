//! `archaeo`, a forensic laboratory for vision models: the command line.
//!
//! One command, one file under `commands/`. A command parses nothing and computes nothing: it opens data and models,
//! calls the library, and hands the result to the [`printer`].

mod choices;
mod cli;
mod commands;
mod device;
mod hub;
mod printer;
mod progress;

use std::process::ExitCode;

use archaeo_ops::{keep_freed_memory, with_precision};
use clap::Parser;

use crate::cli::{Cli, Command};
use crate::printer::Printer;

#[global_allocator]
static ALLOCATOR: archaeo_ops::MiMalloc = archaeo_ops::MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
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
    if global.offline {
        hub::stay_offline();
    }
    if let Some(threads) = global.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    with_precision(global.precision(), || execute(command, global, printer))
}

fn execute(command: Command, global: &cli::Global, printer: &Printer) -> anyhow::Result<()> {
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
