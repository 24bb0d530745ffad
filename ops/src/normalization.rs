//! Layer normalisation and batch normalisation.

use burn::tensor::{Tensor, module};

use crate::kernels;

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
    let shape = x.dims();
    let features = shape[D - 1];
    let rows = shape[..D - 1].iter().product::<usize>();
    kernels::layer_norm(x.reshape([rows, features]), weight, bias, epsilon).reshape(shape)
}

/// What a batch-normalisation layer saw of a training batch, cut from the gradient graph.
#[derive(Clone, Debug)]
pub struct BatchMoments {
    /// Mean of each channel, `[channels]`.
    pub mean: Tensor<1>,
    /// Biased (population) variance of each channel, `[channels]`.
    pub variance: Tensor<1>,
    /// Values per channel that both were taken over: batch · height · width.
    pub count: usize,
}

/// Batch normalisation with the batch's own moments (Ioffe & Szegedy, 2015, algorithm 1).
///
/// # Shapes
/// `x` `[batch, channels, height, width]`, `weight` and `bias` `[channels]` → like `x`
pub fn batch_norm_train(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> (Tensor<4>, BatchMoments) {
    let [batch, _, height, width] = x.dims();
    let result = module::batch_norm_train(x, weight, bias, epsilon);
    let moments = BatchMoments {
        mean: result.mean.inner(),
        variance: result.variance.inner(),
        count: batch * height * width,
    };
    (result.output, moments)
}

/// Batch normalisation with given moments, as at evaluation (Ioffe & Szegedy, 2015, algorithm 2).
///
/// # Shapes
/// `x` `[batch, channels, height, width]`, all others `[channels]` → like `x`
pub fn batch_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    epsilon: f64,
) -> Tensor<4> {
    let scale = weight / (variance + epsilon).sqrt();
    let shift = bias - mean * scale.clone();
    let channels = scale.dims()[0];
    x * scale.reshape([1, channels, 1, 1]) + shift.reshape([1, channels, 1, 1])
}
