//! Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019), drawn per image, and soft targets.
//!
//! ```text
//! mixup    image ← λ image + (1 − λ) partner                λ ~ Beta(α, α)
//! cutmix   a box of share 1 − λ of the image ← the partner's pixels; λ then set to what is really left
//! target   ← λ target + (1 − λ) partner's target
//! ```

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Beta;

use super::{AugmentConfig, AugmentKey};
use crate::Image;
use archaeo_random::Draw;

/// How one image of a batch is blended with another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Place of the other image in the batch.
    pub partner: usize,
    /// λ, the weight of the image itself; 1 leaves it unchanged.
    pub weight: f32,
    /// The part that cutmix takes from the partner; none for mixup.
    pub region: Option<Region>,
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// First column to the right of it.
    pub right: usize,
    /// First row below it.
    pub bottom: usize,
}

/// Draws how each image of a batch is mixed. `images` are the images' indices in their split, which key the
/// draws together with `seed` and `epoch`; all images are `width` × `height`.
pub fn mix_plan(
    config: &AugmentConfig,
    images: &[u64],
    (width, height): (usize, usize),
    seed: u64,
    epoch: u64,
) -> Vec<Mix> {
    let plan = |(place, &image): (usize, &u64)| {
        let untouched = Mix { partner: place, weight: 1.0, region: None };
        if !config.mixes() || images.len() < 2 {
            return untouched;
        }
        let mut rng = AugmentKey { seed, image, epoch }.rng("augment/mix");
        if !rng.chance(config.mix_probability) {
            return untouched;
        }
        let other = rng.below(images.len() - 1);
        let partner = if other < place { other } else { other + 1 };
        let both = config.mixup > 0.0 && config.cutmix > 0.0;
        let cut = if both { rng.chance(config.mix_switch) } else { config.cutmix > 0.0 };
        let weight = beta(if cut { config.cutmix } else { config.mixup }, &mut rng);
        if !cut {
            return Mix { partner, weight, region: None };
        }
        let region = cut_region(weight, width, height, &mut rng);
        let area = (region.right - region.left) * (region.bottom - region.top);
        let weight = 1.0 - area as f32 / (width * height) as f32;
        Mix { partner, weight, region: Some(region) }
    };
    images.iter().enumerate().map(plan).collect()
}

/// Beta(α, α); α = 0 is handled before; any other invalid α leaves the image unchanged.
fn beta(alpha: f32, rng: &mut ChaCha8Rng) -> f32 {
    Beta::new(alpha, alpha).map_or(1.0, |beta| rng.sample(beta))
}

/// A box of the image's shape and of share 1 − `weight`, centred on a random pixel, cut off at the border.
fn cut_region(weight: f32, width: usize, height: usize, rng: &mut ChaCha8Rng) -> Region {
    let side = (1.0 - weight).max(0.0).sqrt();
    let mut span = |length: usize| {
        let cut = (length as f32 * side) as usize;
        let centre = rng.below(length);
        (centre.saturating_sub(cut / 2), (centre + cut.div_ceil(2)).min(length))
    };
    let (left, right) = span(width);
    let (top, bottom) = span(height);
    Region { left, top, right, bottom }
}

/// The batch after mixing, rounded to grey levels.
///
/// # Panics
/// If the images differ in size or `plan` is for another batch.
pub fn mix_images(images: &[Image], plan: &[Mix]) -> Vec<Image> {
    assert_eq!(images.len(), plan.len(), "a plan for another batch");
    let mixed = |(image, mix): (&Image, &Mix)| {
        let partner = &images[mix.partner];
        assert_eq!(
            (image.width(), image.height()),
            (partner.width(), partner.height()),
            "images of one size"
        );
        let mut result = image.clone();
        match mix.region {
            Some(Region { left, top, right, bottom }) => {
                for y in top..bottom {
                    let row = (y * image.width() + left) * 3..(y * image.width() + right) * 3;
                    result.pixels_mut()[row.clone()].copy_from_slice(&partner.pixels()[row]);
                }
            }
            None if mix.weight < 1.0 => {
                for (value, &other) in result.pixels_mut().iter_mut().zip(partner.pixels()) {
                    let blend = mix.weight * f32::from(*value) + (1.0 - mix.weight) * f32::from(other);
                    *value = (blend + 0.5) as u8;
                }
            }
            None => {}
        }
        result
    };
    images.iter().zip(plan).map(mixed).collect()
}

/// Target probabilities (batch × classes, row by row): the label's class gets 1 − `smoothing`, and
/// `smoothing` is spread evenly over all classes (Szegedy et al. 2016); mixed images get both targets by
/// weight. An empty `plan` means no mixing. Every row sums to one.
///
/// # Panics
/// If a label is not below `classes` or `plan` is for another batch.
pub fn soft_targets(labels: &[usize], classes: usize, smoothing: f32, plan: &[Mix]) -> Vec<f32> {
    assert!(plan.is_empty() || plan.len() == labels.len(), "a plan for another batch");
    let mut targets = vec![smoothing / classes as f32; labels.len() * classes];
    for (i, row) in targets.chunks_exact_mut(classes).enumerate() {
        match plan.get(i) {
            Some(mix) => {
                row[labels[i]] += (1.0 - smoothing) * mix.weight;
                row[labels[mix.partner]] += (1.0 - smoothing) * (1.0 - mix.weight);
            }
            None => row[labels[i]] += 1.0 - smoothing,
        }
    }
    targets
}
