//! RGB pictures.

use std::path::Path;

use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::{PlotError, Result};

/// The most pixels a picture may have: a mistaken size must end in a sentence, not in exhausted memory.
const MAX_PIXELS: usize = 1 << 28;

/// An 8-bit RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture from its `pixels`: `height` rows of `width` RGB triples.
    ///
    /// # Errors
    /// The length is not `3 · width · height`, or the picture is too large.
    pub fn from_rgb(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self> {
        let expected = 3 * check_size(width, height)?;
        if pixels.len() != expected {
            let found = pixels.len();
            return Err(PlotError::WrongLength { what: "an RGB picture", width, height, expected, found });
        }
        Ok(Self { width, height, pixels })
    }

    /// A picture of one color.
    ///
    /// # Errors
    /// The picture is too large.
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Result<Self> {
        Ok(Self { width, height, pixels: color.repeat(check_size(width, height)?) })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// `height` rows of `width` RGB triples.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Every pixel repeated `factor` times in both directions: small inputs shown as the model sees them.
    ///
    /// # Errors
    /// The result is too large or `factor` is 0.
    pub fn enlarge(&self, factor: usize) -> Result<Self> {
        self.resized(
            self.width.saturating_mul(factor),
            self.height.saturating_mul(factor),
            FilterType::Nearest,
        )
    }

    /// Resized with a triangle filter: bilinear where it grows, antialiased where it shrinks.
    ///
    /// # Errors
    /// The result is too large or a side is 0.
    pub fn resize_bilinear(&self, width: usize, height: usize) -> Result<Self> {
        self.resized(width, height, FilterType::Triangle)
    }

    fn resized(&self, width: usize, height: usize, filter: FilterType) -> Result<Self> {
        if check_size(width, height)? == 0 || self.pixels.is_empty() {
            return Err(PlotError::Empty { what: "a resized picture", reason: "one of its sides is 0" });
        }
        let resized = imageops::resize(&self.to_image(), width as u32, height as u32, filter);
        Ok(Self { width, height, pixels: resized.into_raw() })
    }

    /// Copies `other` with its top left corner at `(x, y)`; what does not fit is cut off.
    pub fn blit(&mut self, other: &Self, x: usize, y: usize) {
        let columns = other.width.min(self.width.saturating_sub(x));
        let rows = other.height.min(self.height.saturating_sub(y));
        for row in 0..rows {
            let to = 3 * ((y + row) * self.width + x);
            let from = 3 * row * other.width;
            self.pixels[to..to + 3 * columns].copy_from_slice(&other.pixels[from..from + 3 * columns]);
        }
    }

    /// Covers the pixel at `(x, y)` with `color`: 0 leaves it as it is, 1 hides it. Nothing happens outside the picture.
    pub(crate) fn blend(&mut self, x: usize, y: usize, coverage: f32, color: [u8; 3]) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = 3 * (y * self.width + x);
        for (below, above) in self.pixels[at..at + 3].iter_mut().zip(color) {
            *below = (coverage * f32::from(above) + (1.0 - coverage) * f32::from(*below)).round() as u8;
        }
    }

    /// The picture as a PNG file's bytes.
    ///
    /// # Errors
    /// The picture has no pixels.
    pub fn to_png_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // Without a copy of the pixels, which may be many.
        PngEncoder::new(&mut bytes)
            .write_image(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(PlotError::Encode)?;
        Ok(bytes)
    }

    /// Writes a PNG file, which is there whole or not at all.
    ///
    /// # Errors
    /// The picture has no pixels, or the system refuses (missing folder, full disk).
    pub fn save_png(&self, path: &Path) -> Result<()> {
        Ok(archaeo_store::write(path, &self.to_png_bytes()?)?)
    }

    fn to_image(&self) -> RgbImage {
        RgbImage::from_raw(self.width as u32, self.height as u32, self.pixels.clone())
            .expect("the length was checked when the picture was made")
    }
}

fn check_size(width: usize, height: usize) -> Result<usize> {
    match width.checked_mul(height) {
        Some(pixels) if pixels <= MAX_PIXELS && width.max(height) <= u32::MAX as usize => Ok(pixels),
        _ => Err(PlotError::TooLarge { width, height }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn gradient(width: usize, height: usize) -> Picture {
        Picture::from_rgb(width, height, (0..3 * width * height).map(|i| (i * 7) as u8).collect()).unwrap()
    }

    #[test]
    fn enlarging_repeats_pixels() {
        let small = gradient(3, 2);
        let large = small.enlarge(4).unwrap();
        assert_eq!((large.width(), large.height()), (12, 8));
        for (i, pixel) in large.pixels().chunks(3).enumerate() {
            let from = 3 * (i / 12 / 4 * 3 + i % 12 / 4);
            assert_eq!(pixel, &small.pixels()[from..from + 3]);
        }
        assert!(small.enlarge(0).is_err());
    }

    #[test]
    fn bilinear_is_linear_between_pixel_centres() {
        let two = Picture::from_rgb(2, 1, vec![0, 0, 0, 200, 100, 40]).unwrap();
        let four = two.resize_bilinear(4, 1).unwrap();
        // Centres of the new pixels lie at −0.25, 0.25, 0.75 and 1.25 of the old.
        assert_eq!(four.pixels(), [0, 0, 0, 50, 25, 10, 150, 75, 30, 200, 100, 40]);
        // Shrinking averages instead of dropping pixels.
        let stripes = Picture::from_rgb(8, 1, [[0; 3], [200; 3]].concat().repeat(4)).unwrap();
        assert!(stripes.resize_bilinear(2, 1).unwrap().pixels().iter().all(|v| v.abs_diff(100) < 26));
    }

    #[test]
    fn blit_cuts_at_the_border() {
        let mut canvas = Picture::filled(4, 3, [9; 3]).unwrap();
        canvas.blit(&gradient(3, 3), 2, 1);
        assert_eq!(&canvas.pixels()[..12], [9; 12]);
        assert_eq!(&canvas.pixels()[12 + 6..12 + 12], &gradient(3, 3).pixels()[..6]);
        canvas.blit(&gradient(3, 3), 40, 40);
    }

    #[test]
    fn png_files_hold_the_pixels_and_appear_whole() {
        let folder = std::env::temp_dir().join(format!("archaeo-plot-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.png");
        let picture = gradient(5, 4);
        picture.save_png(&path).unwrap();
        picture.save_png(&path).unwrap();
        assert_eq!(image::open(&path).unwrap().into_rgb8().into_raw(), picture.pixels());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
        let missing = folder.join("none/a.png");
        let error = picture.save_png(&missing).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}: ", missing.display())), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let error = Picture::from_rgb(2, 2, vec![0; 11]).unwrap_err().to_string();
        assert_eq!(error, "an RGB picture of 2×2 needs 12 values, but 11 were given");
        assert!(Picture::filled(1 << 20, 1 << 20, [0; 3]).is_err());
        assert!(Picture::filled(usize::MAX, 2, [0; 3]).is_err());
        assert!(gradient(2, 2).enlarge(1 << 40).is_err());
        assert!(Picture::filled(0, 0, [0; 3]).unwrap().to_png_bytes().is_err());
    }
}
