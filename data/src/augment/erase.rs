//! Random erasing (Zhong et al. 2017).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::Image;
use archaeo_random::Draw;

/// Covers one random rectangle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasing {
    /// Probability that an image is erased.
    pub probability: f32,
    /// Smallest and largest share of the image's area.
    pub area: (f32, f32),
    /// What the rectangle is filled with.
    pub fill: Fill,
}

/// What replaces erased pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// Middle grey: zero after the normalisation of models trained here.
    Constant,
    /// Standard normal noise, in the units of the model's input: values have mean 0 and standard deviation 1 after the
    /// normalisation of models trained here (mean and standard deviation ½), as in timm's mode `pixel`. Unlike timm's, which is
    /// drawn after normalisation, the noise is clipped to the range of an image, −1 to 1, and rounded to 8 bits.
    Noise,
}

impl Default for Erasing {
    fn default() -> Self {
        Erasing { probability: 0.25, area: (0.02, 1.0 / 3.0), fill: Fill::Noise }
    }
}

/// The 8-bit value nearest to `normalised` under normalisation by mean and standard deviation ½.
fn noise(normalised: f32) -> u8 {
    (255.0 * (0.5 + 0.5 * normalised)).round().clamp(0.0, 255.0) as u8
}

/// Least ratio of the rectangle's sides; the greatest is its inverse.
const LEAST_RATIO: f32 = 0.3;

impl Erasing {
    pub(super) fn apply(&self, image: &mut Image, rng: &mut ChaCha8Rng) {
        if !rng.chance(self.probability) {
            return;
        }
        let whole = (image.width() * image.height()) as f32;
        for _ in 0..10 {
            let area = whole * rng.between(self.area.0, self.area.1);
            let ratio = rng.between(LEAST_RATIO.ln(), -LEAST_RATIO.ln()).exp();
            let (width, height) =
                ((area / ratio).sqrt().round() as usize, (area * ratio).sqrt().round() as usize);
            if width >= image.width() || height >= image.height() {
                continue;
            }
            let left = rng.below(image.width() - width + 1);
            let top = rng.below(image.height() - height + 1);
            for y in top..top + height {
                let start = (y * image.width() + left) * 3;
                for value in &mut image.pixels_mut()[start..start + width * 3] {
                    *value = match self.fill {
                        Fill::Constant => 128,
                        Fill::Noise => noise(rng.sample(StandardNormal)),
                    };
                }
            }
            return;
        }
    }
}
