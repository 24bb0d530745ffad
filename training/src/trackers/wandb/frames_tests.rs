//! The framing, read back by a reader that goes by the format's description and shares nothing with the writer.

use archaeo_random::{Draw, keyed_rng};

use super::frames::{BLOCK, CHUNK_HEADER, FILE_HEADER, Frames};

/// CRC-32, bit by bit.
fn crc(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// The records of a file, by the position in the file and nothing else.
pub(super) fn read(file: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if file.get(..7) != Some(&[0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0x00]) {
        return Err("no header".into());
    }
    let (mut at, mut records, mut open) = (7, Vec::new(), None::<Vec<u8>>);
    while at < file.len() {
        let left = 32768 - at % 32768;
        if left < 7 {
            let zeros = file.get(at..at + left).ok_or("a short end")?;
            if zeros.iter().any(|byte| *byte != 0) {
                return Err(format!("the end of the block at {at} is not zeros"));
            }
            at += left;
            continue;
        }
        let header = file.get(at..at + 7).ok_or("half a header")?;
        let length = usize::from(header[4]) + 256 * usize::from(header[5]);
        if 7 + length > left {
            return Err(format!("the chunk at {at} crosses the end of its block"));
        }
        let data = file.get(at + 7..at + 7 + length).ok_or("half a chunk")?;
        if crc(std::iter::once(header[6]).chain(data.iter().copied())).to_le_bytes() != header[..4] {
            return Err(format!("the checksum at {at} is wrong"));
        }
        let begins = matches!(header[6], 1 | 2);
        if begins == open.is_some() || !(1..=4).contains(&header[6]) {
            return Err(format!("a chunk of type {} at {at} does not belong there", header[6]));
        }
        let mut record = open.take().unwrap_or_default();
        record.extend(data);
        match header[6] {
            1 | 4 => records.push(record),
            _ => open = Some(record),
        }
        at += 7 + length;
    }
    if open.is_some() { Err("half a record".into()) } else { Ok(records) }
}

fn written(records: &[Vec<u8>]) -> Vec<u8> {
    let (mut frames, mut file) = (Frames::begin(), FILE_HEADER.to_vec());
    records.iter().for_each(|record| frames.record(record, &mut file));
    file
}

#[test]
fn the_checksum_is_the_standard_one() {
    assert_eq!(crc(*b"123456789"), 0xcbf4_3926);
}

#[test]
fn a_record_may_end_anywhere_in_a_block() {
    // The second record begins at each of the last places of the first block, and ends at each of the last of the second.
    let room = BLOCK - FILE_HEADER.len() - CHUNK_HEADER;
    for spare in 0..24 {
        for over in 0..24 {
            let second = BLOCK - over;
            let records = [vec![1; room - spare], vec![2; second], vec![], vec![3; 5]];
            assert_eq!(read(&written(&records)).as_ref(), Ok(&records.to_vec()), "{spare} {over}");
        }
    }
}

#[test]
fn a_block_is_counted_from_the_beginning_of_the_file() {
    let file = written(&[vec![7; BLOCK]]);
    // 32761 bytes are left of the first block: 7 for the chunk's header, 32754 for its data.
    assert_eq!((file[7 + 4..7 + 6].to_vec(), file[7 + 6]), (32754u16.to_le_bytes().to_vec(), 2));
    assert_eq!((file[BLOCK + 4..BLOCK + 6].to_vec(), file[BLOCK + 6]), (14u16.to_le_bytes().to_vec(), 4));
}

#[test]
fn records_of_any_length_are_read_as_they_were() {
    for seed in 0..200 {
        let mut rng = keyed_rng(seed, "frames", 0, 0);
        let near = [0, 1, 6, 7, 8, 100, BLOCK - 15, BLOCK - 14, BLOCK - 13, BLOCK, 2 * BLOCK + 1];
        let records: Vec<Vec<u8>> = (0..1 + rng.below(12))
            .map(|_| {
                let length = near[rng.below(near.len())] + rng.below(20);
                (0..length).map(|_| rng.below(256) as u8).collect()
            })
            .collect();
        assert_eq!(read(&written(&records)), Ok(records), "seed {seed}");
    }
}

#[test]
fn the_reader_notices_damage() {
    let file = written(&[vec![1; 40_000], vec![2; 10]]);
    for at in [0, 8, 12, 13, 20, BLOCK, BLOCK + 6, file.len() - 1] {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        assert!(read(&damaged).is_err(), "{at}");
    }
    assert!(read(&file[..file.len() - 1]).is_err());
}
