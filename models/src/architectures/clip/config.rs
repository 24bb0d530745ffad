//! Sizes of a CLIP.

use serde::{Deserialize, Serialize};

use super::architecture::named;
use crate::architectures::vit::VitConfig;
use crate::spec::{SpecError, check_depths, check_sizes};

/// Epsilon of both towers' layer norms.
pub(crate) const EPSILON: f64 = 1e-5;

/// Sizes of the text tower; its MLPs have the activation of the image tower's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads per block.
    pub heads: usize,
    /// Hidden width of the MLPs.
    pub mlp_width: usize,
}

/// Sizes of both towers.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipConfig {
    /// Image tower, a backbone: `classes` is 0.
    pub image: VitConfig,
    /// Text tower.
    pub text: TextConfig,
    /// Width of the joint embedding space.
    pub embedding: usize,
}

impl ClipConfig {
    /// The CLIP of a name such as `clip_vit_base_patch32`; with `_gelu` after it those of open_clip with exact GELU, without
    /// it those of OpenAI.
    ///
    /// # Errors
    /// As [`NetworkSpec::named`](crate::NetworkSpec::named), for the names that begin with `clip_`.
    pub fn named(name: &str, image_size: usize) -> Result<Self, SpecError> {
        let config = named(name, image_size).ok_or_else(|| SpecError::unknown(name))?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        let TextConfig { width, depth, heads, mlp_width } = self.text;
        check_sizes("width", &[width])?;
        check_depths("depth", &[depth])?;
        check_sizes("heads", &[heads])?;
        check_sizes("mlp_width", &[mlp_width])?;
        if !width.is_multiple_of(heads) {
            return Err(SpecError::Sizes(format!("{heads} heads do not divide a width of {width}")));
        }
        self.zero_shot(1).validate()
    }

    /// Its image tower as a classifier.
    pub fn zero_shot(&self, classes: usize) -> ZeroShotConfig {
        ZeroShotConfig { image: self.image.clone(), embedding: self.embedding, classes }
    }
}

/// Sizes of an image tower that classifies by class prototypes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroShotConfig {
    /// Image tower, a backbone: `classes` is 0.
    pub image: VitConfig,
    /// Width of the embedding space.
    pub embedding: usize,
    /// Number of classes; 0 before any prompts are read.
    pub classes: usize,
}

impl ZeroShotConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.image.validate()?;
        check_sizes("embedding", &[self.embedding])?;
        check_sizes("classes", &[self.classes.max(1)])?;
        match self.image.classes {
            0 => Ok(()),
            classes => {
                Err(SpecError::Sizes(format!("the image tower of CLIP has no head of {classes} classes")))
            }
        }
    }
}
