//! Vision Transformer (Dosovitskiy et al., 2021) and its direct descendants: DeiT with its distillation token (Touvron et
//! al., 2021), DINOv2 (Oquab et al., 2024) with and without registers (Darcet et al., 2024), CLIP's image tower (Radford
//! et al., 2021). The parameters have timm's names.

mod architecture;
mod config;
mod google;
mod infer;
mod libraries;
pub(crate) mod names;
mod positions;
pub(crate) mod presets;

use archaeo_ops::{self as ops, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

pub use self::config::{Pooling, Position, PositionResampling, VitConfig};
pub use self::positions::sine_positions;
pub(crate) use self::positions::{are_fixed, fixed_positions, resample_positions};
use crate::forward::{ForwardPass, Tokens, Transformer};
use crate::layers::{LayerNorm, Linear, zeros};
use crate::pass::Pass;
use crate::patches::PatchEmbed;
use crate::probe::AttentionSite;
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::SpecError;
use crate::transformer::{Block, BlockConfig, drop_path_at};

/// Vision Transformer.
#[derive(Module, Debug)]
pub struct Vit {
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// `[1, 1, width]`
    pub cls_token: Option<Param<Tensor<3>>>,
    /// `[1, 1, width]`, of a distilled model.
    pub dist_token: Option<Param<Tensor<3>>>,
    /// `[1, registers, width]`
    pub reg_token: Option<Param<Tensor<3>>>,
    /// `[1, tokens, width]`, learned positions only; for all tokens or for the patches only.
    pub pos_embed: Option<Param<Tensor<3>>>,
    /// Before the first block.
    pub norm_pre: Option<LayerNorm>,
    /// Transformer blocks.
    pub blocks: Vec<Block>,
    /// Before the pooling.
    pub norm: Option<LayerNorm>,
    /// After the pooling.
    pub fc_norm: Option<LayerNorm>,
    /// `[classes, features]`; a model without it is a backbone.
    pub head: Option<Linear>,
    /// `[classes, width]`, reads the distillation token.
    pub head_dist: Option<Linear>,
    #[module(skip)]
    config: VitConfig,
}

impl Vit {
    /// A ViT with placeholder weights.
    ///
    /// # Errors
    /// As [`VitConfig::validate`].
    pub fn new(config: &VitConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let VitConfig { width, depth, heads, mlp_width, classes, epsilon, .. } = *config;
        let learned = matches!(config.position, Position::Learned | Position::LearnedOnPatches);
        let placed = config.placed_prefix_tokens() + config.grid().pow(2);
        let block = |layer: usize| {
            let sizes = BlockConfig {
                width,
                heads,
                qkv_bias: true,
                mlp_width,
                feed_forward: config.feed_forward,
                layer_scale: config.layer_scale,
                dropout: config.dropout,
                attention_dropout: config.attention_dropout,
                drop_path: drop_path_at(layer, depth, config.drop_path),
                epsilon,
            };
            Block::new(&sizes, device)
        };
        let token = |wanted: bool| wanted.then(|| zeros([1, 1, width], device));
        let norm = |wanted: bool| wanted.then(|| LayerNorm::new(width, epsilon, device));
        let head = |wanted: bool, features| wanted.then(|| Linear::new(features, classes, true, device));
        let registers = config.registers;
        Ok(Self {
            patch_embed: PatchEmbed::new(config.patch_size, width, !config.pre_norm, device),
            cls_token: token(config.has_class_token()),
            dist_token: token(config.distilled),
            reg_token: (registers > 0).then(|| zeros([1, registers, width], device)),
            pos_embed: learned.then(|| zeros([1, placed, width], device)),
            norm_pre: norm(config.pre_norm),
            blocks: (0..depth).map(block).collect(),
            norm: norm(!config.norm_after_pooling),
            fc_norm: config.norm_after_pooling.then(|| LayerNorm::new(config.features(), epsilon, device)),
            head: head(classes > 0, config.features()),
            head_dist: head(classes > 0 && config.distilled, width),
            config: config.clone(),
        })
    }

    /// Sizes and variants this model was built with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    fn site(&self, layer: usize, grid: [usize; 2]) -> AttentionSite {
        AttentionSite { layer, grid, prefix: self.prefix(), read_out: self.read_out(), window: None }
    }

    /// Patches `[batch, patches, width]` → `[batch, tokens, width]`: prefix tokens prepended, positions added.
    fn with_positions(&self, patches: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let [batch, _, width] = patches.dims();
        let prefix = |patches: Tensor<3>| {
            let tokens = [&self.cls_token, &self.dist_token, &self.reg_token].into_iter().flatten();
            let expanded = tokens.map(|token| token.val()).map(|token| {
                let count = token.dims()[1];
                token.expand([batch, count, width])
            });
            let parts: Vec<Tensor<3>> = expanded.chain([patches.clone()]).collect();
            if parts.len() == 1 { patches } else { Tensor::cat(parts, 1) }
        };
        match (self.config.position, &self.pos_embed) {
            (Position::LearnedOnPatches, Some(embedding)) => prefix(ops::add(patches, embedding.val())),
            (_, Some(embedding)) => ops::add(prefix(patches), embedding.val()),
            (Position::Sine, None) => {
                let device = patches.device();
                let positions = sine_positions(grid, self.config.prefix_tokens(), width, &device);
                ops::add(prefix(patches), positions)
            }
            (_, None) => prefix(patches),
        }
    }
}

/// The features are the output of `norm` or `fc_norm`: the class token, the mean of the patches, or both concatenated. In a
/// distilled model with both heads, the class token followed by the distillation token.
impl ForwardPass for Vit {
    fn feature_dim(&self) -> usize {
        self.config.features() + if self.head_dist.is_some() { self.config.width } else { 0 }
    }

    fn head(&self, features: Tensor<2>, precision: Precision) -> Tensor<2> {
        let mut heads = self.logits_by_head(features, precision);
        match heads.pop() {
            Some(last) if !heads.is_empty() => (heads.remove(0) + last) / 2.0,
            last => last.expect("there is at least one"),
        }
    }

    fn logits_by_head(&self, features: Tensor<2>, precision: Precision) -> Vec<Tensor<2>> {
        match (&self.head, &self.head_dist) {
            (Some(head), Some(head_dist)) => {
                let width = self.config.width;
                let token = |index: usize| features.clone().narrow(1, index * width, width);
                vec![head.forward(token(0), precision), head_dist.forward(token(1), precision)]
            }
            (Some(head), None) => vec![head.forward(features, precision)],
            (None, _) => vec![features],
        }
    }

    fn transformer(&self) -> Option<&dyn Transformer> {
        Some(self)
    }
}

impl Transformer for Vit {
    fn depth(&self) -> usize {
        self.blocks.len()
    }

    fn heads(&self, _: usize) -> usize {
        self.config.heads
    }

    /// Determined by the tokens that exist.
    fn prefix(&self) -> PrefixTokens {
        PrefixTokens {
            class: self.cls_token.is_some(),
            distillation: self.dist_token.is_some(),
            registers: self.config.registers,
        }
    }

    /// A distilled model reads both tokens only if it has both heads.
    fn read_out(&self) -> ReadOut {
        match self.config.pooling {
            Pooling::ClassToken if self.head_dist.is_some() => ReadOut::ClassAndDistillationTokens,
            Pooling::ClassToken => ReadOut::ClassToken,
            Pooling::Mean | Pooling::MeanBesideClassToken => ReadOut::MeanOfPatches,
            Pooling::ClassTokenAndMean => ReadOut::ClassTokenAndMean,
        }
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens {
        let [_, _, height, width] = images.dims();
        let grid = [height / self.config.patch_size, width / self.config.patch_size];
        let patches = self.patch_embed.forward(images, pass.precision);
        let mut values = self.with_positions(patches, grid);
        values = pass.dropout(values, self.config.dropout, "token dropout");
        if let Some(norm) = &self.norm_pre {
            values = norm.forward(values);
        }
        Tokens { values, grid }
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
        self.blocks[layer].head_contribution(head, output, precision)
    }

    fn last_block(&self, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        let layer = self.blocks.len() - 1;
        match self.read_out().leading() {
            // A product's operands are rounded before it, so that in bf16 its order cannot be changed.
            Some(read) if pass.precision == Precision::F32 && pass.training.is_none() => {
                let site = self.site(layer, grid);
                Tokens { values: self.blocks[layer].forward_leading(values, read, &site, pass), grid }
            }
            _ => self.block(layer, Tokens { values, grid }, pass),
        }
    }

    fn pool(&self, tokens: Tokens, _: &mut Pass) -> Tensor<2> {
        let x = match &self.norm {
            Some(norm) => norm.forward(tokens.values),
            None => tokens.values,
        };
        let [batch, tokens, width] = x.dims();
        let prefix_tokens = self.config.prefix_tokens();
        let token = |index| x.clone().narrow(1, index, 1).reshape([batch, width]);
        let mean =
            || x.clone().narrow(1, prefix_tokens, tokens - prefix_tokens).mean_dim(1).reshape([batch, width]);
        let pooled = match self.config.pooling {
            Pooling::ClassToken => token(0),
            Pooling::Mean | Pooling::MeanBesideClassToken => mean(),
            Pooling::ClassTokenAndMean => Tensor::cat(vec![token(0), mean()], 1),
        };
        let pooled = match &self.fc_norm {
            Some(norm) => norm.forward(pooled),
            None => pooled,
        };
        match &self.head_dist {
            Some(_) => Tensor::cat(vec![pooled, token(1)], 1),
            None => pooled,
        }
    }
}
