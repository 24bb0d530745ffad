//! Image preprocessing, and the source of each of its values.

pub use archaeo_raster::Interpolation;
use serde::{Deserialize, Serialize};

use crate::spec::{SpecError, check_sizes};

/// How a non-square image becomes square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The shorter side is resized to ⌊size / crop⌋, then the centre is cropped.
    #[default]
    Crop,
    /// Both sides are resized to ⌊size / crop⌋, regardless of proportions, then the centre is cropped (most
    /// processors of `transformers`).
    Squash,
}

/// Preprocessing of an image for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Share of the resized image that the centre crop keeps.
    pub crop: f64,
    /// How a non-square image becomes square.
    #[serde(default)]
    pub fit: Fit,
    /// Resize filter.
    pub interpolation: Interpolation,
    /// Mean of each channel, of values in [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

/// ImageNet's channel means and standard deviations, as torchvision and timm state them.
pub const IMAGENET_MOMENTS: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// Those of CLIP's training images (Radford et al., 2021, in the released code).
pub const CLIP_MOMENTS: ([f32; 3], [f32; 3]) =
    ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]);

/// The smallest accepted share: everything that is cropped away has to be resized first.
const SMALLEST_CROP: f64 = 0.1;

/// `cropped` as a share of `resized`, such that ⌊cropped / share⌋ is `resized` again.
pub(crate) fn crop_share(cropped: usize, resized: usize) -> f64 {
    let share = cropped as f64 / resized as f64;
    if (cropped as f64 / share).floor() as usize == resized { share } else { share.next_down() }
}

impl Preprocessing {
    /// The whole image, scaled to `image_size`, with mean and standard deviation 0.5, as models are trained here.
    pub fn plain(image_size: usize) -> Self {
        Self {
            image_size,
            crop: 1.0,
            fit: Fit::Crop,
            interpolation: Interpolation::Bicubic,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence naming the invalid value.
    pub fn validate(&self) -> Result<(), SpecError> {
        if !(SMALLEST_CROP..=1.0).contains(&self.crop) {
            return Err(SpecError::Sizes(format!(
                "crop must be from {SMALLEST_CROP} to 1, not {}",
                self.crop
            )));
        }
        let usable = |std: &f32| std.is_finite() && *std > 0.0;
        if !self.mean.iter().all(|mean| mean.is_finite()) || !self.std.iter().all(usable) {
            return Err(SpecError::Sizes(format!(
                "mean {:?} and std {:?} of the channels must be finite, and std above 0",
                self.mean, self.std
            )));
        }
        check_sizes("image_size", &[self.image_size])
    }
}

/// Some of the values of a [`Preprocessing`], which override others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreprocessingChoice {
    /// As [`Preprocessing::image_size`].
    pub image_size: Option<usize>,
    /// As [`Preprocessing::crop`].
    pub crop: Option<f64>,
    /// As [`Preprocessing::fit`].
    pub fit: Option<Fit>,
    /// As [`Preprocessing::interpolation`].
    pub interpolation: Option<Interpolation>,
    /// As [`Preprocessing::mean`].
    pub mean: Option<[f32; 3]>,
    /// As [`Preprocessing::std`].
    pub std: Option<[f32; 3]>,
}

/// Source of the preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The checkpoint's own card.
    Card,
    /// A normaliser next to the model in the checkpoint.
    Checkpoint,
    /// The published checkpoints of that name.
    Catalogue,
    /// The `config.json` or `preprocessor_config.json` next to the checkpoint.
    Config,
    /// The caller's request, such as a command-line option.
    Request,
}

/// A preprocessing and the origin of each of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcedPreprocessing {
    /// The resulting values.
    pub values: Preprocessing,
    /// Name of each value, as in [`Preprocessing`], and its source.
    pub origins: [(&'static str, Origin); 6],
}

impl SourcedPreprocessing {
    /// All values from one source.
    pub fn new(values: Preprocessing, origin: Origin) -> Self {
        let names = ["image_size", "crop", "fit", "interpolation", "mean", "std"];
        Self { values, origins: names.map(|name| (name, origin)) }
    }

    /// The same, overridden by the values of `choice`.
    pub fn with(mut self, choice: &PreprocessingChoice, origin: Origin) -> Self {
        fn take<T: Clone>(value: &mut T, chosen: &Option<T>, from: &mut Origin, origin: Origin) {
            if let Some(chosen) = chosen {
                (*value, *from) = (chosen.clone(), origin);
            }
        }
        let Self { values, origins } = &mut self;
        let [image_size, crop, fit, interpolation, mean, std] = origins.each_mut().map(|(_, from)| from);
        take(&mut values.image_size, &choice.image_size, image_size, origin);
        take(&mut values.crop, &choice.crop, crop, origin);
        take(&mut values.fit, &choice.fit, fit, origin);
        take(&mut values.interpolation, &choice.interpolation, interpolation, origin);
        take(&mut values.mean, &choice.mean, mean, origin);
        take(&mut values.std, &choice.std, std, origin);
        self
    }
}
