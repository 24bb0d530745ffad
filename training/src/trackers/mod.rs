//! Trackers: files about a training for people and other programs.
//!
//! Every tracker is a [`Tracker`] in one list, [`all`]; a recipe chooses with `trackers = ["metrics", "csv"]`. What a
//! tracker writes follows from the run's event log alone ([`crate::events`]), event by event. A resumed training first rebuilds
//! the files, [`track`] builds them for any run, and both are identical to the last byte.

mod csv;
mod described;
mod metrics;
mod mlflow;
mod points;
mod protobuf;
mod tensorboard;
mod tracking;
mod trackio;
mod wandb;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use archaeo_store::Lock;
use archaeo_store::run_folder::RunFolderError;

use crate::events::{self, Event};
use crate::recipe_file::unknown_choice;
use crate::{Picture, RecipeError, TrainError};
pub use mlflow::{KeyValue, Metric, MlflowRequest};
pub(crate) use tracking::{TrackerFailure, Tracking};

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
    /// Names of the files that it writes, within the run folder, each with its header; a name that ends in `/` is a folder, for files
    /// whose names follow from the log.
    pub files: &'static [(&'static str, &'static str)],
    /// The tracker.
    pub begin: fn() -> Box<dyn Tracker>,
}

/// Every tracker.
static ALL: &[&TrackerKind] = &[
    &metrics::METRICS,
    &tensorboard::TENSORBOARD,
    &csv::CSV,
    &wandb::WANDB,
    &trackio::TRACKIO,
    &mlflow::MLFLOW,
];

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

/// Refuses names of a project that some tracker could not use in a path.
pub(crate) fn check_project(name: &str) -> Result<(), RecipeError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(RecipeError::Value(format!(
            "`project` cannot be {name:?}; use 1 to 64 of a-z, A-Z, 0-9, `-` and `_`"
        ))),
    }
}

impl fmt::Debug for TrackerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackerKind({})", self.id)
    }
}

/// Pending additions to a tracker's files.
#[derive(Debug)]
pub struct Files {
    kind: &'static TrackerKind,
    /// The run folder.
    folder: PathBuf,
    /// By the name of the file.
    additions: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// The files with their headers.
    fn begin(kind: &'static TrackerKind, folder: &Path) -> Self {
        let named = kind.files.iter().filter(|(name, _)| !name.ends_with('/'));
        let additions = named.map(|(name, header)| ((*name).to_owned(), header.as_bytes().to_vec()));
        Self { kind, folder: folder.to_owned(), additions: additions.collect() }
    }

    /// A picture that the log names; `None` if it is not there any more as it was.
    pub fn picture(&self, picture: &Picture) -> Option<Vec<u8>> {
        picture.read(&self.folder)
    }

    /// Adds `bytes` to the end of a file.
    ///
    /// # Panics
    /// If the file is not one of the tracker's [`TrackerKind::files`].
    pub fn append(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        let is = |of: &str| of == name || of.ends_with('/') && name.starts_with(of);
        assert!(self.kind.files.iter().any(|(of, _)| is(of)), "no tracker says that it writes `{name}`");
        if !self.additions.contains_key(name) {
            self.additions.insert(name.to_owned(), Vec::new());
        }
        self.additions.get_mut(name).expect("it was added").extend_from_slice(bytes.as_ref());
    }
}

/// Rebuilds the files of these trackers from the log of the run in `folder`, and returns their paths.
///
/// # Errors
/// A folder without a log, one that is in use, a damaged log, and I/O errors.
pub fn track(folder: &Path, kinds: &[&'static TrackerKind]) -> Result<Vec<PathBuf>, TrainError> {
    let log = folder.join(events::LOG);
    if !log.is_file() {
        return Err(TrainError::NoLog(folder.to_owned()));
    }
    let lock = Lock::try_take(&folder.join("lock"))?;
    let _lock = lock.ok_or_else(|| RunFolderError::InUse(folder.to_owned()))?;
    let mut tracking = Tracking::begin(folder, kinds, events::read(&log)?)?;
    match tracking.failures().pop() {
        Some(failure) => Err(failure.error.into()),
        None => Ok(tracking.paths()),
    }
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
        assert!(check_project("Shapes_of-2026").is_ok());
        for name in ["", "a/b", "..", "é", &"x".repeat(65)] {
            let sentence = check_project(name).unwrap_err().to_string();
            assert!(sentence.contains("`project` cannot be"), "{sentence}");
        }
    }
}
