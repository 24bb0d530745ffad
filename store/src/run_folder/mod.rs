//! Run folders: where a run keeps its configuration, environment and results, so that every number is traceable.
//!
//! | file | holds |
//! |---|---|
//! | `lock` | empty; locked by the process using the folder |
//! | `config.toml` | the configuration in force |
//! | `data.json` | the data's source, fingerprint, classes and counts |
//! | `environment.json` | one entry per start: program, commit, command, machine |
//! | `events.jsonl` | the event log, one event per line |
//! | `metrics.jsonl`, `events.out.tfevents.archaeo` | files derived by trackers: one line per epoch, the same for TensorBoard |
//! | `checkpoints/` | `last.safetensors` (to resume), `best.safetensors` (best on validation) |
//! | `model.safetensors` | the trained model |
//! | `manifest.json` | of an investigation: hashes of everything that its report was made from |
//!
//! The lock comes first, so that two runs never see the same partial folder; a start writes `config.toml` last, so that its
//! presence implies the rest.

mod difference;
mod environment;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Lock, StoreError, read_bytes, read_text, sweep};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

pub use crate::{sha256_file, sha256_path as sha256_checkpoint};
pub use environment::{Build, Environment};

pub use difference::difference_of_configs;
use difference::difference_of_data;

/// Why a run folder cannot be used.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// An I/O error, or a path that is not an ordinary file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file in the folder was not written by this program.
    #[error("{} is damaged ({reason}); remove it, or use another --out", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is a file where the folder, or one that it is in, should be.
    #[error("{} is a file; give --out a new or an empty folder", .0.display())]
    File(PathBuf),
    /// The folder holds other files.
    #[error("{} is not empty and no run folder; give --out a new or an empty folder", .0.display())]
    Foreign(PathBuf),
    /// The folder holds a run of another configuration.
    #[error("{} holds a run with another configuration ({difference}); use another --out, or the same configuration to resume", path.display())]
    OtherConfiguration {
        /// Which folder.
        path: PathBuf,
        /// The first differences.
        difference: String,
    },
    /// The folder holds a run on other data.
    #[error("{} holds a run on other data ({difference}); use another --out, or the same data to resume", path.display())]
    OtherData {
        /// Which folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Another process writes there.
    #[error("another run is using {}; wait for it, or use another --out", .0.display())]
    InUse(PathBuf),
}

/// The identity of a run's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataIdentity {
    /// As given on the command line.
    pub source: String,
    /// SHA-256 of everything that determines the data.
    pub fingerprint: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Images in each split.
    pub counts: BTreeMap<String, usize>,
}

/// Bytes of the longest record that is read.
pub const LONGEST: u64 = 64 << 20;

// Files of a run folder.
const LOCK: &str = "lock";
const CONFIG: &str = "config.toml";
const DATA: &str = "data.json";
const ENVIRONMENT: &str = "environment.json";
const CHECKPOINTS: &str = "checkpoints";

/// A run folder, locked by this process while the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// `None` where another process of the same run has it.
    lock: Option<Lock>,
}

impl RunFolder {
    /// Opens the folder at `path` for a run with this configuration on this data: creates it, or resumes the existing one.
    /// `environment` is appended to the earlier ones, and temporary files of killed runs are removed.
    ///
    /// # Errors
    /// One sentence: a folder of something else, of another configuration or other data, one in use, or an I/O error.
    pub fn open(
        path: &Path,
        config: &str,
        data: &DataIdentity,
        environment: &Environment,
    ) -> Result<Self, RunFolderError> {
        Self::open_changing(path, config, &[], data, environment)
    }

    /// As [`RunFolder::open`]; keys of the configuration that begin with one of `free` may differ from those of the run there, and
    /// are replaced.
    ///
    /// # Errors
    /// As there.
    pub fn open_changing(
        path: &Path,
        config: &str,
        free: &[String],
        data: &DataIdentity,
        environment: &Environment,
    ) -> Result<Self, RunFolderError> {
        if let Some(file) = path.ancestors().find(|part| part.is_file()) {
            return Err(RunFolderError::File(file.to_owned()));
        }
        fs::create_dir_all(path).map_err(StoreError::io("create", path))?;
        let lock_path = path.join(LOCK);
        // A folder of another program is left unchanged, without even a lock.
        if !Lock::exists(&lock_path) && !is_plainly_ours(path)? {
            return Err(RunFolderError::Foreign(path.to_owned()));
        }
        let lock = Lock::try_take(&lock_path)?.ok_or_else(|| RunFolderError::InUse(path.to_owned()))?;
        if !path.join(CONFIG).exists() && !holds_only_beginnings(path)? {
            return Err(RunFolderError::Foreign(path.to_owned()));
        }
        let folder = Self { path: path.to_owned(), lock: Some(lock) };
        folder.sweep();
        let checkpoints = folder.file(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(StoreError::io("create", checkpoints))?;
        folder.claim(config, free, data)?;
        let mut environments = folder.environments()?;
        environments.push(environment.clone());
        folder.write_json(ENVIRONMENT, &environments)?;
        Ok(folder)
    }

    /// The folder at `path` of a run that another process has opened and alone writes to, for one that takes part in the run.
    pub fn of_another(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    /// Whether this process writes the files of the run.
    pub fn writes(&self) -> bool {
        self.lock.is_some()
    }

    /// Compares configuration and data with those of the folder, or writes them if missing.
    fn claim(&self, config: &str, free: &[String], data: &DataIdentity) -> Result<(), RunFolderError> {
        let config_path = self.file(CONFIG);
        if !config_path.exists() {
            self.write_json(DATA, data)?;
            return Ok(crate::write(&config_path, config.as_bytes())?);
        }
        let there = read_text(&config_path, LONGEST).map_err(StoreError::io("read", &config_path))?;
        if let Some(difference) = difference_of_configs(&there, config, free) {
            return Err(RunFolderError::OtherConfiguration { path: self.path.clone(), difference });
        }
        match self.data()? {
            Some(there) if there.fingerprint != data.fingerprint => {
                let difference = difference_of_data(&there, data);
                return Err(RunFolderError::OtherData { path: self.path.clone(), difference });
            }
            Some(_) => {}
            None => self.write_json(DATA, data)?,
        }
        match difference_of_configs(&there, config, &[]) {
            None => Ok(()),
            Some(_) => Ok(crate::write(&config_path, config.as_bytes())?),
        }
    }

    /// Removes temporary files of killed runs, here and in all folders below that are not run folders themselves.
    fn sweep(&self) {
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            sweep(&folder);
            sweep_earlier(&folder);
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let inner = entries.filter(|entry| entry.file_type().is_ok_and(|found| found.is_dir()));
            folders.extend(inner.map(|entry| entry.path()).filter(|folder| !folder.join(LOCK).exists()));
        }
    }

    /// Where the folder lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The data of the run.
    ///
    /// # Errors
    /// As [`RunFolder::read_json`].
    pub fn data(&self) -> Result<Option<DataIdentity>, RunFolderError> {
        self.read_json(DATA)
    }

    /// Every start so far, this one included.
    ///
    /// # Errors
    /// As [`RunFolder::read_json`].
    pub fn environments(&self) -> Result<Vec<Environment>, RunFolderError> {
        Ok(self.read_json(ENVIRONMENT)?.unwrap_or_default())
    }

    /// Writes plain data as JSON.
    ///
    /// # Errors
    /// As [`crate::write`].
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RunFolderError> {
        let mut json = serde_json::to_vec_pretty(value).expect("plain data");
        json.push(b'\n');
        Ok(crate::write(&self.file(name), &json)?)
    }

    /// Reads the output of [`RunFolder::write_json`]; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, RunFolderError> {
        let path = self.file(name);
        let bytes = match read_bytes(&path, LONGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::io("read", path)(source).into()),
            Ok(bytes) => bytes,
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| RunFolderError::Damaged { path, reason: error.to_string() })
    }
}

/// Whether a folder without a lock is empty, or a run folder whose lock was lost, as when it was copied.
fn is_plainly_ours(path: &Path) -> Result<bool, RunFolderError> {
    let is_empty = fs::read_dir(path).map_err(StoreError::io("read", path))?.next().is_none();
    Ok(is_empty || (path.join(CONFIG).is_file() && path.join(DATA).is_file()))
}

/// Whether a folder without a configuration holds nothing but what a run writes before it.
fn holds_only_beginnings(path: &Path) -> Result<bool, RunFolderError> {
    for entry in fs::read_dir(path).map_err(StoreError::io("read", path))? {
        let entry = entry.map_err(StoreError::io("read", path))?;
        let name = entry.file_name();
        let ours = match name.to_str() {
            Some(LOCK) => true,
            Some(DATA) => read_bytes(&entry.path(), LONGEST)
                .is_ok_and(|bytes| serde_json::from_slice::<DataIdentity>(&bytes).is_ok()),
            Some(CHECKPOINTS) => fs::read_dir(entry.path())
                .is_ok_and(|inner| inner.flatten().all(|entry| is_temporary(&entry.file_name()))),
            _ => is_temporary(&name),
        };
        if !ours {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a name is one of the temporaries of this program.
fn is_temporary(name: &OsStr) -> bool {
    crate::is_temporary(Path::new(name)) || is_earlier_temporary(name)
}

/// Whether a name is one that version 0.1 gave to a file until it was whole: `NAME.tmp` or, for pictures,
/// `NAME.PROCESS.tmp`.
fn is_earlier_temporary(name: &OsStr) -> bool {
    let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".tmp")) else { return false };
    let name = match name.rsplit_once('.') {
        Some((name, process)) if process.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    [".json", ".jsonl", ".toml", ".safetensors", ".png"].iter().any(|ending| name.ends_with(ending))
}

/// Removes such files; those of a run that is at work are in a folder that is locked.
fn sweep_earlier(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|found| found.is_file());
        if is_file && is_earlier_temporary(&entry.file_name()) {
            // Harmless if it cannot be removed.
            let _ = fs::remove_file(entry.path());
        }
    }
}
