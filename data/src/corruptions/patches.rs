//! Patches that change places, or are gone: what a model makes of an image without its order, or without its parts.

use archaeo_random::{Draw, keyed_rng};
use archaeo_raster::Image;

use super::{SEVERITIES, Scale};

/// Patches along the shorter side, by severity: the finer, the less of an object is left in one. Those of large images are those of Naseer et
/// al. (2021, section 3.3).
pub(super) fn shuffled(scale: Scale, image: &Image, severity: usize) -> usize {
    side(image, scale.choose(severity, [2, 3, 4, 8, 16], [2, 4, 8, 14, 16]))
}

/// The side of a patch, and the share of them that is gone: of a ViT's usual grid, 8 × 8 of small images and 14 × 14 of large ones.
pub(super) fn dropped(scale: Scale, image: &Image, severity: usize) -> (usize, f64) {
    const SHARES: [f64; SEVERITIES] = [0.1, 0.3, 0.5, 0.7, 0.9];
    (side(image, scale.choose(severity, [8; SEVERITIES], [14; SEVERITIES])), SHARES[severity - 1])
}

fn side(image: &Image, count: usize) -> usize {
    (image.width().min(image.height()) / count).max(1)
}

/// The image with its patches in a random order. Patches are squares of `size` pixels from the upper left; what is left over at the right
/// and the bottom stays.
///
/// # Panics
/// A size of 0.
pub(super) fn shuffle_patches(image: &Image, size: usize, seed: u64, index: u64) -> Image {
    let places = places(image, size);
    let mut order: Vec<usize> = (0..places.len()).collect();
    let mut rng = keyed_rng(seed, "patches/shuffle", index, size as u64);
    for last in (1..order.len()).rev() {
        order.swap(last, rng.below(last + 1));
    }
    let mut shuffled = image.clone();
    for (to, from) in places.iter().zip(order) {
        let (to, from) = (*to, places[from]);
        copy(image, &mut shuffled, from, to, size);
    }
    shuffled
}

/// The image with a share of its patches, rounded, replaced by its mean colour.
///
/// # Panics
/// A size of 0, or a share outside [0, 1].
pub(super) fn drop_patches(image: &Image, size: usize, share: f64, seed: u64, index: u64) -> Image {
    assert!((0.0..=1.0).contains(&share), "a share is from 0 to 1, not {share}");
    let mut places = places(image, size);
    let mut rng = keyed_rng(seed, "patches/drop", index, size as u64);
    for last in (1..places.len()).rev() {
        places.swap(last, rng.below(last + 1));
    }
    let pixels = (image.width() * image.height()).max(1);
    let mean = [0, 1, 2].map(|channel| {
        let sum: usize =
            image.pixels().iter().skip(channel).step_by(3).map(|&value| usize::from(value)).sum();
        ((sum + pixels / 2) / pixels) as u8
    });
    let blank = Image::filled(size, size, mean);
    let mut dropped = image.clone();
    // One order for every share, so that more are the same and further ones.
    for &place in &places[..(share * places.len() as f64).round() as usize] {
        copy(&blank, &mut dropped, (0, 0), place, size);
    }
    dropped
}

/// Upper left corners of whole patches.
fn places(image: &Image, size: usize) -> Vec<(usize, usize)> {
    assert!(size > 0, "a patch has at least one pixel");
    let (columns, rows) = (image.width() / size, image.height() / size);
    (0..rows).flat_map(|row| (0..columns).map(move |column| (column * size, row * size))).collect()
}

fn copy(from: &Image, to: &mut Image, (x, y): (usize, usize), (left, top): (usize, usize), size: usize) {
    let width = to.width();
    for row in 0..size {
        let source = ((y + row) * from.width() + x) * 3;
        let target = ((top + row) * width + left) * 3;
        to.pixels_mut()[target..][..size * 3].copy_from_slice(&from.pixels()[source..][..size * 3]);
    }
}
