//! Random erasing (Zhong et al. 2017).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::data::Image;
use crate::random::Draw;

/// Covers one random rectangle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasing {
    /// Probability that an image is touched.
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
    /// Middle grey: zero after the usual normalisation.
    Constant,
    /// Noise about middle grey, a quarter of the range its standard deviation: standard normal after the
    /// usual normalisation.
    Noise,
}

impl Default for Erasing {
    fn default() -> Self {
        Erasing { probability: 0.25, area: (0.02, 1.0 / 3.0), fill: Fill::Noise }
    }
}

/// Least ratio of the rectangle's sides; the greatest is its inverse.
const LEAST_RATIO: f32 = 0.3;

impl Erasing {
    pub(super) fn apply(&self, image: &mut Image, rng: &mut ChaCha8Rng) {
        if !rng.chance(self.probability) {
            return;
        }
        let whole = (image.width * image.height) as f32;
        for _ in 0..10 {
            let area = whole * rng.between(self.area.0, self.area.1);
            let ratio = rng.between(LEAST_RATIO.ln(), -LEAST_RATIO.ln()).exp();
            let (width, height) =
                ((area / ratio).sqrt().round() as usize, (area * ratio).sqrt().round() as usize);
            if width >= image.width || height >= image.height {
                continue;
            }
            let left = rng.below(image.width - width + 1);
            let top = rng.below(image.height - height + 1);
            for y in top..top + height {
                let start = (y * image.width + left) * 3;
                for value in &mut image.pixels[start..start + width * 3] {
                    *value = match self.fill {
                        Fill::Constant => 128,
                        Fill::Noise => (127.5 + 63.75 * rng.sample::<f32, _>(StandardNormal)).round() as u8,
                    };
                }
            }
            return;
        }
    }
}
