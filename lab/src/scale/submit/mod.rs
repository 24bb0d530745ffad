//! Files with which an engine starts the shards of an investigation and their merge, and their submission.

mod kubernetes;
mod ray;
mod shell;
mod slurm;
mod yaml;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use archaeo_store::StoreError;
use serde::Serialize;
use thiserror::Error;

use crate::error::LabError;
use crate::session::Session;

/// What starts processes on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// An array of jobs, and a job that merges.
    Slurm,
    /// An Indexed Job, and a Job that merges.
    Kubernetes,
    /// A driver in Python, whose tasks run the program.
    Ray,
}

/// What is to be recorded in shards, and with what.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The engine.
    pub engine: Engine,
    /// How many shards.
    pub shards: usize,
    /// The program: a path, or a name on the PATH of the machines.
    pub program: String,
    /// What it is given: `excavate` or `study`, with options.
    pub arguments: Vec<String>,
    /// Folder of the results.
    pub out: PathBuf,
    /// Whether models are trained first.
    pub trains: bool,
    /// Where the files are written.
    pub folder: PathBuf,
    /// How the jobs are called: small letters, digits and hyphens.
    pub name: String,
    /// Most shards at once.
    pub at_once: Option<usize>,
    /// Time of each job, as Slurm writes it; for Kubernetes `[DAYS-]HOURS:MINUTES:SECONDS`.
    pub time: Option<String>,
    /// Memory of each process, such as `8G`.
    pub memory: Option<String>,
    /// Processors of each process.
    pub cpus: usize,
    /// How often a shard is tried again after a failure that may pass.
    pub retries: usize,
    /// Further options of the engine, such as `--partition=long` of `sbatch`.
    pub options: Vec<String>,
    /// The container image (Kubernetes).
    pub image: String,
    /// The volume claim with the data and the results (Kubernetes); one is made where none is given.
    pub claim: Option<String>,
}

/// What was written, and how it is started.
#[derive(Clone, Debug, Serialize)]
pub struct Submitted {
    /// The engine.
    pub engine: Engine,
    /// Every file.
    pub files: Vec<PathBuf>,
    /// The command that starts all of it.
    pub start: String,
    /// What the engine said, where it was started.
    pub said: Option<String>,
}

/// A submission that is not made.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// No shards.
    #[error("--shards 0: an investigation has at least one shard")]
    NoShards,
    /// An amount that the engine would not understand.
    #[error("--{option} {found}: {expected}")]
    Amount {
        /// Which option.
        option: &'static str,
        /// What was given.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The program of an engine is not there.
    #[error("{program} is not on the PATH, so that nothing was submitted; run `{start}` where it is")]
    NotHere {
        /// Which program.
        program: &'static str,
        /// What starts everything.
        start: String,
    },
    /// The engine refused.
    #[error("`{start}` ended with {status}{}", said(.reason))]
    Refused {
        /// What was run.
        start: String,
        /// How it ended.
        status: String,
        /// The last thing that it said.
        reason: String,
    },
    /// A command that does not start.
    #[error("`{start}` cannot be started: {source}")]
    Start {
        /// What was run.
        start: String,
        /// Why not.
        source: std::io::Error,
    },
}

fn said(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// A file that an engine needs.
struct File {
    name: &'static str,
    text: String,
}

impl Submission {
    /// Its files, the last of which starts everything, the program that starts that, and the engine's own program.
    fn files(&self, directory: &Path) -> Result<(Vec<File>, &'static str, &'static str), SubmitError> {
        if self.shards == 0 {
            return Err(SubmitError::NoShards);
        }
        Ok(match self.engine {
            Engine::Slurm => (slurm::files(self, directory), "bash", "sbatch"),
            Engine::Kubernetes => (kubernetes::files(self)?, "bash", "kubectl"),
            Engine::Ray => (ray::files(self, directory), "python3", "python3"),
        })
    }

    /// The command line of the program, with more arguments.
    fn command(&self, more: &[&str]) -> Vec<String> {
        let more = more.iter().map(|&word| word.to_owned());
        std::iter::once(self.program.clone()).chain(self.arguments.iter().cloned()).chain(more).collect()
    }

    /// The command line that merges, with more arguments.
    fn merge(&self, more: &[&str]) -> Vec<String> {
        let words = [self.program.as_str(), "merge"].into_iter().map(str::to_owned);
        let more = more.iter().map(|&word| word.to_owned());
        words.chain([self.out.display().to_string()]).chain(more).collect()
    }
}

impl Session {
    /// Writes what an engine needs to record an investigation in shards and to merge them; with `run`, starts it.
    ///
    /// # Errors
    /// A folder that cannot be written; with `run`, an engine that is not there or refuses.
    pub fn submit(&self, submission: &Submission, run: bool) -> Result<Submitted, LabError> {
        let directory = env::current_dir().map_err(StoreError::io("find", "."))?;
        let (files, starter, program) = submission.files(&directory)?;
        let folder = &submission.folder;
        std::fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
        let mut written = Vec::new();
        for File { name, text } in &files {
            let path = folder.join(name);
            archaeo_store::write(&path, text.as_bytes())?;
            written.push(path);
        }
        let last = written.last().expect("an engine has files");
        let start = format!("{starter} {}", shell::quoted(&last.display().to_string()));
        let said = match run {
            true => Some(started(starter, last, program, &start)?),
            false => None,
        };
        Ok(Submitted { engine: submission.engine, files: written, start, said })
    }
}

/// Runs the file that starts everything, and gives what it said on stdout.
fn started(
    starter: &'static str,
    file: &Path,
    program: &'static str,
    start: &str,
) -> Result<String, SubmitError> {
    for needed in [starter, program] {
        if !is_on_path(needed) {
            return Err(SubmitError::NotHere { program: needed, start: start.into() });
        }
    }
    let ended = Command::new(starter).arg(file).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let ended = ended.map_err(|source| SubmitError::Start { start: start.into(), source })?;
    let text = String::from_utf8_lossy(&ended.stdout).trim_end().to_owned();
    match ended.status.success() {
        true => Ok(text),
        false => Err(SubmitError::Refused {
            start: start.into(),
            status: ended.status.to_string(),
            reason: text.lines().last().unwrap_or_default().into(),
        }),
    }
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests;
