//! Crops and mirroring.

use rand_chacha::ChaCha8Rng;

use super::RandomResizedCrop;
use crate::resize::{center_crop, crop, resize, resize_and_center_crop, with_shorter_side};
use crate::{Image, Interpolation};
use archaeo_random::Draw;

/// Resized to cover `size` × `size`, then cropped to the centre.
pub(super) fn fit(image: &Image, size: usize) -> Image {
    if (image.width(), image.height()) == (size, size) {
        return image.clone();
    }
    resize_and_center_crop(image, with_shorter_side(image, size), size, Interpolation::Bicubic)
}

/// A part of random area and shape, resized; after ten failures the largest central part of permitted shape.
pub(super) fn random_resized(
    image: &Image,
    parameters: &RandomResizedCrop,
    size: usize,
    rng: &mut ChaCha8Rng,
) -> Image {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let (low, high) = parameters.ratio;
    for _ in 0..10 {
        let area = width * height * rng.between(parameters.scale.0, parameters.scale.1);
        let ratio = rng.between(low.ln(), high.ln()).exp();
        let (w, h) = ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
        if (1..=image.width()).contains(&w) && (1..=image.height()).contains(&h) {
            let left = rng.below(image.width() - w + 1) as i64;
            let top = rng.below(image.height() - h + 1) as i64;
            return resize(&crop(image, left, top, w, h), size, size, parameters.filter);
        }
    }
    let (w, h) = if width / height < low {
        (width, (width / low).round())
    } else if width / height > high {
        ((height * high).round(), height)
    } else {
        (width, height)
    };
    let middle = center_crop(image, (w as usize).max(1), (h as usize).max(1));
    resize(&middle, size, size, parameters.filter)
}

/// `padding` black pixels on every side, then a random crop of the original size.
pub(super) fn pad(image: &Image, padding: usize, rng: &mut ChaCha8Rng) -> Image {
    let mut offset = || rng.below(2 * padding + 1) as i64 - padding as i64;
    let (left, top) = (offset(), offset());
    crop(image, left, top, image.width(), image.height())
}

/// Left and right exchanged.
pub(super) fn flip(image: &mut Image) {
    let width = image.width();
    for row in image.pixels_mut().chunks_exact_mut(width * 3) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}
