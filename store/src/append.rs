//! Files that grow by a record at a time, such as a training's metrics.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::StoreError;
use crate::write::open_with;

/// A file of this process alone that is written at its end.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    length: u64,
}

impl AppendFile {
    /// Starts the file at `path` with `contents`, in place of the one that may be there. It is a new file, so that no other
    /// name or link of the old one is written through.
    ///
    /// # Errors
    /// As [`crate::write()`].
    pub fn create(path: &Path, contents: &[u8]) -> Result<Self, StoreError> {
        let file = open_with(path, |file| file.write_all(contents))?;
        Ok(Self { file, length: contents.len() as u64 })
    }

    /// Goes on with the file at `path` after its first `keep` bytes, dropping the rest; with `start` where it is shorter, or
    /// where there is none.
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

    /// Writes `record` at the end, out to the disk with all that [`AppendFile::write`] has written.
    ///
    /// # Errors
    /// What the file system says.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.write(record)?;
        self.file.sync_data()
    }

    /// Writes `record` at the end for other processes to see; should the machine go down, it may be lost.
    ///
    /// # Errors
    /// What the file system says.
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
