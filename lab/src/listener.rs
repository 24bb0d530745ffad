//! Who hears what a session decides and how far it has come: a terminal, the page of a server, a notebook, or nobody.

use std::path::Path;

use archaeo_experiments::investigation::Watcher;
use archaeo_experiments::scene::Progress;
use archaeo_training::{Observer, Recipe};

use crate::delivery::Delivering;

/// What a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that was decided or noticed; nothing is wrong.
    Note,
    /// Something that makes a result worse or narrower than was asked for.
    Warning,
    /// What to do about the sentence before.
    Hint,
    /// What was decided, for those who want to know all of it.
    Detail,
}

/// What is counted while work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Images.
    Images,
    /// Classes of which prompts are read.
    Classes,
    /// Bytes that arrive.
    Bytes,
}

/// How much work there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// How many of `unit`.
    pub total: u64,
    /// What is counted.
    pub unit: Unit,
}

/// What there is on disk if the work ends here, and that the same request goes on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// The part of a file that was downloaded.
    Download,
    /// Every finished epoch of a training.
    Epochs {
        /// Its runs that are done.
        runs: usize,
        /// The run folder, of all runs.
        folder: &'a Path,
    },
    /// What an investigation has found, in its folder.
    Findings(&'a Path),
    /// Pictures of the images that are done, in this folder: the request has to be made again.
    Pictures(&'a Path),
    /// An incomplete folder of an exported model: the request has to be made again.
    IncompleteExport,
}

/// Hears what a session decides and does, from any thread, and may stop it. Each method does nothing unless it is implemented.
pub trait Listener: Send + Sync {
    /// A sentence without a full stop.
    fn say(&self, _kind: Kind, _text: &str) {}

    /// Work begins, in place of that before it; without an amount nobody counts it.
    fn begin(&self, _what: &str, _amount: Option<Amount>) {}

    /// So much more of it is done.
    fn advance(&self, _units: u64) {}

    /// It has ended, whether or not it was completed.
    fn end(&self) {}

    /// From here on, an interruption leaves this on disk.
    fn keeps(&self, _kept: Kept) {}

    /// A part of an investigation is done; `seconds` is `None` where earlier findings were taken over.
    fn finished(&self, _part: &str, _seconds: Option<f64>) {}

    /// Who follows the training of a model.
    fn training(&self, _title: &str) -> Box<dyn Observer + '_> {
        Box::new(())
    }

    /// Whether to stop at the next opportunity.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Listener for Silent {}

/// Work that a listener hears of until this is dropped.
pub(crate) struct Work<'a>(&'a dyn Listener);

impl<'a> Work<'a> {
    /// Work that says itself how far it is.
    pub fn of(listener: &'a dyn Listener) -> Self {
        Self(listener)
    }

    pub fn begin(listener: &'a dyn Listener, what: &str, amount: Option<Amount>) -> Self {
        listener.begin(what, amount);
        Self(listener)
    }

    pub fn advance(&self, units: usize) {
        self.0.advance(units as u64);
    }

    /// For functions that say how much is done so far.
    pub fn follow(&self) -> impl FnMut(usize) + use<'_, 'a> {
        let mut done = 0;
        move |so_far| {
            self.advance(so_far - done);
            done = so_far;
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A listener as studies and investigations know theirs.
pub(crate) struct Followed<'a>(pub &'a dyn Listener);

impl Progress for Followed<'_> {
    fn begin(&self, what: &str, total: usize) {
        self.0.begin(what, Some(Amount { total: total as u64, unit: Unit::Images }));
    }

    fn advance(&self, steps: usize) {
        self.0.advance(steps as u64);
    }

    fn stage(&self, what: &str) {
        self.0.begin(what, None);
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}

/// A listener as an investigation knows its own; what trackers write of its trainings is delivered.
pub(crate) struct Watched<'a> {
    /// The listener.
    pub followed: Followed<'a>,
    /// Whether nothing may be sent over the network.
    pub offline: bool,
}

impl Watcher for Watched<'_> {
    fn training(&self, title: &str, recipe: &Recipe, folder: &Path) -> Box<dyn Observer + '_> {
        let observer = self.followed.0.training(title);
        Box::new(Delivering::new(observer, folder, &recipe.trackers, self.offline))
    }

    fn progress(&self) -> &dyn Progress {
        &self.followed
    }

    fn note(&self, text: &str) {
        // What to do where the note before it says too much.
        let kind = if text.contains(": If that is wrong, ") { Kind::Hint } else { Kind::Note };
        self.followed.0.say(kind, text);
    }

    fn finished(&self, part: &str, seconds: Option<f64>) {
        self.followed.0.finished(part, seconds);
    }
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
