//! Locks between processes, files that the system unlocks however their holder ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use crate::{StoreError, check_destination};

/// A lock that is held while the value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the file at `path`, which is created if missing; `None` if another process holds it. The contents are
    /// unchanged.
    ///
    /// # Errors
    /// An I/O error, with the path; a path that is not an ordinary file.
    pub fn try_take(path: &Path) -> Result<Option<Self>, StoreError> {
        check_destination(path)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.map_err(StoreError::io("create", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(StoreError::io("lock", path)(source)),
        }
    }

    /// Whether there is an ordinary file at `path` that could be a lock.
    pub fn exists(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_once_and_leaves_the_file_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        fs::write(&path, "text").unwrap();
        let held = Lock::try_take(&path).unwrap().expect("nobody has it");
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(&path).unwrap().is_some());
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert!(Lock::try_take(folder.path()).unwrap_err().to_string().contains("is a folder"));
    }
}
