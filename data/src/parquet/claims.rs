//! Sizes that a parquet file claims, read before memory is allocated.
//!
//! Footers and page headers are structures of Thrift's compact protocol; only the few numbers that determine memory are read.
//! Pages are visited from header to header without unpacking them, so that the count is what the reader will meet, whatever the
//! footer claims. Format: <https://github.com/apache/parquet-format>.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;

/// Longest header of a page that is read; legitimate ones have some dozen bytes, and statistics.
const LONGEST_HEADER: u64 = 1 << 20;

/// Deepest nesting of structures and lists.
const DEEPEST: usize = 32;

/// Total claims of a column's pages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Bytes of all pages once they are unpacked.
    pub(super) unpacked: u64,
    /// Bytes of the longest one, as it is stored.
    pub(super) longest: u64,
    /// Entries of dictionaries.
    pub(super) entries: u64,
    /// Whether values are encoded as differences from the previous one, so that they may be arbitrarily longer than the page.
    pub(super) incremental: bool,
}

impl Claims {
    /// Walks through the pages that lie in `place`.
    ///
    /// # Errors
    /// As the end of a sentence: invalid pages, or pages that unpack to more than they claim.
    pub(super) fn of_pages(
        file: &mut File,
        place: Range<u64>,
        compression: Compression,
    ) -> Result<Self, String> {
        let broken = |error: io::Error| format!("a page in it is damaged ({error})");
        let mut claims = Claims::default();
        let mut at = place.start;
        while at < place.end {
            file.seek(SeekFrom::Start(at)).map_err(broken)?;
            let mut reader =
                Counted { inner: io::BufReader::new((&mut *file).take(LONGEST_HEADER)), read: 0 };
            let page = Page::read(&mut reader).map_err(broken)?;
            let start = at + reader.read;
            at = start.checked_add(page.stored).filter(|end| *end <= place.end).ok_or_else(|| {
                format!(
                    "a page in it ends outside of its column ({} bytes from byte {start} on)",
                    page.stored
                )
            })?;
            claims.unpacked = claims.unpacked.saturating_add(page.unpacked);
            claims.longest = claims.longest.max(page.stored);
            if page.is_dictionary {
                claims.entries = claims.entries.saturating_add(page.values);
            }
            claims.incremental |= page.encoding == DELTA_BYTE_ARRAY;
            page.check(file, start, compression)?;
        }
        Ok(claims)
    }
}

/// The encoding of byte arrays as the length of the prefix shared with the previous value, and the rest.
const DELTA_BYTE_ARRAY: u64 = 7;

/// A page's header.
#[derive(Debug, Default)]
struct Page {
    is_dictionary: bool,
    unpacked: u64,
    stored: u64,
    values: u64,
    encoding: u64,
    /// Bytes before the packed ones, in the second version of data pages.
    levels: u64,
}

impl Page {
    fn read(reader: &mut impl Read) -> io::Result<Self> {
        let mut page = Page::default();
        structure(reader, DEEPEST, &mut |path, value| match path {
            [1] => page.is_dictionary = value == 2,
            [2] => page.unpacked = value,
            [3] => page.stored = value,
            // Of data pages, dictionaries and data pages of the second version.
            [5 | 7 | 8, 1] => page.values = value,
            [5 | 7, 2] | [8, 4] => page.encoding = value,
            [8, 5 | 6] => page.levels = page.levels.saturating_add(value),
            _ => {}
        })?;
        Ok(page)
    }

    /// Checks that a page unpacks to no more than it claims, for codecs whose reader does not check.
    fn check(&self, file: &mut File, start: u64, compression: Compression) -> Result<(), String> {
        let levels = self.levels.min(self.stored);
        let most = (self.unpacked + 1).saturating_sub(levels);
        let seek = file.seek(SeekFrom::Start(start + levels));
        seek.map_err(|error| format!("a page in it is damaged ({error})"))?;
        let packed = file.take(self.stored - levels);
        let mut unpacked: Box<dyn Read + '_> = match compression {
            Compression::GZIP(_) => Box::new(MultiGzDecoder::new(packed)),
            Compression::BROTLI(_) => Box::new(brotli::Decompressor::new(packed, 1 << 16)),
            // For the others the reader enforces the claim.
            _ => return Ok(()),
        };
        let found = io::copy(&mut (&mut unpacked).take(most), &mut io::sink());
        match found {
            Ok(found) if found == most => {
                Err(format!("a page in it unpacks to more than the {} bytes that it claims", self.unpacked))
            }
            // Damage is left for the reader to report; up to there it was not too long.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// Elements of all lists in a footer: its memory grows with them.
///
/// # Errors
/// An invalid footer.
pub(super) fn elements(mut footer: &[u8]) -> io::Result<u64> {
    let mut elements = 0u64;
    structure(&mut footer, DEEPEST, &mut |_, _| elements += 1)?;
    Ok(elements)
}

struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Reads a structure and shows `field` the numbers of its fields with their paths; a negative number as the largest one.
fn structure(reader: &mut impl Read, depth: usize, field: &mut impl FnMut(&[u16], u64)) -> io::Result<()> {
    let mut path = Vec::new();
    fields(reader, depth, &mut path, field)
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn fields(
    reader: &mut impl Read,
    depth: usize,
    path: &mut Vec<u16>,
    field: &mut impl FnMut(&[u16], u64),
) -> io::Result<()> {
    if depth == 0 {
        return Err(damaged("its header is nested too deeply"));
    }
    let mut last = 0u16;
    loop {
        let head = byte(reader)?;
        if head == 0 {
            return Ok(());
        }
        last = match head >> 4 {
            0 => integer(reader)? as u16,
            step => last.wrapping_add(step.into()),
        };
        path.push(last);
        value(reader, head & 15, depth - 1, path, field)?;
        path.pop();
    }
}

fn value(
    reader: &mut impl Read,
    kind: u8,
    depth: usize,
    path: &mut Vec<u16>,
    field: &mut impl FnMut(&[u16], u64),
) -> io::Result<()> {
    match kind {
        // Truth values are in their kind.
        1 | 2 => field(path, u64::from(kind == 1)),
        3 => field(path, byte(reader)?.into()),
        4..=6 => {
            let number = integer(reader)?;
            field(path, if number < 0 { u64::MAX } else { number as u64 });
        }
        7 => skip(reader, 8)?,
        8 => {
            let length = unsigned(reader)?;
            skip(reader, length)?;
            field(path, length);
        }
        9 | 10 => {
            let head = byte(reader)?;
            let count = if head >> 4 == 15 { unsigned(reader)? } else { u64::from(head >> 4) };
            for _ in 0..count {
                match head & 15 {
                    // In a list each has a byte.
                    1 | 2 => field(path, byte(reader)?.into()),
                    kind => value(reader, kind, depth.saturating_sub(1), path, field)?,
                }
            }
        }
        12 => {
            field(path, 0);
            fields(reader, depth, path, field)?;
        }
        // Parquet has no tables.
        _ => return Err(damaged("its header holds something unknown")),
    }
    Ok(())
}

fn byte(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn unsigned(reader: &mut impl Read) -> io::Result<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = byte(reader)?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(number);
        }
    }
    Err(damaged("its header has a number that is too long"))
}

/// Of alternating signs: 0, -1, 1, -2, …
fn integer(reader: &mut impl Read) -> io::Result<i64> {
    let number = unsigned(reader)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn skip(reader: &mut impl Read, count: u64) -> io::Result<()> {
    if io::copy(&mut reader.take(count), &mut io::sink())? == count {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
