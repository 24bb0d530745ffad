//! Layer normalisation and batch normalisation.

use burn::tensor::{Tensor, module};

use crate::{Convolution, Precision, conv2d, kernels, relu};

/// Normalises the last axis (Ba et al., 2016): `(x − mean) / √(variance + epsilon) · weight + bias`.
///
/// # Shapes
/// `x` `[.., features]`, `weight` and `bias` `[features]` → `[.., features]`
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    if !kernels::serve(&x.device()) {
        return module::layer_norm(x, weight, Some(bias), epsilon);
    }
    kernels::layer_norm(x, weight, bias, epsilon)
}

/// Moments of a batch-normalisation layer on a training batch, detached from the gradient graph.
#[derive(Clone, Debug)]
pub struct BatchMoments {
    /// Mean of each channel, `[channels]`.
    pub mean: Tensor<1>,
    /// Biased (population) variance of each channel, `[channels]`.
    pub variance: Tensor<1>,
    /// Number of values per channel: batch · height · width.
    pub count: usize,
}

/// Epilogue of a channel-wise operation: plus residual, then ReLU, in one pass over memory.
#[derive(Clone, Debug, Default)]
pub struct ChannelEpilogue {
    /// Added, of the shape of the output.
    pub residual: Option<Tensor<4>>,
    /// Whether negative results become zero.
    pub relu: bool,
}

impl ChannelEpilogue {
    /// A ReLU.
    pub fn relu() -> Self {
        Self { residual: None, relu: true }
    }

    /// Plus `residual`, then a ReLU: the end of a residual block.
    pub fn residual_relu(residual: Tensor<4>) -> Self {
        Self { residual: Some(residual), relu: true }
    }

    fn apply(self, y: Tensor<4>) -> Tensor<4> {
        let y = match self.residual {
            Some(residual) => y + residual,
            None => y,
        };
        if self.relu { relu(y) } else { y }
    }
}

/// [`conv2d`] without bias, then batch normalisation with the batch's own moments (Ioffe & Szegedy, 2015, algorithm 1), then
/// `then`. In bfloat16 the convolution's output is rounded too.
///
/// # Shapes
/// `x` and `weight` as in [`conv2d`], the arrays of `affine` (scale and shift) `[out]` → `[batch, out, height', width']`
pub fn conv2d_batch_norm_train(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Convolution,
    affine: [Tensor<1>; 2],
    epsilon: f64,
    then: ChannelEpilogue,
    precision: Precision,
) -> (Tensor<4>, BatchMoments) {
    if !kernels::serve(&x.device()) {
        return batch_norm_train(conv2d(x, weight, None, geometry, precision), affine, epsilon, then);
    }
    let (y, mean, variance) =
        kernels::conv2d_batch_norm(x, weight, geometry, affine, epsilon, then, precision);
    let [batch, _, height, width] = y.dims();
    (y, BatchMoments { mean: mean.inner(), variance: variance.inner(), count: batch * height * width })
}

/// Batch normalisation with the batch's own moments (Ioffe & Szegedy, 2015, algorithm 1), then `then`: for what no convolution
/// precedes.
///
/// # Shapes
/// `x` `[batch, channels, height, width]`, the arrays of `affine` (scale and shift) `[channels]` → like `x`
pub fn batch_norm_train(
    x: Tensor<4>,
    [scale, shift]: [Tensor<1>; 2],
    epsilon: f64,
    then: ChannelEpilogue,
) -> (Tensor<4>, BatchMoments) {
    let [batch, _, height, width] = x.dims();
    let result = module::batch_norm_train(x, scale, shift, epsilon);
    let (mean, variance) = (result.mean.inner(), result.variance.inner());
    (then.apply(result.output), BatchMoments { mean, variance, count: batch * height * width })
}

/// Batch normalisation with given moments, as at evaluation (Ioffe & Szegedy, 2015, algorithm 2), then `then`.
///
/// # Shapes
/// `x` `[batch, channels, height, width]`, the arrays of `affine` and `moments` `[channels]` → like `x`
pub fn batch_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    [mean, variance]: [Tensor<1>; 2],
    epsilon: f64,
    then: ChannelEpilogue,
) -> Tensor<4> {
    let [scale, shift] = folded([weight, bias], [mean, variance], epsilon);
    let channels = scale.dims()[0];
    then.apply(x * scale.reshape([1, channels, 1, 1]) + shift.reshape([1, channels, 1, 1]))
}

/// Scale and shift of each channel equivalent to a batch normalisation with given moments.
fn folded([weight, bias]: [Tensor<1>; 2], [mean, variance]: [Tensor<1>; 2], epsilon: f64) -> [Tensor<1>; 2] {
    let scale = weight / (variance + epsilon).sqrt();
    let shift = bias - mean * scale.clone();
    [scale, shift]
}

/// [`conv2d`] without bias and then [`batch_norm`]; where none of their parameters is differentiated, in one pass.
///
/// # Shapes
/// `x` and `weight` as in [`conv2d`], the arrays of `affine` and `moments` `[out]` → `[batch, out, height', width']`
#[allow(clippy::too_many_arguments, reason = "the arguments of one mathematical operation")]
pub fn conv2d_batch_norm(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Convolution,
    affine: [Tensor<1>; 2],
    moments: [Tensor<1>; 2],
    epsilon: f64,
    then: ChannelEpilogue,
    precision: Precision,
) -> Tensor<4> {
    let constant = !weight.is_tracked() && affine.iter().chain(&moments).all(|array| !array.is_tracked());
    if kernels::serve(&x.device()) && constant {
        return kernels::conv2d_scale_shift(
            x,
            weight,
            geometry,
            folded(affine, moments, epsilon),
            then,
            precision,
        );
    }
    batch_norm(conv2d(x, weight, None, geometry, precision), affine, moments, epsilon, then)
}
