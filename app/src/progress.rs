//! What a person sees while work goes on: one line on stderr, with rate and time left, and lines that stay. Where stderr is no
//! terminal there are only the lines that stay.

mod line;

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use archaeo_lab::{Amount, Kept, Kind, Listener, Unit};
use archaeo_training::{EpochRecord, Observer, StepReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::commands::train;
use crate::interrupt;
use crate::printer::printable;
use crate::talk::{self, Loudness};
use line::State;

/// Columns where the terminal does not say how many it has.
const USUAL_COLUMNS: usize = 80;

/// What takes less time than this is not worth a line.
const UNSEEN: Duration = Duration::from_millis(500);

/// How often a line is drawn where nothing is counted.
const TICK: Duration = Duration::from_millis(200);

/// The line that is shown, and the name and beginning of what it is about.
struct Shown {
    bar: ProgressBar,
    name: Arc<Mutex<String>>,
    since: Instant,
}

/// There is one terminal, so there is one line.
static SHOWN: Mutex<Option<Shown>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<Shown>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something to the terminal with the line out of the way.
pub fn without_bar(write: impl FnOnce()) {
    match &*shown() {
        Some(Shown { bar, .. }) => bar.suspend(write),
        None => write(),
    }
}

fn columns() -> usize {
    terminal_columns(io::stderr()).unwrap_or(USUAL_COLUMNS)
}

/// Columns of the terminal that a stream goes to; `None` where it goes elsewhere.
pub fn terminal_columns(stream: impl IsTerminal) -> Option<usize> {
    // All streams that go to a terminal go to the same one.
    let size = || terminal_size::terminal_size().map(|(width, _)| width.0.into());
    stream.is_terminal().then(size).flatten()
}

/// Replaces the line by one about other work; `total` is `None` where nothing is counted.
fn show(what: &str, total: Option<(u64, Unit)>) -> ProgressBar {
    clear();
    let name = Arc::new(Mutex::new(printable(what)));
    let hidden = talk::loudness() == Loudness::Quiet;
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let called = name.clone();
    let draw = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let name = called.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match total {
            _ if state.elapsed() < UNSEEN => Ok(()),
            // What was counted is done; something that follows from it is still being computed.
            Some((total, _)) if state.pos() >= total => {
                text.write_str(&line::waiting(columns(), &name, state.elapsed()))
            }
            Some((total, unit)) => text.write_str(&line::line(
                columns(),
                &State {
                    what: &name,
                    done: state.pos(),
                    total,
                    unit,
                    rate: state.per_sec(),
                    left: state.eta(),
                    since: state.elapsed(),
                },
            )),
            None => text.write_str(&line::waiting(columns(), &name, state.elapsed())),
        };
        // Into a string of the bar's own.
        let _ = written;
    };
    let style = ProgressStyle::with_template("{line}").expect("the template is valid").with_key("line", draw);
    let bar = ProgressBar::with_draw_target(total.map(|(total, _)| total), target).with_style(style);
    bar.enable_steady_tick(TICK);
    *shown() = Some(Shown { bar: bar.clone(), name, since: Instant::now() });
    bar
}

/// Clears the line, and with `--verbose` says how long that took.
fn clear() {
    let ended = shown().take();
    if let Some(Shown { bar, name, since }) = ended {
        bar.finish_and_clear();
        let name = name.lock().unwrap_or_else(PoisonError::into_inner);
        talk::detail(format!("{name}: {:.1} s", since.elapsed().as_secs_f64()));
    }
}

/// The terminal as a session's listener: sentences, one line of progress, and lines that stay.
pub struct Terminal;

impl Listener for Terminal {
    fn say(&self, kind: Kind, text: &str) {
        match kind {
            Kind::Note => talk::note(text),
            Kind::Warning => talk::warning(text),
            Kind::Hint => talk::hint(text),
            Kind::Detail => talk::detail(text),
        }
    }

    fn begin(&self, what: &str, amount: Option<Amount>) {
        show(what, amount.map(|Amount { total, unit }| (total, unit)));
    }

    fn advance(&self, units: u64) {
        if let Some(Shown { bar, .. }) = &*shown() {
            bar.inc(units);
        }
    }

    fn end(&self) {
        clear();
    }

    fn keeps(&self, kept: Kept) {
        interrupt::keeps(match kept {
            Kept::Download => {
                "what was downloaded is kept; run the same command again to go on from there".into()
            }
            Kept::Epochs { runs, folder } => train::kept(runs, None, folder),
            Kept::Findings(folder) => format!(
                "what was found until now is kept in {}; run the same command again to go on from there",
                folder.display()
            ),
            Kept::Pictures(folder) => format!(
                "pictures of the images that were done are kept in {}; run the same command again for all",
                folder.display()
            ),
            Kept::IncompleteExport => {
                "what is in the folder may be incomplete; run the same command again".into()
            }
        });
    }

    fn finished(&self, part: &str, seconds: Option<f64>) {
        clear();
        talk::progress_line(match seconds {
            Some(seconds) => format!("  {part:<14} {seconds:6.1} s"),
            None => format!("  {part:<14} found before"),
        });
    }

    fn training(&self, title: &str) -> Box<dyn Observer + '_> {
        Box::new(TrainingBar { title: title.to_owned(), bar: None })
    }

    fn interrupted(&self) -> bool {
        interrupt::asked()
    }
}

/// A bar over the images of a whole training.
pub struct TrainingBar {
    title: String,
    bar: Option<ProgressBar>,
}

impl Observer for TrainingBar {
    fn note(&mut self, text: &str) {
        talk::note(text);
    }

    fn warn(&mut self, text: &str) {
        talk::warning(text);
    }

    fn features(&mut self, done: usize, total: usize) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = show(&format!("features for {}", self.title), Some((total as u64, Unit::Images)));
            // What an interrupted run did earlier is not this run's rate.
            bar.with_position(done as u64).with_elapsed(Duration::ZERO)
        });
        bar.set_position(done as u64);
        if done == total {
            self.bar = None;
        }
    }

    fn step(&mut self, report: &StepReport) {
        let Self { bar, title } = self;
        let bar = bar.get_or_insert_with(|| {
            let bar = show(title, Some((report.total_steps * report.images as u64, Unit::Images)));
            // What an interrupted run did earlier is not this run's rate.
            bar.with_position((report.step - 1) * report.images as u64).with_elapsed(Duration::ZERO)
        });
        if let Some(Shown { name, .. }) = &*shown() {
            *name.lock().unwrap_or_else(PoisonError::into_inner) =
                format!("epoch {}/{} {}", report.epoch, report.epochs, printable(title));
        }
        bar.inc(report.images as u64);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let EpochRecord { epoch, train_loss, validation_loss, validation_accuracy, .. } = record;
        talk::progress_line(format!(
            "  {} epoch {epoch:>3}  loss {train_loss:.3} (validation {validation_loss:.3})  accuracy {:.1} %",
            self.title,
            100.0 * validation_accuracy
        ));
        if let Some(waiting) = record.waiting {
            talk::detail(format!("waited for images {:.1} % of the time", 100.0 * waiting));
        }
        if let Some(exchanging) = record.exchanging {
            talk::detail(format!("exchanged with other ranks {:.1} % of the time", 100.0 * exchanging));
        }
    }

    fn should_stop(&self) -> bool {
        interrupt::asked()
    }
}
