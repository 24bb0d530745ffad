//! TIFF images with a palette, which the decoder does not support: they are presented to it as grey images, whose levels are then
//! looked up.

const SAMPLES: u16 = 277;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;

/// Most samples of a pixel, and most pixels of a tile's side: a row of a tile is held in memory, however small the picture is.
const MOST_SAMPLES: u64 = 64;
const LARGEST_TILE: u64 = 1 << 16;

/// Refuses tiles and pixels larger than any in use, also in BigTIFF, whose offsets have eight bytes.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(super) fn check(file: &[u8]) -> Result<(), String> {
    for (tag, most, what) in [
        (SAMPLES, MOST_SAMPLES, "samples a pixel"),
        (TILE_WIDTH, LARGEST_TILE, "pixels across a tile"),
        (TILE_LENGTH, LARGEST_TILE, "pixels down a tile"),
    ] {
        if let Some(claimed) = number(file, tag).filter(|claimed| *claimed > most) {
            return Err(format!("it is damaged ({claimed} {what})"));
        }
    }
    Ok(())
}

/// The largest number that the first directory gives for `tag`.
fn number(file: &[u8], tag: u16) -> Option<u64> {
    let big_endian = file.starts_with(b"MM");
    let unsigned = |at: u64, width: usize| {
        let start = usize::try_from(at).ok()?;
        let bytes = file.get(start..start.checked_add(width)?)?;
        let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    };
    let is_big = unsigned(2, 2)? == 43;
    // Widths of a place and of the number of entries, and bytes of an entry.
    let (place, counter, entry) = if is_big { (8, 8, 20) } else { (4, 2, 12) };
    let directory = unsigned(if is_big { 8 } else { 4 }, place)?;
    let first = directory.checked_add(counter as u64)?;
    let entries = (0..unsigned(directory, counter)?.min(file.len() as u64 / entry))
        .map_while(|i| first.checked_add(entry * i))
        .filter(|&at| unsigned(at, 2) == Some(tag.into()));
    let values = entries.filter_map(|at| {
        let width = match unsigned(at + 2, 2)? {
            3 => 2,
            4 => 4,
            16 => 8,
            _ => return None,
        };
        unsigned(at + 4 + place as u64, width.min(place))
    });
    values.max()
}

/// A TIFF with a palette, presented as grey.
#[derive(Debug)]
pub(super) struct Paletted {
    /// The file with its interpretation changed from a palette to grey levels.
    pub(super) as_grey: Vec<u8>,
    colours: Vec<[u8; 3]>,
}

const INTERPRETATION: u16 = 262;
const BITS: u16 = 258;
const COLOUR_MAP: u16 = 320;

impl Paletted {
    /// Parses `file`, if its first picture has a palette and 8 bits or one bit per pixel.
    pub(super) fn of(file: &[u8]) -> Option<Self> {
        let big_endian = file.starts_with(b"MM");
        if !big_endian && !file.starts_with(b"II") {
            return None;
        }
        let short = |at: usize| {
            let bytes = file.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let long = |at: usize| {
            let bytes = file.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) } as usize)
        };
        if short(2)? != 42 {
            return None;
        }
        let directory = long(4)?;
        // Entries of 12 bytes: tag, type, count, and the value or its place.
        let entry = |tag: u16| {
            let mut entries = (0..usize::from(short(directory)?)).map(|i| directory + 2 + 12 * i);
            entries.find(|&at| short(at) == Some(tag))
        };
        let interpretation = entry(INTERPRETATION)? + 8;
        let bits = entry(BITS).map_or(Some(1), |at| short(at + 8))?;
        if short(interpretation)? != 3 || !matches!(bits, 1 | 8) {
            return None;
        }
        let map = long(entry(COLOUR_MAP)? + 8)?;
        let levels = 1usize << bits;
        // All reds, all greens, all blues, each of 16 bits.
        let colour = |level: usize| {
            let channel = |channel: usize| Some((short(map + 2 * (channel * levels + level))? >> 8) as u8);
            Some([channel(0)?, channel(1)?, channel(2)?])
        };
        let colours = (0..levels).map(colour).collect::<Option<_>>()?;
        let mut as_grey = file.to_vec();
        as_grey[interpretation..interpretation + 2].copy_from_slice(&if big_endian {
            1u16.to_be_bytes()
        } else {
            1u16.to_le_bytes()
        });
        Some(Paletted { as_grey, colours })
    }

    /// The colour of a grey level: of 0 or 255 where there are two.
    pub(super) fn colour(&self, level: u8) -> [u8; 3] {
        match self.colours.len() {
            2 => self.colours[usize::from(level > 0)],
            _ => self.colours[usize::from(level)],
        }
    }
}
