//! Delivery of what trackers wrote for programs outside the run folder: requests for an MLflow server, records for trackio.
//!
//! A tracker writes into the run folder what is to be delivered, from the run's log alone. A [`Destination`] delivers it and keeps how far it
//! has come next to it, so that what could not be delivered is delivered later and nothing twice. A destination that fails never stops a
//! training.

#[cfg(feature = "hub")]
mod mlflow;
#[cfg(feature = "hub")]
mod mlflow_client;
#[cfg(all(test, feature = "hub"))]
mod mlflow_tests;
mod trackio;

use std::path::{Path, PathBuf};
use std::time::Duration;

use archaeo_store::StoreError;
use archaeo_training::{EpochRecord, Observer, StepReport};
use serde::Serialize;
use thiserror::Error;

/// The longest file that is delivered; a million steps take less.
const LONGEST: u64 = 4 << 30;

/// Why something is not delivered.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// No destination.
    #[error("{0}")]
    Nowhere(String),
    /// No answer.
    #[error("the server at {address} cannot be reached ({reason})")]
    Unreachable {
        /// Its address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// An answer that is a refusal.
    #[error("the server at {address} answered {status} to {request} ({reason})")]
    Refused {
        /// Its address.
        address: String,
        /// The status of HTTP.
        status: u16,
        /// The last part of the request's path.
        request: String,
        /// What the server says.
        reason: String,
    },
    /// What is to be delivered was not written by this program.
    #[error("{} is damaged at line {line} ({reason}); remove it and run `archaeo track` again", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeliveryError {
    /// Whether the same may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// What was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// The tracker whose file it was.
    pub tracker: &'static str,
    /// The run folder.
    pub run: PathBuf,
    /// Where it is now.
    pub to: String,
    /// Lines that were delivered now; the others were before.
    pub lines: usize,
    /// What cannot be delivered there and why, a sentence without a full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// Takes what one tracker writes.
trait Destination {
    /// Id of the tracker.
    fn tracker(&self) -> &'static str;

    /// Delivers what is new in the run folder.
    fn deliver(&self, folder: &Path) -> Result<Delivered, DeliveryError>;
}

/// Where these trackers deliver to, as the environment says it.
fn destinations(trackers: &[String], offline: bool) -> Vec<Box<dyn Destination>> {
    let mut found: Vec<Box<dyn Destination>> = Vec::new();
    if trackers.iter().any(|id| id == "trackio") {
        found.push(Box::new(trackio::Inbox::from_environment()));
    }
    if trackers.iter().any(|id| id == "mlflow") {
        #[cfg(feature = "hub")]
        found.push(Box::new(mlflow::Server::from_environment(offline)));
        #[cfg(not(feature = "hub"))]
        found.push(Box::new(NoNetwork));
    }
    let _ = offline;
    found
}

/// MLflow, in a program without a network.
#[cfg(not(feature = "hub"))]
struct NoNetwork;

#[cfg(not(feature = "hub"))]
impl Destination for NoNetwork {
    fn tracker(&self) -> &'static str {
        "mlflow"
    }

    fn deliver(&self, _folder: &Path) -> Result<Delivered, DeliveryError> {
        let sentence = "this program was built without the feature `hub`, so that it has no network";
        Err(DeliveryError::Nowhere(sentence.into()))
    }
}

/// Times that a delivery is tried, and the pause before the second time; it doubles.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers all that these trackers have written in the folder of a run.
pub(crate) fn deliver(
    folder: &Path,
    trackers: &[String],
    offline: bool,
) -> Result<Vec<Delivered>, DeliveryError> {
    let with_patience = |destination: Box<dyn Destination>| {
        let mut lines = 0;
        for attempt in 1.. {
            match destination.deliver(folder) {
                Ok(delivered) => return Ok(Delivered { lines: delivered.lines + lines, ..delivered }),
                Err(error) if attempt == ATTEMPTS || !error.may_pass() => return Err(error),
                Err(_) => std::thread::sleep(PAUSE * 2u32.pow(attempt - 1)),
            }
            lines = 0;
        }
        unreachable!("the loop ends with a result")
    };
    destinations(trackers, offline).into_iter().map(with_patience).collect()
}

/// An observer that delivers after each epoch, and passes everything on to another.
pub(crate) struct Delivering<'a> {
    observer: Box<dyn Observer + 'a>,
    folder: PathBuf,
    destinations: Vec<Attempts>,
}

/// A destination, and how it goes.
struct Attempts {
    destination: Box<dyn Destination>,
    /// Epochs to let pass before the next attempt, and after the next failure.
    pause: usize,
    next_pause: usize,
    told: bool,
    told_what_is_left_out: bool,
}

impl<'a> Delivering<'a> {
    pub fn new(observer: Box<dyn Observer + 'a>, folder: &Path, trackers: &[String], offline: bool) -> Self {
        let attempts = |destination| Attempts {
            destination,
            pause: 0,
            next_pause: 1,
            told: false,
            told_what_is_left_out: false,
        };
        let destinations = destinations(trackers, offline).into_iter().map(attempts).collect();
        Self { observer, folder: folder.to_owned(), destinations }
    }

    /// One attempt for each destination; after failures fewer and fewer epochs are delivered at once, since each failure may take as long as
    /// a server may be silent.
    fn deliver(&mut self) {
        let Self { observer, folder, destinations } = self;
        for Attempts { destination, pause, next_pause, told, told_what_is_left_out } in destinations {
            if *pause > 0 {
                *pause -= 1;
                continue;
            }
            match destination.deliver(folder) {
                Ok(Delivered { left_out, .. }) => {
                    *next_pause = 1;
                    if let Some(left_out) = left_out
                        && !std::mem::replace(told_what_is_left_out, true)
                    {
                        observer.warn(&left_out);
                    }
                }
                Err(error) => {
                    (*pause, *next_pause) = (*next_pause, 2 * *next_pause);
                    if !std::mem::replace(told, true) {
                        let id = destination.tracker();
                        observer.warn(&format!(
                            "nothing reaches {id} for now, the training goes on: {error}; `archaeo track {} --to {id}` delivers what is missing",
                            folder.display()
                        ));
                    }
                }
            }
        }
    }
}

impl Observer for Delivering<'_> {
    fn note(&mut self, text: &str) {
        self.observer.note(text);
    }

    fn warn(&mut self, text: &str) {
        self.observer.warn(text);
    }

    fn features(&mut self, done: usize, total: usize) {
        self.observer.features(done, total);
    }

    fn step(&mut self, report: &StepReport) {
        self.observer.step(report);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.observer.epoch(record);
        self.deliver();
    }

    fn should_stop(&self) -> bool {
        self.observer.should_stop()
    }

    fn ended(&mut self) {
        self.observer.ended();
        self.destinations.iter_mut().for_each(|attempts| attempts.pause = 0);
        self.deliver();
    }
}

/// The text of a file that a tracker wrote; empty where it has written nothing yet.
fn written(path: &Path) -> Result<String, DeliveryError> {
    match archaeo_store::read_text(path, LONGEST) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(StoreError::io("read", path)(error).into()),
    }
}

/// How far a delivery has come; that of a damaged or missing file is the beginning.
fn progress<T: Default + serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = archaeo_store::read_text(path, 1 << 20).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn keep_progress(path: &Path, progress: &impl Serialize) -> Result<(), StoreError> {
    archaeo_store::write(path, &serde_json::to_vec(progress).expect("plain data"))
}
