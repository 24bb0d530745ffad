//! BEiT (Bao et al., 2022, arXiv 2106.08254) and BEiT v2 (Peng et al., 2022) as image classifiers, with timm's parameter
//! names: a ViT that encodes positions as a relative bias on each block's attention scores, whose keys have no bias, and whose
//! head reads the mean of the patches.

mod architecture;
mod names;

use archaeo_ops::{self as ops, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::attention::project_head;
use crate::forward::{ForwardPass, Tokens, Transformer};
use crate::layers::{LayerNorm, Linear, constant, zeros};
use crate::pass::Pass;
use crate::patches::PatchEmbed;
use crate::probe::{AttentionSite, TokenPlace, TokenSite};
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::{
    SpecError, check_depths, check_epsilon, check_heads, check_patches, check_rates, check_sizes,
};
use crate::transformer::{FeedForward, Mlp, drop_path_at};

/// Scale of the residual branches of a fresh model (timm's `init_values` for the base size).
const INITIAL_SCALE: f32 = 0.1;

/// Sizes of a BEiT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeitConfig {
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
    /// Epsilon of every layer norm: 1e-6 in timm, 1e-12 in transformers.
    pub epsilon: f64,
    /// Stochastic depth of the last block; earlier blocks have linearly less.
    #[serde(default)]
    pub drop_path: f64,
}

impl BeitConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// One sentence naming the sizes that do not.
    pub fn validate(&self) -> Result<(), SpecError> {
        let Self { image_size, patch_size, width, heads, epsilon, drop_path, .. } = *self;
        check_sizes("image_size", &[image_size])?;
        check_sizes("patch_size", &[patch_size])?;
        check_sizes("width", &[width])?;
        check_depths("depth", &[self.depth])?;
        check_sizes("heads", &[heads])?;
        check_sizes("mlp_width", &[self.mlp_width])?;
        check_sizes("classes", &[self.classes.max(1)])?;
        check_patches(image_size, patch_size)?;
        check_heads(width, heads)?;
        check_epsilon(epsilon)?;
        check_rates(&[("drop_path", drop_path)])
    }

    /// Patches along each side of the image.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// Self-attention with a learned bias for every relative position.
#[derive(Module, Debug)]
pub struct BeitAttention {
    /// Query, key and value stacked along the outputs, `[3 · width, width]`, without bias.
    pub qkv: Linear,
    /// `[width]`
    pub q_bias: Param<Tensor<1>>,
    /// `[width]`
    pub v_bias: Param<Tensor<1>>,
    /// `[(2 · grid − 1)² + 3, heads]`: relative positions in reading order, then class token to patch, patch to class
    /// token, class token to itself.
    pub relative_position_bias_table: Param<Tensor<2>>,
    /// Mixes the heads, `[width, width]`.
    pub proj: Linear,
    heads: usize,
}

impl BeitAttention {
    fn new(config: &BeitConfig, device: &Device) -> Self {
        let BeitConfig { width, heads, .. } = *config;
        let distances = (2 * config.grid() - 1).pow(2) + 3;
        Self {
            qkv: Linear::new(width, 3 * width, false, device),
            q_bias: zeros([width], device),
            v_bias: zeros([width], device),
            relative_position_bias_table: zeros([distances, heads], device),
            proj: Linear::new(width, width, true, device),
            heads,
        }
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    fn forward(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head_dim = width / self.heads;
        let query_bias = self.q_bias.val();
        let bias = Tensor::cat(vec![query_bias.clone(), query_bias.zeros_like(), self.v_bias.val()], 0);
        let precision = pass.precision;
        let packed = ops::linear(x, self.qkv.weight.val(), Some(bias), precision);
        let packed = packed.reshape([batch, tokens, 3, self.heads, head_dim]);
        let scale = (head_dim as f64).powf(-0.5);
        let bias = Some(self.position_bias(site.grid));
        let context = if pass.probe.wants_attention(site) {
            let weights = ops::self_attention_weights(packed.clone(), bias, scale, precision);
            ops::self_attention_context(pass.probe.attention(site, weights), packed, precision)
        } else if let Some(observation) = pass.probe.observation(site) {
            let (context, sums) = ops::observed_self_attention(packed, bias, scale, precision, &observation);
            pass.probe.observed(site, sums);
            context
        } else {
            ops::self_attention(packed, bias, scale, precision)
        };
        let gathered = pass.probe.heads(site, context.swap_dims(1, 2));
        self.proj.forward(gathered.swap_dims(1, 2).reshape([batch, tokens, width]), precision)
    }

    /// `[1, heads, tokens, tokens]`
    fn position_bias(&self, grid: [usize; 2]) -> Tensor<4> {
        let index = relative_positions(grid);
        let tokens = 1 + grid[0] * grid[1];
        let table = self.relative_position_bias_table.val();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [tokens * tokens]), &table.device());
        table.select(0, index).reshape([tokens, tokens, self.heads]).permute([2, 0, 1]).unsqueeze()
    }
}

/// Row of the bias table for each query and key, `(tokens, tokens)`, the class token first.
fn relative_positions(grid: [usize; 2]) -> Vec<i64> {
    let [rows, columns] = grid.map(|side| side as i64);
    let distances = (2 * rows - 1) * (2 * columns - 1);
    let (from_class, to_class, class_itself) = (distances, distances + 1, distances + 2);
    let place = |token: i64| (token / columns, token % columns);
    let patches = rows * columns;
    let mut index = vec![from_class; 1 + patches as usize];
    index[0] = class_itself;
    for query in 0..patches {
        index.push(to_class);
        let (row, column) = place(query);
        index.extend((0..patches).map(place).map(|(key_row, key_column)| {
            (row - key_row + rows - 1) * (2 * columns - 1) + (column - key_column + columns - 1)
        }));
    }
    index
}

/// `x + gamma_1 · attention(norm1(x))`, then `x + gamma_2 · mlp(norm2(x))`.
#[derive(Module, Debug)]
pub struct BeitBlock {
    /// Layer norm before the attention, `[width]`.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: BeitAttention,
    /// Scale of the attention branch, `[width]`.
    pub gamma_1: Param<Tensor<1>>,
    /// Layer norm before the MLP, `[width]`.
    pub norm2: LayerNorm,
    /// MLP of two layers.
    pub mlp: Mlp,
    /// Scale of the MLP branch, `[width]`.
    pub gamma_2: Param<Tensor<1>>,
    drop_path: f64,
}

impl BeitBlock {
    fn forward(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, prefix, .. } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: prefix.count() };

        let x = pass.probe.tokens(&at(TokenPlace::BlockInput), x);
        let normed = pass.probe.tokens(&at(TokenPlace::AttentionInput), self.norm1.forward(x.clone()));
        let attended = scaled(self.attn.forward(normed, site, pass), &self.gamma_1);
        let x = ops::add(x, pass.drop_path(attended, self.drop_path, &format!("attention path {layer}")));
        self.after_attention(x, site, pass)
    }

    /// From the residual stream after the attention to the block's output.
    fn after_attention(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, prefix, .. } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: prefix.count() };

        let x = pass.probe.tokens(&at(TokenPlace::AfterAttention), x);
        let expanded =
            scaled(self.mlp.forward(self.norm2.forward(x.clone()), None, layer, pass), &self.gamma_2);
        let x = ops::add(x, pass.drop_path(expanded, self.drop_path, &format!("mlp path {layer}")));
        pass.probe.tokens(&at(TokenPlace::BlockOutput), x)
    }
}

fn scaled(branch: Tensor<3>, gamma: &Param<Tensor<1>>) -> Tensor<3> {
    branch * gamma.val().unsqueeze()
}

/// BEiT as a classifier.
#[derive(Module, Debug)]
pub struct Beit {
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// `[1, 1, width]`
    pub cls_token: Param<Tensor<3>>,
    /// Transformer blocks.
    pub blocks: Vec<BeitBlock>,
    /// After the mean over patches.
    pub fc_norm: LayerNorm,
    /// `[classes, width]`; a model without it is a backbone.
    pub head: Option<Linear>,
    #[module(skip)]
    config: BeitConfig,
}

impl Beit {
    /// A BEiT with placeholder weights.
    ///
    /// # Errors
    /// As [`BeitConfig::validate`].
    pub fn new(config: &BeitConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let BeitConfig { width, depth, mlp_width, classes, epsilon, .. } = *config;
        let scale = || constant(INITIAL_SCALE, [width], device);
        let block = |layer: usize| BeitBlock {
            norm1: LayerNorm::new(width, epsilon, device),
            attn: BeitAttention::new(config, device),
            gamma_1: scale(),
            norm2: LayerNorm::new(width, epsilon, device),
            mlp: Mlp::new(width, mlp_width, FeedForward::Gelu, 0.0, device),
            gamma_2: scale(),
            drop_path: drop_path_at(layer, depth, config.drop_path),
        };
        Ok(Self {
            patch_embed: PatchEmbed::new(config.patch_size, width, true, device),
            cls_token: zeros([1, 1, width], device),
            blocks: (0..depth).map(block).collect(),
            fc_norm: LayerNorm::new(width, epsilon, device),
            head: (classes > 0).then(|| Linear::new(width, classes, true, device)),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &BeitConfig {
        &self.config
    }

    fn site(&self, layer: usize, grid: [usize; 2]) -> AttentionSite {
        AttentionSite { layer, grid, prefix: self.prefix(), read_out: self.read_out(), window: None }
    }
}

/// The features are the mean of the patches after `fc_norm`.
impl ForwardPass for Beit {
    fn feature_dim(&self) -> usize {
        self.config.width
    }

    fn classifier(&self) -> Option<&Linear> {
        self.head.as_ref()
    }

    fn transformer(&self) -> Option<&dyn Transformer> {
        Some(self)
    }
}

impl Transformer for Beit {
    fn depth(&self) -> usize {
        self.blocks.len()
    }

    fn heads(&self, _: usize) -> usize {
        self.config.heads
    }

    fn prefix(&self) -> PrefixTokens {
        PrefixTokens::CLASS
    }

    fn read_out(&self) -> ReadOut {
        ReadOut::MeanOfPatches
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens {
        let [batch, _, height, width] = images.dims();
        let grid = [height / self.config.patch_size, width / self.config.patch_size];
        let patches = self.patch_embed.forward(images, pass.precision);
        let token = self.cls_token.val().expand([batch, 1, self.config.width]);
        Tokens { values: Tensor::cat(vec![token, patches], 1), grid }
    }

    fn block(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        Tokens { values: self.blocks[layer].forward(values, &self.site(layer, grid), pass), grid }
    }

    fn after_attention(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        Tokens { values: self.blocks[layer].after_attention(values, &self.site(layer, grid), pass), grid }
    }

    fn head_contribution(
        &self,
        layer: usize,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        let block = &self.blocks[layer];
        scaled(project_head(&block.attn.proj, head, output, precision), &block.gamma_1)
    }

    fn pool(&self, tokens: Tokens, _: &mut Pass) -> Tensor<2> {
        let x = tokens.values;
        let [batch, tokens, width] = x.dims();
        self.fc_norm.forward(x.narrow(1, 1, tokens - 1).mean_dim(1).reshape([batch, width]))
    }
}
