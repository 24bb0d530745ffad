//! RGB pictures.

use std::fmt;

/// An RGB picture with 8 bits per channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// A picture from its `pixels`: `height × width × 3` values, row by row, red, green, blue.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Self {
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        assert_eq!(Some(pixels.len()), expected, "values of an RGB picture of {width} × {height}");
        Self { width, height, pixels }
    }

    /// One colour everywhere.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, pixels: colour.repeat(width * height) }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// `height × width × 3` values, row by row, red, green, blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// As [`pixels`](Self::pixels), mutable.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The values alone.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Red, green and blue at column `x` of row `y`.
    ///
    /// # Panics
    /// Outside the picture.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width, "column {x} of a picture {} wide", self.width);
        let at = (y * self.width + x) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }
}

/// The size alone: the values of a picture would fill pages.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_in_rows() {
        let image = Image::new(3, 2, (0..18).collect());
        assert_eq!((image.width(), image.height()), (3, 2));
        assert_eq!(
            (image.pixel(0, 0), image.pixel(2, 0), image.pixel(1, 1)),
            ([0, 1, 2], [6, 7, 8], [12, 13, 14])
        );
        assert_eq!(image.into_pixels(), (0..18).collect::<Vec<u8>>());
    }

    #[test]
    #[should_panic(expected = "values of an RGB picture of 2 × 2")]
    fn a_picture_has_as_many_values_as_its_size_says() {
        Image::new(2, 2, vec![0; 11]);
    }

    #[test]
    #[should_panic(expected = "values of an RGB picture")]
    fn sizes_that_overflow_are_no_sizes() {
        Image::new(usize::MAX, 2, Vec::new());
    }
}
