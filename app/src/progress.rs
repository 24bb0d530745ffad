//! What a person sees while work goes on: bars with rate and time left on stderr, and Ctrl-C.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use archaeo_experiments::investigation::Watcher;
use archaeo_experiments::studies::Progress;
use archaeo_training::EpochRecord;
use archaeo_training::{Observer, StepReport};
use indicatif::{ProgressBar, ProgressStyle};

use crate::printer::printable;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C ask for an orderly end; a second one ends at once.
///
/// # Errors
/// When the handler cannot be set.
pub fn listen_for_interrupt() -> Result<()> {
    Ok(ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nstopping; press Ctrl-C again to stop at once");
    })?)
}

/// Bars on stderr, one at a time.
#[derive(Default)]
pub struct Bars {
    current: RefCell<Option<ProgressBar>>,
}

fn style(unit: &str) -> ProgressStyle {
    let template = format!("  {{msg:28!}} {{bar:28}} {{pos}}/{{len}}  {{per_sec:.0}} {unit}  {{eta}} left");
    ProgressStyle::with_template(&template).expect("the template is valid").progress_chars("━╸─")
}

impl Bars {
    /// Shows a bar of `total` steps.
    pub fn start(&self, what: &str, total: u64, unit: &str) -> ProgressBar {
        self.finish();
        let bar = ProgressBar::new(total).with_style(style(unit)).with_message(printable(what));
        *self.current.borrow_mut() = Some(bar.clone());
        bar
    }

    /// Clears the bar that is shown.
    pub fn finish(&self) {
        if let Some(bar) = self.current.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

/// A bar over the bytes of a file that is fetched.
pub struct DownloadBar(ProgressBar);

impl DownloadBar {
    /// A bar over the `size` bytes of a file.
    pub fn new(name: &str, size: u64) -> Self {
        let template = "  {msg:28!} {bar:28} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        Self(ProgressBar::new(size).with_style(style.progress_chars("━╸─")).with_message(printable(name)))
    }

    /// Shows that so many bytes are there.
    pub fn at(&self, position: u64) {
        self.0.set_position(position);
    }
}

impl Drop for DownloadBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: usize) {
        self.start(what, total as u64, "images/s");
    }

    fn advance(&self, steps: usize) {
        if let Some(bar) = &*self.current.borrow() {
            bar.inc(steps as u64);
        }
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::SeqCst)
    }
}

impl Watcher for Bars {
    fn training(&self, title: &str) -> Box<dyn Observer + '_> {
        Box::new(TrainingBar { bars: self, title: title.to_owned(), bar: None })
    }

    fn progress(&self) -> &dyn Progress {
        self
    }

    fn note(&self, text: &str) {
        self.finish();
        eprintln!("{}", printable(text));
    }

    fn finished(&self, part: &str, seconds: Option<f64>) {
        self.finish();
        match seconds {
            Some(seconds) => eprintln!("  {part:<14} {seconds:6.1} s"),
            None => eprintln!("  {part:<14} found before"),
        }
    }
}

/// A bar over the images of a whole training.
pub struct TrainingBar<'a> {
    bars: &'a Bars,
    title: String,
    bar: Option<ProgressBar>,
}

impl Observer for TrainingBar<'_> {
    fn step(&mut self, report: &StepReport) {
        let Self { bars, bar, .. } = self;
        let bar = bar.get_or_insert_with(|| {
            let bar = bars.start("", report.total_steps * report.images as u64, "images/s");
            // What an interrupted run did earlier is not this run's rate.
            bar.with_position((report.step - 1) * report.images as u64)
                .with_elapsed(std::time::Duration::ZERO)
        });
        bar.set_message(format!("{} epoch {}/{}", printable(&self.title), report.epoch, report.epochs));
        bar.inc(report.images as u64);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let EpochRecord {
            epoch, train_loss, validation_loss, validation_accuracy, images_per_second, ..
        } = record;
        let line = format!(
            "  {} epoch {epoch:>3}  train loss {train_loss:.3}  validation loss {validation_loss:.3}  accuracy {:.1} %  {images_per_second:.0} images/s",
            printable(&self.title),
            100.0 * validation_accuracy
        );
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn should_stop(&self) -> bool {
        INTERRUPTED.load(Ordering::SeqCst)
    }
}
