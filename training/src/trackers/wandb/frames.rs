//! The file that a W&B run is kept in: a header, then records in the framing of LevelDB's logs.
//!
//! The file is a sequence of blocks of 32 KiB; the header of the file is part of the first. A record is cut into chunks, none of which crosses
//! the end of a block: CRC-32 (IEEE) of type and data, length of the data, type, data. What is left at the end of a block and too short for a
//! chunk is zeros.

/// Bytes of a block.
pub(super) const BLOCK: usize = 32 << 10;

/// Bytes of a chunk before its data.
pub(super) const CHUNK_HEADER: usize = 7;

/// First bytes of a file: name, magic number 0xBEE1, version 0.
pub(super) const FILE_HEADER: [u8; 7] = *b":W&B\xe1\xbe\0";

/// Types of chunks.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Cuts records into chunks, one after the other.
pub(super) struct Frames {
    /// Bytes used of the present block.
    used: usize,
}

impl Frames {
    /// Directly behind the header of a file.
    pub fn begin() -> Self {
        Self { used: FILE_HEADER.len() }
    }

    /// Appends a record to `file`.
    pub fn record(&mut self, mut rest: &[u8], file: &mut Vec<u8>) {
        let mut first = true;
        loop {
            let mut left = BLOCK - self.used;
            if left < CHUNK_HEADER {
                file.resize(file.len() + left, 0);
                (self.used, left) = (0, BLOCK);
            }
            let (data, after) = rest.split_at(rest.len().min(left - CHUNK_HEADER));
            let kind = match (first, after.is_empty()) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, false) => MIDDLE,
                (false, true) => LAST,
            };
            chunk(kind, data, file);
            self.used += CHUNK_HEADER + data.len();
            if after.is_empty() {
                return;
            }
            (rest, first) = (after, false);
        }
    }
}

fn chunk(kind: u8, data: &[u8], file: &mut Vec<u8>) {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&[kind]);
    checksum.update(data);
    file.extend(checksum.finalize().to_le_bytes());
    let length = u16::try_from(data.len()).expect("a chunk lies within a block");
    file.extend(length.to_le_bytes());
    file.push(kind);
    file.extend(data);
}
