//! A question from Python: its session, whom it keeps informed, and how Ctrl-C ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use archaeo_lab::direct::DirectError;
use archaeo_lab::{Amount, Kind, Listener, Session, SessionOptions, Unit};
use archaeo_ops::Precision;
use archaeo_training::{EpochRecord, Observer, StepReport};
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;

use crate::errors::raised;

/// How often Python is asked for signals, and told how far work has come.
const TICK: Duration = Duration::from_millis(50);

/// What every question brings along: an object of Python with these attributes.
#[derive(FromPyObject)]
pub struct Asked {
    device: String,
    precision: Option<String>,
    seed: Option<u64>,
    threads: Option<usize>,
    memory: Option<u64>,
    offline: bool,
    /// Hears of progress and notes: an object with `begin`, `advance`, `end` and `say`.
    follower: Py<PyAny>,
}

impl Asked {
    /// Asks the lab, while other threads of Python run.
    ///
    /// # Errors
    /// The lab's sentence, `KeyboardInterrupt`, or what the follower raised.
    // Without the hub, whose settings are left as they are, no field is left.
    #[cfg_attr(not(feature = "hub"), allow(clippy::needless_update))]
    pub fn of<T: Send>(
        self,
        py: Python,
        question: impl FnOnce(&Session) -> Result<T, DirectError> + Send,
    ) -> PyResult<T> {
        let precision = match self.precision.as_deref() {
            None => None,
            Some("f32") => Some(Precision::F32),
            Some("bf16") => Some(Precision::Bf16),
            Some(other) => {
                return Err(PyValueError::new_err(format!("precision is f32 or bf16, not {other:?}")));
            }
        };
        let options = SessionOptions {
            device: self.device,
            precision,
            seed: self.seed,
            threads: self.threads,
            memory: self.memory,
            offline: self.offline,
            command: "archaeo in Python".into(),
            ..SessionOptions::default()
        };
        let follower = Arc::new(Follower::new(self.follower));
        let listener = follower.clone();
        let answer = py.detach(move || {
            let session = Session::new(options, listener)?;
            question(&session)
        });
        // Even where the work did not ask, because it was too short or had just ended.
        follower.look(py);
        match (follower.raised(), answer) {
            (Some(error), _) => Err(error),
            (None, Ok(answer)) => Ok(answer),
            (None, Err(DirectError::Interrupted)) => Err(PyKeyboardInterrupt::new_err(())),
            (None, Err(error)) => Err(raised(&error)),
        }
    }
}

/// Tells an object of Python what the lab says, and looks for Ctrl-C on the way.
struct Follower {
    python: Py<PyAny>,
    stop: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// When Python was last asked.
    looked: Instant,
    /// What was raised there.
    raised: Option<PyErr>,
    /// What is done and was not said yet.
    done: u64,
}

impl Follower {
    fn new(python: Py<PyAny>) -> Self {
        let state = State { looked: Instant::now(), raised: None, done: 0 };
        Self { python, stop: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Does something with the state, which never waits for Python.
    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn raised(&self) -> Option<PyErr> {
        self.with(|state| state.raised.take())
    }

    fn stopped_by(&self, error: PyErr) {
        self.stop.store(true, Ordering::SeqCst);
        self.with(|state| {
            state.raised.get_or_insert(error);
        });
    }

    /// Lets Python handle the signals that came.
    fn look(&self, py: Python) {
        if let Err(error) = py.check_signals() {
            self.stopped_by(error);
        }
    }

    /// Whether it is time to ask Python again.
    fn is_time(&self) -> bool {
        self.with(|state| {
            let due = state.looked.elapsed() >= TICK;
            if due {
                state.looked = Instant::now();
            }
            due
        })
    }

    fn tell<'py, A>(&self, py: Python<'py>, method: &str, arguments: A)
    where
        A: pyo3::call::PyCallArgs<'py>,
    {
        if let Err(error) = self.python.bind(py).call_method1(method, arguments) {
            self.stopped_by(error);
        }
    }

    /// Says how much is done and was not said yet.
    fn catch_up(&self, py: Python) {
        let done = self.with(|state| std::mem::take(&mut state.done));
        if done > 0 {
            self.tell(py, "advance", (done,));
        }
    }
}

impl Listener for Follower {
    fn say(&self, kind: Kind, text: &str) {
        let kind = match kind {
            Kind::Note => "note",
            Kind::Warning => "warning",
            Kind::Hint => "hint",
            Kind::Detail => "detail",
        };
        Python::attach(|py| self.tell(py, "say", (kind, text)));
    }

    fn begin(&self, what: &str, amount: Option<Amount>) {
        let unit = amount.map(|amount| match amount.unit {
            Unit::Images => "images",
            Unit::Classes => "classes",
            Unit::Bytes => "bytes",
        });
        Python::attach(|py| {
            self.with(|state| state.done = 0);
            self.tell(py, "begin", (what, amount.map(|amount| amount.total), unit));
        });
    }

    fn advance(&self, units: u64) {
        self.with(|state| state.done += units);
        if self.is_time() {
            Python::attach(|py| {
                self.catch_up(py);
                self.look(py);
            });
        }
    }

    fn end(&self) {
        Python::attach(|py| {
            self.catch_up(py);
            self.tell(py, "end", ());
        });
    }

    fn finished(&self, part: &str, seconds: Option<f64>) {
        Python::attach(|py| self.tell(py, "finished", (part, seconds)));
    }

    fn training(&self, title: &str) -> Box<dyn Observer + '_> {
        Box::new(TrainingFollower { follower: self, title: title.to_owned(), begun: false })
    }

    fn interrupted(&self) -> bool {
        if !self.stop.load(Ordering::SeqCst) && self.is_time() {
            Python::attach(|py| self.look(py));
        }
        self.stop.load(Ordering::SeqCst)
    }
}

/// Follows the training of a model.
struct TrainingFollower<'a> {
    follower: &'a Follower,
    title: String,
    begun: bool,
}

impl TrainingFollower<'_> {
    fn begin(&mut self, what: &str, total: u64, done: u64) {
        if !std::mem::replace(&mut self.begun, true) {
            self.follower.begin(what, Some(Amount { total, unit: Unit::Images }));
            self.follower.advance(done);
        }
    }
}

impl Observer for TrainingFollower<'_> {
    fn note(&mut self, text: &str) {
        self.follower.say(Kind::Note, text);
    }

    fn warn(&mut self, text: &str) {
        self.follower.say(Kind::Warning, text);
    }

    fn step(&mut self, report: &StepReport) {
        let title = self.title.clone();
        let done = (report.step - 1) * report.images as u64;
        self.begin(&title, report.total_steps * report.images as u64, done);
        self.follower.advance(report.images as u64);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let EpochRecord { epoch, train_loss, validation_loss, validation_accuracy, .. } = record;
        self.follower.say(
            Kind::Note,
            &format!(
                "{} epoch {epoch}: loss {train_loss:.3} (validation {validation_loss:.3}), accuracy {:.1} %",
                self.title,
                100.0 * validation_accuracy
            ),
        );
    }

    fn should_stop(&self) -> bool {
        self.follower.interrupted()
    }
}

impl Drop for TrainingFollower<'_> {
    fn drop(&mut self) {
        if self.begun {
            self.follower.end();
        }
    }
}
