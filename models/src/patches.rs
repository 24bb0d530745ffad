//! Images as patches, the tokens of every transformer.

use archaeo_ops::{self as ops, Precision};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::layers::zeros;

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
    pub bias: Option<Param<Tensor<1>>>,
}

impl PatchEmbed {
    pub(crate) fn new(patch_size: usize, width: usize, bias: bool, device: &Device) -> Self {
        Self { proj: PatchProjection::new(patch_size, width, bias, device) }
    }

    /// As [`PatchProjection::forward`].
    pub(crate) fn forward(&self, images: Tensor<4>, precision: Precision) -> Tensor<3> {
        self.proj.forward(images, precision)
    }
}

impl PatchProjection {
    pub(crate) fn new(patch_size: usize, width: usize, bias: bool, device: &Device) -> Self {
        let weight = zeros([width, 3, patch_size, patch_size], device);
        Self { weight, bias: bias.then(|| zeros([width], device)) }
    }

    /// `[batch, 3, height, width]` → `[batch, rows · columns, features]`, patches in reading order.
    pub(crate) fn forward(&self, images: Tensor<4>, precision: Precision) -> Tensor<3> {
        let weight = self.weight.val();
        let [features, channels, patch, _] = weight.dims();
        let patches = ops::patches(images, patch);
        let weight = weight.reshape([features, channels * patch * patch]);
        ops::linear(patches, weight, self.bias.as_ref().map(Param::val), precision)
    }
}
