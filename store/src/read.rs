//! Reading short files at once.

use std::io::{self, Read};
use std::path::Path;

use crate::memory::bytes_in_words;

/// The bytes of a file that should have at most `most`: configurations, lists, records of runs.
///
/// # Errors
/// I/O errors, and [`io::ErrorKind::FileTooLarge`] for a longer file, which is not read further.
pub fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = crate::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(length.min(most) as usize);
    // One byte more, to detect surplus data: reported lengths are not always true.
    if length <= most {
        file.take(most + 1).read_to_end(&mut bytes)?;
    }
    if length > most || bytes.len() as u64 > most {
        let reason = format!(
            "it has {}, and files of its kind at most {}",
            bytes_in_words(length.max(bytes.len() as u64)),
            bytes_in_words(most)
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// As [`read_bytes`], of a file in UTF-8.
///
/// # Errors
/// As there, and bytes that are not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_bytes(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read_text(&path, 2).unwrap(), "{}");
        let error = read_text(&path, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it has 2 bytes, and files of its kind at most 1 bytes");
        // A hole of 8 GiB takes no disk, and would take that much memory.
        std::fs::File::create(&path).unwrap().set_len(8 << 30).unwrap();
        assert!(read_bytes(&path, 1 << 20).unwrap_err().to_string().starts_with("it has 8.0 GiB"));
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 9).unwrap_err().to_string(), "it is not text in UTF-8");
    }
}
