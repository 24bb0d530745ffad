//! Files that grow one record at a time, such as a training's metrics.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::StoreError;
use crate::write::open_with;

/// A file owned by this process and written at its end.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    length: u64,
}

impl AppendFile {
    /// Starts the file at `path` with `contents`, replacing any existing one. It is a new file, so that nothing is written
    /// through other names or links of the old one.
    ///
    /// # Errors
    /// As [`crate::write()`].
    pub fn create(path: &Path, contents: &[u8]) -> Result<Self, StoreError> {
        let file = open_with(path, |file| file.write_all(contents))?;
        Ok(Self { file, length: contents.len() as u64 })
    }

    /// Continues the file at `path` after its first `keep` bytes, dropping the rest; starts with `start` if it is shorter or
    /// missing.
    ///
    /// # Errors
    /// As [`crate::write()`], and a file that cannot be read.
    pub fn resume(path: &Path, keep: u64, start: &[u8]) -> Result<Self, StoreError> {
        let mut kept = Vec::new();
        match crate::open(path) {
            Ok(file) => drop(file.take(keep).read_to_end(&mut kept).map_err(StoreError::io("read", path))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("read", path)(error)),
        }
        let whole = keep > 0 && kept.len() as u64 == keep;
        Self::create(path, if whole { &kept } else { start })
    }

    /// Writes `record` at the end and flushes it to disk, with everything from [`AppendFile::write`].
    ///
    /// # Errors
    /// An I/O error.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.write(record)?;
        self.file.sync_data()
    }

    /// Writes `record` at the end, visible to other processes; it may be lost if the machine fails.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all(record)?;
        self.length += record.len() as u64;
        Ok(())
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_written_after_the_kept_part_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = AppendFile::create(&path, b"one\n").unwrap();
        log.append(b"two\n").unwrap();
        log.append(b"thr").unwrap();
        assert_eq!((log.length(), fs::read(&path).unwrap()), (11, b"one\ntwo\nthr".to_vec()));
        fs::hard_link(&path, folder.path().join("copy")).unwrap();
        let mut log = AppendFile::resume(&path, 8, b"new").unwrap();
        log.append(b"three\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(fs::read(folder.path().join("copy")).unwrap(), b"one\ntwo\nthr", "it is another file");
        // Shorter than what is to be kept: damaged, and started afresh.
        assert_eq!(AppendFile::resume(&path, 99, b"new").unwrap().length(), 3);
        assert_eq!(AppendFile::resume(&folder.path().join("none"), 5, b"new").unwrap().length(), 3);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
