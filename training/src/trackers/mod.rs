//! Trackers: files about a training for people and other programs.
//!
//! Every tracker is a [`Tracker`] in one list, [`all`]; a recipe chooses with `trackers = ["metrics", "csv"]`. What a
//! tracker writes follows from the run's event log alone ([`crate::events`]), event by event. A resumed training first rebuilds
//! the files, [`track`] builds them for any run, and both are identical to the last byte.

mod csv;
mod metrics;
mod tensorboard;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use archaeo_store::run_folder::RunFolderError;
use archaeo_store::{AppendFile, Lock, StoreError};

use crate::events::{self, Event, Happening};
use crate::recipe_file::unknown_choice;
use crate::{RecipeError, TrainError};

/// Derives files from a run's events.
pub trait Tracker {
    /// Processes the next event of the log and appends to `files` what follows from it, using nothing else: no clock, no other
    /// file.
    fn log(&mut self, event: &Event, files: &mut Files);
}

/// An entry of the list of trackers, which creates trackers.
pub struct TrackerKind {
    /// Id in recipes.
    pub id: &'static str,
    /// Short description.
    pub title: &'static str,
    /// Names of the files that it writes, within the run folder, each with its header.
    pub files: &'static [(&'static str, &'static str)],
    /// The tracker.
    pub begin: fn() -> Box<dyn Tracker>,
}

/// Every tracker.
static ALL: &[&TrackerKind] = &[&metrics::METRICS, &tensorboard::TENSORBOARD, &csv::CSV];

/// The default trackers.
const USUAL: [&str; 2] = ["metrics", "tensorboard"];

/// Every tracker.
pub fn all() -> &'static [&'static TrackerKind] {
    ALL
}

/// Ids of the default trackers.
pub fn usual() -> Vec<String> {
    USUAL.map(String::from).into()
}

pub(crate) fn are_usual(ids: &[String]) -> bool {
    ids == USUAL
}

/// The trackers of these ids, each once.
///
/// # Errors
/// An unknown id, with the known ones.
pub fn chosen(ids: &[String]) -> Result<Vec<&'static TrackerKind>, RecipeError> {
    let known = || all().iter().map(|kind| kind.id).collect::<Vec<_>>();
    let by_id = |id: &String| {
        let found = all().iter().position(|kind| kind.id == *id);
        found.ok_or_else(|| unknown_choice("trackers", id, &known()))
    };
    let mut places = ids.iter().map(by_id).collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    places.dedup();
    Ok(places.into_iter().map(|place| all()[place]).collect())
}

impl fmt::Debug for TrackerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackerKind({})", self.id)
    }
}

/// Pending additions to a tracker's files.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<&'static str, Vec<u8>>);

impl Files {
    /// Adds `bytes` to the end of a file.
    ///
    /// # Panics
    /// If the file is not one of the tracker's [`TrackerKind::files`].
    pub fn append(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = self.0.get_mut(name).unwrap_or_else(|| panic!("no tracker says that it writes `{name}`"));
        file.extend_from_slice(bytes.as_ref());
    }
}

/// Running trackers, with their files open for appending.
pub(crate) struct Tracking {
    trackers: Vec<Box<dyn Tracker>>,
    /// Additions not yet written.
    files: Files,
    open: BTreeMap<&'static str, (PathBuf, AppendFile)>,
}

impl Tracking {
    /// Starts by rebuilding the files from the events so far; each is replaced as a whole.
    pub fn begin(
        folder: &Path,
        kinds: &[&TrackerKind],
        events: impl Iterator<Item = Result<Event, TrainError>>,
    ) -> Result<Self, TrainError> {
        let mut trackers: Vec<_> = kinds.iter().map(|kind| (kind.begin)()).collect();
        let beginnings = kinds.iter().flat_map(|kind| kind.files);
        let mut files = Files(beginnings.map(|(name, text)| (*name, text.as_bytes().to_vec())).collect());
        for event in events {
            let event = event?;
            trackers.iter_mut().for_each(|tracker| tracker.log(&event, &mut files));
        }
        let mut open = BTreeMap::new();
        for (name, bytes) in &mut files.0 {
            let path = folder.join(name);
            let file = AppendFile::create(&path, &std::mem::take(bytes))?;
            open.insert(*name, (path, file));
        }
        Ok(Self { trackers, files, open })
    }

    /// Processes one more event.
    pub fn log(&mut self, event: &Event) -> Result<(), StoreError> {
        let Self { trackers, files, open } = self;
        trackers.iter_mut().for_each(|tracker| tracker.log(event, files));
        for (name, bytes) in files.0.iter_mut().filter(|(_, bytes)| !bytes.is_empty()) {
            let (path, file) = open.get_mut(name).expect("every file was opened");
            // Steps are written to disk with their epoch.
            let written = match event.what {
                Happening::Step(_) => file.write(bytes),
                _ => file.append(bytes),
            };
            written.map_err(StoreError::io("write", &*path))?;
            bytes.clear();
        }
        Ok(())
    }
}

/// Rebuilds the files of these trackers from the log of the run in `folder`, and returns their paths.
///
/// # Errors
/// A folder without a log, one that is in use, a damaged log, and I/O errors.
pub fn track(folder: &Path, kinds: &[&TrackerKind]) -> Result<Vec<PathBuf>, TrainError> {
    let log = folder.join(events::LOG);
    if !log.is_file() {
        return Err(TrainError::NoLog(folder.to_owned()));
    }
    let lock = Lock::try_take(&folder.join("lock"))?;
    let _lock = lock.ok_or_else(|| RunFolderError::InUse(folder.to_owned()))?;
    let tracking = Tracking::begin(folder, kinds, events::read(&log)?)?;
    Ok(tracking.open.into_values().map(|(path, _)| path).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_and_files_are_each_there_once_and_none_is_the_runs_own() {
        let own = [events::LOG, "lock", "config.toml", "config.json", "data.json", "environment.json"];
        let files = all().iter().flat_map(|kind| kind.files).map(|(name, _)| *name);
        let names: Vec<&str> = files.chain(own).chain(["model.safetensors", "runs.json"]).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        let ids: BTreeSet<&str> = all().iter().map(|kind| kind.id).collect();
        assert_eq!(ids.len(), all().len());
        assert!(are_usual(&usual()) && chosen(&usual()).is_ok());
    }

    #[test]
    fn trackers_are_chosen_by_id() {
        let chosen = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            chosen(&ids).map(|kinds| kinds.iter().map(|kind| kind.id).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["csv", "metrics", "csv"]).unwrap(), ["metrics", "csv"]);
        assert!(chosen(&[]).unwrap().is_empty());
        let sentence = chosen(&["tensorbord"]).unwrap_err().to_string();
        let expected = "`trackers` cannot be `tensorbord`; did you mean `tensorboard`? (choices: metrics, ";
        assert!(sentence.starts_with(expected), "{sentence}");
    }
}
