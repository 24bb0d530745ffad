//! A file read in parts, on demand.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Bytes of one piece, which fits a core's cache. A multiple of every element size.
const PIECE: usize = 256 << 10;

/// A file that was opened for reading, and its length at that time.
///
/// It is read into the program's own memory and never mapped: if another program truncates a mapped file, the system kills a
/// process that reads beyond the new end. Here that is an ordinary error.
#[derive(Debug)]
pub struct InputFile {
    file: File,
    length: usize,
}

impl InputFile {
    /// Opens the file at `path`; nothing of it is read yet.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = crate::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(Self { file, length })
    }

    /// Bytes of the file when it was opened.
    #[allow(clippy::len_without_is_empty)] // an empty file is a file
    pub fn len(&self) -> usize {
        self.length
    }

    /// A part of the file.
    ///
    /// # Errors
    /// A range outside of the file, before memory is allocated for it; a file truncated since it was opened.
    pub fn bytes(&self, range: Range<usize>) -> io::Result<Vec<u8>> {
        self.check(&range)?;
        let mut bytes = vec![0; range.len()];
        self.fill(range.start, &mut bytes)?;
        Ok(bytes)
    }

    /// Passes a part of the file to `reader` in pieces, all but the last a multiple of 8 bytes, so that memory holds only one of
    /// them.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn pieces(&self, range: Range<usize>, mut reader: impl FnMut(&[u8])) -> io::Result<()> {
        self.check(&range)?;
        let mut buffer = vec![0; PIECE.min(range.len())];
        let mut start = range.start;
        while start < range.end {
            let piece = &mut buffer[..PIECE.min(range.end - start)];
            self.fill(start, piece)?;
            reader(piece);
            start += piece.len();
        }
        Ok(())
    }

    /// A reader with its own position.
    pub fn reader(&self) -> InputReader<'_> {
        InputReader { file: self, at: 0 }
    }

    fn check(&self, range: &Range<usize>) -> io::Result<()> {
        match range.start <= range.end && range.end <= self.length {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before its own contents do")),
        }
    }

    fn fill(&self, start: usize, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            match read_at(&self.file, &mut bytes[filled..], (start + filled) as u64) {
                Ok(0) => {
                    let cut = "it was cut short while it was read";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cut));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

/// Reads an [`InputFile`] from any position.
#[derive(Debug)]
pub struct InputReader<'a> {
    file: &'a InputFile,
    at: u64,
}

impl Read for InputReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = read_at(&self.file.file, bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for InputReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, offset) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(offset) => (self.file.length as u64, offset),
            SeekFrom::Current(offset) => (self.at, offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the file's start");
        self.at = from.checked_add_signed(offset).ok_or_else(outside)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(contents: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, contents).unwrap();
        (folder, path)
    }

    #[test]
    fn pieces_and_parts_are_the_file() {
        let contents: Vec<u8> = (0..2 * PIECE + 1001).map(|i| (i * 31 % 251) as u8).collect();
        let (_folder, path) = scratch(&contents);
        let file = InputFile::open(&path).unwrap();
        for range in [0..contents.len(), 3..PIECE + 3, 5..6, 7..7] {
            let mut read = Vec::new();
            file.pieces(range.clone(), |piece| read.extend_from_slice(piece)).unwrap();
            assert!(read == contents[range.clone()], "{range:?}");
            assert!(file.bytes(range.clone()).unwrap() == contents[range.clone()], "{range:?}");
            let mut reader = file.reader();
            reader.seek(SeekFrom::Start(range.start as u64)).unwrap();
            let mut read = vec![0; range.len()];
            reader.read_exact(&mut read).unwrap();
            assert!(read == contents[range.clone()], "{range:?}");
        }
        let mut reader = file.reader();
        assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), contents.len() as u64 - 1);
        assert_eq!(reader.seek(SeekFrom::Current(-2)).unwrap(), contents.len() as u64 - 3);
        assert!(reader.seek(SeekFrom::Current(i64::MIN)).is_err());
    }

    #[test]
    fn what_lies_outside_is_an_error() {
        let (_folder, path) = scratch(b"12345678");
        let file = InputFile::open(&path).unwrap();
        assert_eq!(file.len(), 8);
        assert!(file.bytes(4..9).is_err() && file.bytes(9..9).is_err() && file.bytes(0..usize::MAX).is_err());
        assert!(file.pieces(0..9, |_| {}).is_err());
        assert!(InputFile::open(path.parent().unwrap()).is_err());
        let missing = InputFile::open(&path.with_file_name("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let (_folder, empty) = scratch(b"");
        assert_eq!(InputFile::open(&empty).unwrap().bytes(0..0).unwrap(), b"");
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_read_is_an_error() {
        let (_folder, path) = scratch(&vec![1; 3 * PIECE]);
        let file = InputFile::open(&path).unwrap();
        let mut sum = 0;
        let cut = file.pieces(0..3 * PIECE, |piece| {
            // Truncated while a piece is held: the rest of the piece can still be read.
            File::options().write(true).open(&path).unwrap().set_len(1).unwrap();
            sum += piece.iter().map(|&byte| usize::from(byte)).sum::<usize>();
        });
        assert_eq!(cut.unwrap_err().to_string(), "it was cut short while it was read");
        assert_eq!(sum, PIECE);
        assert!(file.bytes(0..2).is_err() && file.bytes(0..1).is_ok());
    }
}
