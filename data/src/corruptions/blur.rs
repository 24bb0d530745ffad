//! Blur: Gaussian, defocus, glass, motion, zoom.

use archaeo_random::Draw;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Scale;
use super::field::{Edge, Field};

/// Where scikit-image cuts off a Gaussian, in deviations.
pub(super) const TRUNCATE: f64 = 4.0;

pub(super) fn sigma(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.4, 0.6, 0.7, 0.8, 1.0], [1.0, 2.0, 3.0, 4.0, 6.0])
}

pub(super) fn gaussian(field: &Field, sigma: f64) -> Field {
    field.blurred(sigma, TRUNCATE, Edge::Nearest)
}

/// Radius, and the deviation of the Gaussian that smooths the disk's edge.
pub(super) fn disk(scale: Scale, severity: usize) -> [f64; 2] {
    scale.choose(
        severity,
        [[0.3, 0.4], [0.4, 0.5], [0.5, 0.6], [1.0, 0.2], [1.5, 0.1]],
        [[3.0, 0.1], [4.0, 0.5], [6.0, 0.5], [8.0, 0.5], [10.0, 0.5]],
    )
}

pub(super) fn defocus(field: &Field, [radius, smoothed]: [f64; 2]) -> Field {
    field.correlated(&disk_kernel(radius, smoothed), Edge::Mirror101)
}

/// A disk that sums to one, smoothed by a Gaussian of 3 × 3, or of 5 × 5 where its radius is above 8.
fn disk_kernel(radius: f64, smoothed: f64) -> Vec<Vec<f64>> {
    let (reach, window) = if radius <= 8.0 { (8, 1) } else { (radius as i64, 2) };
    let side = (2 * reach + 1) as usize;
    let inside = |y: i64, x: i64| f64::from(u8::from((x * x + y * y) as f64 <= radius * radius));
    let disk = (-reach..=reach).flat_map(|y| (-reach..=reach).map(move |x| inside(y, x)));
    let disk = Field::plane(side, side, disk.collect());
    let area: f64 = disk.planes[0].iter().sum();
    let weights: Vec<f64> =
        (-window..=window).map(|at: i64| (-(at * at) as f64 / (2.0 * smoothed * smoothed)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let kernel: Vec<Vec<f64>> = weights
        .iter()
        .map(|down| weights.iter().map(|across| down * across / (sum * sum)).collect())
        .collect();
    let smooth = disk.map(|value| value / area).correlated(&kernel, Edge::Mirror101);
    smooth.planes[0].chunks_exact(side).map(<[f64]>::to_vec).collect()
}

/// Deviation of the blur before and after, how far pixels move, and how often.
pub(super) fn pane(scale: Scale, severity: usize) -> (f64, usize, usize) {
    scale.choose(
        severity,
        [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
        [(0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
    )
}

pub(super) fn glass(field: &Field, pane: (f64, usize, usize), rng: &mut ChaCha8Rng) -> Field {
    shuffled(field, pane, &mut |count| rng.below(count))
}

/// Behind a pane that moves pixels as `draw` says: it gives a number below its argument, first for columns.
pub(super) fn shuffled(
    field: &Field,
    (sigma, reach, times): (f64, usize, usize),
    draw: &mut dyn FnMut(usize) -> usize,
) -> Field {
    let mut moved = Field::of(&gaussian(field, sigma).image());
    let (width, height) = (field.width, field.height);
    for _ in 0..times {
        for y in (reach + 1..=height - reach).rev() {
            for x in (reach + 1..=width - reach).rev() {
                let [dx, dy] = [(); 2].map(|()| draw(2 * reach));
                let (from_x, from_y) = (x + dx - reach, y + dy - reach);
                for plane in &mut moved.planes {
                    plane[y * width + x] = plane[from_y * width + from_x];
                }
            }
        }
    }
    gaussian(&moved, sigma)
}

/// Length and deviation of the stroke.
pub(super) fn stroke(scale: Scale, severity: usize) -> (usize, f64) {
    scale.choose(
        severity,
        [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)],
        [(10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)],
    )
}

pub(super) fn motion(field: &Field, stroke: (usize, f64), rng: &mut ChaCha8Rng) -> Field {
    along(field, stroke, rng.random_range(-45.0..45.0))
}

/// One half of a Gaussian along a line at an angle in degrees, at whole pixels: ImageMagick's motion blur, with `2 · length + 1` taps and
/// a result of 8 bits.
pub(super) fn along(field: &Field, (length, sigma): (usize, f64), angle: f64) -> Field {
    let weights: Vec<f64> =
        (0..=2 * length).map(|at| (-((at * at) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let (sine, cosine) = angle.to_radians().sin_cos();
    let offset = |at: usize, share: f64| (at as f64 * share - 0.5).ceil() as i64;
    let taps: Vec<(f64, i64, i64)> = weights
        .iter()
        .enumerate()
        .map(|(at, weight)| (weight / sum, offset(at, cosine), offset(at, sine)))
        .collect();
    let mut found = field.map(|_| 0.0);
    for y in 0..field.height {
        for x in 0..field.width {
            for &(weight, right, down) in &taps {
                let column = Edge::Nearest.place(x as i64 + right, field.width);
                let row = Edge::Nearest.place(y as i64 + down, field.height);
                for (plane, own) in found.planes.iter_mut().zip(&field.planes) {
                    plane[y * field.width + x] += weight * own[row * field.width + column];
                }
            }
        }
    }
    found.map(|value| (value * 255.0).round() / 255.0)
}

/// The enlargements that are averaged.
pub(super) fn zooms(scale: Scale, severity: usize) -> Vec<f64> {
    // Counts as NumPy's `arange` has them, whose end is now in, now out.
    let (count, step) = scale.choose(
        severity,
        [(7, 0.01), (12, 0.01), (16, 0.01), (21, 0.01), (26, 0.01)],
        [(12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03)],
    );
    // Its steps are those between the first two values, which decides how a half is rounded.
    let step = (1.0 + step) - 1.0;
    (0..count).map(|place: usize| 1.0 + place as f64 * step).collect()
}

pub(super) fn zoom(field: &Field, zooms: &[f64]) -> Field {
    let mut sum = field.clone();
    for &factor in zooms {
        let zoomed = field.zoomed(factor);
        for (sum, zoomed) in sum.planes.iter_mut().flatten().zip(zoomed.planes.iter().flatten()) {
            *sum += zoomed;
        }
    }
    sum.map(|value| value / (zooms.len() as f64 + 1.0))
}
