//! What model is meant: an architecture with its sizes, by name or in full.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::beit::BeitConfig;
use crate::resnet::{BranchKind, ResNetConfig, Stem};
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

/// Name, width, depth, heads and perceptron width of the standard ViT sizes (Dosovitskiy et al., 2021, table 1;
/// tiny and small: Touvron et al., 2021, table 1).
const VIT_SIZES: [(&str, usize, usize, usize, usize); 5] = [
    ("micro", 96, 4, 3, 192),
    ("tiny", 192, 12, 3, 768),
    ("small", 384, 12, 6, 1536),
    ("base", 768, 12, 12, 3072),
    ("large", 1024, 24, 16, 4096),
];

/// Name, branch and blocks of the standard ResNets (He et al., 2016, table 1); `micro` is for 32-pixel images.
const RESNET_SIZES: [(&str, BranchKind, [usize; 4], usize); 5] = [
    ("resnet_micro", BranchKind::Basic, [1, 1, 1, 1], 16),
    ("resnet18", BranchKind::Basic, [2, 2, 2, 2], 64),
    ("resnet34", BranchKind::Basic, [3, 4, 6, 3], 64),
    ("resnet50", BranchKind::Bottleneck, [3, 4, 6, 3], 64),
    ("resnet101", BranchKind::Bottleneck, [3, 4, 23, 3], 64),
];

const PATCH_SIZES: [usize; 5] = [4, 8, 14, 16, 32];

impl NetworkSpec {
    /// The model of a name: `vit_micro`, `vit_SIZE_patchP_PIXELS`, `resnetN`, `resnetN_cifar`, `resnet20_cifar`,
    /// `resnet56_cifar`. `image_size` decides where the name does not (ViTs without `_PIXELS`).
    ///
    /// # Errors
    /// [`SpecError::Unknown`] for any other name, [`SpecError::Sizes`] for patches that do not tile the image.
    pub fn named(name: &str, classes: usize, image_size: usize) -> Result<Self, SpecError> {
        let spec = Self::vit_named(name, classes, image_size)
            .or_else(|| Self::resnet_named(name, classes))
            .ok_or_else(|| SpecError::Unknown(name.into()))?;
        spec.validate()?;
        Ok(spec)
    }

    fn vit_named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        let mut parts = name.strip_prefix("vit_")?.split('_');
        let &(size, width, depth, heads, mlp_width) =
            VIT_SIZES.iter().find(|row| Some(row.0) == parts.clone().next())?;
        parts.next();
        let patch_size = match parts.next() {
            Some(patch) => patch.strip_prefix("patch")?.parse().ok().filter(|p| PATCH_SIZES.contains(p))?,
            None if size == "micro" => 4,
            None => 16,
        };
        let image_size = match parts.next() {
            Some(pixels) => pixels.parse().ok()?,
            None => image_size,
        };
        if parts.next().is_some() {
            return None;
        }
        Some(Self::Vit(VitConfig {
            image_size,
            patch_size,
            width,
            depth,
            heads,
            mlp_width,
            classes,
            ..VitConfig::default()
        }))
    }

    fn resnet_named(name: &str, classes: usize) -> Option<Self> {
        let cifar = |blocks| Some(Self::CifarResnet(CifarResNetConfig { blocks, width: 16, classes }));
        match name {
            "resnet20_cifar" => return cifar(3),
            "resnet56_cifar" => return cifar(9),
            _ => {}
        }
        let (name, small) = name.strip_suffix("_cifar").map_or((name, false), |name| (name, true));
        let &(name, branch, blocks, width) = RESNET_SIZES.iter().find(|row| row.0 == name)?;
        let stem = if small || name == "resnet_micro" { Stem::Cifar } else { Stem::Imagenet };
        Some(Self::Resnet(ResNetConfig { stem, branch, blocks, width, classes }))
    }

    /// Every name that [`NetworkSpec::named`] knows, without the optional `_PIXELS`.
    pub fn names() -> Vec<String> {
        let mut names = vec!["vit_micro".to_owned()];
        for (size, ..) in &VIT_SIZES[1..] {
            names.extend(PATCH_SIZES.iter().map(|patch| format!("vit_{size}_patch{patch}")));
        }
        names.extend(RESNET_SIZES.iter().map(|row| row.0.to_owned()));
        names.extend(RESNET_SIZES[1..].iter().map(|row| format!("{}_cifar", row.0)));
        names.extend(["resnet20_cifar".to_owned(), "resnet56_cifar".to_owned()]);
        names
    }

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
