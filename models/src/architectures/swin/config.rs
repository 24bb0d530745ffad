//! Sizes of a Swin Transformer.

use serde::{Deserialize, Serialize};

use crate::spec::{SpecError, check_depths, check_patches, check_rates, check_sizes};
use crate::window::WindowPadding;

/// More stages would halve any image to nothing.
const MOST_STAGES: usize = 8;

/// Sizes of a Swin Transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinConfig {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Side of a window, in tokens. Where a stage's map is smaller, the window is the whole map.
    pub window_size: usize,
    /// Width of the first stage's residual stream; every later stage doubles it.
    pub width: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Attention heads of each stage.
    pub heads: Vec<usize>,
    /// Hidden width of the MLPs, as a multiple of their stage's width.
    pub mlp_ratio: usize,
    /// Number of classes; 0 for a backbone without a head.
    pub classes: usize,
    /// When maps that are not a multiple of the window size are padded.
    #[serde(default)]
    pub window_padding: WindowPadding,
    /// Dropout after every dense layer of the blocks except query, key and value.
    #[serde(default)]
    pub dropout: f64,
    /// Dropout on the attention weights.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Stochastic depth of the last block; earlier blocks have linearly less.
    #[serde(default)]
    pub drop_path: f64,
}

/// Swin-T for ImageNet.
impl Default for SwinConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            patch_size: 4,
            window_size: 7,
            width: 96,
            depths: vec![2, 2, 6, 2],
            heads: vec![3, 6, 12, 24],
            mlp_ratio: 4,
            classes: 1000,
            window_padding: WindowPadding::default(),
            dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl SwinConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        let Self { image_size, patch_size, window_size, width, mlp_ratio, classes, .. } = *self;
        let refuse = |sentence: String| Err(SpecError::Sizes(sentence));
        check_sizes("image_size", &[image_size])?;
        check_sizes("patch_size", &[patch_size])?;
        check_sizes("window_size", &[window_size])?;
        check_depths("depths", &self.depths)?;
        check_sizes("heads", &self.heads)?;
        check_sizes("mlp_ratio", &[mlp_ratio])?;
        check_sizes("classes", &[classes.max(1)])?;
        let stages = self.depths.len();
        if stages == 0 || stages > MOST_STAGES || self.heads.len() != stages {
            return refuse(format!(
                "depths and heads need one entry per stage, from 1 to {MOST_STAGES} of them, not {stages} and {}",
                self.heads.len()
            ));
        }
        check_sizes("width", &[width])?;
        check_sizes("width of the last stage", &[width << (stages - 1)])?;
        check_sizes("mlp_ratio times the last width", &[(width << (stages - 1)).saturating_mul(mlp_ratio)])?;
        check_patches(image_size, patch_size)?;
        for (stage, &heads) in self.heads.iter().enumerate() {
            if !(width << stage).is_multiple_of(heads) {
                return refuse(format!(
                    "{heads} heads do not divide the width of {} of stage {}",
                    width << stage,
                    stage + 1
                ));
            }
        }
        check_rates(&[
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("drop_path", self.drop_path),
        ])
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.depths.iter().sum()
    }

    /// Side of the token grid of `stage`, counted from 0.
    pub(crate) fn side(&self, stage: usize) -> usize {
        (self.image_size / self.patch_size).div_ceil(1 << stage)
    }
}
