//! Drawing a scene: background, clutter, the object, what lies in front of it, noise.

use super::scene::{Background, Blob, Colour, Form, Fragment, Line, Object, Scene};
use super::textures::lerp;
use crate::{Image, Mask};
use archaeo_random::Draw;

/// Samples along each side of a pixel: the object's edge and texture are averages of the square of it.
const OBJECT_SAMPLES: usize = 4;
const CLUTTER_SAMPLES: usize = 2;
/// Points of the object nearer to its outline than this share of its radius are its boundary.
const BOUNDARY: f32 = 0.16;

/// What a pixel shows: the last to cover at least half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Background,
    Clutter(usize),
    Object { interior: bool },
    Occluder(usize),
}

/// A drawn scene before noise is added.
pub(super) struct Canvas {
    size: usize,
    pub(super) pixels: Vec<Colour>,
    pub(super) owners: Vec<Owner>,
}

/// Draws a scene and the exact mask of the visible part of its object.
pub(super) fn paint(scene: &Scene) -> (Image, Mask) {
    let canvas = Canvas::new(scene, false);
    let mut mask = Mask::empty(scene.size, scene.size);
    for (inside, owner) in mask.inside.iter_mut().zip(&canvas.owners) {
        *inside = matches!(owner, Owner::Object { .. });
    }
    (canvas.finish(scene), mask)
}

impl Canvas {
    /// The object's pixels are divided in interior and boundary where `parts` are asked for, which takes time.
    pub(super) fn new(scene: &Scene, parts: bool) -> Self {
        let size = scene.size;
        let pixels = background(&scene.background, size);
        let mut canvas = Canvas { size, pixels, owners: vec![Owner::Background; size * size] };
        for (index, element) in scene.clutter.iter().enumerate().filter(|(_, element)| element.shown) {
            canvas.form(&element.form, Owner::Clutter(index));
        }
        canvas.object(&scene.object, parts);
        for (index, element) in scene.occluders.iter().enumerate().filter(|(_, element)| element.shown) {
            canvas.form(&element.form, Owner::Occluder(index));
        }
        canvas
    }

    fn form(&mut self, form: &Form, owner: Owner) {
        match form {
            Form::Blob(blob) => self.blob(blob, owner),
            Form::Fragment(fragment) => self.fragment(fragment, owner),
            Form::Line(line) => self.line(line, owner),
        }
    }

    /// The pixels whose centre may lie within `radius` of (x, y), as rows and columns.
    fn around(&self, (x, y): (f32, f32), radius: f32) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        // Conversions saturate, so a range that begins left of the image begins at zero.
        let range = |centre: f32| {
            let end = ((centre + radius) as usize).saturating_add(2).min(self.size);
            ((centre - radius) as usize).min(end)..end
        };
        (range(y), range(x))
    }

    /// Covers a share of a pixel; who covers half of it owns it.
    fn cover(&mut self, row: usize, column: usize, colour: Colour, share: f32, owner: Owner) {
        let at = row * self.size + column;
        self.pixels[at] = [0, 1, 2].map(|c| lerp(self.pixels[at][c], colour[c], share));
        if share >= 0.5 {
            self.owners[at] = owner;
        }
    }

    fn blob(&mut self, blob: &Blob, owner: Owner) {
        let ((x, y), (cos, sin)) = (blob.centre, blob.direction);
        let (rows, columns) = self.around(blob.centre, blob.long);
        for row in rows {
            for column in columns.clone() {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let (u, v) = ((cos * dx + sin * dy) / blob.long, (cos * dy - sin * dx) / blob.short);
                let inside = (1.0 - u * u - v * v).max(0.0);
                self.cover(row, column, blob.colour, (1.6 * inside).min(0.8), owner);
            }
        }
    }

    fn fragment(&mut self, fragment: &Fragment, owner: Owner) {
        let Fragment { centre, direction, long, short, lean, pattern, colours } = fragment;
        let ((x, y), (cos, sin)) = (*centre, *direction);
        let (rows, columns) = self.around(*centre, long * 1.5);
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
                    self.cover(row, column, mixture(*colours, second / inside as f32), share, owner);
                }
            }
        }
    }

    fn line(&mut self, line: &Line, owner: Owner) {
        let ((x, y), (cos, sin)) = (line.centre, line.direction);
        let (rows, columns) = self.around(line.centre, line.half_length);
        for row in rows {
            for column in columns.clone() {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let along = (cos * dx + sin * dy).abs() - line.half_length;
                let across = (cos * dy - sin * dx).abs() - line.half_width;
                let share = (0.5 - along.max(across)).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.cover(row, column, line.colour, 0.8 * share, owner);
                }
            }
        }
    }

    fn object(&mut self, object: &Object, parts: bool) {
        let Object { centre: (x, y), texture_turn: (texture_cos, texture_sin), without, .. } = *object;
        let parts = parts || without.interior || without.boundary;
        let mean = object.flat.then(|| self.mean_mix(object));
        let (rows, columns) = self.around(object.centre, object.radius);
        for row in rows {
            for column in columns.clone() {
                let (mut inside, mut interior, mut second) = (0, 0, 0.0);
                for (dx, dy) in samples::<OBJECT_SAMPLES>() {
                    let (dx, dy) = (column as f32 + dx - x, row as f32 + dy - y);
                    let (u, v) = outline(object, dx, dy);
                    if !object.shape.contains(u, v) {
                        continue;
                    }
                    let deep = parts && within(object, u, v);
                    let gone = if deep { without.interior } else { without.boundary };
                    if gone || without.common.is_some_and(|other| other.contains(u, v)) {
                        continue;
                    }
                    inside += 1;
                    interior += usize::from(deep);
                    second += mean.unwrap_or_else(|| {
                        object
                            .pattern
                            .mix(texture_cos * dx + texture_sin * dy, texture_cos * dy - texture_sin * dx)
                    });
                }
                if inside > 0 {
                    let share = inside as f32 / (OBJECT_SAMPLES * OBJECT_SAMPLES) as f32;
                    let colour = mixture(object.colours, second / inside as f32);
                    self.cover(
                        row,
                        column,
                        colour,
                        share,
                        Owner::Object { interior: 2 * interior >= inside },
                    );
                }
            }
        }
    }

    /// The share of the second colour over the whole object, its hidden and removed parts included.
    fn mean_mix(&self, object: &Object) -> f32 {
        let ((x, y), (cos, sin)) = (object.centre, object.texture_turn);
        let (rows, columns) = self.around(object.centre, object.radius);
        let (mut inside, mut second) = (0u32, 0.0f64);
        for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
            for (dx, dy) in samples::<OBJECT_SAMPLES>() {
                let (dx, dy) = (column as f32 + dx - x, row as f32 + dy - y);
                let (u, v) = outline(object, dx, dy);
                if object.shape.contains(u, v) {
                    inside += 1;
                    second += f64::from(object.pattern.mix(cos * dx + sin * dy, cos * dy - sin * dx));
                }
            }
        }
        (second / f64::from(inside.max(1))) as f32
    }

    /// Adds pixel noise and rounds to grey levels.
    pub(super) fn finish(self, scene: &Scene) -> Image {
        let mut rng = scene.rng.clone();
        let mut pixels = Vec::with_capacity(self.pixels.len() * 3);
        for value in self.pixels.into_iter().flatten() {
            let noisy = value + scene.noise * rng.rough_normal();
            pixels.push((noisy * 255.0 + 0.5) as u8);
        }
        Image::new(self.size, self.size, pixels)
    }
}

fn background(background: &Background, size: usize) -> Vec<Colour> {
    let Background { base, far, ramp, spots, spot, flat } = background;
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
    if *flat {
        let sum = |c: usize| pixels.iter().map(|pixel: &Colour| f64::from(pixel[c])).sum::<f64>();
        let mean = [0, 1, 2].map(|c| (sum(c) / pixels.len() as f64) as f32);
        pixels.fill(mean);
    }
    pixels
}

/// A point relative to the object's centre in the coordinates of its outline.
fn outline(object: &Object, dx: f32, dy: f32) -> (f32, f32) {
    let ((cos, sin), radius) = (object.turn, object.radius);
    ((cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius)
}

/// Whether a point of the object lies away from its outline: everything around it is of the object too.
fn within(object: &Object, u: f32, v: f32) -> bool {
    const DIAGONAL: f32 = BOUNDARY * std::f32::consts::FRAC_1_SQRT_2;
    const AROUND: [(f32, f32); 8] = [
        (BOUNDARY, 0.0),
        (DIAGONAL, DIAGONAL),
        (0.0, BOUNDARY),
        (-DIAGONAL, DIAGONAL),
        (-BOUNDARY, 0.0),
        (-DIAGONAL, -DIAGONAL),
        (0.0, -BOUNDARY),
        (DIAGONAL, -DIAGONAL),
    ];
    AROUND.iter().all(|(du, dv)| object.shape.contains(u + du, v + dv))
}

/// Offsets of the samples within a pixel: the centres of an N × N grid.
fn samples<const N: usize>() -> impl Iterator<Item = (f32, f32)> {
    let at = |i: usize| (i as f32 + 0.5) / N as f32;
    (0..N).flat_map(move |i| (0..N).map(move |j| (at(j), at(i))))
}

fn mixture(colours: [Colour; 2], second: f32) -> Colour {
    [0, 1, 2].map(|c| lerp(colours[0][c], colours[1][c], second))
}
