//! Pictures in memory, and how files become pictures.

mod kinds;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

#[allow(unused_imports, reason = "the readers of folders and archives are to use them")]
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

/// Decodes a PNG, JPEG or WebP file to RGB, upright according to its EXIF orientation. Grey is repeated in
/// the three channels, transparency is dropped, 16 bits are rounded to 8.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence: unknown format, damage, or a size above
/// [`MAX_SIDE`] or [`MAX_PIXELS`], which is refused before memory is taken.
pub fn decode(bytes: &[u8]) -> Result<Image, String> {
    let (mut decoder, _) = open(bytes)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damage)?;
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    Ok(Image { width: rgb.width() as usize, height: rgb.height() as usize, pixels: rgb.into_raw() })
}

/// Width and height that [`decode`] would give, from the header alone.
///
/// # Errors
/// As for [`decode`], as far as the header shows.
pub fn dimensions(bytes: &[u8]) -> Result<(usize, usize), String> {
    let (mut decoder, (width, height)) = open(bytes)?;
    let turned = matches!(
        decoder.orientation(),
        Ok(Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH)
    );
    let (width, height) = if turned { (height, width) } else { (width, height) };
    Ok((width as usize, height as usize))
}

fn open(bytes: &[u8]) -> Result<(impl ImageDecoder + '_, (u32, u32)), String> {
    if bytes.is_empty() {
        return Err("it is empty".to_string());
    }
    let format = image::guess_format(bytes).map_err(|_| "it is no PNG, JPEG or WebP image".to_string())?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) {
        return Err(format!("its format, {format:?}, is not supported: convert it to PNG or JPEG"));
    }
    if format == ImageFormat::Jpeg && !is_complete_jpeg(bytes) {
        return Err("it is truncated: a JPEG without its end marker".to_string());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_PIXELS * 8);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damage)?;
    // Decoders differ in which limits they heed, so the size is checked here as well.
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "it is {width} × {height} pixels, more than the {MAX_SIDE} a side or {} million in all that are decoded",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok((decoder, (width, height)))
}

/// Whether the end marker follows the first scan. Decoders fill what is missing with grey, which would pass
/// for a picture. What may stand behind the end marker (cameras put previews there) does not matter, nor
/// does the end marker of a thumbnail in the header.
fn is_complete_jpeg(bytes: &[u8]) -> bool {
    const END: [u8; 2] = [0xFF, 0xD9];
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        at += 2 + length;
        if marker == START_OF_SCAN {
            return bytes.get(at..).is_some_and(|scan| scan.windows(2).any(|pair| pair == END));
        }
    }
    // Not a plain sequence of segments: the decoder has to judge.
    at < bytes.len()
}

fn damage(error: image::ImageError) -> String {
    match error {
        image::ImageError::Limits(_) => {
            format!("it is larger than the {MAX_SIDE} pixels a side that are decoded")
        }
        error => {
            // Some decoders end their sentences with a line feed.
            let words = error.to_string();
            format!("it is damaged ({})", words.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}
