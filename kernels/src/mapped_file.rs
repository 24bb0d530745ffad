//! Reading a file through the system's page cache, without a copy of it in the program's memory.
//!
//! Here because mapping a file is `unsafe`: another program may change the bytes behind a slice. Those who read through a
//! [`MappedFile`] must therefore take any bytes for possible, as they must for a file from elsewhere anyway; none of the
//! types read from it has an invalid bit pattern.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

/// Bytes of one piece, and so the most of the file that [`MappedFile::pieces`] keeps in memory. A multiple of every element's size.
const PIECE: usize = 4 << 20;

/// A file of which any part can be looked at.
///
/// Where another program cuts the file short, the system answers a look behind its new end by killing the process
/// (SIGBUS). The length is compared before each access, which turns all but a cut in that very moment into an error.
#[derive(Debug)]
pub struct MappedFile {
    file: File,
    map: Mmap,
}

impl MappedFile {
    /// Maps the file at `path`; nothing of it is read yet.
    ///
    /// # Errors
    /// What the system says: no such file, no permission, something that cannot be mapped such as a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes are only ever lent as `&[u8]` for a moment's reading, and no reader relies on seeing the same
        // bytes twice. That the file is not cut meanwhile is checked before each access, as far as that is possible.
        let map = unsafe { MmapOptions::new().map(&file)? };
        Ok(Self { file, map })
    }

    /// Bytes of the file when it was opened.
    #[allow(clippy::len_without_is_empty)] // an empty file is a file
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// A part of the file.
    ///
    /// # Errors
    /// A range outside of the file, or a file that was cut since it was opened.
    pub fn bytes(&self, range: Range<usize>) -> io::Result<&[u8]> {
        if self.file.metadata()?.len() < self.map.len() as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut short while it was read"));
        }
        let outside = || io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before its own contents do");
        self.map.get(range).ok_or_else(outside)
    }

    /// Hands a part of the file to `reader` in pieces of at most 4 MiB, all but the last a multiple of 8 bytes, and gives
    /// the memory of each back to the system: what was read does not stay resident beside what was made of it.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn pieces(&self, range: Range<usize>, mut reader: impl FnMut(&[u8])) -> io::Result<()> {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + PIECE);
            reader(self.bytes(start..end)?);
            self.release(start..end);
            start = end;
        }
        Ok(())
    }

    /// Lets the system take back the memory of pages that have been read.
    fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            // SAFETY: the map is shared, read-only and backed by the file: a page that is dropped is read again from the
            // file when it is next looked at. Slices that are still lent stay valid.
            let advised = unsafe {
                self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
            };
            drop(advised); // a system that keeps the pages costs memory, nothing else
        }
        #[cfg(not(unix))]
        drop(range);
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
    fn pieces_are_the_file_and_stay_readable_after_their_release() {
        let contents: Vec<u8> = (0..2 * PIECE + 1001).map(|i| (i * 31 % 251) as u8).collect();
        let (_folder, path) = scratch(&contents);
        let file = MappedFile::open(&path).unwrap();
        for range in [0..contents.len(), 3..PIECE + 3, 5..6, 7..7] {
            let mut read = Vec::new();
            file.pieces(range.clone(), |piece| read.extend_from_slice(piece)).unwrap();
            assert!(read == contents[range.clone()], "{range:?}");
        }
        assert_eq!(file.bytes(10..20).unwrap(), &contents[10..20]);
    }

    #[test]
    fn what_lies_outside_is_an_error() {
        let (_folder, path) = scratch(b"12345678");
        let file = MappedFile::open(&path).unwrap();
        assert_eq!(file.len(), 8);
        assert!(file.bytes(4..9).is_err() && file.bytes(9..9).is_err());
        assert!(file.pieces(0..9, |_| {}).is_err());
        assert!(MappedFile::open(path.parent().unwrap()).is_err());
        let missing = MappedFile::open(&path.with_file_name("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let (_folder, empty) = scratch(b"");
        assert_eq!(MappedFile::open(&empty).unwrap().bytes(0..0).unwrap(), b"");
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_mapped_is_an_error() {
        let (_folder, path) = scratch(&vec![1; 3 * PIECE]);
        let file = MappedFile::open(&path).unwrap();
        let mut pieces = 0;
        let cut = file.pieces(0..3 * PIECE, |_| {
            pieces += 1;
            File::options().write(true).open(&path).unwrap().set_len(PIECE as u64).unwrap();
        });
        assert_eq!(cut.unwrap_err().to_string(), "it was cut short while it was read");
        assert_eq!(pieces, 1);
    }
}
