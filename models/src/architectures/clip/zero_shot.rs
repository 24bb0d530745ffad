//! An image tower of CLIP as a classifier: an image belongs to the class whose prototype is most similar to its feature.

use archaeo_ops::{self as ops, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::config::ZeroShotConfig;
use crate::architectures::vit::Vit;
use crate::forward::{ForwardPass, Tokens, Transformer};
use crate::layers::{Linear, constant, zeros};
use crate::pass::Pass;
use crate::read_out::{PrefixTokens, ReadOut};
use crate::spec::SpecError;

/// The logarithm of the scale of a fresh model's logits, 1 / 0.07 (Radford et al., 2021, section 2.5).
const INITIAL_LOGIT_SCALE: f32 = 2.659_26;

/// Logits are `exp(logit_scale) · cosine(feature, prototype)`.
#[derive(Module, Debug)]
pub struct ZeroShot {
    /// Image tower.
    pub visual: Vit,
    /// To the space of the prototypes, `[embedding, width]`.
    pub visual_projection: Linear,
    /// `[classes, embedding]`; only their directions matter.
    pub prototypes: Param<Tensor<2>>,
    /// `[1]`
    pub logit_scale: Param<Tensor<1>>,
}

impl ZeroShot {
    /// A classifier with placeholder weights.
    ///
    /// # Errors
    /// As [`ZeroShotConfig::validate`].
    pub fn new(config: &ZeroShotConfig, device: &Device) -> Result<Self, SpecError> {
        config.validate()?;
        let ZeroShotConfig { image, embedding, classes } = config;
        Ok(Self {
            visual: Vit::new(image, device)?,
            visual_projection: Linear::new(image.features(), *embedding, false, device),
            prototypes: zeros([*classes, *embedding], device),
            logit_scale: initial_logit_scale(device),
        })
    }
}

/// The features are CLIP's embedding of an image: projected, of unit length.
impl ForwardPass for ZeroShot {
    fn feature_dim(&self) -> usize {
        self.prototypes.lazy_shape()[1]
    }

    fn features(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let tokens = self.stem(images, pass);
        self.features_from(0, tokens, pass)
    }

    fn head(&self, features: Tensor<2>, precision: Precision) -> Tensor<2> {
        let cosines = ops::linear(features, unit(self.prototypes.val()), None, precision);
        cosines * self.logit_scale.val().exp().unsqueeze()
    }

    fn transformer(&self) -> Option<&dyn Transformer> {
        Some(self)
    }
}

impl Transformer for ZeroShot {
    fn depth(&self) -> usize {
        self.visual.depth()
    }

    fn heads(&self, layer: usize) -> usize {
        self.visual.heads(layer)
    }

    fn prefix(&self) -> PrefixTokens {
        self.visual.prefix()
    }

    fn read_out(&self) -> ReadOut {
        self.visual.read_out()
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tokens {
        self.visual.stem(images, pass)
    }

    fn block(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens {
        self.visual.block(layer, tokens, pass)
    }

    fn after_attention(&self, layer: usize, tokens: Tokens, pass: &mut Pass) -> Tokens {
        self.visual.after_attention(layer, tokens, pass)
    }

    fn head_contribution(
        &self,
        layer: usize,
        head: usize,
        output: Tensor<3>,
        precision: Precision,
    ) -> Tensor<3> {
        self.visual.head_contribution(layer, head, output, precision)
    }

    fn last_block(&self, tokens: Tokens, pass: &mut Pass) -> Tokens {
        self.visual.last_block(tokens, pass)
    }

    fn pool(&self, tokens: Tokens, pass: &mut Pass) -> Tensor<2> {
        let pooled = self.visual.pool(tokens, pass);
        unit(self.visual_projection.forward(pooled, pass.precision))
    }
}

pub(super) fn initial_logit_scale(device: &Device) -> Param<Tensor<1>> {
    constant(INITIAL_LOGIT_SCALE, [1], device)
}

/// Square of the length below which a row has no direction: it stays all but zero.
const SHORTEST: f32 = 1e-24;

/// Each row scaled to unit length.
pub(super) fn unit(rows: Tensor<2>) -> Tensor<2> {
    let lengths = rows.clone().powi_scalar(2).sum_dim(1).clamp_min(SHORTEST).sqrt();
    rows / lengths
}
