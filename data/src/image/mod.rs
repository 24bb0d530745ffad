//! Pictures in memory, and how files become pictures.

mod jpeg;
mod kinds;
#[cfg(test)]
mod tests;
mod tiff;

use std::io::Cursor;

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

/// Decodes a PNG, JPEG, WebP, GIF, BMP, TIFF or PNM file to RGB as Pillow's `convert("RGB")` does, and turns it upright as its
/// EXIF orientation says. Grey is repeated in the three channels, transparency is dropped, of several pictures the first is
/// taken. 16 bits are rounded to 8, where Pillow cuts them off (colours) or clips them at 255 (grey).
///
/// # Errors
/// What is wrong with the file, as the end of a sentence: unknown format, damage, or a size above
/// [`MAX_SIDE`] or [`MAX_PIXELS`], which is refused before memory is taken.
pub fn decode(bytes: &[u8]) -> Result<Image, String> {
    if let Some(paletted) = Paletted::of(bytes) {
        let grey = decode_plainly(&paletted.as_grey)?;
        let pixels = grey.pixels.iter().step_by(3).flat_map(|&level| paletted.colour(level)).collect();
        return Ok(Image { pixels, ..grey });
    }
    decode_plainly(bytes)
}

fn decode_plainly(bytes: &[u8]) -> Result<Image, String> {
    let (mut picture, orientation) = match open(bytes)? {
        Opened::Jpeg(header) => {
            let pixels = jpeg::decode(bytes, &header)?;
            let picture = RgbImage::from_raw(header.width, header.height, pixels);
            (DynamicImage::from(picture.expect("as many pixels as that")), header.orientation)
        }
        Opened::Other(mut decoder) => {
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            (DynamicImage::from_decoder(decoder).map_err(damage)?, orientation)
        }
    };
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
        Opened::Other(mut decoder) => {
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
    Other(Box<dyn ImageDecoder + 'a>),
}

fn open(bytes: &[u8]) -> Result<Opened<'_>, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_string());
    }
    let format = match Kind::of(bytes) {
        Some(Kind::Jpeg) => {
            let header = jpeg::Header::read(bytes)?;
            check_size(header.width, header.height)?;
            return Ok(Opened::Jpeg(header));
        }
        Some(Kind::Png) => ImageFormat::Png,
        Some(Kind::WebP) => ImageFormat::WebP,
        Some(Kind::Gif) => ImageFormat::Gif,
        Some(Kind::Bmp) => ImageFormat::Bmp,
        Some(Kind::Tiff) => ImageFormat::Tiff,
        Some(Kind::Pnm) => ImageFormat::Pnm,
        None => return Err(not_decoded(bytes)),
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_PIXELS * 8);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damage)?;
    // Decoders differ in which limits they heed, so the size is checked here as well.
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    Ok(Opened::Other(Box::new(decoder)))
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
