//! Sizes of a ViT-CoMer.

use serde::{Deserialize, Serialize};

use crate::spec::{SpecError, check_depths, check_heads, check_patches, check_sizes};

/// Sizes of a ViT-CoMer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitComerConfig {
    /// Side of the square input, in pixels: a multiple of twice the patch.
    pub image_size: usize,
    /// Side of a patch, in pixels: 4, 8 or 16. The pyramid has maps at a quarter of it, half of it, itself and twice it.
    pub patch_size: usize,
    /// Width of the residual stream and of every map of the pyramid.
    pub width: usize,
    /// Number of transformer blocks.
    pub depth: usize,
    /// Attention heads per block.
    pub heads: usize,
    /// Stages that the blocks are divided into evenly; the branches exchange before and after each.
    pub stages: usize,
    /// Channels of the first convolutions.
    pub conv_width: usize,
    /// Heads of the deformable attention.
    pub deformable_heads: usize,
    /// Points that each of these heads reads on each of three maps.
    pub points: usize,
    /// Number of classes; 0 for a backbone without a head, which returns the mean of the map at the size of the patches.
    pub classes: usize,
    /// Channels of the head that predicts the object's mask; 0 for a model without one.
    #[serde(default)]
    pub mask_width: usize,
}

/// A model for the ten classes of small images.
impl Default for VitComerConfig {
    fn default() -> Self {
        Self {
            image_size: 32,
            patch_size: 8,
            width: 64,
            depth: 4,
            heads: 1,
            stages: 2,
            conv_width: 16,
            deformable_heads: 2,
            points: 4,
            classes: 10,
            mask_width: 0,
        }
    }
}

impl VitComerConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming those that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        let wrong = |sentence: String| Err(SpecError::Sizes(sentence));
        for (name, size) in [
            ("image_size", self.image_size),
            ("width", self.width),
            ("heads", self.heads),
            ("stages", self.stages),
            ("conv_width", self.conv_width),
            ("deformable_heads", self.deformable_heads),
            ("points", self.points),
            ("classes", self.classes.max(1)),
            ("mask_width", self.mask_width.max(1)),
        ] {
            check_sizes(name, &[size])?;
        }
        check_depths("depth", &[self.depth])?;
        check_heads(self.width, self.heads)?;
        check_heads(self.width, self.deformable_heads)?;
        if !matches!(self.patch_size, 4 | 8 | 16) {
            return wrong(format!("patch_size must be 4, 8 or 16, not {}", self.patch_size));
        }
        check_patches(self.image_size, self.patch_size)?;
        if !self.grid().is_multiple_of(2) {
            return wrong(format!(
                "the coarsest map of a ViT-CoMer has half as many places along a side as there are patches, and an image of {} px has {} patches \
                 of {} px; take an image_size that is a multiple of {}",
                self.image_size,
                self.grid(),
                self.patch_size,
                2 * self.patch_size
            ));
        }
        // The width is halved, and half of that once more; the MLP of the pyramid has a quarter.
        if !self.width.is_multiple_of(4) {
            return wrong(format!("width must be a multiple of 4, not {}", self.width));
        }
        if !self.depth.is_multiple_of(self.stages) {
            return wrong(format!("{} stages do not divide a depth of {} evenly", self.stages, self.depth));
        }
        Ok(())
    }

    /// Patches along each side of the image.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Places along each side of the maps that exchange with the transformer, the finest first.
    pub(super) fn sides(&self) -> [usize; 3] {
        [2 * self.grid(), self.grid(), self.grid() / 2]
    }

    /// Channels of the four maps of the stem, the finest first.
    pub(super) fn channels(&self) -> [usize; 4] {
        [1, 2, 4, 4].map(|times| times * self.conv_width)
    }
}
