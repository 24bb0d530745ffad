//! Convolution and pooling over images in `[batch, channels, height, width]`.

use burn::tensor::{
    Tensor,
    module::{self},
    ops::{ConvOptions, MaxPoolOptions},
};

use crate::{Precision, kernels};

/// Geometry of a square two-dimensional convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Step between output positions, in pixels.
    pub stride: usize,
    /// Zeros added on every side, in pixels.
    pub padding: usize,
    /// Number of independent channel groups.
    pub groups: usize,
}

/// Two-dimensional cross-correlation, as every deep-learning library's "convolution".
///
/// # Shapes
/// `x` `[batch, in, height, width]`, `weight` `[out, in / groups, kernel, kernel]`, `bias` `[out]`
/// → `[batch, out, height', width']`
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Convolution,
    precision: Precision,
) -> Tensor<4> {
    if kernels::serve(&x.device()) {
        let y = kernels::conv2d(x, weight, geometry, precision);
        return match bias {
            Some(bias) => {
                let channels = bias.dims()[0];
                y + bias.reshape([1, channels, 1, 1])
            }
            None => y,
        };
    }
    let Convolution { stride, padding, groups } = geometry;
    module::conv2d(x, weight, bias, ConvOptions::new([stride; 2], [padding; 2], [1, 1], groups))
}

/// Largest value in every `kernel × kernel` window; padding never wins.
///
/// # Shapes
/// `[batch, channels, height, width]` → `[batch, channels, height', width']`
pub fn max_pool2d(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    if kernels::serve(&x.device()) {
        return kernels::max_pool2d(x, [kernel, stride, padding]);
    }
    let options = MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
    module::max_pool2d(x, options)
}

/// Mean over all positions of a feature map.
///
/// # Shapes
/// `[batch, channels, height, width]` → `[batch, channels]`
pub fn global_mean_pool(x: Tensor<4>) -> Tensor<2> {
    if kernels::serve(&x.device()) {
        return kernels::mean_pool(x);
    }
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
}
