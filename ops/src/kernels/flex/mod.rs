//! The operations on CPU tensors: shapes read, outputs allocated, kernels called.

mod attention;
mod dense;
mod images;
mod normalization;
mod packed;

use archaeo_kernels::{self as kernels, Activation, Precision, Stored};
use burn::backend::{DType, Flex};
use burn_flex::{FlexTensor, Layout};
use burn_std::{Bytes, Shape};

use super::{FusedConvolution, KernelOperations, LinearSettings};

pub(super) use attention::*;
pub(super) use dense::*;
pub(super) use images::*;
pub(super) use normalization::*;

/// The values of a tensor, which must be contiguous.
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("made contiguous on entry")
}

/// The same tensor with its values in order.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    assert_eq!(x.dtype(), DType::F32, "kernels compute in 32-bit floats");
    if x.as_slice::<f32>().is_some() {
        return x;
    }
    let layout = x.layout();
    let mut y = room(layout.num_elements());
    kernels::copy_strided(x.storage(), layout.start_offset(), layout.shape(), layout.strides(), &mut y);
    tensor(y, layout.shape().clone())
}

/// A tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// A buffer of `length` results, all of which a kernel then writes.
pub(super) fn room<N: Stored>(length: usize) -> Vec<N> {
    kernels::unspecified(length)
}

impl KernelOperations for Flex {
    fn kernel_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        settings: LinearSettings,
    ) -> FlexTensor {
        linear(&contiguous(x), &contiguous(weight), &contiguous(bias), None, settings)
    }

    fn kernel_linear_residual(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        settings: LinearSettings,
    ) -> FlexTensor {
        let [x, weight, bias, residual] = [x, weight, bias, residual].map(contiguous);
        linear(&x, &weight, &bias, Some(&residual), settings)
    }

    fn kernel_add(x: FlexTensor, addend: FlexTensor) -> FlexTensor {
        sum(contiguous(x), &contiguous(addend))
    }

    fn kernel_standardise(images: FlexTensor, mean: Vec<f32>, deviation: Vec<f32>) -> FlexTensor {
        standardise(&contiguous(images), [&mean, &deviation])
    }

    fn kernel_patches(images: FlexTensor, patch: usize) -> FlexTensor {
        patches(&contiguous(images), patch)
    }

    fn kernel_gather_rows(x: FlexTensor, sources: Vec<Option<usize>>) -> FlexTensor {
        gather_rows(&contiguous(x), &sources)
    }

    fn kernel_layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f32) -> FlexTensor {
        layer_norm(&contiguous(x), &contiguous(weight), &contiguous(bias), epsilon).0
    }

    fn kernel_activation(x: FlexTensor, activation: Activation) -> FlexTensor {
        self::activation(&contiguous(x), activation)
    }

    fn kernel_swiglu(x: FlexTensor) -> FlexTensor {
        swiglu(&contiguous(x))
    }

    fn kernel_mlp(
        x: FlexTensor,
        first_weight: FlexTensor,
        first_bias: FlexTensor,
        second_weight: FlexTensor,
        second_bias: FlexTensor,
        activation: Activation,
        settings: LinearSettings,
    ) -> FlexTensor {
        let (weights, biases) = ([first_weight, second_weight], [first_bias, second_bias]);
        let (weights, biases) = (weights.map(contiguous), biases.map(contiguous));
        mlp(&contiguous(x), weights.each_ref(), biases.each_ref(), None, activation, false, settings).0
    }

    fn kernel_mlp_residual(
        x: FlexTensor,
        first_weight: FlexTensor,
        first_bias: FlexTensor,
        second_weight: FlexTensor,
        second_bias: FlexTensor,
        residual: FlexTensor,
        activation: Activation,
        settings: LinearSettings,
    ) -> FlexTensor {
        let (weights, biases) = ([first_weight, second_weight], [first_bias, second_bias]);
        let (weights, biases) = (weights.map(contiguous), biases.map(contiguous));
        let (weights, biases, residual) = (weights.each_ref(), biases.each_ref(), contiguous(residual));
        mlp(&contiguous(x), weights, biases, Some(&residual), activation, false, settings).0
    }

    fn kernel_self_attention_weights(packed: FlexTensor, scale: f32, precision: Precision) -> FlexTensor {
        self_attention_weights(&contiguous(packed), None, scale, precision)
    }

    fn kernel_self_attention_context(
        weights: FlexTensor,
        packed: FlexTensor,
        precision: Precision,
    ) -> FlexTensor {
        self_attention_context(&contiguous(weights), &contiguous(packed), precision)
    }

    fn kernel_self_attention(packed: FlexTensor, scale: f32, precision: Precision) -> FlexTensor {
        self_attention(&contiguous(packed), None, scale, precision)
    }

    fn kernel_biased_self_attention_weights(
        packed: FlexTensor,
        bias: FlexTensor,
        scale: f32,
        precision: Precision,
    ) -> FlexTensor {
        self_attention_weights(&contiguous(packed), Some(&contiguous(bias)), scale, precision)
    }

    fn kernel_biased_self_attention(
        packed: FlexTensor,
        bias: FlexTensor,
        scale: f32,
        precision: Precision,
    ) -> FlexTensor {
        self_attention(&contiguous(packed), Some(&contiguous(bias)), scale, precision)
    }

    fn kernel_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        geometry: [usize; 3],
        precision: Precision,
    ) -> FlexTensor {
        conv2d(&contiguous(x), &contiguous(weight), geometry, precision)
    }

    fn kernel_max_pool2d(x: FlexTensor, window: [usize; 3]) -> FlexTensor {
        max_pool2d(&contiguous(x), window).0
    }

    fn kernel_mean_pool(x: FlexTensor) -> FlexTensor {
        mean_pool(&contiguous(x))
    }

    fn kernel_conv2d_batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
        settings: FusedConvolution,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, weight, gamma, beta] = [x, weight, gamma, beta].map(contiguous);
        let (y, normalised) = conv2d_batch_norm(&x, &weight, [&gamma, &beta], None, epsilon, settings);
        (y, normalised.moments.mean, normalised.moments.variance)
    }

    fn kernel_conv2d_batch_norm_residual(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        residual: FlexTensor,
        epsilon: f32,
        settings: FusedConvolution,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, weight, gamma, beta, residual] = [x, weight, gamma, beta, residual].map(contiguous);
        let (affine, residual) = ([&gamma, &beta], Some(&residual));
        let (y, normalised) = conv2d_batch_norm(&x, &weight, affine, residual, epsilon, settings);
        (y, normalised.moments.mean, normalised.moments.variance)
    }

    fn kernel_conv2d_scale_shift(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        settings: FusedConvolution,
    ) -> FlexTensor {
        let affine = [&contiguous(scale), &contiguous(shift)];
        conv2d_scale_shift(&contiguous(x), &contiguous(weight), affine, None, settings)
    }

    fn kernel_conv2d_scale_shift_residual(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        residual: FlexTensor,
        settings: FusedConvolution,
    ) -> FlexTensor {
        let (affine, residual) = ([&contiguous(scale), &contiguous(shift)], contiguous(residual));
        let (x, weight) = (contiguous(x), contiguous(weight));
        conv2d_scale_shift(&x, &weight, affine, Some(&residual), settings)
    }
}
