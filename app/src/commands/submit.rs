//! `archaeo submit`: an investigation on an engine that starts processes on many machines.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use archaeo_lab::{Engine, Session, Submission, Submitted};
use clap::Parser;

use crate::cli::{Cli, Command, Excavate, Investigated, PROGRAM, Study, Submit};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A command that is not recorded in shards, an engine that is not there or refuses.
pub fn run(arguments: &Submit, session: &Session, printer: &Printer) -> Result<()> {
    let (out, trains) = investigated(&arguments.command)?;
    let submission = Submission {
        engine: arguments.engine,
        shards: arguments.shards,
        program: program(arguments),
        arguments: arguments.command.clone(),
        out,
        trains,
        folder: arguments.to.clone(),
        name: arguments.name.clone(),
        at_once: arguments.at_once.map(|most| most as usize),
        time: arguments.time.clone(),
        memory: arguments.memory.clone(),
        cpus: arguments.cpus.into(),
        retries: arguments.retries,
        options: arguments.options.clone(),
        image: arguments.image.clone(),
        claim: arguments.claim.clone(),
    };
    printer.result(&session.submit(&submission, arguments.run)?, lines)
}

/// The folder of the results of a command, and whether it trains models.
fn investigated(command: &[String]) -> Result<(PathBuf, bool)> {
    let words = std::iter::once(PROGRAM).chain(command.iter().map(String::as_str));
    let parsed = match Cli::try_parse_from(words) {
        Ok(parsed) => parsed.command,
        Err(error) => {
            let said = error.render().to_string();
            let reason = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            bail!("`{PROGRAM} {}`: {reason}", command.join(" "));
        }
    };
    let asked: Investigated = match parsed {
        Command::Excavate(Excavate { asked, models_only: false }) => asked,
        Command::Study(Study { name: Some(_), asked }) => asked,
        _ => bail!("only `excavate` and `study NAME` are recorded in shards; give one of them after --"),
    };
    ensure!(asked.shard.is_none(), "--shard is given by the engine; leave it out after --");
    let given = asked.vit.is_some() || asked.cnn.is_some() || !asked.add.is_empty();
    Ok((asked.out, !asked.train.is_empty() || !given))
}

/// The program as the machines find it. A program that runs inside another, as in Python, is found by its name.
fn program(arguments: &Submit) -> String {
    let own = || {
        let path = std::env::current_exe().ok()?;
        let is_it =
            path.file_stem().is_some_and(|name| name == PROGRAM) && arguments.engine != Engine::Kubernetes;
        is_it.then(|| path.display().to_string())
    };
    arguments.program.clone().or_else(own).unwrap_or_else(|| PROGRAM.into())
}

fn lines(submitted: &Submitted) -> String {
    let mut lines: Vec<String> = submitted.files.iter().map(|file| file.display().to_string()).collect();
    lines.push(match &submitted.said {
        Some(said) => said.clone(),
        None => format!("To start: {}", submitted.start),
    });
    lines.join("\n")
}
