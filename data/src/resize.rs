//! Resizing as in Pillow, so that a checkpoint sees the pixels that it was trained on.
//!
//! Pillow resamples in two passes, along rows and along columns, each with fixed-point weights and
//! rounding to 8 bits. When it shrinks, the filter grows with the factor: the result is antialiased. Both
//! matter: a resize without antialiasing costs about a point of accuracy.

use std::ops::Range;

use crate::{Image, Interpolation};

/// Half the width of a filter's kernel.
fn support(filter: Interpolation) -> f64 {
    match filter {
        Interpolation::Bilinear => 1.0,
        Interpolation::Bicubic => 2.0,
        Interpolation::Lanczos => 3.0,
    }
}

/// The kernel at a distance of `x` pixels.
fn weight(filter: Interpolation, x: f64) -> f64 {
    let distance = x.abs();
    match filter {
        Interpolation::Bilinear => (1.0 - distance).max(0.0),
        Interpolation::Bicubic => {
            const A: f64 = -0.5;
            if distance < 1.0 {
                ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
            } else if distance < 2.0 {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
            } else {
                0.0
            }
        }
        Interpolation::Lanczos if distance < 3.0 => sinc(x) * sinc(x / 3.0),
        Interpolation::Lanczos => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Fractional bits of a weight: 32 bits less 8 for the pixel and 2 for overshoot and sign.
const PRECISION: u32 = 32 - 8 - 2;

/// The weights of one output position: those of the inputs from `start` on.
struct Taps {
    start: usize,
    weights: Vec<i32>,
}

/// The taps of some of the output positions along one axis.
fn taps(input: usize, output: usize, positions: Range<usize>, filter: Interpolation) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    let support = support(filter) * stretch;
    let position = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        // Conversion to an unsigned integer truncates, and clamps at zero.
        let start = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(input);
        let weights: Vec<f64> =
            (start..end).map(|x| weight(filter, (x as f64 - centre + 0.5) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| {
            let scaled = weight / sum * f64::from(1u32 << PRECISION);
            (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        Taps { start, weights: weights.into_iter().map(fixed).collect() }
    };
    positions.map(position).collect()
}

fn to_grey_level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

/// `image` at `width` × `height`, as by Pillow's `Image.resize`.
///
/// # Panics
/// If the image or the result has no pixels.
pub fn resize(image: &Image, width: usize, height: usize, filter: Interpolation) -> Image {
    resize_part(image, (width, height), 0..width, 0..height, filter)
}

/// The given columns and rows of `image` at the size `(width, height)`; nothing else of it is computed, so that a long and thin
/// image, which would be enormous with its shorter side enlarged, costs no more than others.
fn resize_part(
    image: &Image,
    (width, height): (usize, usize),
    columns: Range<usize>,
    rows: Range<usize>,
    filter: Interpolation,
) -> Image {
    assert!(image.width() > 0 && image.height() > 0 && width > 0 && height > 0, "an image without pixels");
    // Rounding between the passes makes their order visible. Since version 13 Pillow takes the columns first
    // where the height loses more than twice the pixels that the width loses.
    let loss = |from: usize, to: usize| from as i64 - to as i64;
    let (lost_width, lost_height) = (loss(image.width(), width), loss(image.height(), height));
    if lost_height > 0 && lost_height > 2 * lost_width {
        resize_rows(&resize_columns(image, height, rows, filter), width, columns, filter)
    } else {
        resize_columns(&resize_rows(image, width, columns, filter), height, rows, filter)
    }
}

/// The given columns of `image` at another width.
fn resize_rows(image: &Image, width: usize, columns: Range<usize>, filter: Interpolation) -> Image {
    if width == image.width() {
        return crop(image, columns.start as i64, 0, columns.len(), image.height());
    }
    let taps = taps(image.width(), width, columns, filter);
    let mut pixels = Vec::with_capacity(taps.len() * image.height() * 3);
    for row in image.pixels().chunks_exact(image.width() * 3) {
        for Taps { start, weights } in &taps {
            let mut sums = [HALF; 3];
            for (pixel, &weight) in row[start * 3..].chunks_exact(3).zip(weights) {
                for channel in 0..3 {
                    sums[channel] += i32::from(pixel[channel]) * weight;
                }
            }
            pixels.extend(sums.map(to_grey_level));
        }
    }
    Image::new(taps.len(), image.height(), pixels)
}

/// The given rows of `image` at another height.
fn resize_columns(image: &Image, height: usize, rows: Range<usize>, filter: Interpolation) -> Image {
    if height == image.height() {
        return crop(image, 0, rows.start as i64, image.width(), rows.len());
    }
    let stride = image.width() * 3;
    let taps = taps(image.height(), height, rows, filter);
    let mut pixels = Vec::with_capacity(stride * taps.len());
    let mut sums = vec![HALF; stride];
    for Taps { start, weights } in &taps {
        sums.fill(HALF);
        for (row, weight) in image.pixels()[start * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        pixels.extend(sums.iter().map(|&sum| to_grey_level(sum)));
    }
    Image::new(image.width(), taps.len(), pixels)
}

/// `image`'s size once its shorter side is `size` pixels long, the longer side in proportion and rounded down, as in
/// torchvision's `Resize(size)`.
pub fn with_shorter_side(image: &Image, size: usize) -> (usize, usize) {
    let (width, height) = (image.width(), image.height());
    if width <= height { (size, size * height / width) } else { (size * width / height, size) }
}

/// The central `side` × `side` pixels of `image` at the size `(width, height)`; nothing else of it is computed.
///
/// # Panics
/// As [`resize`], and if `side` is more than width or height.
pub fn resize_and_center_crop(
    image: &Image,
    (width, height): (usize, usize),
    side: usize,
    filter: Interpolation,
) -> Image {
    assert!(side <= width && side <= height, "a crop of {side} pixels out of {width} × {height}");
    let (left, top) = (centre_offset(width, side) as usize, centre_offset(height, side) as usize);
    resize_part(image, (width, height), left..left + side, top..top + side, filter)
}

/// The middle `width` × `height` of `image`, black where the image is smaller. An odd remainder is halved to
/// the nearest even number, as Python's `round` in torchvision's `CenterCrop` does.
pub fn center_crop(image: &Image, width: usize, height: usize) -> Image {
    crop(image, centre_offset(image.width(), width), centre_offset(image.height(), height), width, height)
}

/// Where the middle `part` of `whole` begins; below 0 where it is longer.
fn centre_offset(whole: usize, part: usize) -> i64 {
    let spare = whole as i64 - part as i64;
    if spare < 0 {
        // Padding: the left and top margin is the smaller half.
        return -(-spare / 2);
    }
    let half = spare / 2;
    if spare % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// The `width` × `height` of `image` whose first pixel is (`left`, `top`), black outside the image.
pub fn crop(image: &Image, left: i64, top: i64, width: usize, height: usize) -> Image {
    let mut result = Image::filled(width, height, [0; 3]);
    let (first, last) = overlap(left, width, image.width());
    if first == last {
        return result;
    }
    let (top_row, bottom_row) = overlap(top, height, image.height());
    for row in top_row..bottom_row {
        let from = ((row as i64 + top) as usize * image.width() + (first as i64 + left) as usize) * 3;
        let to = (row * width + first) * 3;
        let length = (last - first) * 3;
        result.pixels_mut()[to..to + length].copy_from_slice(&image.pixels()[from..from + length]);
    }
    result
}

/// The part of 0..`length`, moved by `offset`, that falls into 0..`limit`; before the move.
fn overlap(offset: i64, length: usize, limit: usize) -> (usize, usize) {
    let first = (-offset).clamp(0, length as i64);
    let last = (limit as i64 - offset).clamp(first, length as i64);
    (first as usize, last as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Pillow, difference};

    fn resize_shorter_side(image: &Image, size: usize, filter: Interpolation) -> Image {
        let (width, height) = with_shorter_side(image, size);
        resize(image, width, height, filter)
    }

    #[test]
    fn agrees_with_pillow_and_torchvision() {
        let mut pillow = Pillow::open();
        let image = pillow.image("image");
        let places = (0..image.width()).flat_map(|x| (0..image.height()).map(move |y| (x, y)));
        let pixels = places.flat_map(|(x, y)| image.pixel(x, y)).collect();
        let turned = Image::new(image.height(), image.width(), pixels);
        let (mut compared, mut values, mut unequal) = (0, 0, Vec::new());
        for name in pillow.names() {
            let expected = pillow.image(&name);
            let parts: Vec<&str> = name.split('/').collect();
            let (width, height) = (expected.width(), expected.height());
            let ours = match parts.as_slice() {
                ["resize", "bilinear", _] => resize(&image, width, height, Interpolation::Bilinear),
                ["resize", "bicubic", _] => resize(&image, width, height, Interpolation::Bicubic),
                ["resize", "lanczos", _] => resize(&image, width, height, Interpolation::Lanczos),
                ["shorter", size] => {
                    resize_shorter_side(&image, size.parse().expect("a size"), Interpolation::Bicubic)
                }
                ["shorter_turned", size] => {
                    resize_shorter_side(&turned, size.parse().expect("a size"), Interpolation::Bicubic)
                }
                ["center", _] => center_crop(&image, width, height),
                _ => continue,
            };
            let (largest, _) = difference(&ours, &expected);
            let different = ours.pixels().iter().zip(expected.pixels()).filter(|(a, b)| a != b).count();
            assert!(largest <= 1, "{name} differs by {largest} grey levels");
            if different > 0 {
                unequal.push((name, different));
            }
            values += ours.pixels().len();
            compared += 1;
        }
        assert_eq!(compared, 18 + 4 + 4);
        println!("{values} values compared with Pillow's, different by one grey level: {unequal:?}");
        assert_eq!(unequal, []);
    }

    #[test]
    fn a_part_of_a_resize_is_cut_out_of_the_whole() {
        let image = Pillow::open().image("image");
        for filter in Interpolation::ALL {
            for (size, side) in [(32, 32), (32, 31), (45, 45), (45, 20), (61, 44), (90, 77)] {
                let whole = center_crop(&resize_shorter_side(&image, size, filter), side, side);
                let size = with_shorter_side(&image, size);
                assert_eq!(resize_and_center_crop(&image, size, side, filter), whole, "{size:?}, {side}");
            }
        }
        // Enlarged as a whole, this would have 800 million pixels.
        let thread = Image::filled(16_000, 1, [1, 2, 3]);
        let size = with_shorter_side(&thread, 224);
        let part = resize_and_center_crop(&thread, size, 224, Interpolation::Bicubic);
        assert_eq!(part, Image::filled(224, 224, [1, 2, 3]));
    }

    #[test]
    fn crops_outside_the_image_are_black() {
        let image = Image::filled(4, 3, [9; 3]);
        let wide = center_crop(&image, 6, 3);
        assert_eq!(
            [wide.pixel(0, 0), wide.pixel(1, 0), wide.pixel(4, 2), wide.pixel(5, 2)],
            [[0; 3], [9; 3], [9; 3], [0; 3]]
        );
        assert_eq!(crop(&image, 10, 10, 2, 2), Image::filled(2, 2, [0; 3]));
        assert_eq!(crop(&image, -9, 0, 2, 2), Image::filled(2, 2, [0; 3]));
        assert_eq!(crop(&image, 0, 0, 4, 3), image);
    }
}
