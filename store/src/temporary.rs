//! Temporary files: created exclusively, under unpredictable names, and removed when their process is gone.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// What a temporary's name begins and ends with.
const PREFIX: &str = ".archaeo-";
const SUFFIX: &str = ".tmp";

/// Number of names tried; with 128 random bits each, a second try means that something else is wrong.
const ATTEMPTS: usize = 8;

/// A file owned by this process, removed if the value is dropped before [`Temporary::persist`].
pub(crate) struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// A new, empty file in the folder of `destination`, where a rename needs no copy. It is locked while it is open, so that
    /// [`sweep`] can distinguish it from leftovers of dead processes.
    pub fn beside(destination: &Path) -> io::Result<(Self, File)> {
        let mut attempt = 0;
        loop {
            let path = destination.with_file_name(format!("{PREFIX}{}{SUFFIX}", unforeseeable()));
            attempt += 1;
            // `create_new` follows no link and opens no existing file.
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Some file systems have no locks; nothing is swept there either.
                    let _ = file.try_lock();
                    return Ok((Self { path, kept: false }, file));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Renames the file to its destination, replacing any file there.
    pub fn persist(mut self, destination: &Path) -> io::Result<()> {
        fs::rename(&self.path, destination)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // The remains of a failed write are useless, and the failure itself is reported.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// 128 bits, from the keys that the standard library draws from the operating system.
fn unforeseeable() -> String {
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// Removes the temporaries that dead processes have left in `folder`; those of living ones are locked, and stay.
///
/// Files that cannot be removed are left alone: they do no harm.
pub fn sweep(folder: &Path) {
    for path in temporaries(folder) {
        let is_abandoned = || {
            let file = OpenOptions::new().write(true).open(&path).ok()?;
            file.try_lock().ok()
        };
        // A link under such a name was not made here; opening it could lead anywhere.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) && is_abandoned().is_some() {
            let _ = fs::remove_file(&path);
        }
    }
}

fn temporaries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_temporary(path)).collect()
}

/// Whether a name is one of those that temporaries have.
pub fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeping_takes_what_is_abandoned_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (alive, _file) = Temporary::beside(&path("report.md")).unwrap();
        for name in [".archaeo-0123.tmp", ".archaeo-dead.tmp", "notes.tmp", ".archaeo-notes.md"] {
            fs::write(path(name), "half").unwrap();
        }
        #[cfg(unix)]
        {
            fs::write(path("victim"), "precious").unwrap();
            std::os::unix::fs::symlink(path("victim"), path(".archaeo-link.tmp")).unwrap();
        }
        sweep(folder.path());
        let left = |name: &str| path(name).symlink_metadata().is_ok();
        assert!(!left(".archaeo-0123.tmp") && !left(".archaeo-dead.tmp"));
        assert!(left("notes.tmp") && left(".archaeo-notes.md") && alive.path.exists());
        #[cfg(unix)]
        assert!(left(".archaeo-link.tmp") && left("victim"));
        sweep(&path("no such folder"));
    }

    #[test]
    fn names_are_never_the_same() {
        let names: std::collections::BTreeSet<String> = (0..1000).map(|_| unforeseeable()).collect();
        assert_eq!(names.len(), 1000);
    }
}
