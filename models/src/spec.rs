//! What model is meant: an architecture with its sizes, by name or in full.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::beit::BeitConfig;
use crate::resnet::ResNetConfig;
use crate::resnet_cifar::CifarResNetConfig;
use crate::vit::VitConfig;

/// A model that cannot be built.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Sizes that do not fit together.
    #[error("{0}")]
    Sizes(String),
    /// A name that is not known.
    #[error(
        "no model is called `{0}`; `archaeo models` lists the names, such as vit_micro, vit_tiny_patch16_224 or resnet18_cifar"
    )]
    Unknown(String),
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

/// An architecture with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum NetworkSpec {
    /// Vision Transformer.
    Vit(VitConfig),
    /// BEiT.
    Beit(BeitConfig),
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
            Self::Resnet(config) => config.validate(),
            Self::CifarResnet(config) => config.validate(),
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Self::Vit(config) => config.classes,
            Self::Beit(config) => config.classes,
            Self::Resnet(config) => config.classes,
            Self::CifarResnet(config) => config.classes,
        }
    }

    /// Side of the only input the model takes, in pixels; `None` where any will do.
    pub fn image_size(&self) -> Option<usize> {
        match self {
            Self::Vit(config) => Some(config.image_size),
            Self::Beit(config) => Some(config.image_size),
            Self::Resnet(_) | Self::CifarResnet(_) => None,
        }
    }
}
