//! Augmentation: random changes of training images.
//!
//! [`augment`] changes one image; [`mix`] blends the images of a batch and their targets. Both work on 8-bit
//! pictures, before normalisation. Every random number is keyed by (seed, image, epoch), so an epoch yields the same pictures
//! with any number of threads.
//!
//! Order and constants are those of DeiT (Touvron et al. 2021) in timm: crop, flip, RandAugment or else colour jitter,
//! erasing, then mixup or cutmix.

mod colour;
mod crop;
mod erase;
pub mod mix;
mod rand_augment;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Image, Interpolation};
use archaeo_random::{Draw, keyed_rng};

pub use erase::{Erasing, Fill};
pub use mix::{Mix, mix_images, mix_plan, soft_targets};
pub use rand_augment::RandAugment;

/// Augmentation of training images. By default none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// A random part of the image, resized. Replaces the plain resize.
    pub random_resized_crop: Option<RandomResizedCrop>,
    /// Black padding in pixels before a random crop back to the image's size; 0 is off, 4 is usual at 32 px.
    pub pad_crop: usize,
    /// Probability of mirroring left and right.
    pub flip: f32,
    /// RandAugment.
    pub rand_augment: Option<RandAugment>,
    /// Brightness, contrast and saturation each change by a factor uniform on 1 ± this. Not used with RandAugment, which changes
    /// colours itself, unless [`force_color_jitter`](Self::force_color_jitter) is on. This is timm's rule, under which DeiT was
    /// trained, whose recipe names both.
    pub color_jitter: f32,
    /// Whether colours are jittered with RandAugment too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force_color_jitter: bool,
    /// Probability of removing all colour (Chen et al., 2020, appendix A). Without it, two views of an image have colours in common.
    #[serde(skip_serializing_if = "is_off")]
    pub grayscale: f32,
    /// Random erasing.
    pub erasing: Option<Erasing>,
    /// α of mixup's Beta(α, α); 0 is off.
    pub mixup: f32,
    /// α of cutmix's Beta(α, α); 0 is off.
    pub cutmix: f32,
    /// Probability that an image is mixed at all.
    pub mix_probability: f32,
    /// Probability of cutmix if both are enabled.
    pub mix_switch: f32,
}

fn is_off(probability: &f32) -> bool {
    *probability == 0.0
}

impl Default for AugmentConfig {
    fn default() -> Self {
        AugmentConfig {
            random_resized_crop: None,
            pad_crop: 0,
            flip: 0.0,
            rand_augment: None,
            color_jitter: 0.0,
            force_color_jitter: false,
            grayscale: 0.0,
            erasing: None,
            mixup: 0.0,
            cutmix: 0.0,
            mix_probability: 1.0,
            mix_switch: 0.5,
        }
    }
}

/// A part of random area and shape (Szegedy et al. 2015), as in torchvision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomResizedCrop {
    /// Smallest and largest share of the image's area.
    pub scale: (f32, f32),
    /// Smallest and largest width divided by height.
    pub ratio: (f32, f32),
    /// How the part is resized.
    pub filter: Interpolation,
}

impl Default for RandomResizedCrop {
    fn default() -> Self {
        RandomResizedCrop {
            scale: (0.08, 1.0),
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            filter: Interpolation::Bicubic,
        }
    }
}

/// A parameter outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("augmentation: {0}")]
pub struct AugmentError(String);

impl AugmentConfig {
    /// # Errors
    /// The first parameter outside its range, named with the range.
    pub fn check(&self) -> Result<(), AugmentError> {
        let share = |name: &str, value: f32| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(AugmentError(format!("{name} = {value} must be from 0 to 1"))),
        };
        let range =
            |name: &str, (low, high): (f32, f32), most: f32| match low > 0.0 && low <= high && high <= most {
                true => Ok(()),
                false => Err(AugmentError(format!("{name} = {low}..{high} must ascend within 0 to {most}"))),
            };
        share("flip", self.flip)?;
        share("color_jitter", self.color_jitter)?;
        share("grayscale", self.grayscale)?;
        share("mix_probability", self.mix_probability)?;
        share("mix_switch", self.mix_switch)?;
        for (name, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if !(0.0..=100.0).contains(&alpha) {
                return Err(AugmentError(format!("{name} = {alpha} must be from 0 to 100")));
            }
        }
        if let Some(crop) = &self.random_resized_crop {
            range("random_resized_crop.scale", crop.scale, 1.0)?;
            range("random_resized_crop.ratio", crop.ratio, 100.0)?;
        }
        if let Some(erasing) = &self.erasing {
            share("erasing.probability", erasing.probability)?;
            range("erasing.area", erasing.area, 1.0)?;
        }
        if let Some(policy) = &self.rand_augment {
            share("rand_augment.probability", policy.probability)?;
            if !(0.0..=10.0).contains(&policy.magnitude) || !(0.0..=10.0).contains(&policy.std) {
                return Err(AugmentError("rand_augment.magnitude and .std must be from 0 to 10".to_string()));
            }
        }
        Ok(())
    }

    /// A sentence about options that have no effect because of others.
    pub fn note(&self) -> Option<&'static str> {
        (self.color_jitter > 0.0 && self.rand_augment.is_some() && !self.force_color_jitter).then_some(
            "`augment.color_jitter` is not used next to `augment.rand_augment`, as in timm and in DeiT's training; set \
             `augment.force_color_jitter = true` to use both",
        )
    }

    /// Number of different images that an image becomes over all epochs: 1 without augmentation, 2 with mirroring alone. `None`
    /// where no two epochs are alike.
    pub fn variants(&self) -> Option<usize> {
        let endless = self.random_resized_crop.is_some()
            || self.pad_crop > 0
            || self.rand_augment.is_some()
            || self.color_jitter > 0.0
            || self.grayscale > 0.0
            || self.erasing.is_some()
            || self.mixes();
        (!endless).then_some(if self.flip > 0.0 { 2 } else { 1 })
    }

    /// Whether every pixel stays in its place, mirroring excepted.
    pub fn keeps_places(&self) -> bool {
        self.random_resized_crop.is_none()
            && self.pad_crop == 0
            && self.rand_augment.is_none()
            && self.erasing.is_none()
            && !self.mixes()
    }

    /// Whether the image of this key is mirrored.
    pub fn mirrors(&self, key: AugmentKey) -> bool {
        self.flip > 0.0 && key.rng("augment/flip").chance(self.flip)
    }

    /// Whether images of a batch are blended with each other.
    pub fn mixes(&self) -> bool {
        (self.mixup > 0.0 || self.cutmix > 0.0) && self.mix_probability > 0.0
    }
}

/// Key of the random numbers of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AugmentKey {
    /// Seed of the run.
    pub seed: u64,
    /// Index of the image in its split.
    pub image: u64,
    /// Epoch, or any other count of its uses.
    pub epoch: u64,
}

impl AugmentKey {
    fn rng(self, stream: &str) -> ChaCha8Rng {
        keyed_rng(self.seed, stream, self.image, self.epoch)
    }
}

/// `image` at `size` × `size` after the changes in `config`, mixing excepted. With everything off it is resized (shorter side,
/// bicubic) and centre-cropped, or returned unchanged if it has that size.
///
/// # Panics
/// If the image or the result has no pixels.
pub fn augment(image: &Image, config: &AugmentConfig, size: usize, key: AugmentKey) -> Image {
    // One stream per step: enabling one does not change the draws of the others.
    let mut result = match &config.random_resized_crop {
        Some(parameters) => crop::random_resized(image, parameters, size, &mut key.rng("augment/crop")),
        None => crop::fit(image, size),
    };
    if config.pad_crop > 0 {
        result = crop::pad(&result, config.pad_crop, &mut key.rng("augment/pad"));
    }
    if config.mirrors(key) {
        crop::flip(&mut result);
    }
    if let Some(policy) = &config.rand_augment {
        result = policy.apply(result, &mut key.rng("augment/rand"));
    }
    if config.color_jitter > 0.0 && (config.rand_augment.is_none() || config.force_color_jitter) {
        result = colour::jitter(result, config.color_jitter, &mut key.rng("augment/jitter"));
    }
    if config.grayscale > 0.0 && key.rng("augment/grayscale").chance(config.grayscale) {
        result = colour::saturation(&result, 0.0);
    }
    if let Some(erasing) = &config.erasing {
        erasing.apply(&mut result, &mut key.rng("augment/erase"));
    }
    result
}

/// `image` with left and right exchanged.
pub fn mirrored(mut image: Image) -> Image {
    crop::flip(&mut image);
    image
}

#[cfg(test)]
mod tests;
