//! Images as non-overlapping square patches, each a row of a matrix.

use rayon::prelude::*;

/// Sizes of images and of the patches that tile them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Images.
    pub batch: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of an image, multiples of `patch`.
    pub size: [usize; 2],
    /// Side of a patch.
    pub patch: usize,
}

impl Patches {
    /// Rows and columns of patches.
    pub fn grid(&self) -> [usize; 2] {
        self.size.map(|side| side / self.patch)
    }

    /// Numbers of a patch.
    pub fn numbers(&self) -> usize {
        self.channels * self.patch * self.patch
    }

    fn check(&self, images: usize, patches: usize) {
        let Self { batch, channels, size: [height, width], patch } = *self;
        assert!(
            patch > 0 && height.is_multiple_of(patch) && width.is_multiple_of(patch),
            "patches of {patch} tile images of {height}×{width}"
        );
        let numbers = batch * channels * height * width;
        assert!(images == numbers && patches == numbers, "the arrays hold {numbers} numbers");
    }
}

/// Images `[batch, channels, height, width]` → patches `[batch, rows · columns, channels · patch · patch]`, in reading order.
///
/// # Panics
/// If lengths do not fit, or patches do not tile the images.
pub fn patches_forward(shape: &Patches, images: &[f32], patches: &mut [f32]) {
    shape.check(images.len(), patches.len());
    if images.is_empty() {
        return;
    }
    let Patches { channels, size: [height, width], patch, .. } = *shape;
    let ([rows, columns], numbers) = (shape.grid(), shape.numbers());
    let rows_of_patches = patches.par_chunks_mut(columns * numbers).enumerate();
    rows_of_patches.for_each(|(at, patches)| {
        let (image, row) = (at / rows, at % rows);
        for part in 0..channels * patch {
            let (channel, y) = (part / patch, part % patch);
            let line = &images[((image * channels + channel) * height + row * patch + y) * width..][..width];
            let places = patches.chunks_exact_mut(numbers).zip(line.chunks_exact(patch));
            places.for_each(|(numbers, line)| numbers[part * patch..][..patch].copy_from_slice(line));
        }
    });
}

/// The inverse of [`patches_forward`], which is its gradient.
///
/// # Panics
/// As [`patches_forward`].
pub fn patches_backward(shape: &Patches, patches: &[f32], images: &mut [f32]) {
    shape.check(images.len(), patches.len());
    if images.is_empty() {
        return;
    }
    let Patches { channels, size: [height, width], patch, .. } = *shape;
    let ([rows, columns], numbers) = (shape.grid(), shape.numbers());
    images.par_chunks_mut(height * width).enumerate().for_each(|(plane, lines)| {
        let (image, channel) = (plane / channels, plane % channels);
        for (at, line) in lines.chunks_exact_mut(width).enumerate() {
            let (row, part) = (at / patch, channel * patch + at % patch);
            let patches = &patches[(image * rows + row) * columns * numbers..][..columns * numbers];
            let places = patches.chunks_exact(numbers).zip(line.chunks_exact_mut(patch));
            places.for_each(|(numbers, line)| line.copy_from_slice(&numbers[part * patch..][..patch]));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, assert_same_bits, assert_thread_count_is_irrelevant};

    #[test]
    fn every_number_is_where_its_patch_is_and_goes_back() {
        let mut random = Random(160);
        for _ in 0..60 {
            let [rows, columns, patch] = [random.between(1, 5), random.between(1, 5), random.between(1, 9)];
            let size = [rows * patch, columns * patch];
            let shape = Patches { batch: random.between(0, 3), channels: random.between(1, 4), size, patch };
            let [height, width] = size;
            let images = random.numbers(shape.batch * shape.channels * height * width);
            let mut patches = vec![9.0; images.len()];
            patches_forward(&shape, &images, &mut patches);
            for (i, number) in images.iter().enumerate() {
                let (x, y) = (i % width, i / width % height);
                let (channel, image) =
                    (i / (width * height) % shape.channels, i / (width * height * shape.channels));
                let token = (image * rows + y / patch) * columns + x / patch;
                let place = (channel * patch + y % patch) * patch + x % patch;
                assert_eq!(patches[token * shape.numbers() + place], *number, "{shape:?}");
            }
            let mut back = vec![9.0; images.len()];
            patches_backward(&shape, &patches, &mut back);
            assert_same_bits("inverse", &back, &images);
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let shape = Patches { batch: 3, channels: 3, size: [32, 48], patch: 8 };
        let numbers = Random(161).numbers(3 * 3 * 32 * 48);
        assert_thread_count_is_irrelevant("patches", || {
            let (mut patches, mut images) = (vec![0.0; numbers.len()], vec![0.0; numbers.len()]);
            patches_forward(&shape, &numbers, &mut patches);
            patches_backward(&shape, &numbers, &mut images);
            [patches, images].concat()
        });
    }

    #[test]
    #[should_panic(expected = "patches of 3 tile images of 6×7")]
    fn images_that_patches_do_not_tile_are_refused() {
        let shape = Patches { batch: 1, channels: 1, size: [6, 7], patch: 3 };
        patches_forward(&shape, &[0.0; 42], &mut [0.0; 42]);
    }
}
