//! The operations on CPU tensors: shapes read, outputs allocated, kernels called.

use archaeo_kernels::{self as kernels, Activation, Precision, Weight, WeightLayout};
use burn::backend::{DType, Flex, TensorMetadata};
use burn_flex::{FlexTensor, Layout};
use burn_std::{Bytes, Shape};

use super::KernelOperations;

const LAYOUT: WeightLayout = WeightLayout::OutputInput;

/// The values of a tensor, which must be contiguous.
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("made contiguous on entry")
}

/// The same tensor with its values in order.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    assert_eq!(x.dtype(), DType::F32, "kernels compute in 32-bit floats");
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

/// A tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

/// Room for `length` results.
pub(super) fn room(length: usize) -> Vec<f32> {
    vec![0.0; length]
}

fn matrix_shape(x: &FlexTensor) -> [usize; 2] {
    let shape = x.shape();
    [shape[0], shape[1]]
}

pub(super) fn weight(x: &FlexTensor) -> Weight<'_> {
    let [outputs, inputs] = matrix_shape(x);
    Weight::new(values(x), inputs, outputs, LAYOUT)
}

pub(super) fn linear(x: &FlexTensor, w: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let ([rows, _], [outputs, _]) = (matrix_shape(x), matrix_shape(w));
    let mut y = room(rows * outputs);
    kernels::linear_forward(values(x), weight(w), Some(values(bias)), None, &mut y, Precision::F32);
    tensor(y, [rows, outputs])
}

pub(super) fn linear_input_gradient(dy: &FlexTensor, w: &FlexTensor) -> FlexTensor {
    let ([rows, _], [_, inputs]) = (matrix_shape(dy), matrix_shape(w));
    let mut dx = room(rows * inputs);
    kernels::linear_input_gradient(values(dy), weight(w), None, &mut dx, Precision::F32);
    tensor(dx, [rows, inputs])
}

/// Gradients of weight and bias.
pub(super) fn linear_weight_gradient(x: &FlexTensor, dy: &FlexTensor) -> (FlexTensor, FlexTensor) {
    let ([_, inputs], [_, outputs]) = (matrix_shape(x), matrix_shape(dy));
    let (mut dw, mut db) = (room(outputs * inputs), room(outputs));
    let shape = [inputs, outputs];
    kernels::linear_weight_gradient(values(x), values(dy), shape, LAYOUT, &mut dw, Some(&mut db), Precision::F32);
    (tensor(dw, [outputs, inputs]), tensor(db, [outputs]))
}

/// A layer norm's output, and the mean and reciprocal deviation of each row.
pub(super) fn layer_norm(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    epsilon: f32,
) -> (FlexTensor, [FlexTensor; 2]) {
    let [rows, features] = matrix_shape(x);
    let (mut y, mut mean, mut scale) = (room(rows * features), room(rows), room(rows));
    kernels::layer_norm_forward(
        values(x),
        values(weight),
        values(bias),
        epsilon,
        &mut y,
        &mut mean,
        &mut scale,
    );
    (tensor(y, [rows, features]), [tensor(mean, [rows]), tensor(scale, [rows])])
}

/// Gradients of input, weight and bias.
pub(super) fn layer_norm_gradients(
    x: &FlexTensor,
    weight: &FlexTensor,
    [mean, scale]: [&FlexTensor; 2],
    dy: &FlexTensor,
) -> [FlexTensor; 3] {
    let [rows, features] = matrix_shape(x);
    let (mut dx, mut dw, mut db) = (room(rows * features), room(features), room(features));
    kernels::layer_norm_backward(
        values(x),
        values(weight),
        values(mean),
        values(scale),
        values(dy),
        &mut dx,
        &mut dw,
        &mut db,
    );
    [tensor(dx, [rows, features]), tensor(dw, [features]), tensor(db, [features])]
}

pub(super) fn gelu(x: &FlexTensor) -> FlexTensor {
    let mut y = room(values(x).len());
    kernels::activation_forward(Activation::Gelu, values(x), &mut y);
    tensor(y, x.shape())
}

pub(super) fn gelu_gradient(x: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let mut dx = room(values(x).len());
    kernels::activation_backward(Activation::Gelu, values(x), values(dy), &mut dx);
    tensor(dx, x.shape())
}

impl KernelOperations for Flex {
    fn kernel_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        linear(&contiguous(x), &contiguous(weight), &contiguous(bias))
    }

    fn kernel_layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f32) -> FlexTensor {
        layer_norm(&contiguous(x), &contiguous(weight), &contiguous(bias), epsilon).0
    }

    fn kernel_gelu(x: FlexTensor) -> FlexTensor {
        gelu(&contiguous(x))
    }
}
