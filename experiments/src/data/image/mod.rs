//! Pictures in memory, and how files become pictures.

mod jpeg;
mod kinds;
#[cfg(test)]
mod tests;
mod tiff;

use std::io::Cursor;

use archaeo_store::memory::memory;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use self::kinds::Kind;
use self::tiff::Paletted;

pub(super) use self::kinds::{IMAGE_ENDINGS, looks_like_image, undecodable_kind};

/// An RGB picture of 8 bits a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height × width × 3` values, row by row, red, green, blue.
    pub pixels: Vec<u8>,
}

impl Image {
    /// One colour everywhere.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Image { width, height, pixels: colour.repeat(width * height) }
    }

    /// Red, green and blue at column `x` of row `y`.
    ///
    /// # Panics
    /// Outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width, "column {x} of an image {} wide", self.width);
        let at = (y * self.width + x) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }
}

/// Which pixels of an image belong to its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height × width` values, row by row.
    pub inside: Vec<bool>,
}

impl Mask {
    /// No pixel inside.
    pub fn empty(width: usize, height: usize) -> Self {
        Mask { width, height, inside: vec![false; width * height] }
    }

    /// Whether column `x` of row `y` is inside.
    pub fn contains(&self, x: usize, y: usize) -> bool {
        self.inside[y * self.width + x]
    }

    /// Number of pixels inside.
    pub fn area(&self) -> usize {
        self.inside.iter().filter(|&&inside| inside).count()
    }

    pub(super) fn set(&mut self, x: usize, y: usize, inside: bool) {
        self.inside[y * self.width + x] = inside;
    }
}

/// Longest side of an image that is decoded.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels of an image that is decoded.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Why a file does not become a picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// What is wrong with it, as the end of a sentence.
    Bad(String),
    /// Decoding takes so many bytes, and there is no room for them.
    NoRoom(u64),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Refused::Bad(reason)
    }
}

/// Decodes a PNG, JPEG, WebP, GIF, BMP, TIFF or PNM file to RGB as Pillow's `convert("RGB")` does, and turns it upright as its
/// EXIF orientation says. Grey is repeated in the three channels, transparency is dropped, of several pictures the first is
/// taken. 16 bits are rounded to 8, where Pillow cuts them off (colours) or clips them at 255 (grey).
///
/// # Errors
/// What is wrong with the file, as the end of a sentence: unknown format, damage, or a size above
/// [`MAX_SIDE`] or [`MAX_PIXELS`], or more memory than there is, which is refused before memory is taken.
pub fn decode(bytes: &[u8]) -> Result<Image, String> {
    let mut room = None;
    let decoded = decode_within(bytes, |needed| {
        room = Some(memory().pass(needed));
        matches!(room, Some(Ok(_)))
    });
    match (decoded, room) {
        (Ok(image), _) => Ok(image),
        (Err(Refused::NoRoom(_)), Some(Err(refused))) => Err(refused.to_string()),
        (Err(Refused::NoRoom(_)), _) => Err("there is no room for it".to_string()),
        (Err(Refused::Bad(reason)), _) => Err(reason),
    }
}

/// As [`decode`], if `admit` agrees to the bytes of memory that it takes at most next to the file itself.
pub(super) fn decode_within(bytes: &[u8], admit: impl FnOnce(u64) -> bool) -> Result<Image, Refused> {
    if let Some(paletted) = Paletted::of(bytes) {
        // Next to the picture of grey levels there are a copy of the file and the picture of colours.
        let copy = bytes.len() as u64;
        let more = |(width, height): (usize, usize)| copy + 3 * (width * height) as u64;
        let more = more(dimensions_plainly(&paletted.as_grey)?);
        let grey = decode_plainly(&paletted.as_grey, |needed| admit(needed.saturating_add(more)))?;
        let mut pixels = Vec::with_capacity(grey.pixels.len());
        grey.pixels.iter().step_by(3).for_each(|&level| pixels.extend(paletted.colour(level)));
        return Ok(Image { pixels, ..grey });
    }
    decode_plainly(bytes, admit)
}

fn decode_plainly(bytes: &[u8], admit: impl FnOnce(u64) -> bool) -> Result<Image, Refused> {
    let opened = open(bytes)?;
    let needed = opened.memory(bytes.len() as u64);
    if !admit(needed) {
        return Err(Refused::NoRoom(needed));
    }
    let (rgb, orientation) = match opened {
        Opened::Jpeg(header) => {
            let pixels = jpeg::decode(bytes, &header)?;
            let picture = RgbImage::from_raw(header.width, header.height, pixels);
            (picture.expect("as many pixels as that"), header.orientation)
        }
        Opened::Other(mut decoder, _) => {
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            (DynamicImage::from_decoder(decoder).map_err(damage)?.into_rgb8(), orientation)
        }
    };
    // Turned once it has 8 bits a channel, for a turn takes the picture's memory a second time.
    let mut picture = DynamicImage::from(rgb);
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    Ok(Image { width: rgb.width() as usize, height: rgb.height() as usize, pixels: rgb.into_raw() })
}

/// Width and height that [`decode`] would give, from the header alone.
///
/// # Errors
/// As for [`decode`], as far as the header shows.
pub fn dimensions(bytes: &[u8]) -> Result<(usize, usize), String> {
    if let Some(paletted) = Paletted::of(bytes) {
        return dimensions_plainly(&paletted.as_grey);
    }
    dimensions_plainly(bytes)
}

fn dimensions_plainly(bytes: &[u8]) -> Result<(usize, usize), String> {
    let ((width, height), orientation) = match open(bytes)? {
        Opened::Jpeg(header) => ((header.width, header.height), header.orientation),
        Opened::Other(mut decoder, _) => {
            (decoder.dimensions(), decoder.orientation().unwrap_or(Orientation::NoTransforms))
        }
    };
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (width, height) = if turned { (height, width) } else { (width, height) };
    Ok((width as usize, height as usize))
}

/// A file whose header has been read and whose size can be decoded.
enum Opened<'a> {
    Jpeg(jpeg::Header),
    Other(Box<dyn ImageDecoder + 'a>, Kind),
}

impl Opened<'_> {
    /// Bytes that decoding takes at most, next to the `length` bytes of the file: what the decoder works with, the picture as it
    /// is stored, and the same with 8 bits in three channels.
    fn memory(&self, length: u64) -> u64 {
        let (pixels, stored, working) = match self {
            Opened::Jpeg(header) => (header.pixels(), 0, header.working_memory()),
            Opened::Other(decoder, kind) => {
                let (width, height) = decoder.dimensions();
                let (pixels, stored) = (u64::from(width) * u64::from(height), decoder.total_bytes());
                (pixels, stored, working_memory(*kind, pixels, stored, length))
            }
        };
        let picture = 3 * pixels;
        // Either while it is decoded and converted, or while it is turned.
        (stored + picture + working).max(2 * picture)
    }
}

/// Bytes of metadata that may be unpacked of a file beyond its own length: profiles of colours have some hundred kilobytes.
const METADATA: u64 = 16 << 20;

/// Bytes that a decoder takes besides the picture that it gives, which has `stored` bytes.
fn working_memory(kind: Kind, pixels: u64, stored: u64, length: u64) -> u64 {
    let metadata = 2 * length + METADATA;
    match kind {
        // Rows; and chunks, of which the profile of colours is unpacked.
        Kind::Png => metadata,
        // The first frame, which may be a part of the picture.
        Kind::Gif => stored + metadata,
        // The picture once more, as it is laid out in the file: with a fourth ink, or in planes; and a strip of it.
        Kind::Tiff => 2 * stored.max(4 * pixels) + metadata,
        // Planes of luma and chroma with transparency and its prediction, or a canvas for the first frame.
        Kind::WebP => 9 * pixels + metadata,
        Kind::Jpeg | Kind::Bmp | Kind::Pnm => metadata,
    }
}

fn open(bytes: &[u8]) -> Result<Opened<'_>, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_string());
    }
    let kind = Kind::of(bytes).ok_or_else(|| not_decoded(bytes))?;
    let format = match kind {
        Kind::Jpeg => {
            let header = jpeg::Header::read(bytes)?;
            check_size(header.width, header.height)?;
            return Ok(Opened::Jpeg(header));
        }
        Kind::Png => ImageFormat::Png,
        Kind::WebP => ImageFormat::WebP,
        Kind::Gif => ImageFormat::Gif,
        Kind::Bmp => ImageFormat::Bmp,
        Kind::Tiff => ImageFormat::Tiff,
        Kind::Pnm => ImageFormat::Pnm,
    };
    let metadata = bytes.len() as u64 + METADATA;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    // What is read before the size is known: chunks and tags.
    limits.max_alloc = Some(metadata);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(damage)?;
    // Decoders differ in which limits they heed, so the size is checked here as well.
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    // What they allocate for the picture itself counts as well.
    let (pixels, stored) = (u64::from(width) * u64::from(height), decoder.total_bytes());
    limits.max_alloc = Some(match kind {
        Kind::Gif => stored + metadata,
        Kind::Tiff => 2 * stored.max(4 * pixels) + metadata,
        _ => metadata,
    });
    decoder.set_limits(limits).map_err(damage)?;
    Ok(Opened::Other(Box::new(decoder), kind))
}

fn check_size(width: u32, height: u32) -> Result<(), String> {
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "it is {width} × {height} pixels, more than the {MAX_SIDE} a side or {} million in all that are decoded",
            MAX_PIXELS / 1_000_000
        ));
    }
    if width == 0 || height == 0 {
        return Err(format!("it is damaged ({width} × {height} pixels)"));
    }
    Ok(())
}

fn not_decoded(bytes: &[u8]) -> String {
    match undecodable_kind(bytes, "") {
        Some(kind) => format!("its format, {kind}, is not supported: convert it to PNG or JPEG"),
        None => "it is not an image in a supported format (PNG, JPEG, WebP, GIF, BMP, TIFF, PNM)".to_string(),
    }
}

fn damage(error: image::ImageError) -> String {
    match error {
        image::ImageError::Limits(_) => {
            format!("it is larger than the {MAX_SIDE} pixels a side that are decoded")
        }
        image::ImageError::Unsupported(error) => {
            format!("its format is not supported ({error}): convert it to PNG or JPEG")
        }
        error => {
            // Some decoders end their sentences with a line feed.
            let words = error.to_string();
            format!("it is damaged ({})", words.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}
