//! Zip archives, the container of PyTorch's checkpoints and of NumPy's `.npz`.

use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::ops::Range;

use archaeo_store::memory::Budget;
use archaeo_store::{InputFile, InputReader};
use zip::{CompressionMethod, ZipArchive};

use super::error::Fault;

/// A zip archive in a file.
pub(super) struct Archive<'a> {
    file: &'a InputFile,
    zip: ZipArchive<BufReader<InputReader<'a>>>,
}

/// The contents of an entry, their checksum verified where there is one.
pub(super) enum Entry<'a> {
    /// Where they lie in the file.
    Stored(&'a InputFile, Range<usize>),
    /// Unpacked.
    Inflated(Vec<u8>),
}

impl<'a> Archive<'a> {
    /// Reads the archive's directory. Its size is checked against the budget, but not kept.
    pub(super) fn open(file: &'a InputFile) -> Result<Self, Fault> {
        let length = file.len() as u64;
        let mut budget = Budget::of_file(length);
        budget.take(archaeo_store::zip_contents(&mut file.reader(), length)?, 1)?;
        let zip = ZipArchive::new(BufReader::new(file.reader())).map_err(damage)?;
        Ok(Self { file, zip })
    }

    /// Names of the entries, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        names.sort_unstable();
        names
    }

    /// The contents of an entry. Memory for decompressed entries is taken from `budget`.
    pub(super) fn entry(&mut self, name: &str, budget: &mut Budget) -> Result<Entry<'a>, Fault> {
        let mut entry = self.zip.by_name(name).map_err(damage)?;
        let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if entry.compression() != CompressionMethod::Stored {
            budget.take(length as u64, 1)?;
            let mut contents = Vec::with_capacity(length);
            // The reader returns an error if there is more data than the entry claims, or if the checksum differs.
            entry
                .read_to_end(&mut contents)
                .map_err(|error| Fault::malformed(format!("`{name}`: {error}")))?;
            return Ok(Entry::Inflated(contents));
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        let range = range.filter(|range| range.end <= self.file.len());
        let range = range.ok_or_else(|| Fault::malformed(format!("`{name}` ends outside of the file")))?;
        let expected = entry.crc32();
        if expected == 0 {
            return Ok(Entry::Stored(self.file, range)); // torch.save was told to compute none
        }
        let mut checksum = crc32fast::Hasher::new();
        self.file.pieces(range.clone(), |piece| checksum.update(piece))?;
        if checksum.finalize() != expected {
            return Err(Fault::malformed(format!("the checksum of `{name}` is wrong")));
        }
        Ok(Entry::Stored(self.file, range))
    }
}

impl Entry<'_> {
    /// Returns the memory it took from the budget.
    pub(super) fn give_back(self, budget: &mut Budget) {
        if let Self::Inflated(contents) = self {
            budget.give_back(contents.len() as u64);
        }
    }

    /// Bytes of the contents.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stored(_, range) => range.len(),
            Self::Inflated(contents) => contents.len(),
        }
    }

    /// A part of the contents.
    pub(super) fn bytes(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, Fault> {
        let outside = || Fault::malformed("an array is longer than what is stored for it");
        if range.end > self.len() || range.start > range.end {
            return Err(outside());
        }
        match self {
            Self::Stored(file, place) => {
                Ok(Cow::Owned(file.bytes(place.start + range.start..place.start + range.end)?))
            }
            Self::Inflated(contents) => contents.get(range).map(Cow::Borrowed).ok_or_else(outside),
        }
    }

    /// Hands a part of the contents to `reader`, piece by piece as [`InputFile::pieces`] does.
    pub(super) fn pieces(&self, range: Range<usize>, mut reader: impl FnMut(&[u8])) -> Result<(), Fault> {
        match self {
            Self::Stored(file, place) if range.end <= place.len() => {
                Ok(file.pieces(place.start + range.start..place.start + range.end, reader)?)
            }
            _ => {
                reader(&self.bytes(range)?);
                Ok(())
            }
        }
    }
}

fn damage(error: zip::result::ZipError) -> Fault {
    Fault::malformed(error.to_string())
}
