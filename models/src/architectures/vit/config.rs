//! Sizes and variants of a Vision Transformer.

use serde::{Deserialize, Serialize};

use crate::spec::{
    SpecError, check_depths, check_epsilon, check_heads, check_patches, check_rates, check_sizes,
};
use crate::transformer::FeedForward;

/// What the head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The class token, a learned token prepended to the patches.
    ClassToken,
    /// The mean of all patch tokens; there is no class token (timm's `global_pool='avg'` with `class_token=False`).
    Mean,
    /// The mean of all patch tokens; the class token takes part in attention but is not read (timm's
    /// `global_pool='avg'`).
    MeanBesideClassToken,
    /// The class token and the mean of all patch tokens, concatenated (DINOv2's linear classifiers).
    ClassTokenAndMean,
}

/// How positions are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// One learned vector per token.
    Learned,
    /// One learned vector per patch; prefix tokens have none (timm's `no_embed_class`).
    LearnedOnPatches,
    /// Fixed sines and cosines of row and column (Chen et al., 2021, MoCo v3).
    Sine,
    /// No position encoding.
    None,
}

/// How learned positions are resampled to another number of patches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionResampling {
    /// Antialiased cubic convolution with a = −0.5, as timm and DINOv2 with registers do it.
    #[default]
    Antialiased,
    /// Cubic convolution with a = −0.75 at steps of `grid / (new grid + 0.1)`, as DINOv2's hub does it without registers.
    Offset,
    /// Cubic convolution with a = −0.75 at steps of `grid / new grid`, as `transformers` does it since version 4.48; with
    /// registers it is [`Self::Antialiased`] there.
    Exact,
}

/// Sizes and variants of a Vision Transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
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
    /// What the head reads.
    pub pooling: Pooling,
    /// How positions are encoded.
    pub position: Position,
    /// How learned positions are resampled to another number of patches when a checkpoint is loaded.
    #[serde(default)]
    pub resampling: PositionResampling,
    /// Registers: learned tokens after the class token that the head does not read (Darcet et al., 2024).
    #[serde(default)]
    pub registers: usize,
    /// A distillation token after the class token, with a head of its own: the logits are the mean of both heads'
    /// (Touvron et al., 2021, section 4).
    #[serde(default)]
    pub distilled: bool,
    /// A learned scale on each channel of each residual branch (Touvron et al., 2021, "Going deeper", equation 2).
    #[serde(default)]
    pub layer_scale: bool,
    /// A norm before the first block, and patches projected without bias (Radford et al., 2021: CLIP).
    #[serde(default)]
    pub pre_norm: bool,
    /// The last norm comes after the pooling instead of before it (timm's `fc_norm`).
    #[serde(default)]
    pub norm_after_pooling: bool,
    /// What the MLPs compute.
    #[serde(default)]
    pub feed_forward: FeedForward,
    /// Epsilon of every layer norm.
    #[serde(default = "VitConfig::usual_epsilon")]
    pub epsilon: f64,
    /// Dropout on the embedded tokens and after every dense layer except query, key and value.
    #[serde(default)]
    pub dropout: f64,
    /// Dropout on the attention weights.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Stochastic depth of the last block; earlier blocks have linearly less (Touvron et al., 2021).
    #[serde(default)]
    pub drop_path: f64,
}

impl Default for VitConfig {
    /// ViT-Ti/16 at 224 px for the classes of ImageNet-1k, without any of the variants.
    fn default() -> Self {
        Self {
            image_size: 224,
            patch_size: 16,
            width: 192,
            depth: 12,
            heads: 3,
            mlp_width: 768,
            classes: 1000,
            pooling: Pooling::ClassToken,
            position: Position::Learned,
            resampling: PositionResampling::default(),
            registers: 0,
            distilled: false,
            layer_scale: false,
            pre_norm: false,
            norm_after_pooling: false,
            feed_forward: FeedForward::default(),
            epsilon: Self::usual_epsilon(),
            dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl VitConfig {
    fn usual_epsilon() -> f64 {
        1e-6
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        let Self { image_size, patch_size, width, depth, heads, mlp_width, classes, .. } = *self;
        check_sizes("image_size", &[image_size])?;
        check_sizes("patch_size", &[patch_size])?;
        check_sizes("width", &[width])?;
        check_depths("depth", &[depth])?;
        check_sizes("heads", &[heads])?;
        check_sizes("mlp_width", &[mlp_width])?;
        check_sizes("classes", &[classes.max(1)])?;
        check_sizes("registers", &[self.registers.max(1)])?;
        check_patches(image_size, patch_size)?;
        check_heads(width, heads)?;
        let wrong = |sentence: String| Err(SpecError::Sizes(sentence));
        if self.position == Position::Sine && !width.is_multiple_of(4) {
            return wrong(format!("sine positions need a width divisible by 4, not {width}"));
        }
        if self.distilled && self.pooling != Pooling::ClassToken {
            return wrong(
                "a distillation token is read next to a class token: pooling must be class-token".into(),
            );
        }
        check_epsilon(self.epsilon)?;
        check_rates(&[
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("drop_path", self.drop_path),
        ])
    }

    /// Patches along each side of the image.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Whether there is a class token.
    pub fn has_class_token(&self) -> bool {
        self.pooling != Pooling::Mean
    }

    /// Tokens before the first patch: class, distillation, registers, in this order.
    pub fn prefix_tokens(&self) -> usize {
        usize::from(self.has_class_token()) + usize::from(self.distilled) + self.registers
    }

    /// Prefix tokens that have a learned position.
    pub(crate) fn placed_prefix_tokens(&self) -> usize {
        if self.position == Position::Learned { self.prefix_tokens() } else { 0 }
    }

    /// Number of features per image that the head reads.
    pub fn features(&self) -> usize {
        if self.pooling == Pooling::ClassTokenAndMean { 2 * self.width } else { self.width }
    }
}
