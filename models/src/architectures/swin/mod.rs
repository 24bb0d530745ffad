//! Swin Transformer (Liu et al., 2021), with timm's parameter names and timm's layout: a stage merges patches before its blocks.

mod architecture;
mod attention;
mod config;
mod libraries;
mod names;

use archaeo_ops::{self as ops, Precision};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use self::attention::WindowAttention;
pub use self::config::SwinConfig;
use crate::attention::project_head;
use crate::forward::{ForwardPass, Tokens, Transformer};
use crate::layers::{LayerNorm, Linear};
use crate::pass::Pass;
use crate::patches::PatchProjection;
use crate::probe::{AttentionSite, TokenPlace, TokenSite};
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::SpecError;
use crate::transformer::{FeedForward, Mlp, add_branch, drop_path_at};
use crate::window::Window;

/// Epsilon of every layer norm.
const EPSILON: f64 = 1e-5;

/// Patch embedding: a projection and a layer norm.
#[derive(Module, Debug)]
pub struct SwinPatchEmbed {
    /// The projection.
    pub proj: PatchProjection,
    /// After it.
    pub norm: LayerNorm,
}

/// `x + attention(norm1(x))`, then `x + mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct SwinBlock {
    /// Layer norm before the attention, `[width]`.
    pub norm1: LayerNorm,
    /// Attention within windows.
    pub attn: WindowAttention,
    /// Layer norm before the MLP, `[width]`.
    pub norm2: LayerNorm,
    /// MLP of two layers.
    pub mlp: Mlp,
    #[module(skip)]
    shifted: bool,
    drop_path: f64,
}

impl SwinBlock {
    fn new(config: &SwinConfig, stage: usize, block: usize, drop_path: f64, device: &Device) -> Self {
        let (width, heads) = (config.width << stage, config.heads[stage]);
        let side = config.side(stage).min(config.window_size);
        let dropout = [config.attention_dropout, config.dropout];
        let hidden = config.mlp_ratio * width;
        Self {
            norm1: LayerNorm::new(width, EPSILON, device),
            attn: WindowAttention::new(width, heads, side, dropout, device),
            norm2: LayerNorm::new(width, EPSILON, device),
            mlp: Mlp::new(width, hidden, FeedForward::Gelu, config.dropout, device),
            shifted: block % 2 == 1,
            drop_path,
        }
    }

    /// `[batch, tokens, width]` → the same.
    fn forward(&self, x: Tensor<3>, window: Window, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, .. } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: 0 };

        let x = pass.probe.tokens(&at(TokenPlace::BlockInput), x);
        let normed = pass.probe.tokens(&at(TokenPlace::AttentionInput), self.norm1.forward(x.clone()));
        let path = (self.drop_path, format!("attention path {layer}"));
        let x = add_branch(x, None, path, pass, |x, pass| self.attn.forward(normed, x, &window, site, pass));
        self.after_attention(x, layer, grid, pass)
    }

    /// From the residual stream after the attention to the block's output.
    fn after_attention(&self, x: Tensor<3>, layer: usize, grid: [usize; 2], pass: &mut Pass) -> Tensor<3> {
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: 0 };

        let x = pass.probe.tokens(&at(TokenPlace::AfterAttention), x);
        let normed = self.norm2.forward(x.clone());
        let path = (self.drop_path, format!("mlp path {layer}"));
        let x = add_branch(x, None, path, pass, |x, pass| self.mlp.forward(normed, x, layer, pass));
        pass.probe.tokens(&at(TokenPlace::BlockOutput), x)
    }
}

/// Four neighbours become one token of twice the width (section 3.1, patch merging).
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// Layer norm over the concatenated values of four neighbours, `[4 · width]`.
    pub norm: LayerNorm,
    /// `[2 · width, 4 · width]`, without bias.
    pub reduction: Linear,
}

impl PatchMerging {
    /// `[batch, rows · columns, width]` → `[batch, ⌈rows / 2⌉ · ⌈columns / 2⌉, 2 · width]`: upper left, lower left, upper
    /// right, lower right; zeros beyond an odd edge.
    fn forward(&self, x: Tensor<3>, grid: [usize; 2], precision: Precision) -> Tensor<3> {
        let [batch, _, width] = x.dims();
        let neighbours = merged_tokens(grid).into_iter().flatten().collect::<Vec<_>>();
        let merged = ops::gather_rows(x, &neighbours).reshape([batch, neighbours.len() / 4, 4 * width]);
        self.reduction.forward(self.norm.forward(merged), precision)
    }
}

/// The four tokens that patch merging joins to each new one, in the order of concatenation; `None`
/// beyond an odd edge.
pub fn merged_tokens([rows, columns]: [usize; 2]) -> Vec<[Option<usize>; 4]> {
    let across = columns.div_ceil(2);
    let token =
        |row: usize, column: usize| (row < rows && column < columns).then_some(row * columns + column);
    (0..rows.div_ceil(2) * across)
        .map(|index| (2 * (index / across), 2 * (index % across)))
        .map(|(row, column)| {
            [(row, column), (row + 1, column), (row, column + 1), (row + 1, column + 1)]
                .map(|(r, c)| token(r, c))
        })
        .collect()
}

/// Blocks over one grid.
#[derive(Module, Debug)]
pub struct SwinStage {
    /// Before the blocks; none in the first stage.
    pub downsample: Option<PatchMerging>,
    /// Transformer blocks; every second one has shifted windows.
    pub blocks: Vec<SwinBlock>,
}

/// The head, over the mean of all tokens.
#[derive(Module, Debug)]
pub struct SwinHead {
    /// `[classes, width]`
    pub fc: Linear,
}

/// Swin Transformer.
#[derive(Module, Debug)]
pub struct Swin {
    /// Patches to tokens.
    pub patch_embed: SwinPatchEmbed,
    /// Stages, each on half the grid of the previous one.
    pub layers: Vec<SwinStage>,
    /// Before the pooling.
    pub norm: LayerNorm,
    /// Classifier; a model without it is a backbone.
    pub head: Option<SwinHead>,
    #[module(skip)]
    config: SwinConfig,
}

impl Swin {
    /// A Swin Transformer with placeholder weights.
    ///
    /// # Errors
    /// As [`SwinConfig::validate`].
    pub fn new(config: &SwinConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let mut layer = 0;
        let mut stage = |index: usize| {
            let width = config.width << index;
            let merging = || PatchMerging {
                norm: LayerNorm::new(2 * width, EPSILON, device),
                reduction: Linear::new(2 * width, width, false, device),
            };
            let mut block = |block: usize| {
                let drop_path = drop_path_at(layer, config.blocks(), config.drop_path);
                layer += 1;
                SwinBlock::new(config, index, block, drop_path, device)
            };
            SwinStage {
                downsample: (index > 0).then(merging),
                blocks: (0..config.depths[index]).map(&mut block).collect(),
            }
        };
        let layers: Vec<SwinStage> = (0..config.depths.len()).map(&mut stage).collect();
        let last_width = config.width << (config.depths.len() - 1);
        let head =
            |classes| (classes > 0).then(|| SwinHead { fc: Linear::new(last_width, classes, true, device) });
        Ok(Self {
            patch_embed: SwinPatchEmbed {
                proj: PatchProjection::new(config.patch_size, config.width, true, device),
                norm: LayerNorm::new(config.width, EPSILON, device),
            },
            layers,
            norm: LayerNorm::new(last_width, EPSILON, device),
            head: head(config.classes),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &SwinConfig {
        &self.config
    }

    /// The stage of block `layer`, counted through all stages, and the block's place in it.
    fn place(&self, layer: usize) -> (usize, usize) {
        let mut index = layer;
        let mut stage = 0;
        while index >= self.layers[stage].blocks.len() {
            index -= self.layers[stage].blocks.len();
            stage += 1;
        }
        (stage, index)
    }
}

/// The features are the mean of all tokens of the last stage after `norm`.
impl ForwardPass for Swin {
    fn feature_dim(&self) -> usize {
        self.config.width << (self.config.depths.len() - 1)
    }

    fn classifier(&self) -> Option<&Linear> {
        self.head.as_ref().map(|head| &head.fc)
    }

    fn transformer(&self) -> Option<&dyn Transformer> {
        Some(self)
    }
}

impl Transformer for Swin {
    fn depth(&self) -> usize {
        self.config.blocks()
    }

    fn heads(&self, layer: usize) -> usize {
        let (stage, _) = self.place(layer);
        self.config.heads[stage]
    }

    fn prefix(&self) -> PrefixTokens {
        PrefixTokens::NONE
    }

    fn read_out(&self) -> ReadOut {
        ReadOut::MeanOfPatches
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens {
        let [_, _, height, width] = images.dims();
        let grid = [height / self.config.patch_size, width / self.config.patch_size];
        Tokens {
            values: self.patch_embed.norm.forward(self.patch_embed.proj.forward(images, pass.precision)),
            grid,
        }
    }

    fn block(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        let SwinConfig { window_size, window_padding, .. } = self.config;
        let (stage, index) = self.place(layer);
        let blocks = &self.layers[stage].blocks;
        let window = Window::on(grid, window_size, blocks[index].shifted, window_padding);
        let (prefix, read_out) = (self.prefix(), self.read_out());
        let site = AttentionSite { layer, grid, prefix, read_out, window: Some(window) };
        let values = blocks[index].forward(values, window, &site, pass);
        self.onwards(layer, Tokens { values, grid }, pass)
    }

    fn after_attention(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        let (stage, index) = self.place(layer);
        let values = self.layers[stage].blocks[index].after_attention(values, layer, grid, pass);
        self.onwards(layer, Tokens { values, grid }, pass)
    }

    fn head_contribution(
        &self,
        layer: usize,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        let (stage, index) = self.place(layer);
        project_head(&self.layers[stage].blocks[index].attn.proj, head, output, precision)
    }

    /// The last block of a stage is followed by the patch merging at the start of the next one.
    fn onwards(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        let (stage, index) = self.place(layer);
        let last = index + 1 == self.layers[stage].blocks.len();
        let following = self.layers.get(stage + 1).filter(|_| last);
        match following.and_then(|stage| stage.downsample.as_ref()) {
            Some(merging) => Tokens {
                values: merging.forward(values, grid, pass.precision),
                grid: grid.map(|length| length.div_ceil(2)),
            },
            None => Tokens { values, grid },
        }
    }

    fn pool(&self, tokens: Tokens, _: &mut Pass) -> Tensor<2> {
        let x = tokens.values;
        let [batch, _, width] = x.dims();
        self.norm.forward(x).mean_dim(1).reshape([batch, width])
    }
}
