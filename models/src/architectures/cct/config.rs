//! Sizes of a Compact Convolutional Transformer.

use serde::{Deserialize, Serialize};

use crate::architectures::vit::Position;
use crate::spec::{SpecError, check_depths, check_heads, check_rates, check_sizes};

/// Channels between the convolutions.
const INNER_CHANNELS: usize = 64;

/// Sizes of a Compact Convolutional Transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CctConfig {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Convolutions that make the tokens; each halves the side.
    pub convolutions: usize,
    /// Side of their kernels, odd.
    pub kernel_size: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads per block.
    pub heads: usize,
    /// Hidden width of the MLPs.
    pub mlp_width: usize,
    /// Number of classes; 0 for a backbone without a head, which returns the features that a head would read.
    pub classes: usize,
    /// How positions are encoded; every token is a patch.
    pub position: Position,
    /// Dropout on the embedded tokens and after every dense layer except query, key and value.
    #[serde(default)]
    pub dropout: f64,
    /// Dropout on the attention weights.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Stochastic depth of the last block; earlier blocks have linearly less.
    #[serde(default)]
    pub drop_path: f64,
}

impl Default for CctConfig {
    /// CCT-2/3×2 at 32 px for ten classes.
    fn default() -> Self {
        Self {
            image_size: 32,
            convolutions: 2,
            kernel_size: 3,
            width: 128,
            depth: 2,
            heads: 2,
            mlp_width: 128,
            classes: 10,
            position: Position::Learned,
            dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl CctConfig {
    /// Epsilon of every layer norm, PyTorch's.
    pub(super) const EPSILON: f64 = 1e-5;

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
            ("mlp_width", self.mlp_width),
            ("classes", self.classes.max(1)),
        ] {
            check_sizes(name, &[size])?;
        }
        check_depths("depth", &[self.depth])?;
        check_heads(self.width, self.heads)?;
        if !(1..=4).contains(&self.convolutions) {
            return wrong(format!("convolutions must be from 1 to 4, not {}", self.convolutions));
        }
        if !(self.kernel_size % 2 == 1 && self.kernel_size <= 15) {
            return wrong(format!("kernel_size must be odd and at most 15, not {}", self.kernel_size));
        }
        if self.position == Position::LearnedOnPatches {
            return wrong("every token of a CCT is a patch: position must be learned, sine or none".into());
        }
        if self.position == Position::Sine && !self.width.is_multiple_of(4) {
            return wrong(format!("sine positions need a width divisible by 4, not {}", self.width));
        }
        check_rates(&[
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("drop_path", self.drop_path),
        ])
    }

    /// Inputs and outputs of each convolution.
    pub(super) fn channels(&self) -> Vec<[usize; 2]> {
        let outputs = |layer| if layer + 1 == self.convolutions { self.width } else { INNER_CHANNELS };
        (0..self.convolutions)
            .map(|layer| [if layer == 0 { 3 } else { INNER_CHANNELS }, outputs(layer)])
            .collect()
    }

    /// Stride of the convolutions: 1 for kernels of 3 px, 2 for those of 7 px, as in the released code.
    pub(super) fn stride(&self) -> usize {
        (self.kernel_size / 2).saturating_sub(1).max(1)
    }

    /// Sides of the map after each convolution, before its pooling.
    pub(super) fn sides(&self) -> Vec<usize> {
        let mut side = self.image_size;
        let mut sides = Vec::new();
        for _ in 0..self.convolutions {
            let convolved = side.div_ceil(self.stride());
            sides.push(convolved);
            side = convolved.div_ceil(2);
        }
        sides
    }

    /// Tokens along each side of the image.
    pub fn grid(&self) -> usize {
        self.sides().last().map_or(self.image_size, |side| side.div_ceil(2))
    }
}
