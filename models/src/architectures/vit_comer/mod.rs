//! ViT-CoMer (Xia et al., 2024, <https://arxiv.org/abs/2403.07392>): a plain vision transformer next to a pyramid of convolutional maps,
//! with an exchange in both directions before and after each of its stages. A backbone for dense prediction.
//!
//! With `C` the three maps of the pyramid and `x` the tokens of the patches, a stage computes
//!
//! - `C ← mrfp(C)`, and `x` is added to the map of the patches' grid;
//! - `x ← x + γ · Σ resized(a + mlp(norm(a)))`, where `a = attention(norm(C), norm(C))` over all maps;
//! - `x ← blocks(x)`;
//! - `x` is added to the map of the patches' grid once more, `C ← C + attention(norm(C), norm(C))`, `C ← C + mlp(norm(C))`.
//!
//! The result is four maps, each plus the tokens at its size, after a batch norm. The released code gives the pyramid two norms in a row
//! before the last step, a second GELU in `mrfp`, and four more exchanges after the last stage; here each norm and activation is there once.
//! Patches of 4 and 8 px, for small images, have a stem with fewer strides.

mod architecture;
mod config;
mod deformable;
mod interaction;
mod mask_head;
mod pyramid;

use archaeo_ops::{self as ops, Precision, global_mean_pool};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

pub use self::config::VitComerConfig;
pub use self::deformable::DeformableAttention;
use self::interaction::EPSILON;
pub use self::interaction::{PyramidAttention, ToVit};
pub use self::mask_head::MaskHead;
pub use self::pyramid::{ComerStem, DepthwiseConv, Grids, Mrfp, PyramidMlp, ReceptiveFields};
use self::pyramid::{map_of, resized, tokens_of};
use crate::forward::{ForwardPass, Segmentation};
use crate::layers::{BatchNorm2d, Linear, zeros};
use crate::pass::Pass;
use crate::patches::PatchEmbed;
use crate::probe::{AttentionSite, FeatureSite};
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::SpecError;
use crate::transformer::{Block, BlockConfig};

/// Blocks of the transformer, and what they exchange with the pyramid.
#[derive(Module, Debug)]
pub struct ComerStage {
    /// Of the pyramid.
    pub mrfp: Mrfp,
    /// Before the blocks.
    pub to_vit: ToVit,
    /// Transformer blocks.
    pub blocks: Vec<Block>,
    /// After the blocks.
    pub to_pyramid: PyramidAttention,
}

impl ComerStage {
    fn new(config: &VitComerConfig, device: &Device) -> Self {
        let block = BlockConfig::plain(config.width, config.heads, EPSILON);
        Self {
            mrfp: Mrfp::new(config.width, device),
            to_vit: ToVit::new(config, device),
            blocks: (0..config.depth / config.stages).map(|_| Block::new(&block, device)).collect(),
            to_pyramid: PyramidAttention::new(config, device),
        }
    }

    /// `stage` is counted from 0.
    fn forward(&self, mut state: Branches, stage: usize, grids: &Grids, pass: &mut Pass) -> Branches {
        let Branches { tokens, places } = &mut state;
        *places = grids.with_tokens(self.mrfp.forward(places.clone(), grids, pass), tokens.clone());
        *tokens = self.to_vit.forward(tokens.clone(), places.clone(), grids, pass.precision);
        let [_, grid, _] = grids.levels();
        for (index, block) in self.blocks.iter().enumerate() {
            // The tokens alone do not decide what follows, so that probes see them as maps and not as a residual stream to resume from.
            let mut unseen = ();
            let mut quiet = Pass {
                probe: &mut unseen,
                precision: pass.precision,
                training: pass.training.as_deref_mut(),
            };
            let layer = stage * self.blocks.len() + index;
            let (prefix, read_out) = (PrefixTokens::NONE, ReadOut::MeanOfPatches);
            let site = AttentionSite { layer, grid, prefix, read_out, window: None };
            *tokens = block.forward(tokens.clone(), &site, &mut quiet);
        }
        let site = FeatureSite { stage: stage + 1, block: 0, last: false };
        *tokens = tokens_of(pass.probe.features(&site, map_of(tokens.clone(), grid)));
        let joined = grids.with_tokens(places.clone(), tokens.clone());
        *places = self.to_pyramid.forward(joined, grids, pass.precision);
        state
    }
}

/// Tokens of the patches and places of the pyramid between two stages.
struct Branches {
    tokens: Tensor<3>,
    places: Tensor<3>,
}

/// A transposed convolution of kernel and stride 2, to twice the side.
#[derive(Module, Debug)]
pub struct Upsample {
    /// `[in, out, 2, 2]`
    pub weight: Param<Tensor<4>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Upsample {
    fn new(width: usize, device: &Device) -> Self {
        Self { weight: zeros([width, width, 2, 2], device), bias: zeros([width], device) }
    }

    /// `[batch, rows · columns, in]` → `[batch, out, 2 · rows, 2 · columns]`
    fn forward(&self, tokens: Tensor<3>, [rows, columns]: [usize; 2], precision: Precision) -> Tensor<4> {
        let [batch, places, inputs] = tokens.dims();
        let weight = self.weight.val();
        let outputs = weight.dims()[1];
        let weight = weight.permute([2, 3, 1, 0]).reshape([4 * outputs, inputs]);
        let bias = self.bias.val().reshape([1, outputs]).expand([4, outputs]).reshape([4 * outputs]);
        let corners = ops::linear(tokens.reshape([batch * places, inputs]), weight, Some(bias), precision);
        let corners = corners.reshape([batch, rows, columns, 2, 2, outputs]);
        corners.permute([0, 5, 1, 3, 2, 4]).reshape([batch, outputs, 2 * rows, 2 * columns])
    }
}

/// ViT-CoMer.
#[derive(Module, Debug)]
pub struct VitComer {
    /// Images to maps.
    pub stem: ComerStem,
    /// Which map a place belongs to, `[3, width]`.
    pub level_embed: Param<Tensor<2>>,
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// `[1, patches, width]`
    pub pos_embed: Param<Tensor<3>>,
    /// Blocks and exchange.
    pub stages: Vec<ComerStage>,
    /// From the finest map of the pyramid to the finest of the answer.
    pub up: Upsample,
    /// Batch norms of the four maps, the finest first.
    pub norms: Vec<BatchNorm2d>,
    /// `[classes, width]`; a model without it is a backbone.
    pub head: Option<Linear>,
    /// Predicts the object's mask.
    pub mask_head: Option<MaskHead>,
    #[module(skip)]
    config: VitComerConfig,
}

impl VitComer {
    /// A ViT-CoMer with placeholder weights.
    ///
    /// # Errors
    /// As [`VitComerConfig::validate`].
    pub fn new(config: &VitComerConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let VitComerConfig { width, classes, .. } = *config;
        Ok(Self {
            stem: ComerStem::new(config, device),
            level_embed: zeros([Grids::LEVELS, width], device),
            patch_embed: PatchEmbed::new(config.patch_size, width, true, device),
            pos_embed: zeros([1, config.grid().pow(2), width], device),
            stages: (0..config.stages).map(|_| ComerStage::new(config, device)).collect(),
            up: Upsample::new(width, device),
            norms: (0..4).map(|_| BatchNorm2d::new(width, device)).collect(),
            head: (classes > 0).then(|| Linear::new(width, classes, true, device)),
            mask_head: (config.mask_width > 0).then(|| MaskHead::new(config, device)),
            config: config.clone(),
        })
    }

    /// Sizes this model was built with.
    pub fn config(&self) -> &VitComerConfig {
        &self.config
    }

    /// The finest map of the stem, and both branches after the last stage.
    fn branches(&self, images: Tensor<4>, grids: &Grids, pass: &mut Pass) -> (Tensor<4>, Branches) {
        let tokens = self.patch_embed.forward(images.clone(), pass.precision);
        let tokens = ops::add(tokens, self.pos_embed.val());
        let (finest, levels) = self.stem.forward(images, pass);
        let width = self.config.width;
        let embed = grids.levels().into_iter().enumerate().map(|(level, [rows, columns])| {
            let of_level = self.level_embed.val().narrow(0, level, 1);
            of_level.reshape([1, 1, width]).expand([1, rows * columns, width])
        });
        let places = ops::add(Tensor::cat(levels.into(), 1), Tensor::cat(embed.collect(), 1));
        let mut branches = Branches { tokens, places };
        for (stage, exchange) in self.stages.iter().enumerate() {
            branches = exchange.forward(branches, stage, grids, pass);
        }
        (finest, branches)
    }

    /// Grids of the pyramid of normalised images.
    fn grids(&self, images: &Tensor<4>) -> Grids {
        let [_, _, height, width] = images.dims();
        Grids::around([height, width].map(|side| side / self.config.patch_size))
    }

    /// The map at the size of the patches, for the pyramid's middle map and the tokens, both `[batch, patches, width]`.
    fn middle(&self, places: Tensor<3>, tokens: Tensor<3>, grid: [usize; 2], pass: &mut Pass) -> Tensor<4> {
        let map = self.norms[2].forward_map(map_of(ops::add(places, tokens), grid), pass);
        let site = FeatureSite { stage: self.stages.len() + 1, block: 0, last: true };
        pass.probe.features(&site, map)
    }
}

/// The features are the mean of the map at the size of the patches.
impl ForwardPass for VitComer {
    fn feature_dim(&self) -> usize {
        self.config.width
    }

    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let grids = self.grids(&images);
        let (_, Branches { tokens, places }) = self.branches(images, &grids, pass);
        let ([_, same, _], [_, grid, _]) = (grids.split(places), grids.levels());
        global_mean_pool(self.middle(same, tokens, grid, pass))
    }

    fn classifier(&self) -> Option<&Linear> {
        self.head.as_ref()
    }

    fn segmentation(&self) -> Option<&dyn Segmentation> {
        self.mask_head.as_ref().map(|_| self as &dyn Segmentation)
    }
}

impl Segmentation for VitComer {
    fn masks(&self, images: Tensor<4>, pass: &mut Pass) -> (Tensor<3>, Tensor<2>) {
        let head = self.mask_head.as_ref().expect("only a model with this head is a segmentation");
        let [_, _, height, width] = images.dims();
        let grids = self.grids(&images);
        let (finest, Branches { tokens, places }) = self.branches(images, &grids, pass);
        let [fine, same, coarse] = grids.split(places);
        let [fine_grid, grid, coarse_grid] = grids.levels();
        let finest_grid = fine_grid.map(|side| 2 * side);

        let stem = map_of(self.stem.proj[0].forward(tokens_of(finest), pass.precision), finest_grid);
        let finest = ops::add(stem, self.up.forward(fine.clone(), fine_grid, pass.precision));
        let vit = map_of(tokens.clone(), grid);
        let with_vit = |map: Tensor<4>, grid: [usize; 2]| ops::add(map, resized(vit.clone(), grid));
        let finest = self.norms[0].forward_map(with_vit(finest, finest_grid), pass);
        let fine = self.norms[1].forward_map(with_vit(map_of(fine, fine_grid), fine_grid), pass);
        let middle = self.middle(same, tokens, grid, pass);
        let coarse = self.norms[3].forward_map(with_vit(map_of(coarse, coarse_grid), coarse_grid), pass);
        let features = global_mean_pool(middle.clone());
        (head.forward([finest, fine, middle, coarse], [height, width], pass), features)
    }
}
