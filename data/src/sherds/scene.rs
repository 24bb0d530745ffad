//! What one image of Sherds shows: every random choice of it, made once and in a fixed order. `paint.rs` draws it.

use rand_chacha::ChaCha8Rng;

use super::SherdsConfig;
use super::shapes::Shape;
use super::textures::{Pattern, Texture};
use archaeo_random::Draw;

/// Fragments in front of the object.
const OCCLUDERS: usize = 2;
/// Lengths are stated for this image size and grow with the image.
const REFERENCE_SIZE: f32 = 32.0;

pub(super) type Colour = [f32; 3];

/// Everything that an image shows, from back to front. Lengths are in pixels, colours on [0, 1].
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) size: usize,
    pub(super) background: Background,
    /// Behind the object.
    pub(super) clutter: Vec<Element>,
    pub(super) object: Object,
    /// In front of the object.
    pub(super) occluders: Vec<Element>,
    /// Standard deviation of the pixel noise.
    pub(super) noise: f32,
    /// The generator as it stands when the noise is drawn.
    pub(super) rng: ChaCha8Rng,
}

/// A slow ramp between two similar colours, with soft mottling.
#[derive(Clone)]
pub(super) struct Background {
    pub(super) base: Colour,
    pub(super) far: Colour,
    pub(super) ramp: (f32, f32),
    pub(super) spots: Pattern,
    pub(super) spot: Colour,
    /// Drawn in the one colour that is its mean.
    pub(super) flat: bool,
}

/// A piece of clutter, and whether it is drawn.
#[derive(Clone)]
pub(super) struct Element {
    pub(super) form: Form,
    pub(super) shown: bool,
}

#[derive(Clone)]
pub(super) enum Form {
    Blob(Blob),
    Fragment(Fragment),
    Line(Line),
}

/// A soft ellipse in a colour near the background's.
#[derive(Clone)]
pub(super) struct Blob {
    pub(super) centre: (f32, f32),
    pub(super) direction: (f32, f32),
    pub(super) long: f32,
    pub(super) short: f32,
    pub(super) colour: Colour,
}

/// A sliver of some texture: an irregular quadrilateral with less contrast than the object, most of all between the
/// two colours of its texture. Texture anywhere but on the object says nothing about the class.
#[derive(Clone)]
pub(super) struct Fragment {
    pub(super) centre: (f32, f32),
    pub(super) direction: (f32, f32),
    pub(super) long: f32,
    pub(super) short: f32,
    /// Each side leans on its own, so that no fragment is a square or a half-disc.
    pub(super) lean: [f32; 4],
    pub(super) pattern: Pattern,
    pub(super) colours: [Colour; 2],
}

/// A thin straight stroke.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) centre: (f32, f32),
    pub(super) direction: (f32, f32),
    pub(super) half_length: f32,
    pub(super) half_width: f32,
    pub(super) colour: Colour,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) shape: Shape,
    pub(super) centre: (f32, f32),
    pub(super) radius: f32,
    /// Cosine and sine of the outline's rotation.
    pub(super) turn: (f32, f32),
    /// Those of the texture's.
    pub(super) texture_turn: (f32, f32),
    pub(super) pattern: Pattern,
    pub(super) colours: [Colour; 2],
    /// Filled with the mean of its texture.
    pub(super) flat: bool,
    pub(super) without: Without,
}

/// Parts of the object that are not drawn.
#[derive(Clone, Copy, Default)]
pub(super) struct Without {
    pub(super) interior: bool,
    pub(super) boundary: bool,
    /// What it has in common with this shape in its place.
    pub(super) common: Option<Shape>,
}

impl Scene {
    /// Draws every choice of an image. The order decides the images, so nothing may be drawn between or before.
    pub(super) fn new(config: &SherdsConfig, shape: Shape, texture: Texture, rng: &mut ChaCha8Rng) -> Self {
        let size = config.size;
        let unit = size as f32 / REFERENCE_SIZE;
        let background = Background::new(config, unit, rng);
        let base = background.base;
        let place = |rng: &mut ChaCha8Rng| (rng.unit() * size as f32, rng.unit() * size as f32);
        let mut clutter = Vec::new();
        for _ in 0..3 {
            let centre = place(rng);
            clutter.push(Form::Blob(Blob::new(config, base, unit, centre, rng)));
        }
        for _ in 0..4 {
            let centre = place(rng);
            let long = rng.between(2.5, 6.0) * unit;
            clutter.push(Form::Fragment(Fragment::new(config, base, unit, centre, long, rng)));
        }
        for _ in 0..4 {
            let centre = place(rng);
            clutter.push(Form::Line(Line::new(config, base, unit, centre, rng)));
        }
        let object = Object::new(config, base, unit, (shape, texture), rng);
        let mut occluders = Vec::new();
        // Centred somewhere between the object's middle and its rim.
        for _ in 0..if config.occlusion == 0.0 { 0 } else { OCCLUDERS } {
            let away = rng.between(0.3, 1.0) * object.radius;
            let (cos, sin) = rng.direction();
            let long = config.occlusion * rng.between(0.7, 1.3) * object.radius;
            let centre = (object.centre.0 + away * cos, object.centre.1 + away * sin);
            occluders.push(Form::Fragment(Fragment::new(config, base, unit, centre, long, rng)));
        }
        let shown = |forms: Vec<Form>| forms.into_iter().map(|form| Element { form, shown: true }).collect();
        Scene {
            size,
            background,
            clutter: shown(clutter),
            object,
            occluders: shown(occluders),
            noise: config.noise,
            rng: rng.clone(),
        }
    }
}

impl Background {
    fn new(config: &SherdsConfig, unit: f32, rng: &mut ChaCha8Rng) -> Self {
        let base = [0; 3].map(|_| rng.between(config.background.0, config.background.1));
        let far = near(base, 0.15 * config.clutter, rng);
        let ramp = rng.direction();
        let spots = Pattern::draw(Texture::Blotches, 6.0 * unit, 1.0, rng);
        let spot = near(base, 0.12 * config.clutter, rng);
        Background { base, far, ramp, spots, spot, flat: false }
    }
}

impl Blob {
    fn new(config: &SherdsConfig, base: Colour, unit: f32, centre: (f32, f32), rng: &mut ChaCha8Rng) -> Self {
        let direction = rng.direction();
        let long = rng.between(3.0, 8.0) * unit;
        let short = long * rng.between(0.4, 1.0);
        let colour = near(base, 0.3 * config.clutter, rng);
        Blob { centre, direction, long, short, colour }
    }
}

impl Fragment {
    fn new(
        config: &SherdsConfig,
        base: Colour,
        unit: f32,
        centre: (f32, f32),
        long: f32,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let direction = rng.direction();
        let short = long * rng.between(0.3, 0.7);
        let lean: [f32; 4] = [0; 4].map(|_| rng.between(-0.35, 0.35));
        let texture = Texture::ALL[rng.below(Texture::ALL.len())];
        let period = rng.between(config.period.0, config.period.1) * unit;
        let pattern = Pattern::draw(texture, period, long, rng);
        let first = near(base, 0.35 * config.clutter, rng);
        let colours = [first, near(first, 0.2 * config.clutter, rng)];
        Fragment { centre, direction, long, short, lean, pattern, colours }
    }
}

impl Line {
    fn new(config: &SherdsConfig, base: Colour, unit: f32, centre: (f32, f32), rng: &mut ChaCha8Rng) -> Self {
        let direction = rng.direction();
        let half_length = rng.between(3.0, 10.0) * unit;
        let half_width = rng.between(0.35, 0.7) * unit;
        let colour = near(base, 0.4 * config.clutter, rng);
        Line { centre, direction, half_length, half_width, colour }
    }
}

impl Object {
    fn new(
        config: &SherdsConfig,
        base: Colour,
        unit: f32,
        (shape, texture): (Shape, Texture),
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let size = config.size as f32;
        let radius = rng.between(config.scale.0, config.scale.1) * size;
        let margin = radius.min(size / 2.0);
        let x = rng.between(margin, size - margin);
        let y = rng.between(margin, size - margin);
        let turn = rotation(config.rotation, rng);
        let texture_turn = rotation(config.rotation, rng);
        let period = rng.between(config.period.0, config.period.1) * unit;
        let pattern = Pattern::draw(texture, period, 0.75 * radius, rng);
        let first = apart(&[base], config, rng);
        let shade = rng.between(config.shade.0, config.shade.1);
        let colours = [first, first.map(|value| value * shade)];
        let without = Without::default();
        let centre = (x, y);
        Object { shape, centre, radius, turn, texture_turn, pattern, colours, flat: false, without }
    }

    /// Turns the object by an angle, its texture with it.
    pub(super) fn rotate(&mut self, degrees: f32) {
        let positive = degrees.rem_euclid(360.0);
        let angle = f64::from(if positive > 180.0 { positive - 360.0 } else { positive }).to_radians();
        let (cos, sin) = (cosine(angle) as f32, cosine(angle - std::f64::consts::FRAC_PI_2) as f32);
        for (c, s) in [&mut self.turn, &mut self.texture_turn] {
            (*c, *s) = (*c * cos - *s * sin, *s * cos + *c * sin);
        }
    }
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

/// The cosine by its power series, which is the same on every platform; the last of the terms is below 1e-7 for angles up
/// to 3π/2.
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
