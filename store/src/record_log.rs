//! Logs of partial results, from which interrupted work resumes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{AppendFile, StoreError};

/// A file with one record per line, under a first line that says what the records were made from.
#[derive(Debug)]
pub struct RecordLog {
    path: PathBuf,
    file: AppendFile,
}

impl RecordLog {
    /// Opens the log at `path`, and returns it with its records in their order. A log with another `header` is restarted, and a
    /// truncated last record is dropped.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    ///
    /// # Panics
    /// If `header` is more than one line.
    pub fn open(path: &Path, header: &str) -> Result<(Self, Vec<String>), StoreError> {
        assert!(!header.contains('\n'), "a header is one line");
        let there = match crate::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        let (mut records, mut whole) = (Vec::new(), 0);
        for (number, line) in there.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
            match text {
                Some(text) if number > 0 => records.push(text.to_owned()),
                Some(text) if text == header => {}
                _ => break,
            }
            whole += line.len() as u64;
        }
        let file = AppendFile::resume(path, whole, format!("{header}\n").as_bytes())?;
        Ok((Self { path: path.to_owned(), file }, records))
    }

    /// The header and the records of the log at `path`, which stays as it is; a truncated last record is left out. `None` if there
    /// is no such file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(path: &Path) -> Result<Option<(String, Vec<String>)>, StoreError> {
        let there = match crate::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        let whole = |line: &[u8]| Some(std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?.to_owned());
        let mut lines = there.split_inclusive(|&byte| byte == b'\n').map_while(whole);
        let header = lines.next().unwrap_or_default();
        Ok(Some((header, lines.collect())))
    }

    /// Appends a record and flushes it to disk.
    ///
    /// # Errors
    /// A file that cannot be written.
    ///
    /// # Panics
    /// If `record` is more than one line.
    pub fn append(&mut self, record: &str) -> Result<(), StoreError> {
        assert!(!record.contains('\n'), "a record is one line");
        self.file.append(format!("{record}\n").as_bytes()).map_err(StoreError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_log_goes_on_after_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut log, records) = RecordLog::open(&path, "from a").unwrap();
        assert!(records.is_empty());
        log.append("one").unwrap();
        log.append("two").unwrap();
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole, b"from a\none\ntwo\n");

        // Killed at any byte: what is whole is kept, and the rest can be written once more.
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut log, records) = RecordLog::open(&path, "from a").unwrap();
            assert_eq!(
                records.len(),
                whole[..length].iter().filter(|&&byte| byte == b'\n').count().max(1) - 1
            );
            let read = RecordLog::read(&path).unwrap().unwrap();
            assert_eq!(read, ("from a".to_owned(), records.clone()));
            ["one", "two"][records.len()..].iter().for_each(|record| log.append(record).unwrap());
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn records_that_were_made_from_something_else_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        RecordLog::open(&path, "from a").unwrap().0.append("one").unwrap();
        let (_, records) = RecordLog::open(&path, "from b").unwrap();
        assert!(records.is_empty() && fs::read(&path).unwrap() == b"from b\n");
        assert!(RecordLog::read(&folder.path().join("none")).unwrap().is_none());
        // Bytes that are not text end what can be read.
        fs::write(&path, b"from b\none\n\xff\xfe\ntwo\n").unwrap();
        assert_eq!(RecordLog::open(&path, "from b").unwrap().1, ["one"]);
    }
}
