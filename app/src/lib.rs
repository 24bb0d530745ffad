//! `archaeo`, a forensic laboratory for vision models: the command line.
//!
//! One command, one file under `commands/`. A command parses nothing and computes nothing: it turns the command line into a
//! question for the [`Session`], and hands the answer to the `printer`.
//!
//! The program, and the command of the same name that the Python package brings along, are [`run`] and nothing else.

mod choices;
mod cli;
mod commands;
mod interrupt;
mod printer;
mod progress;
mod ranks;
mod talk;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use archaeo_lab::{Session, is_transient};
use archaeo_ops::keep_freed_memory;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command, TRY_AGAIN, WRONG_COMMAND_LINE};
use crate::printer::{Printer, printable};
use crate::progress::Terminal;

#[global_allocator]
static ALLOCATOR: archaeo_ops::MiMalloc = archaeo_ops::MiMalloc;

/// Status of what was done.
const SUCCESS: u8 = 0;

/// Status of what could not be done.
const FAILURE: u8 = 1;

/// Runs a command line, whose first word is the program's name, and returns the exit status. It listens to the signals of the whole
/// process, and may end it: to be called once, before any other thread begins.
pub fn run(words: Vec<OsString>) -> u8 {
    keep_freed_memory();
    let status = asked(words);
    // A library that ends has no runtime to write what is left; nobody may be reading any more.
    let _ = std::io::stdout().flush();
    status
}

fn asked(words: Vec<OsString>) -> u8 {
    let Cli { command, global } = match understood(words) {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let printer = Printer::new(global.json);
    match interrupt::listen().and_then(|()| answered(command, &global, &printer)) {
        Ok(()) => SUCCESS,
        // What stopped because it was asked to has not failed.
        Err(error) => interrupt::ended().unwrap_or_else(|| {
            talk::error(&error);
            if error.chain().any(is_transient) { TRY_AGAIN } else { FAILURE }
        }),
    }
}

/// The command line; where there is nothing to do, because help was asked for or it is wrong, that is said and the exit status
/// returned.
fn understood(words: Vec<OsString>) -> Result<Cli, u8> {
    let colour = cli::colour(&words);
    let parsed = Cli::command().color(colour).try_get_matches_from(words);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            talk::configure(cli.global.loudness(), colour);
            Ok(cli)
        }
        Err(error) if error.use_stderr() => {
            talk::configure(talk::Loudness::Usual, colour);
            talk::usage_error(&shown_safely(error));
            Err(WRONG_COMMAND_LINE)
        }
        Err(help) => {
            // Nobody may be reading any more.
            let _ = help.print();
            Err(SUCCESS)
        }
    }
}

/// The error with what it repeats of the command line on one line and without what would move the cursor.
fn shown_safely(mut error: clap::Error) -> clap::Error {
    let repeated: Vec<(ContextKind, String)> = (error.context())
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, printable(text))),
            _ => None,
        })
        .collect();
    for (kind, text) in repeated {
        error.insert(kind, ContextValue::String(text));
    }
    error
}

fn answered(command: Command, global: &cli::Global, printer: &Printer) -> anyhow::Result<()> {
    let session = Session::new(global.session(), Arc::new(Terminal))?;
    let session = &session;
    match command {
        Command::Excavate(arguments) => commands::excavate::run(&arguments, session, printer),
        Command::Study(arguments) => commands::study::run(&arguments, session, printer),
        Command::Merge(arguments) => commands::merge::run(&arguments, session, printer),
        Command::Submit(arguments) => commands::submit::run(&arguments, session, printer),
        Command::Train(arguments) => commands::train::run(&arguments, session, printer),
        Command::Compare(arguments) => commands::compare::run(&arguments, session, printer),
        Command::Track(arguments) => commands::track::run(&arguments, session, printer),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments, session, printer),
        Command::Explain(arguments) => commands::explain::run(&arguments, session, printer),
        Command::Lab(arguments) => commands::lab::run(&arguments, session, printer),
        Command::Features(arguments) => commands::features::run(&arguments, session, printer),
        Command::Prompts(arguments) => commands::prompts::run(&arguments, session, printer),
        Command::Attention(arguments) => commands::attention::run(&arguments, session, printer),
        Command::Attack(arguments) => commands::attack::run(&arguments, session, printer),
        Command::Corrupt(arguments) => commands::corrupt::run(&arguments, session, printer),
        Command::Audit(arguments) => commands::audit::run(&arguments, session, printer),
        Command::Ablate(arguments) => commands::ablate::run(&arguments, session, printer),
        Command::Benchmark(arguments) => commands::benchmark::run(&arguments, session, printer),
        Command::Profile(arguments) => commands::profile::run(&arguments, session, printer),
        Command::Lesson(arguments) => commands::lesson::run(&arguments, printer),
        Command::Data(arguments) => commands::data::run(&arguments, session, printer),
        Command::Models(arguments) => commands::models::run(&arguments, session, printer),
        Command::Configs(arguments) => commands::configs::run(&arguments, printer),
        Command::Init(arguments) => commands::init::run(&arguments, printer),
        Command::Export(arguments) => commands::export::run(&arguments, session, printer),
        Command::Card(arguments) => commands::card::run(&arguments, session, printer),
        Command::Report(arguments) => commands::report::run(&arguments, session, printer),
        Command::Figure(arguments) => commands::figure::run(&arguments, session, printer),
        Command::Verify(arguments) => commands::verify::run(&arguments, session, printer),
        Command::Completions(arguments) => commands::completions::run(&arguments, printer),
        Command::Man(arguments) => commands::man::run(&arguments, printer),
    }
}
