//! Dense layers and pointwise activations.

use std::f64::consts::SQRT_2;

use archaeo_kernels::Activation;
use burn::tensor::{Tensor, activation};

use crate::{Precision, kernels};

/// `x · weightᵀ + bias` over the last axis.
///
/// # Shapes
/// `x` `[.., in]`, `weight` `[out, in]`, `bias` `[out]` → `[.., out]`
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    onto(None, x, weight, bias, precision)
}

/// `residual` plus [`linear`], added while the product is still in cache.
///
/// # Shapes
/// As for [`linear`]; `residual` `[.., out]`
pub fn linear_onto<const D: usize>(
    residual: Tensor<D>,
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    onto(Some(residual), x, weight, bias, precision)
}

fn onto<const D: usize>(
    residual: Option<Tensor<D>>,
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    let [out_features, in_features] = weight.dims();
    if kernels::serve(&x.device()) {
        let bias = bias.unwrap_or_else(|| Tensor::zeros([out_features], &weight.device()));
        return kernels::linear(x, weight, bias, residual, precision);
    }
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product::<usize>();
    shape[D - 1] = out_features;
    let mut y = x.reshape([rows, in_features]).matmul(weight.transpose());
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    let y = y.reshape(shape);
    match residual {
        Some(residual) => residual + y,
        None => y,
    }
}

/// `x + addend`, of one shape; or the addend has one image, which is added to all.
///
/// # Shapes
/// `x` `[batch, ..]`, `addend` `[batch, ..]` or `[1, ..]` → like `x`
///
/// # Panics
/// For other shapes.
pub fn add<const D: usize>(x: Tensor<D>, addend: Tensor<D>) -> Tensor<D> {
    let (shape, one) = (x.dims(), addend.dims());
    assert!(
        shape[1..] == one[1..] && (one[0] == 1 || one[0] == shape[0]),
        "an addend of shape {one:?} fits {shape:?}"
    );
    if kernels::serve(&x.device()) { kernels::add(x, addend) } else { x + addend }
}

/// Gaussian error linear unit, exact: `x · Φ(x)` with the error function, not its tanh approximation
/// (Hendrycks & Gimpel, 2016).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernels::serve(&x.device()) {
        return kernels::activation(x, Activation::Gelu);
    }
    // Not Burn's own, which differentiates its exact GELU as the tanh approximation, off by up to 4e-4.
    let twice_the_distribution = (x.clone() / SQRT_2).erf() + 1.0;
    x * twice_the_distribution / 2.0
}

/// `x · σ(1.702 x)`, the approximation of GELU with which OpenAI trained CLIP (Hendrycks & Gimpel, 2016, section 2).
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match kernels::serve(&x.device()) {
        true => kernels::activation(x, Activation::QuickGelu),
        false => x.clone() * activation::sigmoid(x * 1.702),
    }
}

/// `silu(gate) · value`, where the last axis of `x` holds the gate and then the value (Shazeer, "GLU variants improve
/// Transformer", 2020).
///
/// # Shapes
/// `[.., 2 · hidden]` → `[.., hidden]`
pub fn swiglu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernels::serve(&x.device()) {
        return kernels::swiglu(x);
    }
    let [gate, value] = x.chunk(2, D - 1).try_into().expect("the last axis is even");
    activation::silu(gate) * value
}

/// Two fully connected layers with an activation between them, with the bits of [`linear`], [`gelu`] or [`quick_gelu`], and
/// [`linear`]: a single operation, so that the activation and its derivative are applied while products are still in cache.
///
/// # Shapes
/// `x` `[.., width]`, `weights` `[hidden, width]` and `[out, hidden]`, `biases` `[hidden]` and `[out]`; `residual`
/// `[.., out]`, added where there is one → `[.., out]`
pub fn mlp<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<2>; 2],
    biases: [Tensor<1>; 2],
    activation: MlpActivation,
    residual: Option<Tensor<D>>,
    precision: Precision,
) -> Tensor<D> {
    if !kernels::serve(&x.device()) {
        let ([first_weight, second_weight], [first_bias, second_bias]) = (weights, biases);
        let hidden = linear(x, first_weight, Some(first_bias), precision);
        let hidden = match activation {
            MlpActivation::Gelu => gelu(hidden),
            MlpActivation::QuickGelu => quick_gelu(hidden),
        };
        return onto(residual, hidden, second_weight, Some(second_bias), precision);
    }
    let activation = match activation {
        MlpActivation::Gelu => Activation::Gelu,
        MlpActivation::QuickGelu => Activation::QuickGelu,
    };
    kernels::mlp(x, weights, biases, activation, residual, precision)
}

/// Activation between the two layers of [`mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlpActivation {
    /// [`gelu`].
    Gelu,
    /// [`quick_gelu`].
    QuickGelu,
}

/// `max(x, 0)`.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}
