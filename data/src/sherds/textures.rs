//! The ten textures that fill the shapes of Sherds.

use rand_chacha::ChaCha8Rng;

use archaeo_random::Draw;

/// A two-coloured pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Texture {
    /// Parallel bars.
    Stripes,
    /// A chequerboard.
    Checks,
    /// Round dots on a square grid.
    Dots,
    /// Irregular blotches.
    Blotches,
    /// One smooth ramp from the first colour to the second.
    Gradient,
    /// Bars bent into a zigzag.
    Zigzag,
    /// A wall with offset courses and thin joints.
    Bricks,
    /// Concentric rings.
    Rings,
    /// A net of thin lines.
    Crosshatch,
    /// One colour with sparse specks.
    Speckle,
}

impl Texture {
    /// All textures; the texture at a class's index is the one that follows the class.
    pub const ALL: [Texture; 10] = [
        Texture::Stripes,
        Texture::Checks,
        Texture::Dots,
        Texture::Blotches,
        Texture::Gradient,
        Texture::Zigzag,
        Texture::Bricks,
        Texture::Rings,
        Texture::Crosshatch,
        Texture::Speckle,
    ];

    /// The name shown in tables.
    pub fn name(self) -> &'static str {
        match self {
            Texture::Stripes => "stripes",
            Texture::Checks => "checks",
            Texture::Dots => "dots",
            Texture::Blotches => "blotches",
            Texture::Gradient => "gradient",
            Texture::Zigzag => "zigzag",
            Texture::Bricks => "bricks",
            Texture::Rings => "rings",
            Texture::Crosshatch => "crosshatch",
            Texture::Speckle => "speckle",
        }
    }
}

/// One texture with its period and phase: a function of the plane.
#[derive(Clone)]
pub(super) struct Pattern {
    pub(super) texture: Texture,
    /// Periods per unit of length.
    frequency: f32,
    phase: (f32, f32),
    /// Length over which a gradient runs, on either side of the origin.
    extent: f32,
    salt: u32,
}

impl Pattern {
    /// `period` and `extent` in the units of the coordinates given to [`Pattern::mix`].
    pub(super) fn draw(texture: Texture, period: f32, extent: f32, rng: &mut ChaCha8Rng) -> Self {
        Pattern {
            texture,
            frequency: 1.0 / period,
            phase: (rng.unit(), rng.unit()),
            extent,
            salt: rng.below(1 << 24) as u32,
        }
    }

    /// The share of the second colour at (x, y): 0, 1, or between the two for a gradient.
    pub(super) fn mix(&self, x: f32, y: f32) -> f32 {
        let u = x * self.frequency + self.phase.0;
        let v = y * self.frequency + self.phase.1;
        let second = match self.texture {
            Texture::Stripes => fraction(u) < 0.5,
            Texture::Checks => (floor(u * 1.6) + floor(v * 1.6)) & 1 == 0,
            Texture::Dots => {
                let (x, y) = (fraction(u) - 0.5, fraction(v) - 0.5);
                x * x + y * y < 0.33 * 0.33
            }
            Texture::Blotches => self.blotch(u * 1.6, v * 1.6) > 0.5,
            Texture::Gradient => return (0.5 + 0.5 * x / self.extent).clamp(0.0, 1.0),
            Texture::Zigzag => fraction(v + (fraction(u * 0.75) - 0.5).abs() * 1.3) < 0.5,
            Texture::Bricks => {
                let course = floor(v * 1.2);
                let shift = if course & 1 == 0 { 0.0 } else { 0.5 };
                fraction(v * 1.2) < 0.26 || fraction(u * 0.62 + shift) < 0.15
            }
            Texture::Rings => fraction((x * x + y * y).sqrt() * self.frequency + self.phase.0) < 0.5,
            Texture::Crosshatch => fraction(u) < 0.28 || fraction(v) < 0.28,
            Texture::Speckle => self.lattice(floor(u * 3.2), floor(v * 3.2)) < 0.14,
        };
        if second { 1.0 } else { 0.0 }
    }

    /// Smooth noise: uniform values on the integer lattice, interpolated with a smooth step.
    pub(super) fn blotch(&self, u: f32, v: f32) -> f32 {
        let (i, j) = (floor(u), floor(v));
        let (x, y) = (smooth(u - i as f32), smooth(v - j as f32));
        let top = lerp(self.lattice(i, j), self.lattice(i + 1, j), x);
        let bottom = lerp(self.lattice(i, j + 1), self.lattice(i + 1, j + 1), x);
        lerp(top, bottom, y)
    }

    /// A fixed uniform number on [0, 1) for each lattice point.
    fn lattice(&self, i: i32, j: i32) -> f32 {
        // Two rounds of multiply and shift mix the bits enough for a picture.
        let mut h = self.salt ^ (i as u32).wrapping_mul(0x9E37_79B1) ^ (j as u32).wrapping_mul(0x85EB_CA77);
        h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
        h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
        ((h ^ (h >> 15)) >> 8) as f32 / (1 << 24) as f32
    }
}

/// The largest integer not above `x`; `f32::floor` is a library call on processors without the instruction.
fn floor(x: f32) -> i32 {
    let truncated = x as i32;
    truncated - i32::from((truncated as f32) > x)
}

fn fraction(x: f32) -> f32 {
    x - floor(x) as f32
}

fn smooth(x: f32) -> f32 {
    x * x * (3.0 - 2.0 * x)
}

pub(super) fn lerp(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

#[cfg(test)]
mod tests {
    use super::*;
    use archaeo_random::keyed_rng;

    /// Both colours take part in every texture, or it would be a plain fill.
    #[test]
    fn every_texture_shows_both_colours() {
        for texture in Texture::ALL {
            let mut share = 0.0;
            let patterns = 40;
            for seed in 0..patterns {
                let mut rng = keyed_rng(seed, "test", 0, 0);
                let pattern = Pattern::draw(texture, 5.0, 10.0, &mut rng);
                let samples = (0..40).flat_map(|i| (0..40).map(move |j| (i, j)));
                share += samples
                    .map(|(i, j)| pattern.mix(i as f32 / 2.0 - 10.0, j as f32 / 2.0 - 10.0))
                    .sum::<f32>()
                    / 1600.0
                    / patterns as f32;
            }
            assert!((0.1..0.6).contains(&share), "{texture:?}: {share}");
        }
    }

    #[test]
    fn floor_is_floor() {
        for x in [-2.5f32, -2.0, -0.1, 0.0, 0.1, 0.999, 3.0, 7.5] {
            assert_eq!(floor(x), x.floor() as i32);
        }
    }
}
