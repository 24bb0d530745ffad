//! Vision Transformer (Dosovitskiy et al., 2021), with the parameter names of its best-known checkpoints.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::layers::{LayerNorm, Linear, zeros};
use crate::pass::Pass;
use crate::probe::AttentionSite;
use crate::spec::{SpecError, check_depths, check_sizes};
use crate::transformer::{Block, BlockConfig};

/// What the head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// A learned token prepended to the patches.
    ClassToken,
    /// The mean of all patch tokens after the last norm; there is no class token (timm's `global_pool='avg'` with
    /// `class_token=False, fc_norm=False`).
    Mean,
}

/// How tokens learn where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// One learned vector a token.
    Learned,
    /// Fixed sines and cosines of row and column (Chen et al., 2021, MoCo v3).
    Sine,
    /// Not at all.
    None,
}

/// Sizes of a Vision Transformer.
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
    /// Attention heads a block.
    pub heads: usize,
    /// Hidden width of the perceptrons.
    pub mlp_width: usize,
    /// Number of classes.
    pub classes: usize,
    /// What the head reads.
    pub pooling: Pooling,
    /// How tokens learn where they are.
    pub position: Position,
    /// Dropout on the embedded tokens and after every dense layer but the one of query, key and value.
    #[serde(default)]
    pub dropout: f64,
    /// Dropout on the attention weights.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Stochastic depth of the last block; earlier blocks have linearly less (Touvron et al., 2021).
    #[serde(default)]
    pub drop_path: f64,
}

impl VitConfig {
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
        check_sizes("classes", &[classes])?;
        if !image_size.is_multiple_of(patch_size) {
            return Err(SpecError::Sizes(format!(
                "patches of {patch_size} px do not tile an image of {image_size} px"
            )));
        }
        if !width.is_multiple_of(heads) {
            return Err(SpecError::Sizes(format!("{heads} heads do not divide a width of {width}")));
        }
        if self.position == Position::Sine && !width.is_multiple_of(4) {
            return Err(SpecError::Sizes(format!("sine positions need a width divisible by 4, not {width}")));
        }
        for (name, rate) in [
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("drop_path", self.drop_path),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return Err(SpecError::Sizes(format!("{name} must be at least 0 and below 1, not {rate}")));
            }
        }
        Ok(())
    }

    fn prefix_tokens(&self) -> usize {
        usize::from(self.pooling == Pooling::ClassToken)
    }
}

/// Projects non-overlapping patches, as a convolution whose stride is its kernel.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// The projection.
    pub proj: PatchProjection,
}

/// Weights of the patch projection.
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[width, 3, patch, patch]`
    pub weight: Param<Tensor<4>>,
    /// `[width]`
    pub bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    fn new(patch_size: usize, width: usize, device: &Device) -> Self {
        let weight = zeros([width, 3, patch_size, patch_size], device);
        Self { proj: PatchProjection { weight, bias: zeros([width], device) } }
    }

    /// `[batch, 3, height, width]` → `[batch, rows · columns, features]`, patches in reading order.
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [features, channels, patch, _] = weight.dims();
        let [batch, _, height, width] = images.dims();
        let (rows, columns) = (height / patch, width / patch);
        let patches = images
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, channels * patch * patch]);
        let weight = weight.reshape([features, channels * patch * patch]);
        archaeo_ops::linear(patches, weight, Some(self.proj.bias.val()))
    }
}

/// Vision Transformer.
#[derive(Module, Debug)]
pub struct Vit {
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// `[1, 1, width]`, with a class token.
    pub cls_token: Option<Param<Tensor<3>>>,
    /// `[1, tokens, width]`, learned positions only.
    pub pos_embed: Option<Param<Tensor<3>>>,
    /// Transformer blocks.
    pub blocks: Vec<Block>,
    /// Before the head.
    pub norm: LayerNorm,
    /// `[classes, width]`
    pub head: Linear,
    #[module(skip)]
    config: VitConfig,
}

impl Vit {
    /// A ViT of neutral values.
    ///
    /// # Errors
    /// As [`VitConfig::validate`].
    pub fn new(config: &VitConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let VitConfig { width, depth, heads, mlp_width, dropout, attention_dropout, .. } = *config;
        let patches = (config.image_size / config.patch_size).pow(2);
        let tokens = patches + config.prefix_tokens();
        let block = |layer: usize| {
            let drop_path = config.drop_path * layer as f64 / (depth - 1).max(1) as f64;
            let sizes =
                BlockConfig { width, heads, mlp_width, dropout, attention_dropout, drop_path, epsilon: 1e-6 };
            Block::new(&sizes, device)
        };
        Ok(Self {
            patch_embed: PatchEmbed::new(config.patch_size, width, device),
            cls_token: (config.pooling == Pooling::ClassToken).then(|| zeros([1, 1, width], device)),
            pos_embed: (config.position == Position::Learned).then(|| zeros([1, tokens, width], device)),
            blocks: (0..depth).map(block).collect(),
            norm: LayerNorm::new(width, 1e-6, device),
            head: Linear::new(width, config.classes, true, device),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Logits of normalised images.
    ///
    /// # Shapes
    /// `[batch, 3, height, width]` → `[batch, classes]`
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let [batch, _, height, width_pixels] = images.dims();
        let grid = [height / self.config.patch_size, width_pixels / self.config.patch_size];
        let prefix_tokens = self.config.prefix_tokens();
        let width = self.config.width;

        let mut x = self.patch_embed.forward(images);
        if let Some(token) = &self.cls_token {
            x = Tensor::cat(vec![token.val().expand([batch, 1, width]), x], 1);
        }
        match (&self.pos_embed, self.config.position) {
            (Some(embedding), _) => x = x + embedding.val(),
            (None, Position::Sine) => {
                x = x.clone() + sine_positions(grid, prefix_tokens, width, &x.device());
            }
            (None, _) => {}
        }
        x = pass.dropout(x, self.config.dropout, "token dropout");

        self.forward_from(0, x, grid, pass)
    }

    /// Logits from the residual stream as block `layer` receives it, for a pass that resumes there: to the last bit what
    /// [`Vit::forward`] gives. `grid` is the patch tokens as rows and columns.
    ///
    /// # Shapes
    /// `[batch, tokens, width]` → `[batch, classes]`
    pub fn forward_from(
        &self,
        layer: usize,
        mut x: Tensor<3>,
        grid: [usize; 2],
        pass: &mut Pass,
    ) -> Tensor<2> {
        let [batch, _, width] = x.dims();
        let prefix_tokens = self.config.prefix_tokens();
        for (layer, block) in self.blocks.iter().enumerate().skip(layer) {
            x = block.forward(x, &AttentionSite { layer, grid, prefix_tokens }, pass);
        }
        let x = self.norm.forward(x);
        let pooled = match self.config.pooling {
            Pooling::ClassToken => x.narrow(1, 0, 1),
            Pooling::Mean => x.mean_dim(1),
        };
        self.head.forward(pooled.reshape([batch, width]))
    }
}

/// Fixed two-dimensional positions: sines and cosines of the row in the first half of the width, of the column in the
/// second, at frequencies 10000^(−i / (width/4)) (Vaswani et al., 2017, section 3.5, on each axis); zeros for prefix
/// tokens.
///
/// # Shapes
/// → `[1, prefix_tokens + rows · columns, width]`; `width` is divisible by 4
pub fn sine_positions(grid: [usize; 2], prefix_tokens: usize, width: usize, device: &Device) -> Tensor<3> {
    let quarter = width / 4;
    let mut values = vec![0f32; prefix_tokens * width];
    for row in 0..grid[0] {
        for column in 0..grid[1] {
            for position in [row, column] {
                let angle = |i: usize| position as f64 / 10_000f64.powf(i as f64 / quarter as f64);
                values.extend((0..quarter).map(|i| angle(i).sin() as f32));
                values.extend((0..quarter).map(|i| angle(i).cos() as f32));
            }
        }
    }
    let tokens = prefix_tokens + grid[0] * grid[1];
    Tensor::from_data(TensorData::new(values, [1, tokens, width]), device)
}
