//! Weather: snow, frost, fog, brightness.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::blur::along;
use super::field::{Field, from_hsv, to_hsv};
use super::{Scale, normal};

/// Of snow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flakes {
    pub mean: f64,
    pub deviation: f64,
    zoom: f64,
    threshold: f64,
    /// Length and deviation of the stroke.
    stroke: (usize, f64),
    /// How much of the scene keeps its colour.
    kept: f64,
}

pub(super) fn flakes(scale: Scale, severity: usize) -> Flakes {
    let (mean, deviation, zoom, threshold, length, sigma, kept) = scale.choose(
        severity,
        [
            (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
        ],
        [
            (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
            (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
            (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
        ],
    );
    Flakes { mean, deviation, zoom, threshold, stroke: (length, sigma), kept }
}

pub(super) fn snow(field: &Field, flakes: Flakes, rng: &mut ChaCha8Rng) -> Field {
    let noise = normal(field.width * field.height, flakes.deviation, rng);
    let layer = noise.into_iter().map(|noise| flakes.mean + noise).collect();
    let layer = Field::plane(field.width, field.height, layer);
    snowed(field, &layer, flakes, rng.random_range(-135.0..-45.0))
}

/// Snow of this noise, falling at an angle in degrees.
pub(super) fn snowed(field: &Field, noise: &Field, flakes: Flakes, angle: f64) -> Field {
    let flake = |value: f64| if value < flakes.threshold { 0.0 } else { value };
    // Between the steps of the authors' program the layer is a picture of 8 bits.
    let layer = noise.zoomed(flakes.zoom).map(|value| (flake(value).clamp(0.0, 1.0) * 255.0).floor() / 255.0);
    let layer = along(&layer, flakes.stroke, angle);
    let layer = &layer.planes[0];
    let paler = field.pixels(|[r, g, b]| {
        let grey = (0.299 * r + 0.587 * g + 0.114 * b) * 1.5 + 0.5;
        [r, g, b].map(|value| flakes.kept * value + (1.0 - flakes.kept) * value.max(grey))
    });
    let mut snowed = paler;
    for plane in &mut snowed.planes {
        let turned = layer.iter().rev();
        plane.iter_mut().zip(layer).zip(turned).for_each(|((value, one), other)| *value += one + other);
    }
    snowed
}

/// Weights of the scene and of the ice.
pub(super) fn ice(scale: Scale, severity: usize) -> [f64; 2] {
    scale.choose(
        severity,
        [[1.0, 0.2], [1.0, 0.3], [0.9, 0.4], [0.85, 0.4], [0.75, 0.45]],
        [[1.0, 0.4], [0.8, 0.6], [0.7, 0.7], [0.65, 0.7], [0.6, 0.75]],
    )
}

/// Ice of a fractal's ridges, bluish white, in place of the authors' photographs.
pub(super) fn frost(field: &Field, [scene, ice]: [f64; 2], rng: &mut ChaCha8Rng) -> Field {
    let texture = plasma(field.width.max(field.height), 2.0, &mut || rng.random_range(-1.0..1.0));
    let mut frosted = field.clone();
    for (channel, tint) in [0.85, 0.93, 1.0].into_iter().enumerate() {
        for y in 0..field.height {
            for x in 0..field.width {
                let ridge = 1.0 - (2.0 * texture.at(x, y) - 1.0).abs();
                let value = &mut frosted.planes[channel][y * field.width + x];
                *value = scene * *value + ice * tint * ridge * ridge;
            }
        }
    }
    frosted
}

/// Weight of the haze, and by how much its roughness falls from scale to scale.
pub(super) fn haze(scale: Scale, severity: usize) -> [f64; 2] {
    scale.choose(
        severity,
        [[0.2, 3.0], [0.5, 3.0], [0.75, 2.5], [1.0, 2.0], [1.5, 1.75]],
        [[1.5, 2.0], [2.0, 2.0], [2.5, 1.7], [2.5, 1.5], [3.0, 1.4]],
    )
}

pub(super) fn fog(field: &Field, [weight, decay]: [f64; 2], rng: &mut ChaCha8Rng) -> Field {
    let haze = plasma(field.width.max(field.height), decay, &mut || rng.random_range(-1.0..1.0));
    fogged(field, &haze, weight)
}

pub(super) fn fogged(field: &Field, haze: &Plasma, weight: f64) -> Field {
    let [_, brightest] = field.range();
    let mut fogged = field.clone();
    for plane in &mut fogged.planes {
        for (pixel, value) in plane.iter_mut().enumerate() {
            let (x, y) = (pixel % field.width, pixel / field.width);
            *value = (*value + weight * haze.at(x, y)) * brightest / (brightest + weight);
        }
    }
    fogged
}

/// A fractal of values from 0 to 1 on a square of a power of two, joined at its edges.
pub(super) struct Plasma {
    side: usize,
    values: Vec<f64>,
}

impl Plasma {
    pub fn at(&self, x: usize, y: usize) -> f64 {
        self.values[y * self.side + x]
    }
}

/// Diamond-square (Fournier et al., 1982) over `side` pixels or more: every point between four is their mean and a deviation, `draw()` in
/// [−1, 1) of a size that falls by `decay` from scale to scale.
pub(super) fn plasma(side: usize, decay: f64, draw: &mut dyn FnMut() -> f64) -> Plasma {
    let side = side.next_power_of_two();
    let mut values = vec![0.0; side * side];
    let (mut step, mut rough) = (side, 100.0f64);
    while step >= 2 {
        let half = step / 2;
        // The middle of each square, of its sides across, and of those down; the four points around each.
        let around = [
            ([half, half], [[-1, -1], [-1, 1], [1, -1], [1, 1]]),
            ([half, 0], [[0, -1], [0, 1], [-1, 0], [1, 0]]),
            ([0, half], [[0, -1], [0, 1], [-1, 0], [1, 0]]),
        ];
        for ([right, down], neighbours) in around {
            for top in (0..side).step_by(step) {
                for left in (0..side).step_by(step) {
                    let (x, y) = (left + right, top + down);
                    let sum: f64 = neighbours
                        .iter()
                        .map(|[dx, dy]: &[i64; 2]| {
                            let wrapped = |at: usize, by: i64| {
                                (at as i64 + by * half as i64).rem_euclid(side as i64) as usize
                            };
                            values[wrapped(y, *dy) * side + wrapped(x, *dx)]
                        })
                        .sum();
                    values[y * side + x] = sum / 4.0 + rough * rough * draw();
                }
            }
        }
        (step, rough) = (half, rough / decay);
    }
    let (low, high) =
        values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    let values = values.into_iter().map(|value| (value - low) / (high - low).max(f64::MIN_POSITIVE));
    Plasma { side, values: values.collect() }
}

pub(super) fn lift(scale: Scale, severity: usize) -> f64 {
    scale.choose(severity, [0.05, 0.1, 0.15, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5])
}

pub(super) fn brightness(field: &Field, lift: f64) -> Field {
    field.pixels(|pixel| {
        let [hue, saturation, value] = to_hsv(pixel);
        from_hsv([hue, saturation, (value + lift).clamp(0.0, 1.0)])
    })
}
