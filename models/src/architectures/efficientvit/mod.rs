//! EfficientViT of Microsoft Research (Liu et al., 2023, arXiv 2305.07027), with timm's parameter names: a stem of overlapping patches, three
//! stages of blocks in which one attention stands between convolutions and MLPs, and heads that form a cascade. (MIT's
//! EfficientViT is another architecture.)

mod architecture;
mod attention;
mod config;
mod layers;
mod libraries;

use archaeo_ops::Precision;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use self::attention::{CascadedGroupAttention, Relu};
pub use self::config::EfficientVitConfig;
use self::layers::add_branch;
pub use self::layers::{
    ChannelLinear, ConvMlp, ConvNorm, EfficientVitDownsample, EfficientVitPatchEmbed, PatchMerge, Residual,
    SqueezeExcite,
};
use crate::forward::{ForwardPass, Tokens, Transformer};
use crate::layers::{BatchNorm2d, Linear};
use crate::pass::Pass;
use crate::probe::{AttentionSite, TokenPlace, TokenSite};
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::SpecError;
use crate::transformer::drop_path_at;

/// Attention within windows; timm's names have a level for the windows and one for the residual around them.
#[derive(Module, Debug)]
pub struct LocalWindowAttention {
    /// Attention of one window.
    pub attn: CascadedGroupAttention,
}

/// The attention of a block with its shortcut.
#[derive(Module, Debug)]
pub struct Mixer {
    /// The attention.
    pub m: LocalWindowAttention,
}

/// Convolution, MLP, attention, convolution and MLP, each with its shortcut (figure 5): the paper's sandwich layout.
#[derive(Module, Debug)]
pub struct EfficientVitBlock {
    /// 3×3 convolution of each channel.
    pub dw0: Residual<ConvNorm>,
    /// MLP of each position.
    pub ffn0: Residual<ConvMlp>,
    /// Attention.
    pub mixer: Mixer,
    /// 3×3 convolution of each channel.
    pub dw1: Residual<ConvNorm>,
    /// MLP of each position.
    pub ffn1: Residual<ConvMlp>,
    drop_path: f64,
}

/// `[batch, tokens, width]` → `[batch, width, rows, columns]`
fn map_of(tokens: Tensor<3>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [batch, _, width] = tokens.dims();
    tokens.reshape([batch, rows, columns, width]).permute([0, 3, 1, 2])
}

/// `[batch, width, rows, columns]` → `[batch, tokens, width]`
fn tokens_of(map: Tensor<4>) -> Tensor<3> {
    let [batch, width, rows, columns] = map.dims();
    map.reshape([batch, width, rows * columns]).swap_dims(1, 2)
}

impl EfficientVitBlock {
    fn new(config: &EfficientVitConfig, stage: usize, drop_path: f64, device: &Device) -> Self {
        let EfficientVitConfig { widths, heads, kernels, key_dim, .. } = config;
        let (width, side) = (widths[stage], config.window_side(stage));
        let attn = CascadedGroupAttention::new(width, *key_dim, &kernels[..heads[stage]], side, device);
        Self {
            dw0: Residual::<ConvNorm>::depthwise(width, true, drop_path, device),
            ffn0: Residual::<ConvMlp>::mlp(width, drop_path, device),
            mixer: Mixer { m: LocalWindowAttention { attn } },
            dw1: Residual::<ConvNorm>::depthwise(width, true, drop_path, device),
            ffn1: Residual::<ConvMlp>::mlp(width, drop_path, device),
            drop_path,
        }
    }

    /// `[batch, tokens, width]` → the same.
    fn forward(&self, x: Tensor<3>, site: &AttentionSite, pass: &mut Pass) -> Tensor<3> {
        let AttentionSite { layer, grid, .. } = *site;
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: 0 };

        let x = pass.probe.tokens(&at(TokenPlace::BlockInput), x);
        let map = self.dw0.forward(map_of(x, grid), format!("first convolution path {layer}"), pass);
        let map = self.ffn0.forward(map, format!("first mlp path {layer}"), pass);
        let x = pass.probe.tokens(&at(TokenPlace::BeforeAttention), tokens_of(map));
        let attended = pass.probe.tokens(&at(TokenPlace::AttentionInput), x.clone());
        let path = (self.drop_path, format!("attention path {layer}"));
        let map = add_branch(map_of(x, grid), path, pass, |then, pass| {
            self.mixer.m.attn.forward(attended, site, then, pass)
        });
        self.after_attention(tokens_of(map), layer, grid, pass)
    }

    /// From the residual stream after the attention to the block's output.
    fn after_attention(&self, x: Tensor<3>, layer: usize, grid: [usize; 2], pass: &mut Pass) -> Tensor<3> {
        let at = |place| TokenSite { layer, place, grid, prefix_tokens: 0 };

        let x = pass.probe.tokens(&at(TokenPlace::AfterAttention), x);
        let map = self.dw1.forward(map_of(x, grid), format!("convolution path {layer}"), pass);
        let map = self.ffn1.forward(map, format!("mlp path {layer}"), pass);
        pass.probe.tokens(&at(TokenPlace::BlockOutput), tokens_of(map))
    }
}

/// Blocks on maps of one size.
#[derive(Module, Debug)]
pub struct EfficientVitStage {
    /// Before the blocks; none in the first stage.
    pub downsample: Option<EfficientVitDownsample>,
    /// The blocks.
    pub blocks: Vec<EfficientVitBlock>,
}

/// The head, over the mean of all tokens.
#[derive(Module, Debug)]
pub struct EfficientVitHead {
    /// Batch norm of the mean: what it returns are the model's features.
    pub bn: BatchNorm2d,
    /// `[classes, width]`
    pub linear: Linear,
}

/// EfficientViT.
#[derive(Module, Debug)]
pub struct EfficientVit {
    /// Images to the first map.
    pub patch_embed: EfficientVitPatchEmbed,
    /// Stages, each on half the side of the previous one.
    pub stages: Vec<EfficientVitStage>,
    /// Classifier; a model without it is a backbone.
    pub head: Option<EfficientVitHead>,
    #[module(skip)]
    config: EfficientVitConfig,
}

impl EfficientVit {
    /// An EfficientViT with placeholder weights.
    ///
    /// # Errors
    /// As [`EfficientVitConfig::validate`].
    pub fn new(config: &EfficientVitConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let widths = &config.widths;
        let mut layer = 0;
        let mut stage = |index: usize| {
            let mut block = |_| {
                let drop_path = drop_path_at(layer, config.blocks(), config.drop_path);
                layer += 1;
                EfficientVitBlock::new(config, index, drop_path, device)
            };
            EfficientVitStage {
                downsample: (index > 0)
                    .then(|| EfficientVitDownsample::new([widths[index - 1], widths[index]], device)),
                blocks: (0..config.depths[index]).map(&mut block).collect(),
            }
        };
        let stages: Vec<EfficientVitStage> = (0..widths.len()).map(&mut stage).collect();
        let last = widths[widths.len() - 1];
        let head = || EfficientVitHead {
            bn: BatchNorm2d::new(last, device),
            linear: Linear::new(last, config.classes, true, device),
        };
        Ok(Self {
            patch_embed: EfficientVitPatchEmbed::new(widths[0], device),
            stages,
            head: (config.classes > 0).then(head),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &EfficientVitConfig {
        &self.config
    }

    /// The stage of block `layer`, counted through all stages, and the block's place in it.
    fn place(&self, layer: usize) -> (usize, usize) {
        let mut index = layer;
        let mut stage = 0;
        while index >= self.stages[stage].blocks.len() {
            index -= self.stages[stage].blocks.len();
            stage += 1;
        }
        (stage, index)
    }
}

/// The features are the mean of all tokens of the last stage after the batch norm of the head.
impl ForwardPass for EfficientVit {
    fn feature_dim(&self) -> usize {
        *self.config.widths.last().expect("a model has a stage")
    }

    fn classifier(&self) -> Option<&Linear> {
        self.head.as_ref().map(|head| &head.linear)
    }

    fn transformer(&self) -> Option<&dyn Transformer> {
        Some(self)
    }
}

impl Transformer for EfficientVit {
    fn depth(&self) -> usize {
        self.config.blocks()
    }

    fn heads(&self, layer: usize) -> usize {
        let (stage, _) = self.place(layer);
        self.config.heads[stage]
    }

    fn cascaded(&self) -> bool {
        true
    }

    fn prefix(&self) -> PrefixTokens {
        PrefixTokens::NONE
    }

    fn read_out(&self) -> ReadOut {
        ReadOut::MeanOfPatches
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens {
        let map = self.patch_embed.forward(images, pass);
        let [_, _, rows, columns] = map.dims();
        Tokens { values: tokens_of(map), grid: [rows, columns] }
    }

    fn block(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        let (stage, index) = self.place(layer);
        let window = Some(self.config.window(stage, grid));
        let site = AttentionSite { layer, grid, prefix: self.prefix(), read_out: self.read_out(), window };
        let values = self.stages[stage].blocks[index].forward(values, &site, pass);
        self.onwards(layer, Tokens { values, grid }, pass)
    }

    fn after_attention(&self, layer: usize, Tokens { values, grid }: Tokens, pass: &mut Pass) -> Tokens {
        let (stage, index) = self.place(layer);
        let values = self.stages[stage].blocks[index].after_attention(values, layer, grid, pass);
        self.onwards(layer, Tokens { values, grid }, pass)
    }

    /// The last block of a stage is followed by the downsampling at the start of the next one.
    fn onwards(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens {
        let (stage, index) = self.place(layer);
        let last = index + 1 == self.stages[stage].blocks.len();
        let following = self.stages.get(stage + 1).filter(|_| last);
        match following.and_then(|stage| stage.downsample.as_ref()) {
            Some(downsample) => {
                let map = downsample.forward(map_of(tokens.values, tokens.grid), pass);
                let [_, _, rows, columns] = map.dims();
                Tokens { values: tokens_of(map), grid: [rows, columns] }
            }
            None => tokens,
        }
    }

    fn head_contribution(
        &self,
        layer: usize,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        let (stage, index) = self.place(layer);
        self.stages[stage].blocks[index].mixer.m.attn.head_contribution(head, output, precision)
    }

    fn pool(&self, tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        let [batch, _, width] = tokens.values.dims();
        let mean = tokens.values.mean_dim(1).reshape([batch, width]);
        match &self.head {
            Some(head) => {
                let features = head.bn.forward_features(mean, pass);
                pass.dropout(features, self.config.dropout, "head dropout")
            }
            None => mean,
        }
    }
}
