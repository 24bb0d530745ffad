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

/// `x · σ(1.702 x)`, the approximation of GELU with which OpenAI trained CLIP (Hendrycks & Gimpel, 2016, section 2).
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x * 1.702)
}

/// `silu(gate) · value`, where the last axis of `x` holds the gate and then the value (Shazeer, "GLU variants improve
/// Transformer", 2020).
///
/// # Shapes
/// `[.., 2 · hidden]` → `[.., hidden]`
pub fn swiglu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let [gate, value] = x.chunk(2, D - 1).try_into().expect("the last axis is even");
    activation::silu(gate) * value
}

/// `max(x, 0)`.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}
