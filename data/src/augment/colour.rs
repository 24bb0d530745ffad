//! Changes of colour as Pillow's `ImageEnhance` and `ImageOps` define them: blends with a degenerate picture
//! and tables over the 256 grey levels.

use rand_chacha::ChaCha8Rng;

use crate::Image;
use archaeo_random::Draw;

/// Brightness, contrast and saturation in random order, each by a factor uniform on 1 ± `strength`.
pub(super) fn jitter(mut image: Image, strength: f32, rng: &mut ChaCha8Rng) -> Image {
    let mut steps: [fn(&Image, f32) -> Image; 3] = [brightness, contrast, saturation];
    for last in (1..steps.len()).rev() {
        steps.swap(last, rng.below(last + 1));
    }
    for step in steps {
        image = step(&image, rng.between(1.0 - strength, 1.0 + strength));
    }
    image
}

/// Black at 0, unchanged at 1.
pub(super) fn brightness(image: &Image, factor: f32) -> Image {
    table(image, |value| blend(0, value, factor))
}

/// The mean grey at 0, unchanged at 1.
pub(super) fn contrast(image: &Image, factor: f32) -> Image {
    let pixels = image.pixels().as_chunks::<3>().0;
    let sum: u64 = pixels.iter().map(|pixel| u64::from(luma(*pixel))).sum();
    let mean = (sum as f64 / pixels.len() as f64 + 0.5) as u8;
    table(image, |value| blend(mean, value, factor))
}

/// Grey at 0, unchanged at 1.
pub(super) fn saturation(image: &Image, factor: f32) -> Image {
    let mut result = image.clone();
    for pixel in result.pixels_mut().as_chunks_mut::<3>().0 {
        let grey = luma(*pixel);
        *pixel = pixel.map(|value| blend(grey, value, factor));
    }
    result
}

/// Smoothed at 0, unchanged at 1. The smoothing kernel is (1 1 1; 1 5 1; 1 1 1) / 13; the outermost pixels are unchanged.
pub(super) fn sharpness(image: &Image, factor: f32) -> Image {
    let mut result = image.clone();
    let stride = image.width() * 3;
    for y in 1..image.height().saturating_sub(1) {
        for at in y * stride + 3..(y + 1) * stride - 3 {
            let above = at - stride;
            let below = at + stride;
            let ring = [above - 3, above, above + 3, at - 3, at + 3, below - 3, below, below + 3];
            let sum: u32 = ring.iter().map(|&i| u32::from(image.pixels()[i])).sum();
            let smooth = (sum + 5 * u32::from(image.pixels()[at])) as f32 / 13.0 + 0.5;
            result.pixels_mut()[at] = blend(smooth as u8, image.pixels()[at], factor);
        }
    }
    result
}

pub(super) fn invert(image: &Image) -> Image {
    table(image, |value| 255 - value)
}

/// Values from `threshold` on are inverted.
pub(super) fn solarize(image: &Image, threshold: u16) -> Image {
    table(image, |value| if u16::from(value) < threshold { value } else { 255 - value })
}

/// `amount` is added to values below 128.
pub(super) fn solarize_add(image: &Image, amount: u8) -> Image {
    table(image, |value| if value < 128 { value.saturating_add(amount) } else { value })
}

/// Only the highest `bits` of each value are kept.
pub(super) fn posterize(image: &Image, bits: u32) -> Image {
    let mask = if bits == 0 { 0 } else { 0xFF_u8 << (8 - bits.min(8)) };
    table(image, |value| value & mask)
}

/// Each channel is stretched to the full range.
pub(super) fn auto_contrast(image: &Image) -> Image {
    per_channel(image, |counts| {
        let low = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low) as f64;
        std::array::from_fn(|value| (value as f64 * scale - low as f64 * scale) as u8)
    })
}

/// Each channel's histogram is made flat.
pub(super) fn equalize(image: &Image) -> Image {
    per_channel(image, |counts| {
        let total: usize = counts.iter().sum();
        let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
        let step = (total - last) / 255;
        if step == 0 {
            return identity();
        }
        let mut sum = step / 2;
        counts.map(|count| {
            let value = (sum / step).min(255) as u8;
            sum += count;
            value
        })
    })
}

/// Rec. 601 luma in 16-bit fixed point.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((sum + 0x8000) >> 16) as u8
}

/// From `degenerate` at 0 over `value` at 1 and beyond, rounded towards zero.
fn blend(degenerate: u8, value: u8, factor: f32) -> u8 {
    let (degenerate, value) = (f32::from(degenerate), f32::from(value));
    (degenerate + factor * (value - degenerate)) as u8
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

fn table(image: &Image, of: impl Fn(u8) -> u8) -> Image {
    let table = identity().map(of);
    let pixels = image.pixels().iter().map(|&value| table[usize::from(value)]).collect();
    Image::new(image.width(), image.height(), pixels)
}

fn per_channel(image: &Image, table_of: impl Fn([usize; 256]) -> [u8; 256]) -> Image {
    let mut result = image.clone();
    for channel in 0..3 {
        let mut counts = [0; 256];
        image.pixels()[channel..].iter().step_by(3).for_each(|&value| counts[usize::from(value)] += 1);
        let table = table_of(counts);
        result.pixels_mut()[channel..]
            .iter_mut()
            .step_by(3)
            .for_each(|value| *value = table[usize::from(*value)]);
    }
    result
}
