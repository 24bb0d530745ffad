//! Memory of a zip archive's table of contents, before it is read.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes in memory for each entry of a table of contents, besides twice its bytes in the file.
const ENTRY: u64 = 512;

/// Bytes of memory that a zip archive's table of contents takes, by the claims of the records at the archive's end: there is one
/// behind it, followed by a comment, and in large archives another one before that. The file has `length` bytes.
///
/// # Errors
/// I/O errors, and more entries than the file has room for.
pub fn zip_contents(file: &mut (impl Read + Seek), length: u64) -> io::Result<u64> {
    const LONGEST_END: u64 = (1 << 16) + 22 + 20 + 56;
    // Least bytes of an entry.
    const SHORTEST_ENTRY: u64 = 46;
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_END)))?;
    file.take(LONGEST_END).read_to_end(&mut end)?;
    let number = |bytes: &[u8], at: usize, width: usize| {
        let little_endian = bytes.get(at..at + width).unwrap_or_default().iter().rev();
        little_endian.fold(0, |number, &byte| number << 8 | u64::from(byte))
    };
    let (mut entries, mut bytes) = (0, 0);
    for at in 0..end.len() {
        let rest = &end[at..];
        let (count, size) = match rest {
            [b'P', b'K', 5, 6, ..] => (number(rest, 10, 2), number(rest, 12, 4)),
            [b'P', b'K', 6, 6, ..] => (number(rest, 32, 8), number(rest, 40, 8)),
            _ => continue,
        };
        // The largest number means that the other record holds the value.
        bytes = bytes.max(if size == 0xFFFF_FFFF { 0 } else { size });
        entries = entries.max(if count == 0xFFFF { 0 } else { count });
    }
    if entries > length / SHORTEST_ENTRY {
        let reason = format!("its table of contents claims {entries} entries, which have no room in it");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(entries * ENTRY + 2 * bytes.min(length))
}
