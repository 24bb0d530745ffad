//! The event log of a run: `events.jsonl` in its folder, the complete record of its course.
//!
//! One line is one [`Event`] as JSON. Files for people and other programs ([`crate::trackers`]) follow from this log alone and
//! can be rebuilt from it. A run that resumes truncates the log to its checkpoint, so that lost steps do not appear.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use archaeo_store::run_folder::{DataIdentity, Environment};
use archaeo_store::{AppendFile, StoreError};
use serde::{Deserialize, Serialize};

use crate::{EpochRecord, Sight, StepReport, TrainError};

/// Name of the log, within the run folder.
pub const LOG: &str = "events.jsonl";

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Time, in seconds since 1970.
    pub time: f64,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened; in JSON under its name, `"event": "step"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Happening {
    /// A training began or resumed.
    Started(Box<Start>),
    /// The objective decided something.
    Note {
        /// What, a sentence without a full stop.
        text: String,
    },
    /// An optimiser step was taken.
    Step(Step),
    /// What the model of the epoch that ends next looks at.
    Sight(Sight),
    /// An epoch was over, its model evaluated and its checkpoint about to be written.
    Epoch(EpochRecord),
    /// All epochs are done and the model is saved.
    Finished {
        /// File of the weights, within the run folder.
        weights: String,
    },
    /// The training was stopped from outside; steps since the last epoch are lost.
    Stopped {
        /// Epochs kept.
        epochs: usize,
    },
    /// The training failed.
    Failed {
        /// The reason, in a sentence.
        reason: String,
    },
}

/// Description of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Epochs completed by earlier starts.
    pub epochs_done: usize,
    /// Optimiser steps in all.
    pub total_steps: u64,
    /// Name of the model.
    pub model: String,
    /// Number of trained parameters.
    pub parameters: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// The recipe in force.
    pub recipe: serde_json::Value,
    /// The training data.
    pub data: Option<DataIdentity>,
    /// Machine and software of the run.
    pub environment: Option<Environment>,
}

/// One optimiser step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Epoch it belongs to, counted from 1.
    pub epoch: usize,
    /// Steps taken, this one included.
    pub step: u64,
    /// Its training loss, nats.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Norm of its gradient, before clipping.
    pub gradient_norm: f64,
}

impl From<&StepReport> for Step {
    fn from(report: &StepReport) -> Self {
        let StepReport { epoch, step, loss, learning_rate, gradient_norm, .. } = *report;
        Self { epoch, step, loss, learning_rate, gradient_norm }
    }
}

impl Event {
    /// An event with the current time.
    pub(crate) fn now(what: Happening) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self { time: since.map_or(0.0, |since| since.as_secs_f64()), what }
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("plain data") + "\n"
    }
}

/// A run's log, open for appending.
pub(crate) struct EventLog {
    path: PathBuf,
    file: AppendFile,
}

impl EventLog {
    /// Continues the log at `path` after its first `keep` bytes, dropping the rest. A missing or too short log is rebuilt from
    /// `epochs`, which the checkpoint has kept, without their steps.
    pub fn resume(path: PathBuf, keep: u64, epochs: &[EpochRecord]) -> Result<Self, StoreError> {
        let known: String =
            epochs.iter().map(|record| Event::now(Happening::Epoch(record.clone())).line()).collect();
        let file = AppendFile::resume(&path, keep, known.as_bytes())?;
        Ok(Self { path, file })
    }

    /// Adds an event, flushed to disk before returning unless it is a step: steps are lost anyway if a run ends before their
    /// epoch does.
    pub fn append(&mut self, event: &Event) -> Result<(), StoreError> {
        let line = event.line();
        let written = match event.what {
            Happening::Step(_) => self.file.write(line.as_bytes()),
            _ => self.file.append(line.as_bytes()),
        };
        written.map_err(StoreError::io("write", &self.path))
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.file.length()
    }
}

/// End of the line, directly after the first `keep` bytes of the log at `path`, that marks the run as finished; `None` without
/// one.
pub(crate) fn end_of_finished(path: &Path, keep: u64) -> Option<u64> {
    let mut file = archaeo_store::open(path).ok()?;
    file.seek(SeekFrom::Start(keep)).ok()?;
    let mut line = String::new();
    BufReader::new(file.take(LONGEST_LINE)).read_line(&mut line).ok()?;
    let event: Event = serde_json::from_str(&line).ok()?;
    (matches!(event.what, Happening::Finished { .. }) && line.ends_with('\n'))
        .then(|| keep + line.len() as u64)
}

/// Longest line that is read, in bytes; one line holds the names of the classes.
const LONGEST_LINE: u64 = 16 << 20;

/// The events of the log at `path`, in order. An incomplete last line is ignored.
///
/// # Errors
/// A log that cannot be read; the iterator yields an error for a line that is not an event.
pub fn read(path: &Path) -> Result<Events, TrainError> {
    let file = archaeo_store::open(path).map_err(StoreError::io("read", path))?;
    Ok(Events { path: path.to_owned(), reader: BufReader::new(file), line: 0 })
}

/// The events of a log: see [`read`].
pub struct Events {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
}

impl Iterator for Events {
    type Item = Result<Event, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes);
        if let Err(error) = read {
            return Some(Err(StoreError::io("read", &self.path)(error).into()));
        }
        if !bytes.ends_with(b"\n") && (bytes.len() as u64) < LONGEST_LINE {
            return None;
        }
        self.line += 1;
        Some(serde_json::from_slice(&bytes).map_err(|error| TrainError::Event {
            path: self.path.clone(),
            line: self.line,
            reason: error.to_string(),
        }))
    }
}
