//! Dense layers and pointwise activations.

use burn::tensor::{Tensor, activation};

use crate::kernels;

/// `x · weightᵀ + bias` over the last axis.
///
/// # Shapes
/// `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]` → `[.., out]`
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut shape = x.dims();
    let [out_features, in_features] = weight.dims();
    let rows = shape[..D - 1].iter().product::<usize>();
    shape[D - 1] = out_features;
    let x = x.reshape([rows, in_features]);
    let y = if kernels::serve(&x.device()) {
        let bias = bias.unwrap_or_else(|| Tensor::zeros([out_features], &weight.device()));
        kernels::linear(x, weight, bias)
    } else {
        let y = x.matmul(weight.transpose());
        match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        }
    };
    y.reshape(shape)
}

/// Gaussian error linear unit, exact: `x · Φ(x)` with the error function, not its tanh approximation
/// (Hendrycks & Gimpel, 2016).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernels::serve(&x.device()) { kernels::gelu(x) } else { activation::gelu(x) }
}

/// `max(x, 0)`.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}
