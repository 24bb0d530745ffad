//! Operations on pictures: enlarging, resizing, inserting one into another, writing them as PNG files.

use std::path::Path;

use archaeo_raster::Image;
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::{PlotError, Result};

/// The most pixels a picture may have: a mistaken size must end in a sentence, not in exhausted memory.
const MAX_PIXELS: usize = 1 << 28;

/// A picture of one color.
///
/// # Errors
/// The picture is too large.
pub(crate) fn filled(width: usize, height: usize, color: [u8; 3]) -> Result<Image> {
    check_size(width, height)?;
    Ok(Image::filled(width, height, color))
}

/// Every pixel repeated `factor` times in both directions: small inputs shown as the model sees them.
///
/// # Errors
/// The result is too large or has no pixels.
pub fn enlarge(image: &Image, factor: usize) -> Result<Image> {
    let [width, height] = [image.width(), image.height()].map(|length| length.saturating_mul(factor));
    resized(image, width, height, FilterType::Nearest)
}

/// Resized with a triangle filter: bilinear where it grows, antialiased where it shrinks.
///
/// # Errors
/// The result is too large, or it or the image has no pixels.
pub fn resize_bilinear(image: &Image, width: usize, height: usize) -> Result<Image> {
    resized(image, width, height, FilterType::Triangle)
}

/// Resized with every pixel of the nearest colour.
///
/// # Errors
/// As [`resize_bilinear`].
pub(crate) fn resize_nearest(image: &Image, width: usize, height: usize) -> Result<Image> {
    resized(image, width, height, FilterType::Nearest)
}

fn resized(image: &Image, width: usize, height: usize, filter: FilterType) -> Result<Image> {
    if check_size(width, height)? == 0 || image.pixels().is_empty() {
        return Err(PlotError::Empty { what: "a resized picture", reason: "one of its sides is 0" });
    }
    let pixels = RgbImage::from_raw(image.width() as u32, image.height() as u32, image.pixels().to_vec())
        .expect("an image has as many values as its size says");
    let resized = imageops::resize(&pixels, width as u32, height as u32, filter);
    Ok(Image::new(width, height, resized.into_raw()))
}

/// Copies `part` into `image` with its top left corner at `(x, y)`; the rest is cropped.
pub(crate) fn blit(image: &mut Image, part: &Image, x: usize, y: usize) {
    let columns = part.width().min(image.width().saturating_sub(x));
    let rows = part.height().min(image.height().saturating_sub(y));
    for row in 0..rows {
        let to = 3 * ((y + row) * image.width() + x);
        let from = 3 * row * part.width();
        image.pixels_mut()[to..to + 3 * columns].copy_from_slice(&part.pixels()[from..from + 3 * columns]);
    }
}

/// Covers the pixel at `(x, y)` with `color`: 0 leaves it unchanged, 1 hides it. Nothing happens outside the image.
pub(crate) fn blend(image: &mut Image, x: usize, y: usize, coverage: f32, color: [u8; 3]) {
    if x >= image.width() || y >= image.height() {
        return;
    }
    let at = 3 * (y * image.width() + x);
    for (below, above) in image.pixels_mut()[at..at + 3].iter_mut().zip(color) {
        *below = (coverage * f32::from(above) + (1.0 - coverage) * f32::from(*below)).round() as u8;
    }
}

/// The image as a PNG file's bytes.
///
/// # Errors
/// The image has no pixels.
pub fn to_png(image: &Image) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Without a copy of the pixels, which may be many.
    PngEncoder::new(&mut bytes)
        .write_image(image.pixels(), image.width() as u32, image.height() as u32, ExtendedColorType::Rgb8)
        .map_err(PlotError::Encode)?;
    Ok(bytes)
}

/// Writes the image as a PNG file, atomically.
///
/// # Errors
/// The image has no pixels, or the system refuses (missing folder, full disk).
pub fn save_png(image: &Image, path: &Path) -> Result<()> {
    Ok(archaeo_store::write(path, &to_png(image)?)?)
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

    fn gradient(width: usize, height: usize) -> Image {
        Image::new(width, height, (0..3 * width * height).map(|i| (i * 7) as u8).collect())
    }

    #[test]
    fn enlarging_repeats_pixels() {
        let small = gradient(3, 2);
        let large = enlarge(&small, 4).unwrap();
        assert_eq!((large.width(), large.height()), (12, 8));
        for (i, pixel) in large.pixels().chunks(3).enumerate() {
            let from = 3 * (i / 12 / 4 * 3 + i % 12 / 4);
            assert_eq!(pixel, &small.pixels()[from..from + 3]);
        }
        assert!(enlarge(&small, 0).is_err());
    }

    #[test]
    fn bilinear_is_linear_between_pixel_centres() {
        let two = Image::new(2, 1, vec![0, 0, 0, 200, 100, 40]);
        let four = resize_bilinear(&two, 4, 1).unwrap();
        // Centres of the new pixels lie at −0.25, 0.25, 0.75 and 1.25 of the old.
        assert_eq!(four.pixels(), [0, 0, 0, 50, 25, 10, 150, 75, 30, 200, 100, 40]);
        // Shrinking averages instead of dropping pixels.
        let stripes = Image::new(8, 1, [[0; 3], [200; 3]].concat().repeat(4));
        assert!(resize_bilinear(&stripes, 2, 1).unwrap().pixels().iter().all(|v| v.abs_diff(100) < 26));
    }

    #[test]
    fn blit_cuts_at_the_border() {
        let mut canvas = Image::filled(4, 3, [9; 3]);
        blit(&mut canvas, &gradient(3, 3), 2, 1);
        assert_eq!(&canvas.pixels()[..12], [9; 12]);
        assert_eq!(&canvas.pixels()[12 + 6..12 + 12], &gradient(3, 3).pixels()[..6]);
        blit(&mut canvas, &gradient(3, 3), 40, 40);
    }

    #[test]
    fn png_files_hold_the_pixels_and_appear_whole() {
        let folder = std::env::temp_dir().join(format!("archaeo-plot-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.png");
        let picture = gradient(5, 4);
        save_png(&picture, &path).unwrap();
        save_png(&picture, &path).unwrap();
        assert_eq!(image::open(&path).unwrap().into_rgb8().into_raw(), picture.pixels());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
        let missing = folder.join("none/a.png");
        let error = save_png(&picture, &missing).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}: ", missing.display())), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(filled(1 << 20, 1 << 20, [0; 3]).is_err());
        assert!(filled(usize::MAX, 2, [0; 3]).is_err());
        assert!(enlarge(&gradient(2, 2), 1 << 40).is_err());
        assert!(to_png(&Image::filled(0, 0, [0; 3])).is_err());
    }
}
