//! JPEG, decoded by libjpeg with Pillow's settings: integer inverse DCT, interpolated chroma.
//!
//! The file's segments are checked first to refuse what libjpeg must not receive: truncated files, which it would fill with grey,
//! and files whose many passes over a large image would take hours.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use mozjpeg::{ColorSpace, Decompress};

/// Most scans of a file. Typical progressive files have 10, those with one scan per coefficient and component about 200.
const MAX_SCANS: u64 = 256;
/// Most pixels of all scans together: each is a pass over the whole image, however little data it has.
const MAX_SCANNED: u64 = 20 * super::MAX_PIXELS;
/// Rows of a CMYK image that are converted at once.
const ROWS: usize = 16;

/// Information from a file's segments.
#[derive(Debug)]
pub(super) struct Header {
    /// Stored width, before the image is turned upright.
    pub(super) width: u32,
    /// Stored height.
    pub(super) height: u32,
    /// How to turn it upright.
    pub(super) orientation: Orientation,
    /// Passes over the image.
    scans: u64,
    /// Whether it has an end marker.
    complete: bool,
    /// Lower bound of the bits of its data.
    fewest_bits: u64,
    /// Coefficients of all components, in whole blocks.
    coefficients: u64,
    /// Whether its frame is progressive, so that all coefficients are held in memory.
    progressive: bool,
}

impl Header {
    /// Reads the segments of `bytes`, as far as they go.
    ///
    /// # Errors
    /// A file without a frame, as the end of a sentence.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut header = Header {
            width: 0,
            height: 0,
            orientation: Orientation::NoTransforms,
            scans: 0,
            complete: false,
            fewest_bits: 0,
            coefficients: 0,
            progressive: false,
        };
        let mut framed = false;
        for (marker, body) in Segments::of(bytes) {
            match marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if !framed => {
                    let [_, high, low, wide, narrow, parts, ..] = *body else { break };
                    header.height = u16::from_be_bytes([high, low]).into();
                    header.width = u16::from_be_bytes([wide, narrow]).into();
                    // A Huffman-coded block has at least one bit; an arithmetic-coded one may have less.
                    let factors = body[6..].chunks_exact(3).take(parts.into()).map(|part| part[1]);
                    let (across, down) =
                        factors.fold((1, 1), |(h, v), factor| (h.max(factor >> 4), v.max(factor & 15)));
                    let units = |pixels: u32, factor: u8| u64::from(pixels.div_ceil(8 * u32::from(factor)));
                    // A component has at most as many blocks as the one that is sampled most finely.
                    let blocks = |pixels: u32, factor: u8| {
                        units(pixels, factor.max(1)).saturating_mul(factor.max(1).into())
                    };
                    header.coefficients = (64 * u64::from(parts))
                        .saturating_mul(blocks(header.width, across))
                        .saturating_mul(blocks(header.height, down));
                    header.progressive = matches!(marker, 0xC2 | 0xC6 | 0xCA | 0xCE);
                    if marker < 0xC9 {
                        header.fewest_bits = units(header.width, across) * units(header.height, down);
                    }
                    framed = true;
                }
                0xE1 if header.orientation == Orientation::NoTransforms => {
                    let exif = body.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
                    header.orientation = exif.unwrap_or(Orientation::NoTransforms);
                }
                START_OF_SCAN => header.scans += 1,
                END => header.complete = true,
                _ => {}
            }
        }
        match (framed, header.scans > 0 || header.complete) {
            (true, _) => Ok(header),
            (false, true) => Err("it is damaged (a JPEG without a frame)".to_string()),
            (false, false) => Err(TRUNCATED.to_string()),
        }
    }
}

impl Header {
    /// Pixels of the picture.
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Bytes that decoding takes besides the picture: rows, and all coefficients, of 16 bits, where they come in several scans.
    pub(super) fn working_memory(&self) -> u64 {
        let held = if self.progressive || self.scans > 1 { self.coefficients } else { 0 };
        2 * held + 64 * u64::from(self.width) * ROWS as u64 + (1 << 20)
    }
}

const TRUNCATED: &str = "it is truncated: a JPEG without its end marker";

/// Red, green and blue of all pixels, row by row, as they are stored.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence. Its size has been checked.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Vec<u8>, String> {
    if !header.complete || (bytes.len() as u64).saturating_mul(8) < header.fewest_bits {
        return Err(TRUNCATED.to_string());
    }
    let pixels = u64::from(header.width) * u64::from(header.height);
    if header.scans > MAX_SCANS || header.scans.saturating_mul(pixels) > MAX_SCANNED {
        return Err(format!(
            "it is a JPEG of {} scans, which would take very long to decode: save it again",
            header.scans
        ));
    }
    // The decoder unwinds with a message if the file is faulty.
    let outcome = catch_unwind(AssertUnwindSafe(|| decompress(bytes, header)));
    let complaint = match outcome {
        Ok(Ok(pixels)) => return Ok(pixels),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    };
    let words = complaint.trim_start_matches("libjpeg fatal error: ");
    Err(format!("it is damaged ({})", words.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn decompress(bytes: &[u8], header: &Header) -> std::io::Result<Vec<u8>> {
    let file = Decompress::new_mem(bytes)?;
    let (width, height) = (header.width as usize, header.height as usize);
    if file.size() != (width, height) {
        return Err(std::io::Error::other("its frame is not the first one"));
    }
    let mut pixels = vec![0; width * height * 3];
    match file.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            let mut decoder = file.to_colorspace(ColorSpace::JCS_CMYK)?;
            let mut inks = vec![0; width * 4 * ROWS];
            for rows in pixels.chunks_mut(width * 3 * ROWS) {
                let inks = &mut inks[..rows.len() / 3 * 4];
                decoder.read_scanlines_into(inks)?;
                for (pixel, ink) in rows.as_chunks_mut::<3>().0.iter_mut().zip(inks.as_chunks::<4>().0) {
                    *pixel = without_ink(*ink);
                }
            }
        }
        _ => drop(file.rgb()?.read_scanlines_into(&mut pixels)?),
    }
    Ok(pixels)
}

/// Red, green and blue of cyan, magenta, yellow and black, which are stored inverted, as Adobe does.
fn without_ink([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let lit = |ink: u8| {
        // Light left by the ink times light left by black, with Pillow's rounding of products by 255.
        let product = u32::from(255 - ink) * u32::from(black) + 128;
        black - (((product >> 8) + product) >> 8) as u8
    };
    [lit(cyan), lit(magenta), lit(yellow)]
}

const START_OF_SCAN: u8 = 0xDA;
const END: u8 = 0xD9;

/// Markers with their segments, up to the end marker. The coded data after a scan's header is skipped.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Segments { bytes, at: 2 }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Everything before a marker is skipped, as in decoders: coded data, and garbage.
            let rest = self.bytes.get(self.at..)?;
            self.at += rest.iter().position(|&byte| byte == 0xFF)? + 1;
            let marker = *self.bytes.get(self.at)?;
            match marker {
                0xFF => {}
                // A byte of 255 in coded data; markers without a segment.
                0x00 | 0x01 | 0xD0..=0xD8 => self.at += 1,
                END => {
                    self.at = self.bytes.len();
                    return Some((END, &[]));
                }
                _ => {
                    let length = self.bytes.get(self.at + 1..self.at + 3)?;
                    let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                    let body = self.bytes.get(self.at + 3..self.at + 1 + length)?;
                    self.at += 1 + length;
                    return Some((marker, body));
                }
            }
        }
    }
}
