//! Sizes of an EfficientViT.

use serde::{Deserialize, Serialize};

use crate::spec::{SpecError, check_depths, check_rates, check_sizes};
use crate::window::{Window, WindowPadding};

/// As many as the paper has; a fourth would halve an image of 224 px to two tokens along each side.
const MOST_STAGES: usize = 3;

/// Sizes of an EfficientViT. Lists have one entry per stage, except for `kernels`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientVitConfig {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Width of the residual stream; the first is a multiple of 8.
    pub widths: Vec<usize>,
    /// Number of blocks.
    pub depths: Vec<usize>,
    /// Attention heads. A head reads and returns its share of the width.
    pub heads: Vec<usize>,
    /// Side of the convolution on the queries of each head, odd. A stage of fewer heads uses the first ones.
    pub kernels: Vec<usize>,
    /// Width of the queries and keys of a head.
    pub key_dim: usize,
    /// Side of a window, in tokens. Where a stage's map is smaller, the window is the whole map.
    pub window_size: usize,
    /// Number of classes; 0 for a backbone without a head, which returns the mean of the last map.
    pub classes: usize,
    /// Dropout on what the head reads.
    #[serde(default)]
    pub dropout: f64,
    /// Stochastic depth of the last block; earlier blocks have linearly less.
    #[serde(default)]
    pub drop_path: f64,
}

/// EfficientViT-M0 for ImageNet.
impl Default for EfficientVitConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            widths: vec![64, 128, 192],
            depths: vec![1, 2, 3],
            heads: vec![4, 4, 4],
            kernels: vec![5, 5, 5, 5],
            key_dim: 16,
            window_size: 7,
            classes: 1000,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl EfficientVitConfig {
    /// Side of the image over that of the first stage's map: four convolutions of stride 2.
    pub const STRIDE: usize = 16;

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        let Self { image_size, key_dim, window_size, classes, .. } = *self;
        let refuse = |sentence: String| Err(SpecError::Sizes(sentence));
        check_sizes("image_size", &[image_size])?;
        check_sizes("widths", &self.widths)?;
        check_depths("depths", &self.depths)?;
        check_sizes("heads", &self.heads)?;
        check_sizes("key_dim", &[key_dim])?;
        check_sizes("window_size", &[window_size])?;
        check_sizes("classes", &[classes.max(1)])?;
        let stages = self.widths.len();
        if !(1..=MOST_STAGES).contains(&stages) || [self.depths.len(), self.heads.len()] != [stages; 2] {
            return refuse(format!(
                "widths, depths and heads need one entry per stage, from 1 to {MOST_STAGES} of them, not {stages}, {} and {}",
                self.depths.len(),
                self.heads.len()
            ));
        }
        if image_size < Self::STRIDE {
            return refuse(format!(
                "an EfficientViT needs images of at least {} px, not {image_size}",
                Self::STRIDE
            ));
        }
        if !self.widths[0].is_multiple_of(8) {
            return refuse(format!(
                "the first of the widths must be a multiple of 8, not {}",
                self.widths[0]
            ));
        }
        for (stage, (width, heads)) in self.widths.iter().zip(&self.heads).enumerate() {
            if !width.is_multiple_of(*heads) {
                return refuse(format!(
                    "{heads} heads do not divide the width of {width} of stage {}",
                    stage + 1
                ));
            }
        }
        let most = self.heads.iter().copied().max().unwrap_or(0);
        if self.kernels.len() < most {
            return refuse(format!(
                "kernels need one entry per head, {most} of them, not {}",
                self.kernels.len()
            ));
        }
        if let Some(kernel) = self.kernels.iter().find(|kernel| *kernel % 2 == 0 || **kernel > 15) {
            return refuse(format!("kernels must be odd and at most 15, not {kernel}"));
        }
        check_rates(&[("dropout", self.dropout), ("drop_path", self.drop_path)])
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.depths.iter().sum()
    }

    /// Side of the map after the stem, and after each of its convolutions before.
    pub(super) fn stem_sides(&self) -> [usize; 4] {
        let mut side = self.image_size;
        [(); 4].map(|()| {
            side = side.div_ceil(2);
            side
        })
    }

    /// Side of the map of `stage`, counted from 0.
    pub(crate) fn side(&self, stage: usize) -> usize {
        self.stem_sides()[3].div_ceil(1 << stage)
    }

    /// Side of a window of `stage`: by the number of whole strides in the image, as in timm, which for other multiples of the
    /// stride is less than the side of the map.
    pub(crate) fn window_side(&self, stage: usize) -> usize {
        (self.image_size / Self::STRIDE).div_ceil(1 << stage).min(self.window_size)
    }

    /// Windows of `stage` on a map of `grid` tokens.
    pub(crate) fn window(&self, stage: usize, grid: [usize; 2]) -> Window {
        Window::on(grid, self.window_side(stage), false, WindowPadding::AfterShift)
    }
}
