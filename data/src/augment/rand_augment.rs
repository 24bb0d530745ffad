//! RandAugment (Cubuk et al. 2020) with timm's list of operations and its "increasing" magnitudes: what timm
//! calls `rand-m9-mstd0.5-inc1`.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::colour;
use crate::Image;
use archaeo_random::Draw;

/// Magnitudes are stated on a scale of ten.
const FULL: f32 = 10.0;
/// Fill colour outside the picture after a geometric operation.
const OUTSIDE: [u8; 3] = [128; 3];

/// A few random operations on each image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugment {
    /// Number of operations drawn per image.
    pub operations: usize,
    /// Probability that a drawn operation is applied.
    pub probability: f32,
    /// Strength from 0 to 10.
    pub magnitude: f32,
    /// Standard deviation of the strength, drawn separately for every operation.
    pub std: f32,
}

impl Default for RandAugment {
    fn default() -> Self {
        RandAugment { operations: 2, probability: 0.5, magnitude: 9.0, std: 0.5 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operation {
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Saturation,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

impl Operation {
    pub(super) const ALL: [Operation; 15] = [
        Operation::AutoContrast,
        Operation::Equalize,
        Operation::Invert,
        Operation::Rotate,
        Operation::Posterize,
        Operation::Solarize,
        Operation::SolarizeAdd,
        Operation::Saturation,
        Operation::Contrast,
        Operation::Brightness,
        Operation::Sharpness,
        Operation::ShearX,
        Operation::ShearY,
        Operation::TranslateX,
        Operation::TranslateY,
    ];

    /// Applies the operation at `strength` from 0 to 1, in the direction `sign`.
    pub(super) fn apply(self, image: &Image, strength: f32, sign: f32) -> Image {
        // Further from 1 with strength, either way.
        let factor = (1.0 + sign * 0.9 * strength).max(0.1);
        let reach = f64::from(sign * strength);
        match self {
            Operation::AutoContrast => colour::auto_contrast(image),
            Operation::Equalize => colour::equalize(image),
            Operation::Invert => colour::invert(image),
            Operation::Posterize => colour::posterize(image, 4 - (4.0 * strength) as u32),
            Operation::Solarize => colour::solarize(image, 256 - (256.0 * strength) as u16),
            Operation::SolarizeAdd => colour::solarize_add(image, (110.0 * strength) as u8),
            Operation::Saturation => colour::saturation(image, factor),
            Operation::Contrast => colour::contrast(image, factor),
            Operation::Brightness => colour::brightness(image, factor),
            Operation::Sharpness => colour::sharpness(image, factor),
            Operation::Rotate => rotate(image, 30.0 * reach),
            Operation::ShearX => affine(image, [1.0, 0.3 * reach, 0.0, 0.0, 1.0, 0.0]),
            Operation::ShearY => affine(image, [1.0, 0.0, 0.0, 0.3 * reach, 1.0, 0.0]),
            Operation::TranslateX => {
                affine(image, [1.0, 0.0, 0.45 * reach * image.width() as f64, 0.0, 1.0, 0.0])
            }
            Operation::TranslateY => {
                affine(image, [1.0, 0.0, 0.0, 0.0, 1.0, 0.45 * reach * image.height() as f64])
            }
        }
    }
}

impl RandAugment {
    pub(super) fn apply(&self, mut image: Image, rng: &mut ChaCha8Rng) -> Image {
        for _ in 0..self.operations {
            let operation = Operation::ALL[rng.below(Operation::ALL.len())];
            let noise: f32 = rng.sample(StandardNormal);
            let magnitude = (self.magnitude + self.std * noise).clamp(0.0, FULL);
            let sign = if rng.chance(0.5) { -1.0 } else { 1.0 };
            if rng.chance(self.probability) {
                image = operation.apply(&image, magnitude / FULL, sign);
            }
        }
        image
    }
}

/// Counter-clockwise about the middle.
fn rotate(image: &Image, degrees: f64) -> Image {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = (image.width() as f64 / 2.0, image.height() as f64 / 2.0);
    affine(image, [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y])
}

/// Output pixel (x, y) is taken from (a x + b y + c, d x + e y + f), coordinates at pixel centres, with
/// bilinear interpolation that repeats the border's pixels; [`OUTSIDE`] beyond it.
pub(super) fn affine(image: &Image, [a, b, c, d, e, f]: [f64; 6]) -> Image {
    let (width, height) = (image.width(), image.height());
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
            let (u, v) = (a * x + b * y + c, d * x + e * y + f);
            if !(0.0..width as f64).contains(&u) || !(0.0..height as f64).contains(&v) {
                pixels.extend(OUTSIDE);
                continue;
            }
            let (u, v) = (u - 0.5, v - 0.5);
            let (left, top) = (u.floor(), v.floor());
            let (along, down) = (u - left, v - top);
            let clip = |place: f64, limit: usize| (place.max(0.0) as usize).min(limit - 1);
            let (columns, rows) =
                ([clip(left, width), clip(left + 1.0, width)], [clip(top, height), clip(top + 1.0, height)]);
            let corners = rows.map(|y| columns.map(|x| image.pixel(x, y).map(f64::from)));
            for channel in 0..3 {
                let [upper, lower] =
                    corners.map(|[left, right]| left[channel] + along * (right[channel] - left[channel]));
                // Rounded down, as Pillow does.
                pixels.push((upper + down * (lower - upper)) as u8);
            }
        }
    }
    Image::new(width, height, pixels)
}
