//! What model is meant: an architecture with its sizes, by name or in full.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::beit::BeitConfig;
use crate::clip::ZeroShotConfig;
use crate::resnet::ResNetConfig;
use crate::resnet_cifar::CifarResNetConfig;
use crate::swin::SwinConfig;
use crate::vit::{Pooling, VitConfig};

/// A model that cannot be built.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Sizes that do not fit together.
    #[error("{0}")]
    Sizes(String),
    /// A name that is not known.
    #[error(
        "no model is called `{name}`; {}`archaeo models` lists the names, such as vit_micro, vit_tiny_patch16_224 or resnet18_cifar",
        .near.as_ref().map(|near| format!("did you mean `{near}`? ")).unwrap_or_default()
    )]
    Unknown {
        /// The name.
        name: String,
        /// One that it may be a slip of.
        near: Option<String>,
    },
}

/// The largest width, image or number of classes that can be meant; products of such sizes do not overflow.
const LARGEST_SIZE: usize = 1 << 16;

/// The most blocks that can be meant; each takes memory before its weights do.
const LARGEST_DEPTH: usize = 1 << 10;

/// Checks that each of `sizes` (widths, pixels, counts) is at least 1 and no absurdity.
pub(crate) fn check_sizes(name: &str, sizes: &[usize]) -> Result<(), SpecError> {
    check_range(name, sizes, LARGEST_SIZE)
}

/// Checks that each of `depths` (numbers of blocks) is at least 1 and no absurdity.
pub(crate) fn check_depths(name: &str, depths: &[usize]) -> Result<(), SpecError> {
    check_range(name, depths, LARGEST_DEPTH)
}

fn check_range(name: &str, sizes: &[usize], largest: usize) -> Result<(), SpecError> {
    match sizes.iter().find(|size| !(1..=largest).contains(*size)) {
        None => Ok(()),
        Some(size) => Err(SpecError::Sizes(format!("{name} must be from 1 to {largest}, not {size}"))),
    }
}

/// Checks that patches of `patch_size` pixels tile an image of `image_size`.
pub(crate) fn check_patches(image_size: usize, patch_size: usize) -> Result<(), SpecError> {
    match image_size.is_multiple_of(patch_size) {
        true => Ok(()),
        false => Err(SpecError::Sizes(format!(
            "patches of {patch_size} px do not tile an image of {image_size} px"
        ))),
    }
}

/// Checks that heads of one size fill a width.
pub(crate) fn check_heads(width: usize, heads: usize) -> Result<(), SpecError> {
    match width.is_multiple_of(heads) {
        true => Ok(()),
        false => Err(SpecError::Sizes(format!("{heads} heads do not divide a width of {width}"))),
    }
}

/// Checks that a norm's epsilon keeps it from dividing by zero and from doing nothing.
pub(crate) fn check_epsilon(epsilon: f64) -> Result<(), SpecError> {
    match epsilon > 0.0 && epsilon < 1.0 {
        true => Ok(()),
        false => Err(SpecError::Sizes(format!("epsilon must be above 0 and below 1, not {epsilon}"))),
    }
}

/// Checks that each rate, given with its name, is a probability below 1.
pub(crate) fn check_rates(rates: &[(&str, f64)]) -> Result<(), SpecError> {
    match rates.iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
        None => Ok(()),
        Some((name, rate)) => {
            Err(SpecError::Sizes(format!("{name} must be at least 0 and below 1, not {rate}")))
        }
    }
}

/// An architecture with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum NetworkSpec {
    /// Vision Transformer.
    Vit(VitConfig),
    /// BEiT.
    Beit(BeitConfig),
    /// Swin Transformer.
    Swin(SwinConfig),
    /// Image tower of CLIP with a prototype for each class.
    ZeroShot(ZeroShotConfig),
    /// ImageNet-style residual network.
    Resnet(ResNetConfig),
    /// CIFAR-style residual network.
    CifarResnet(CifarResNetConfig),
}

impl NetworkSpec {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        match self {
            Self::Vit(config) => config.validate(),
            Self::Beit(config) => config.validate(),
            Self::Swin(config) => config.validate(),
            Self::ZeroShot(config) => config.validate(),
            Self::Resnet(config) => config.validate(),
            Self::CifarResnet(config) => config.validate(),
        }
    }

    /// What a sentence calls models of this architecture.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Vit(_) => "ViT",
            Self::Beit(_) => "BEiT",
            Self::Swin(_) => "Swin",
            Self::ZeroShot(_) => "CLIP",
            Self::Resnet(_) | Self::CifarResnet(_) => "ResNet",
        }
    }

    /// Architecture and sizes in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Vit(VitConfig { depth, heads, width, patch_size, pooling, .. }) => {
                let read = match pooling {
                    Pooling::ClassToken => "",
                    Pooling::Mean | Pooling::MeanBesideClassToken => ", the mean of the patches read",
                    Pooling::ClassTokenAndMean => ", the class token and the mean of the patches read",
                };
                format!(
                    "Vision Transformer: {depth} layers of {heads} heads, width {width}, patches of {patch_size} px{read}"
                )
            }
            Self::Beit(BeitConfig { depth, heads, width, patch_size, .. }) => {
                format!("BEiT: {depth} layers of {heads} heads, width {width}, patches of {patch_size} px")
            }
            Self::Swin(SwinConfig { depths, heads, width, patch_size, window_size, .. }) => {
                let joined =
                    |counts: &[usize]| counts.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
                format!(
                    "Swin Transformer: {} layers of {} heads a stage, first width {width}, patches of {patch_size} px, \
                     windows of {window_size} × {window_size} tokens",
                    joined(depths),
                    joined(heads)
                )
            }
            Self::ZeroShot(ZeroShotConfig { image, embedding, .. }) => {
                let VitConfig { depth, heads, width, patch_size, .. } = image;
                format!(
                    "Image tower of CLIP: {depth} layers of {heads} heads, width {width}, patches of {patch_size} px, \
                     compared with prototypes of {embedding} numbers"
                )
            }
            Self::Resnet(ResNetConfig { blocks, width, .. }) => {
                let blocks = blocks.map(|count| count.to_string()).join("-");
                format!("Residual network: {blocks} blocks a stage, first width {width}")
            }
            Self::CifarResnet(CifarResNetConfig { blocks, width, .. }) => {
                format!("CIFAR residual network: 3 stages of {blocks} blocks, first width {width}")
            }
        }
    }

    /// Number of layers with attention; a convolutional network has none.
    pub fn attention_layers(&self) -> usize {
        match self {
            Self::Vit(config) => config.depth,
            Self::Beit(config) => config.depth,
            Self::Swin(config) => config.blocks(),
            Self::ZeroShot(config) => config.image.depth,
            Self::Resnet(_) | Self::CifarResnet(_) => 0,
        }
    }

    /// Whether tokens attend to those of their window alone.
    pub fn attends_within_windows(&self) -> bool {
        matches!(self, Self::Swin(_))
    }

    /// The same sizes with these rates of stochastic depth and dropout at training, where the architecture has them.
    pub fn with_rates(mut self, drop_path: f64, dropout: f64) -> Self {
        match &mut self {
            Self::Vit(config) => (config.drop_path, config.dropout) = (drop_path, dropout),
            Self::Beit(config) => config.drop_path = drop_path,
            Self::Swin(config) => (config.drop_path, config.dropout) = (drop_path, dropout),
            Self::ZeroShot(ZeroShotConfig { image, .. }) => {
                (image.drop_path, image.dropout) = (drop_path, dropout);
            }
            Self::Resnet(_) | Self::CifarResnet(_) => {}
        }
        self
    }

    /// The same with a head for another number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        match &mut self {
            Self::Vit(config) => config.classes = classes,
            Self::Beit(config) => config.classes = classes,
            Self::Swin(config) => config.classes = classes,
            Self::ZeroShot(config) => config.classes = classes,
            Self::Resnet(config) => config.classes = classes,
            Self::CifarResnet(config) => config.classes = classes,
        }
        self
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Self::Vit(config) => config.classes,
            Self::Beit(config) => config.classes,
            Self::Swin(config) => config.classes,
            Self::ZeroShot(config) => config.classes,
            Self::Resnet(config) => config.classes,
            Self::CifarResnet(config) => config.classes,
        }
    }

    /// The same for images of another size, to which learned positions are resampled when a checkpoint is loaded.
    ///
    /// # Errors
    /// Patches that do not tile the image.
    pub fn for_image_size(mut self, image_size: usize) -> Result<Self, SpecError> {
        match &mut self {
            Self::Vit(config) => config.image_size = image_size,
            Self::Beit(config) => config.image_size = image_size,
            Self::Swin(config) => config.image_size = image_size,
            Self::ZeroShot(config) => config.image.image_size = image_size,
            Self::Resnet(_) | Self::CifarResnet(_) => {}
        }
        self.validate()?;
        Ok(self)
    }

    /// Side of the only input the model takes, in pixels; `None` where any will do.
    pub fn image_size(&self) -> Option<usize> {
        match self {
            Self::Vit(config) => Some(config.image_size),
            Self::Beit(config) => Some(config.image_size),
            Self::Swin(config) => Some(config.image_size),
            Self::ZeroShot(config) => Some(config.image.image_size),
            Self::Resnet(_) | Self::CifarResnet(_) => None,
        }
    }
}
