//! Small changes to bytes that were sound.

use std::ops::Range;

use rand::{Rng, RngExt};

/// Numbers at which sizes overflow, signs change and loops end.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    3,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// The same in text, with what else stands for a number.
const TEXTS: [&str; 18] = [
    "-1",
    "0",
    "1",
    "1e400",
    "-0.0",
    "nan",
    "inf",
    "1.5",
    "4294967296",
    "1099511627776",
    "9223372036854775807",
    "18446744073709551616",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\u{1b}[2J",
];

/// One of the `seeds` with one to four changes.
pub fn mutated(seeds: &[Vec<u8>], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    let is_text = str::from_utf8(&bytes).is_ok();
    for _ in 0..rng.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..=64)).min(bytes.len());
        // In text, what stands between its marks is changed more often than these.
        let change = if is_text && rng.random() { rng.random_range(10..12) } else { rng.random_range(0..10) };
        match change {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => {
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                let width = [1, 2, 4, 8][rng.random_range(0..4)];
                let number = if rng.random() {
                    number.to_le_bytes()[..width].to_vec()
                } else {
                    number.to_be_bytes()[8 - width..].to_vec()
                };
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            3 => number_in_text(&mut bytes, at, TEXTS[rng.random_range(0..TEXTS.len())]),
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let copy = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
            7 => {
                let new: Vec<u8> = (0..rng.random_range(1..=8)).map(|_| rng.random()).collect();
                bytes.splice(at..at, new);
            }
            8 => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            10 => number_in_text(&mut bytes, at, TEXTS[rng.random_range(0..TEXTS.len())]),
            11 => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let new = other[word(other, rng.random_range(0..other.len()))].to_vec();
                bytes.splice(word(&bytes, at), new);
            }
            _ => bytes[at..end].fill([0, 0xFF, b' ', b'9'][rng.random_range(0..4)]),
        }
    }
    bytes
}

/// The next word behind `at`.
fn word(bytes: &[u8], at: usize) -> Range<usize> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let start = bytes[at..].iter().position(is_part).map_or(bytes.len(), |place| at + place);
    start..start + bytes[start..].iter().take_while(|byte| is_part(byte)).count()
}

/// Puts `text` in place of the number that is nearest behind `at`, or there where none is.
fn number_in_text(bytes: &mut Vec<u8>, at: usize, text: &str) {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let start = bytes[at..].iter().position(|byte| byte.is_ascii_digit()).map_or(at, |place| at + place);
    let length = bytes[start..].iter().take_while(|byte| is_part(byte)).count();
    bytes.splice(start..start + length, text.bytes());
}

/// Right checksums for the chunks of a PNG file, as far as it is one.
pub fn png_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while bytes.starts_with(b"\x89PNG") {
        let Some(length) = bytes.get(at..at + 4) else { break };
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let end = at + 8 + length;
        if end + 4 > bytes.len() {
            break;
        }
        let sum = crc32fast::hash(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    bytes
}

/// Right checksums for what looks like a header of a tar archive, which is brought to whole blocks.
pub fn tar_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

/// No checksums for the members of a zip archive, which for checkpoints means that none were computed.
pub fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    for (mark, offset) in [(b"PK\x03\x04", 14), (b"PK\x01\x02", 16)] {
        let marks = bytes.windows(4).enumerate().filter(|(_, window)| window == mark);
        for at in marks.map(|(at, _)| at + offset).collect::<Vec<_>>() {
            if let Some(sum) = bytes.get_mut(at..at + 4) {
                sum.fill(0);
            }
        }
    }
    bytes
}
