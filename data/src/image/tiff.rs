//! TIFF images of a palette, which the decoder does not know: to it they are shown as grey ones, whose levels are then looked up.

/// A TIFF of a palette, told as one of grey levels.
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
    /// What `file` is, if its first picture has a palette and 8 bits or one a pixel.
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
