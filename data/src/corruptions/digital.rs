//! Digital: contrast, elastic transform, pixelate, JPEG; and saturation.

use archaeo_raster::Image;
use mozjpeg::{ColorSpace, Compress};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Scale;
use super::field::{Edge, Field, from_hsv, to_hsv};
use crate::image::decode;

pub(super) fn factor(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.75, 0.5, 0.4, 0.3, 0.15], [0.4, 0.3, 0.2, 0.1, 0.05])
}

pub(super) fn contrast(field: &Field, factor: f64) -> Field {
    let plane = |plane: &Vec<f64>| {
        let mean = plane.iter().sum::<f64>() / plane.len() as f64;
        plane.iter().map(|value| (value - mean) * factor + mean).collect()
    };
    Field { planes: field.planes.iter().map(plane).collect(), ..*field }
}

/// Of the elastic transform, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bend {
    /// Largest displacement before smoothing.
    strength: f64,
    /// Deviation of the smoothing.
    sigma: f64,
    /// How far each of three points moves, at most, in the affine map.
    pub affine: f64,
}

pub(super) fn bend(scale: Scale, severity: usize) -> Bend {
    let small =
        [[0.0, 0.0, 0.08], [0.05, 0.2, 0.07], [0.08, 0.06, 0.06], [0.1, 0.04, 0.05], [0.1, 0.03, 0.03]];
    let large =
        [[2.0, 0.7, 0.1], [2.0, 0.08, 0.2], [0.05, 0.01, 0.02], [0.07, 0.01, 0.02], [0.12, 0.01, 0.02]];
    // 244, not 224, as in the authors' program.
    let [strength, sigma, affine] = scale.choose(
        severity,
        small.map(|shares| shares.map(|share| 32.0 * share)),
        large.map(|shares| shares.map(|share| 244.0 * share)),
    );
    Bend { strength, sigma, affine }
}

pub(super) fn elastic(field: &Field, bend: Bend, rng: &mut ChaCha8Rng) -> Field {
    let mut within = |size: f64| if size > 0.0 { rng.random_range(-size..size) } else { 0.0 };
    let moved = [(); 3].map(|()| [(); 2].map(|()| within(bend.affine)));
    let [across, down] = [(); 2].map(|()| {
        let noise = (0..field.width * field.height).map(|_| within(1.0)).collect();
        Field::plane(field.width, field.height, noise)
    });
    bent(field, bend, moved, [&across, &down])
}

/// The affine map that moves three points by so much, then displacements of this noise.
pub(super) fn bent(field: &Field, bend: Bend, moved: [[f64; 2]; 3], noise: [&Field; 2]) -> Field {
    let (x, y) = ((field.width / 2) as f64, (field.height / 2) as f64);
    let side = (field.width.min(field.height) / 3) as f64;
    let from = [[x + side, y + side], [x + side, y - side], [x - side, y - side]];
    let to: [[f64; 2]; 3] = [0, 1, 2].map(|i| [0, 1].map(|axis| from[i][axis] + moved[i][axis]));
    let back = affine(to, from);
    let mapped = field.sampled(Edge::Mirror101, |x, y| {
        back.map(|[of_x, of_y, shift]| of_x * x as f64 + of_y * y as f64 + shift)
    });
    let [across, down] =
        noise.map(|noise| noise.blurred(bend.sigma, 3.0, Edge::Mirror).map(|value| value * bend.strength));
    mapped.sampled(Edge::Mirror, |x, y| {
        let pixel = y * field.width + x;
        [x as f64 + across.planes[0][pixel], y as f64 + down.planes[0][pixel]]
    })
}

/// The affine map of three points to three others, by Cramer's rule: for each coordinate its factors of x and y and its shift.
fn affine(from: [[f64; 2]; 3], to: [[f64; 2]; 3]) -> [[f64; 3]; 2] {
    let [[x0, y0], [x1, y1], [x2, y2]] = from;
    let determinant = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
    [0, 1].map(|axis| {
        let [a, b, c] = [0, 1, 2].map(|point| to[point][axis]);
        let of_x = ((b - a) * (y2 - y0) - (c - a) * (y1 - y0)) / determinant;
        let of_y = ((c - a) * (x1 - x0) - (b - a) * (x2 - x0)) / determinant;
        [of_x, of_y, a - of_x * x0 - of_y * y0]
    })
}

pub(super) fn shrunk(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.95, 0.9, 0.85, 0.75, 0.65], [0.6, 0.5, 0.4, 0.3, 0.25])
}

pub(super) fn pixelate(image: &Image, share: f64) -> Image {
    let (width, height) = (image.width(), image.height());
    let small = |size: usize| ((size as f64 * share) as usize).max(1);
    boxed(&boxed(image, small(width), small(height)), width, height)
}

/// At another size, each pixel the mean of those that its box covers, as by Pillow's BOX filter.
fn boxed(image: &Image, width: usize, height: usize) -> Image {
    // What pixel `at` of `to` covers of `from`.
    let covered = |at: usize, from: usize, to: usize| {
        let scale = from as f64 / to as f64;
        let (centre, support) = ((at as f64 + 0.5) * scale, 0.5 * scale.max(1.0));
        let first = (centre - support + 0.5).max(0.0) as usize;
        first..((centre + support + 0.5) as usize).min(from)
    };
    let mean = |values: &mut dyn Iterator<Item = u8>, count: usize| {
        (values.map(f64::from).sum::<f64>() / count as f64).round() as u8
    };
    let old = image.width();
    let mut wide = Image::filled(width, image.height(), [0; 3]);
    for (pixel, values) in wide.pixels_mut().chunks_exact_mut(3).enumerate() {
        let (x, y) = (pixel % width, pixel / width);
        let columns = covered(x, old, width);
        for (channel, value) in values.iter_mut().enumerate() {
            let mut row = columns.clone().map(|column| image.pixels()[(y * old + column) * 3 + channel]);
            *value = mean(&mut row, columns.len());
        }
    }
    let mut found = Image::filled(width, height, [0; 3]);
    for (pixel, values) in found.pixels_mut().chunks_exact_mut(3).enumerate() {
        let (x, y) = (pixel % width, pixel / width);
        let rows = covered(y, image.height(), height);
        for (channel, value) in values.iter_mut().enumerate() {
            let mut column = rows.clone().map(|row| wide.pixels()[(row * width + x) * 3 + channel]);
            *value = mean(&mut column, rows.len());
        }
    }
    found
}

pub(super) fn quality(scale: Scale, severity: usize) -> u8 {
    scale.choose(severity, [80, 65, 58, 50, 40], [25, 18, 15, 10, 7])
}

/// Compressed and decoded, with the tables and the halved chroma that libjpeg uses when nothing is chosen.
pub(super) fn jpeg(image: &Image, quality: u8) -> Image {
    let compressed = || -> std::io::Result<Vec<u8>> {
        let mut encoder = Compress::new(ColorSpace::JCS_RGB);
        encoder.set_fastest_defaults();
        encoder.set_size(image.width(), image.height());
        encoder.set_quality(quality.into());
        encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
        let mut started = encoder.start_compress(Vec::new())?;
        started.write_scanlines(image.pixels())?;
        started.finish()
    };
    let bytes = compressed().expect("memory takes what is written to it");
    decode(&bytes).expect("what was just compressed is an image")
}

/// Factor of the saturation, and what is added to it.
pub(super) fn saturation(scale: Scale, severity: usize) -> [f64; 2] {
    scale.choose(
        severity,
        [[0.3, 0.0], [0.1, 0.0], [1.5, 0.0], [2.0, 0.1], [2.5, 0.2]],
        [[0.3, 0.0], [0.1, 0.0], [2.0, 0.0], [5.0, 0.1], [20.0, 0.2]],
    )
}

pub(super) fn saturate(field: &Field, [factor, added]: [f64; 2]) -> Field {
    field.pixels(|pixel| {
        let [hue, saturation, value] = to_hsv(pixel);
        from_hsv([hue, (saturation * factor + added).clamp(0.0, 1.0), value])
    })
}
