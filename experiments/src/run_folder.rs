//! Run folders: where a run keeps its configuration, its surroundings and what came out, so that every number can be
//! led back to them.
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the configuration in force |
//! | `data.json` | the data's source, fingerprint, classes and counts |
//! | `environment.json` | one entry a start: program, commit, command, machine |
//! | `metrics.jsonl` | one line an epoch |
//! | `events.out.tfevents.archaeo` | the same for TensorBoard |
//! | `checkpoints/` | `last.safetensors` (to resume), `best.safetensors` (best on validation) |
//! | `model.safetensors` | the trained model |
//!
//! A file is written under a temporary name and renamed, so that none is ever half there.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use thiserror::Error;
use toml::{Table, Value};

/// Why a run folder cannot be used.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file in the folder is not what this program writes.
    #[error("{} is damaged ({reason}); remove it, or use another --out", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds something else.
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

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again to resume"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; use an --out that can be written to"
        }
        _ => "",
    }
}

/// What a run's numbers depend on beside configuration and data: where and with what it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from, `unknown` outside a repository.
    pub commit: String,
    /// The command line.
    pub command: String,
    /// Device that computed.
    pub device: String,
    /// Threads used.
    pub threads: usize,
    /// Processor, as the operating system names it.
    pub processor: String,
    /// Operating system and architecture.
    pub system: String,
    /// Start, UTC, ISO 8601.
    pub started: String,
}

impl Environment {
    /// The machine at hand and the time now; the rest as given.
    pub fn here(version: &str, commit: &str, command: &str, device: &str, threads: usize) -> Self {
        Self {
            version: version.into(),
            commit: commit.into(),
            command: command.into(),
            device: device.into(),
            threads,
            processor: processor(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            started: utc(SystemTime::now()),
        }
    }
}

/// The data of a run, as far as it decides whether two runs saw the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataIdentity {
    /// As given on the command line.
    pub source: String,
    /// SHA-256 over all that determines the data.
    pub fingerprint: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Images in each split.
    pub counts: BTreeMap<String, usize>,
}

/// A run folder, held by this process alone while the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked; the lock goes with the process, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Takes the folder at `path` for a run with this configuration on this data: creates it, or goes on with the one
    /// there. `environment` is added to those that it was run in before.
    ///
    /// # Errors
    /// One sentence: a folder of something else, of another configuration or other data, one in use, or what the file
    /// system says.
    pub fn open(
        path: &Path,
        config: &str,
        data: &DataIdentity,
        environment: &Environment,
    ) -> Result<Self, RunFolderError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| RunFolderError::Io { action, path, source }
        };
        let config_path = path.join("config.toml");
        if !config_path.exists() && path.exists() {
            let mut entries = fs::read_dir(path).map_err(io("read", path))?.flatten();
            if entries.any(|entry| entry.file_name() != "lock") {
                return Err(RunFolderError::Foreign(path.to_owned()));
            }
        }
        fs::create_dir_all(path.join("checkpoints")).map_err(io("create", path))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(io("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunFolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io("lock", &lock_path)(source)),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.claim(&config_path, config, data)?;
        let mut environments: Vec<Environment> = folder.read_json("environment.json")?.unwrap_or_default();
        environments.push(environment.clone());
        folder.write_json("environment.json", &environments)?;
        Ok(folder)
    }

    /// Compares configuration and data with those of the folder, or writes them where there are none. The
    /// configuration is written last: where it is, the rest is.
    fn claim(&self, config_path: &Path, config: &str, data: &DataIdentity) -> Result<(), RunFolderError> {
        if !config_path.exists() {
            self.write_json("data.json", data)?;
            return write_atomic(config_path, config.as_bytes());
        }
        let there = fs::read_to_string(config_path).map_err(|source| RunFolderError::Io {
            action: "read",
            path: config_path.to_owned(),
            source,
        })?;
        if let Some(difference) = difference_of_configs(&there, config) {
            return Err(RunFolderError::OtherConfiguration { path: self.path.clone(), difference });
        }
        match self.read_json::<DataIdentity>("data.json")? {
            Some(there) if there.fingerprint != data.fingerprint => {
                let difference = difference_of_data(&there, data);
                Err(RunFolderError::OtherData { path: self.path.clone(), difference })
            }
            Some(_) => Ok(()),
            None => self.write_json("data.json", data),
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

    /// Writes plain data as JSON.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RunFolderError> {
        let mut json = serde_json::to_vec_pretty(value).expect("plain data");
        json.push(b'\n');
        write_atomic(&self.file(name), &json)
    }

    /// Reads what [`RunFolder::write_json`] wrote; `None` if it never did.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, RunFolderError> {
        let path = self.file(name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RunFolderError::Io { action: "read", path, source }),
            Ok(bytes) => bytes,
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| RunFolderError::Damaged { path, reason: error.to_string() })
    }
}

/// Writes a file so that it is there whole or as it was before, even if the process is killed or the disk is full.
///
/// # Errors
/// What the file system says, with the path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), RunFolderError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        // What is left of a failed attempt is of no use; if it cannot be removed either, the first error says why.
        let _ = fs::remove_file(&temporary);
        RunFolderError::Io { action: "write", path: path.to_owned(), source }
    })
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// What the file system says, with the path.
pub fn sha256_file(path: &Path) -> Result<String, RunFolderError> {
    let io = |source| RunFolderError::Io { action: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256 in hexadecimal of a checkpoint: of a file its own, of a folder that of the names and hashes of its files.
///
/// # Errors
/// A file or folder that cannot be read.
pub fn sha256_checkpoint(path: &Path) -> Result<String, RunFolderError> {
    if !path.is_dir() {
        return sha256_file(path);
    }
    let io = |source| RunFolderError::Io { action: "read", path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort_unstable();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(sha256_file(&file)?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The first differences between two configurations, in words; `None` if they say the same.
fn difference_of_configs(there: &str, here: &str) -> Option<String> {
    let flat = |text: &str| -> Option<BTreeMap<String, String>> {
        let mut flat = BTreeMap::new();
        flatten(&toml::from_str::<Table>(text).ok()?, "", &mut flat);
        Some(flat)
    };
    let (Some(there), Some(here)) = (flat(there), flat(here)) else {
        return (there != here).then(|| "it cannot be read".to_owned());
    };
    let missing = "not set".to_owned();
    let keys: std::collections::BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let differences: Vec<String> = keys
        .into_iter()
        .filter(|key| there.get(*key) != here.get(*key))
        .map(|key| {
            let (there, here) = (there.get(key).unwrap_or(&missing), here.get(key).unwrap_or(&missing));
            format!("{key} is {there} there and {here} here")
        })
        .collect();
    match differences.len() {
        0 => None,
        count @ 1..=3 => Some(differences[..count].join(", ")),
        count => Some(format!("{}, and {} more", differences[..3].join(", "), count - 3)),
    }
}

fn flatten(table: &Table, prefix: &str, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(inner, &format!("{prefix}{key}."), flat),
            value => drop(flat.insert(format!("{prefix}{key}"), value.to_string())),
        }
    }
}

fn difference_of_data(there: &DataIdentity, here: &DataIdentity) -> String {
    if there.classes != here.classes {
        format!("{} classes there and {} here, or other names", there.classes.len(), here.classes.len())
    } else if there.counts != here.counts {
        format!("{:?} images there and {:?} here", there.counts, here.counts)
    } else {
        format!("fingerprint {:.12} there and {:.12} here", there.fingerprint, here.fingerprint)
    }
}

fn processor() -> String {
    let linux = || {
        let info = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = info.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let macos = || {
        let output =
            std::process::Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let windows = || std::env::var("PROCESSOR_IDENTIFIER").ok();
    linux()
        .or_else(macos)
        .or_else(windows)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

/// A point in time as `YYYY-MM-DDThh:mm:ssZ`.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn identity(fingerprint: &str) -> DataIdentity {
        DataIdentity {
            source: "sherds".into(),
            fingerprint: fingerprint.into(),
            classes: vec!["disc".into(), "ring".into()],
            counts: BTreeMap::from([("train".into(), 10)]),
        }
    }

    fn here() -> Environment {
        Environment::here("0.1.0", "abc", "archaeo train", "cpu", 2)
    }

    #[test]
    fn a_folder_is_resumed_only_by_its_own_configuration_and_data() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let config = "epochs = 3\n[optimizer]\nname = \"adamw\"\n";
        drop(RunFolder::open(&path, config, &identity("aa"), &here()).unwrap());
        let same = "epochs=3\noptimizer.name='adamw'";
        let folder = RunFolder::open(&path, same, &identity("aa"), &here()).unwrap();
        assert_eq!(folder.read_json::<Vec<Environment>>("environment.json").unwrap().unwrap().len(), 2);

        let error = RunFolder::open(&path, same, &identity("aa"), &here()).unwrap_err().to_string();
        assert!(error.contains("another run is using"), "{error}");
        drop(folder);
        let error = RunFolder::open(&path, "epochs = 4", &identity("aa"), &here()).unwrap_err().to_string();
        assert!(error.contains("epochs is 3 there and 4 here"), "{error}");
        assert!(error.contains("optimizer.name is \"adamw\" there and not set here"), "{error}");
        let error = RunFolder::open(&path, config, &identity("bb"), &here()).unwrap_err().to_string();
        assert!(error.contains("other data (fingerprint aa there and bb here)"), "{error}");
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "years of work").unwrap();
        let error = RunFolder::open(root.path(), "", &identity("aa"), &here()).unwrap_err().to_string();
        assert!(error.contains("is not empty and no run folder"), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("folder");
        fs::create_dir(&path).unwrap();
        // A rename onto a folder fails on every platform.
        let error = write_atomic(&path, b"new").unwrap_err().to_string();
        assert!(error.starts_with("cannot write"), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn hashes_are_sha256() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write_atomic(&path, b"abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), expected);
    }

    #[test]
    fn times_are_utc() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
