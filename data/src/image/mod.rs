//! Decoding image files.

mod jpeg;
mod kinds;
#[cfg(test)]
mod tests;
mod tiff;

use std::io::Cursor;

use archaeo_raster::Image;
use archaeo_store::memory::memory;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use self::kinds::Kind;
use self::tiff::Paletted;

pub(super) use self::kinds::{IMAGE_ENDINGS, looks_like_image, undecodable_kind};

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
    /// A mask without object pixels.
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
}

/// Longest side of a supported image, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels of a supported image.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Why a file is not decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// What is wrong with it, as the end of a sentence.
    Bad(String),
    /// Decoding takes this many bytes, which are not available.
    NoRoom(u64),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Refused::Bad(reason)
    }
}

/// Decodes a PNG, JPEG, WebP, GIF, BMP, TIFF or PNM file to RGB as Pillow's `convert("RGB")` does, and turns it upright by its
/// EXIF orientation. Grey is repeated in the three channels, transparency is dropped, the first of several pictures is taken. 16
/// bits are rounded to 8, where Pillow truncates (colours) or clips at 255 (grey).
///
/// # Errors
/// What is wrong with the file, as the end of a sentence: unknown format, damage, or a size above
/// [`MAX_SIDE`] or [`MAX_PIXELS`], or more memory than available, which is refused before anything is allocated.
pub fn decode(bytes: &[u8]) -> Result<Image, String> {
    let mut needed = 0;
    loop {
        let mut room = memory().pass(needed).map_err(|refused| refused.to_string())?;
        match decode_within(bytes, |more| room.grow_to(more)) {
            Ok(image) => return Ok(image),
            Err(Refused::Bad(reason)) => return Err(reason),
            // The next attempt asks for all of it.
            Err(Refused::NoRoom(more)) => needed = more,
        }
    }
}

/// Upper bound of the memory of [`decode`] in bytes, besides `bytes`, from the header alone.
///
/// # Errors
/// As for [`decode`], as far as the header shows.
pub fn memory_to_decode(bytes: &[u8]) -> Result<u64, String> {
    let mut needed = 0;
    let decoded = decode_within(bytes, |more| {
        let header = needed == 0;
        needed = more;
        header
    });
    match decoded {
        Err(Refused::Bad(reason)) => Err(reason),
        Ok(_) | Err(Refused::NoRoom(_)) => Ok(needed),
    }
}

/// As [`decode`], if `admit` accepts the upper bound of its memory in bytes besides the file: it is asked before the header is
/// read, and again, for the total, once the size is known.
pub(super) fn decode_within(bytes: &[u8], mut admit: impl FnMut(u64) -> bool) -> Result<Image, Refused> {
    admit_header(bytes, &mut admit)?;
    if let Some(paletted) = Paletted::of(bytes) {
        // The grey picture and the coloured one exist at the same time.
        let (width, height) = dimensions_plainly(&paletted.as_grey)?;
        let more = 3 * (width * height) as u64;
        let grey = decode_plainly(&paletted.as_grey, |needed| admit(needed.saturating_add(more)))?;
        let mut pixels = Vec::with_capacity(grey.pixels().len());
        grey.pixels().iter().step_by(3).for_each(|&level| pixels.extend(paletted.colour(level)));
        return Ok(Image::new(grey.width(), grey.height(), pixels));
    }
    decode_plainly(bytes, admit)
}

fn admit_header(bytes: &[u8], admit: &mut impl FnMut(u64) -> bool) -> Result<(), Refused> {
    let needed = Kind::of(bytes).map_or(0, |kind| header_memory(kind, bytes.len() as u64));
    if admit(needed) { Ok(()) } else { Err(Refused::NoRoom(needed)) }
}

fn decode_plainly(bytes: &[u8], mut admit: impl FnMut(u64) -> bool) -> Result<Image, Refused> {
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
    // Rotated once it has 8 bits per channel, because rotation takes the picture's memory a second time.
    let mut picture = DynamicImage::from(rgb);
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    Ok(Image::new(rgb.width() as usize, rgb.height() as usize, rgb.into_raw()))
}

/// Width and height of [`decode`]'s result, from the header alone.
///
/// # Errors
/// As for [`decode`], as far as the header shows.
pub fn dimensions(bytes: &[u8]) -> Result<(usize, usize), String> {
    dimensions_within(bytes, |_| true).map_err(|refused| match refused {
        Refused::Bad(reason) => reason,
        Refused::NoRoom(_) => "there is no room for it".to_string(),
    })
}

/// As [`dimensions`], if `admit` accepts the memory of the header in bytes.
pub(super) fn dimensions_within(
    bytes: &[u8],
    mut admit: impl FnMut(u64) -> bool,
) -> Result<(usize, usize), Refused> {
    admit_header(bytes, &mut admit)?;
    if let Some(paletted) = Paletted::of(bytes) {
        return Ok(dimensions_plainly(&paletted.as_grey)?);
    }
    Ok(dimensions_plainly(bytes)?)
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
    /// Upper bound of decoding's memory in bytes, besides the `length` bytes of the file: its header, the decoder's working
    /// memory, the picture as stored, and the picture with 8 bits in three channels.
    fn memory(&self, length: u64) -> u64 {
        let (kind, pixels, stored, working) = match self {
            Opened::Jpeg(header) => (Kind::Jpeg, header.pixels(), 0, header.working_memory()),
            Opened::Other(decoder, kind) => {
                let (width, height) = decoder.dimensions();
                let pixels = u64::from(width) * u64::from(height);
                (*kind, pixels, decoder.total_bytes(), working_memory(decoder, *kind, pixels))
            }
        };
        let picture = 3 * pixels;
        // Either while it is decoded and converted, or while it is turned.
        header_memory(kind, length) + (stored + picture + working).max(2 * picture)
    }
}

/// Bytes of metadata that the length of the file does not bound: colour profiles are compressed, and have some hundred kilobytes
/// unpacked.
const METADATA: u64 = 4 << 20;

/// Bytes needed to read a header, held until the picture is decoded. The file has `length` bytes.
fn header_memory(kind: Kind, length: u64) -> u64 {
    match kind {
        // Chunks as they are, and the profile of colours.
        Kind::Png => 2 * length + METADATA.min((1 << 20) + 1100 * length),
        // Each number of a list is a separate value; plus a copy of a file with a palette.
        Kind::Tiff => 12 * length + METADATA.min(64 * length),
        Kind::Gif | Kind::WebP | Kind::Bmp | Kind::Pnm => length + (1 << 20),
        Kind::Jpeg => 0,
    }
}

/// Working memory of a decoder in bytes, besides its output.
fn working_memory(decoder: &impl ImageDecoder, kind: Kind, pixels: u64) -> u64 {
    let stored = decoder.total_bytes();
    match kind {
        // The first frame, which may be a part of the picture.
        Kind::Gif => stored,
        // The picture once more in the file's layout: perhaps in planes, or with a fourth ink.
        Kind::Tiff => match decoder.original_color_type() {
            ExtendedColorType::Cmyk8 => 4 * pixels,
            ExtendedColorType::Cmyk16 => 8 * pixels,
            _ => stored,
        },
        // Planes of luma and chroma with transparency and its prediction, or a canvas for the first frame.
        Kind::WebP => 9 * pixels,
        Kind::Jpeg | Kind::Png | Kind::Bmp | Kind::Pnm => 0,
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
    if kind == Kind::Tiff {
        tiff::check(bytes)?;
    }
    // Data read before the size is known: chunks and tags.
    let header = header_memory(kind, bytes.len() as u64);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(header);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(damage)?;
    // Decoders enforce different limits, so the size is checked here as well.
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    // For decoders with a limit, their memory for the picture counts as well.
    let working = working_memory(&decoder, kind, u64::from(width) * u64::from(height));
    limits.max_alloc = Some(header + working);
    decoder.set_limits(limits).map_err(damage)?;
    Ok(Opened::Other(Box::new(decoder), kind))
}

/// Refuses pictures above the size limits, and those without pixels.
///
/// # Errors
/// As the end of a sentence.
pub(super) fn check_size(width: impl Into<u64>, height: impl Into<u64>) -> Result<(), String> {
    let (width, height): (u64, u64) = (width.into(), height.into());
    let most = u64::from(MAX_SIDE);
    if width > most || height > most || width * height > MAX_PIXELS {
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
