//! Trackers at work: their files, and what becomes of one that fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archaeo_store::{AppendFile, StoreError};

use super::{Files, Tracker, TrackerKind};
use crate::TrainError;
use crate::events::{Event, Happening};

/// Running trackers. One whose files cannot be written is left out from then on: the log has everything to write them again.
pub(crate) struct Tracking {
    folder: PathBuf,
    running: Vec<Running>,
    failures: Vec<TrackerFailure>,
}

/// A tracker that has stopped.
#[derive(Debug)]
pub(crate) struct TrackerFailure {
    /// Its id.
    pub id: &'static str,
    /// Why.
    pub error: StoreError,
}

struct Running {
    kind: &'static TrackerKind,
    tracker: Box<dyn Tracker>,
    /// Additions not yet written.
    files: Files,
    /// By name.
    open: BTreeMap<String, AppendFile>,
}

impl Tracking {
    /// Starts by rebuilding the files from the events so far; each is replaced as a whole.
    ///
    /// # Errors
    /// A damaged log.
    pub fn begin(
        folder: &Path,
        kinds: &[&'static TrackerKind],
        events: impl Iterator<Item = Result<Event, TrainError>>,
    ) -> Result<Self, TrainError> {
        let begin = |kind: &&'static TrackerKind| Running {
            kind,
            tracker: (kind.begin)(),
            files: Files::begin(kind, folder),
            open: BTreeMap::new(),
        };
        let mut running: Vec<Running> = kinds.iter().map(begin).collect();
        for event in events {
            let event = event?;
            running.iter_mut().for_each(|one| one.tracker.log(&event, &mut one.files));
        }
        let mut tracking = Self { folder: folder.to_owned(), running, failures: Vec::new() };
        tracking.write(true);
        Ok(tracking)
    }

    /// Processes one more event.
    pub fn log(&mut self, event: &Event) {
        self.running.iter_mut().for_each(|one| one.tracker.log(event, &mut one.files));
        // Steps are flushed to disk with their epoch.
        self.write(!matches!(event.what, Happening::Step(_)));
    }

    /// The trackers that have stopped since the last call.
    pub fn failures(&mut self) -> Vec<TrackerFailure> {
        std::mem::take(&mut self.failures)
    }

    /// Paths of the files.
    pub fn paths(&self) -> Vec<PathBuf> {
        let names = self.running.iter().flat_map(|one| one.open.keys());
        names.map(|name| self.folder.join(name)).collect()
    }

    fn write(&mut self, flush: bool) {
        let Self { folder, running, failures } = self;
        running.retain_mut(|one| match one.write(folder, flush) {
            Ok(()) => true,
            Err(error) => {
                failures.push(TrackerFailure { id: one.kind.id, error });
                false
            }
        });
    }
}

impl Running {
    fn write(&mut self, folder: &Path, flush: bool) -> Result<(), StoreError> {
        for (name, bytes) in &mut self.files.additions {
            let path = folder.join(name);
            match self.open.get_mut(name) {
                Some(_) if bytes.is_empty() => {}
                Some(file) => {
                    let written = if flush { file.append(bytes) } else { file.write(bytes) };
                    written.map_err(StoreError::io("write", &path))?;
                }
                None => {
                    let parent = path.parent().expect("it lies in the run folder");
                    std::fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
                    self.open.insert(name.clone(), AppendFile::create(&path, bytes)?);
                }
            }
            bytes.clear();
        }
        Ok(())
    }
}
