//! Drawing one image of Sherds: background, clutter, the object, noise.

use rand_chacha::ChaCha8Rng;

use super::SherdsConfig;
use super::shapes::Shape;
use super::textures::{Pattern, Texture, lerp};
use crate::{Image, Mask};
use archaeo_random::Draw;

/// Samples along each side of a pixel: the object's edge and texture are averages of the square of it.
const OBJECT_SAMPLES: usize = 4;
const CLUTTER_SAMPLES: usize = 2;
/// Fragments in front of the object.
const OCCLUDERS: usize = 2;
/// Lengths are stated for this image size and grow with the image.
const REFERENCE_SIZE: f32 = 32.0;

type Colour = [f32; 3];

/// Draws one image and the exact mask of its object.
pub(super) fn draw(
    config: &SherdsConfig,
    shape: Shape,
    texture: Texture,
    rng: &mut ChaCha8Rng,
) -> (Image, Mask) {
    let mut canvas = Canvas::background(config, rng);
    for _ in 0..3 {
        canvas.blob(config, rng);
    }
    for _ in 0..4 {
        let place = canvas.random_place(rng);
        let length = rng.between(2.5, 6.0) * canvas.unit;
        canvas.fragment(config, place, length, rng);
    }
    for _ in 0..4 {
        canvas.line(config, rng);
    }
    let object = canvas.object(config, shape, texture, rng);
    for _ in 0..OCCLUDERS {
        canvas.occluder(config, &object, rng);
    }
    canvas.finish(config.noise, rng)
}

/// A picture in linear steps of its final grey levels, colours on [0, 1].
struct Canvas {
    size: usize,
    /// Pixels per unit of length at the reference size.
    unit: f32,
    base: Colour,
    pixels: Vec<Colour>,
    /// Where the object was the last to cover at least half of the pixel.
    mask: Mask,
}

/// Where the object was drawn, in pixels.
struct Placement {
    x: f32,
    y: f32,
    radius: f32,
}

impl Canvas {
    /// A slow ramp between two similar colours, with soft mottling.
    fn background(config: &SherdsConfig, rng: &mut ChaCha8Rng) -> Self {
        let size = config.size;
        let unit = size as f32 / REFERENCE_SIZE;
        let base = [0; 3].map(|_| rng.between(config.background.0, config.background.1));
        let far = near(base, 0.15 * config.clutter, rng);
        let ramp = rng.direction();
        let spots = Pattern::draw(Texture::Blotches, 6.0 * unit, 1.0, rng);
        let spot = near(base, 0.12 * config.clutter, rng);
        let half = size as f32 / 2.0;
        let mut pixels = Vec::with_capacity(size * size);
        for row in 0..size {
            for column in 0..size {
                let (x, y) = (column as f32 + 0.5 - half, row as f32 + 0.5 - half);
                let along = 0.5 + 0.35 * (x * ramp.0 + y * ramp.1) / half;
                let share = 0.6 * spots.blotch(x, y);
                pixels.push([0, 1, 2].map(|c| lerp(lerp(base[c], far[c], along), spot[c], share)));
            }
        }
        Canvas { size, unit, base, pixels, mask: Mask::empty(size, size) }
    }

    fn random_place(&self, rng: &mut ChaCha8Rng) -> (f32, f32) {
        (rng.unit() * self.size as f32, rng.unit() * self.size as f32)
    }

    /// The pixels whose centre may lie within `radius` of (x, y), as rows and columns.
    fn around(&self, x: f32, y: f32, radius: f32) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        // Conversions saturate, so a range that begins left of the image begins at zero.
        let range = |centre: f32| {
            let end = ((centre + radius) as usize).saturating_add(2).min(self.size);
            ((centre - radius) as usize).min(end)..end
        };
        (range(y), range(x))
    }

    fn blend(&mut self, row: usize, column: usize, colour: Colour, share: f32) {
        let pixel = &mut self.pixels[row * self.size + column];
        *pixel = [0, 1, 2].map(|c| lerp(pixel[c], colour[c], share));
    }

    /// A soft ellipse in a colour near the background's.
    fn blob(&mut self, config: &SherdsConfig, rng: &mut ChaCha8Rng) {
        let (x, y) = self.random_place(rng);
        let (cos, sin) = rng.direction();
        let long = rng.between(3.0, 8.0) * self.unit;
        let short = long * rng.between(0.4, 1.0);
        let colour = near(self.base, 0.3 * config.clutter, rng);
        let (rows, columns) = self.around(x, y, long);
        for row in rows {
            for column in columns.clone() {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let (u, v) = ((cos * dx + sin * dy) / long, (cos * dy - sin * dx) / short);
                let inside = (1.0 - u * u - v * v).max(0.0);
                self.blend(row, column, colour, (1.6 * inside).min(0.8));
            }
        }
    }

    /// A sliver of some texture: an irregular quadrilateral with less contrast than the object, most of all between the
    /// two colours of its texture. Texture anywhere but on the object says nothing about the class.
    fn fragment(&mut self, config: &SherdsConfig, (x, y): (f32, f32), long: f32, rng: &mut ChaCha8Rng) {
        let (cos, sin) = rng.direction();
        let short = long * rng.between(0.3, 0.7);
        // Each side leans on its own, so that no fragment is a square or a half-disc.
        let lean: [f32; 4] = [0; 4].map(|_| rng.between(-0.35, 0.35));
        let texture = Texture::ALL[rng.below(Texture::ALL.len())];
        let period = rng.between(config.period.0, config.period.1) * self.unit;
        let pattern = Pattern::draw(texture, period, long, rng);
        let first = near(self.base, 0.35 * config.clutter, rng);
        let colours = [first, near(first, 0.2 * config.clutter, rng)];
        let (rows, columns) = self.around(x, y, long * 1.5);
        for row in rows {
            for column in columns.clone() {
                let (mut inside, mut second) = (0, 0.0);
                for (dx, dy) in samples::<CLUTTER_SAMPLES>() {
                    let (dx, dy) = (column as f32 + dx - x, row as f32 + dy - y);
                    let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
                    let (a, b) = (u / long, v / short);
                    if a + lean[0] * b < 0.9
                        && a + lean[1] * b > -0.9
                        && b + lean[2] * a < 0.9
                        && b + lean[3] * a > -0.9
                        && a * a < 2.0
                        && b * b < 2.0
                    {
                        inside += 1;
                        second += pattern.mix(u, v);
                    }
                }
                if inside > 0 {
                    let share = inside as f32 / (CLUTTER_SAMPLES * CLUTTER_SAMPLES) as f32;
                    let colour = mixture(colours, second / inside as f32);
                    self.blend(row, column, colour, share);
                    if share >= 0.5 {
                        self.mask.set(column, row, false);
                    }
                }
            }
        }
    }

    /// A fragment in front of the object, centred somewhere between its middle and its rim.
    fn occluder(&mut self, config: &SherdsConfig, object: &Placement, rng: &mut ChaCha8Rng) {
        if config.occlusion == 0.0 {
            return;
        }
        let away = rng.between(0.3, 1.0) * object.radius;
        let (cos, sin) = rng.direction();
        let length = config.occlusion * rng.between(0.7, 1.3) * object.radius;
        self.fragment(config, (object.x + away * cos, object.y + away * sin), length, rng);
    }

    /// A thin straight stroke.
    fn line(&mut self, config: &SherdsConfig, rng: &mut ChaCha8Rng) {
        let (x, y) = self.random_place(rng);
        let (cos, sin) = rng.direction();
        let half_length = rng.between(3.0, 10.0) * self.unit;
        let half_width = rng.between(0.35, 0.7) * self.unit;
        let colour = near(self.base, 0.4 * config.clutter, rng);
        let (rows, columns) = self.around(x, y, half_length);
        for row in rows {
            for column in columns.clone() {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let along = (cos * dx + sin * dy).abs() - half_length;
                let across = (cos * dy - sin * dx).abs() - half_width;
                let share = (0.5 - along.max(across)).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.blend(row, column, colour, 0.8 * share);
                }
            }
        }
    }

    /// The object itself; a pixel belongs to its mask if at least half of the pixel does.
    fn object(
        &mut self,
        config: &SherdsConfig,
        shape: Shape,
        texture: Texture,
        rng: &mut ChaCha8Rng,
    ) -> Placement {
        let size = self.size as f32;
        let radius = rng.between(config.scale.0, config.scale.1) * size;
        let margin = radius.min(size / 2.0);
        let x = rng.between(margin, size - margin);
        let y = rng.between(margin, size - margin);
        let (cos, sin) = rotation(config.rotation, rng);
        let (texture_cos, texture_sin) = rotation(config.rotation, rng);
        let period = rng.between(config.period.0, config.period.1) * self.unit;
        let pattern = Pattern::draw(texture, period, 0.75 * radius, rng);
        let first = apart(&[self.base], config, rng);
        let shade = rng.between(config.shade.0, config.shade.1);
        let colours = [first, first.map(|value| value * shade)];

        let (rows, columns) = self.around(x, y, radius);
        for row in rows {
            for column in columns.clone() {
                let (mut inside, mut second) = (0, 0.0);
                for (dx, dy) in samples::<OBJECT_SAMPLES>() {
                    let (dx, dy) = (column as f32 + dx - x, row as f32 + dy - y);
                    let (u, v) = ((cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius);
                    if shape.contains(u, v) {
                        inside += 1;
                        second += pattern
                            .mix(texture_cos * dx + texture_sin * dy, texture_cos * dy - texture_sin * dx);
                    }
                }
                if inside > 0 {
                    let share = inside as f32 / (OBJECT_SAMPLES * OBJECT_SAMPLES) as f32;
                    self.blend(row, column, mixture(colours, second / inside as f32), share);
                    if share >= 0.5 {
                        self.mask.set(column, row, true);
                    }
                }
            }
        }
        Placement { x, y, radius }
    }

    /// Adds pixel noise of standard deviation `noise` and rounds to grey levels.
    fn finish(self, noise: f32, rng: &mut ChaCha8Rng) -> (Image, Mask) {
        let mut pixels = Vec::with_capacity(self.pixels.len() * 3);
        for value in self.pixels.into_iter().flatten() {
            let noisy = value + noise * rng.rough_normal();
            pixels.push((noisy * 255.0 + 0.5) as u8);
        }
        (Image::new(self.size, self.size, pixels), self.mask)
    }
}

/// Offsets of the samples within a pixel: the centres of an N × N grid.
fn samples<const N: usize>() -> impl Iterator<Item = (f32, f32)> {
    let at = |i: usize| (i as f32 + 0.5) / N as f32;
    (0..N).flat_map(move |i| (0..N).map(move |j| (at(j), at(i))))
}

fn mixture(colours: [Colour; 2], second: f32) -> Colour {
    [0, 1, 2].map(|c| lerp(colours[0][c], colours[1][c], second))
}

/// A colour within `reach` of `base` in every channel.
fn near(base: Colour, reach: f32, rng: &mut ChaCha8Rng) -> Colour {
    base.map(|value| (value + rng.between(-reach, reach)).clamp(0.0, 1.0))
}

/// Cosine and sine of an angle, uniform between `degrees` to either side.
fn rotation(degrees: f32, rng: &mut ChaCha8Rng) -> (f32, f32) {
    let least = cosine(f64::from(degrees).to_radians()) as f32;
    loop {
        let (cos, sin) = rng.direction();
        if cos >= least || degrees >= 180.0 {
            return (cos, sin);
        }
    }
}

/// The cosine by its power series, which is the same on every platform; the last of the terms is below 1e-9 for angles up
/// to π.
fn cosine(angle: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..=12 {
        term *= -angle * angle / f64::from((2 * n - 1) * 2 * n);
        sum += term;
    }
    sum
}

/// A random colour of the object, at least the configured contrast from each of `others`, or the farthest of the tried
/// ones.
fn apart(others: &[Colour], config: &SherdsConfig, rng: &mut ChaCha8Rng) -> Colour {
    let (distance, (low, high)) = (config.contrast, config.foreground);
    let mut best = ([0.0; 3], -1.0);
    for _ in 0..12 {
        let colour = [0; 3].map(|_| rng.between(low, high));
        let gap = others.iter().map(|other| squared_distance(*other, colour)).fold(f32::INFINITY, f32::min);
        if gap >= distance * distance {
            return colour;
        }
        if gap > best.1 {
            best = (colour, gap);
        }
    }
    best.0
}

fn squared_distance(a: Colour, b: Colour) -> f32 {
    [0, 1, 2].map(|c| (a[c] - b[c]) * (a[c] - b[c])).into_iter().sum()
}
