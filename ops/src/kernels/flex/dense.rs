//! Dense layers, layer norm, activations and row gathering.

use std::sync::Arc;

use archaeo_kernels::{
    self as kernels, Activation, Layer, PackedWeight, Precision, Weight, WeightLayout, WeightUse,
};
use burn::backend::TensorMetadata;
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::packed::packed_weight;
use super::{room, tensor, values};
use crate::kernels::LinearSettings;

const LAYOUT: WeightLayout = WeightLayout::OutputInput;

/// Rows, whatever axes they are arranged in, and their width.
pub(super) fn matrix_shape(x: &FlexTensor) -> [usize; 2] {
    let shape = x.shape();
    let (width, rows) = shape.split_last().expect("rows have an axis");
    [rows.iter().product(), *width]
}

/// Rows of `width` numbers, arranged as those of `x`.
fn rows_like(x: &FlexTensor, values: Vec<f32>, width: usize) -> FlexTensor {
    let mut shape = x.shape();
    *shape.last_mut().expect("rows have an axis") = width;
    tensor(values, shape)
}

pub(super) fn weight(x: &FlexTensor) -> Weight<'_> {
    let [outputs, inputs] = matrix_shape(x);
    Weight::new(values(x), inputs, outputs, LAYOUT)
}

/// The weight, with its packed form if kept.
fn weight_with<'a>(x: &'a FlexTensor, packed: &'a Option<Arc<PackedWeight>>) -> Weight<'a> {
    match packed {
        Some(packed) => weight(x).packed(packed),
        None => weight(x),
    }
}

/// `x · wᵀ + bias`, plus `residual` where there is one.
pub(in crate::kernels) fn linear(
    x: &FlexTensor,
    w: &FlexTensor,
    bias: &FlexTensor,
    residual: Option<&FlexTensor>,
    settings: LinearSettings,
) -> FlexTensor {
    let ([rows, _], [outputs, _]) = (matrix_shape(x), matrix_shape(w));
    let mut y = room(rows * outputs);
    let (bias, residual) = (Some(values(bias)), residual.map(values));
    let packed = packed_weight(w, WeightUse::Forward, settings, rows);
    kernels::linear_forward(values(x), weight_with(w, &packed), bias, residual, &mut y, settings.precision);
    rows_like(x, y, outputs)
}

pub(in crate::kernels) fn linear_input_gradient(
    dy: &FlexTensor,
    w: &FlexTensor,
    settings: LinearSettings,
) -> FlexTensor {
    let ([rows, _], [_, inputs]) = (matrix_shape(dy), matrix_shape(w));
    let mut dx = room(rows * inputs);
    let packed = packed_weight(w, WeightUse::InputGradient, settings, rows);
    kernels::linear_input_gradient(values(dy), weight_with(w, &packed), None, &mut dx, settings.precision);
    rows_like(dy, dx, inputs)
}

/// Gradients of weight and bias.
pub(in crate::kernels) fn linear_weight_gradient(
    x: &FlexTensor,
    dy: &FlexTensor,
    precision: Precision,
) -> (FlexTensor, FlexTensor) {
    let ([_, inputs], [_, outputs]) = (matrix_shape(x), matrix_shape(dy));
    let (mut dw, mut db) = (room(outputs * inputs), room(outputs));
    let shape = [inputs, outputs];
    kernels::linear_weight_gradient(values(x), values(dy), shape, LAYOUT, &mut dw, Some(&mut db), precision);
    (tensor(dw, [outputs, inputs]), tensor(db, [outputs]))
}

/// `x + y`, where `y` may be one of several repetitions; in the memory of `x` if nothing else uses it.
pub(in crate::kernels) fn sum(mut x: FlexTensor, y: &FlexTensor) -> FlexTensor {
    let (shape, addend) = (x.shape(), values(y));
    let length = values(&x).len();
    if addend.len() == length
        && let Some(sum) = x.try_storage_mut::<f32>()
        && sum.len() == length
    {
        kernels::add_assign(sum, addend);
        return x;
    }
    let mut sum = room(length);
    kernels::add(values(&x), addend, &mut sum);
    tensor(sum, shape)
}

/// The gradient of [`sum`] to `y`.
pub(in crate::kernels) fn sum_gradient(dy: &FlexTensor, shape: Shape) -> FlexTensor {
    let mut daddend = room(shape.num_elements());
    kernels::add_backward(values(dy), &mut daddend);
    tensor(daddend, shape)
}

pub(in crate::kernels) fn gather_rows(x: &FlexTensor, sources: &[Option<usize>]) -> FlexTensor {
    let shape = x.shape();
    let mut y = room(shape[0] * sources.len() * shape[2]);
    kernels::gather_rows(values(x), [shape[1], shape[2]], sources, &mut y);
    tensor(y, [shape[0], sources.len(), shape[2]])
}

/// A layer norm's output, and the mean and reciprocal deviation of each row.
pub(in crate::kernels) fn layer_norm(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    epsilon: f32,
) -> (FlexTensor, [FlexTensor; 2]) {
    let [rows, features] = matrix_shape(x);
    let (mut y, mut mean, mut scale) = (room(rows * features), room(rows), room(rows));
    let affine = [values(weight), values(bias)];
    kernels::layer_norm_forward(values(x), affine, epsilon, &mut y, [&mut mean, &mut scale]);
    (tensor(y, x.shape()), [tensor(mean, [rows]), tensor(scale, [rows])])
}

/// Gradients of input, plus `residual` where there is one, weight and bias.
pub(in crate::kernels) fn layer_norm_gradients(
    x: &FlexTensor,
    weight: &FlexTensor,
    [mean, scale]: [&FlexTensor; 2],
    dy: &FlexTensor,
    residual: Option<&FlexTensor>,
) -> [FlexTensor; 3] {
    let [rows, features] = matrix_shape(x);
    let (mut dx, mut dw, mut db) = (room(rows * features), room(features), room(features));
    let moments = [values(mean), values(scale)];
    let residual = residual.map(values);
    let parameters = [dw.as_mut_slice(), &mut db];
    kernels::layer_norm_backward(
        values(x),
        values(weight),
        moments,
        values(dy),
        residual,
        &mut dx,
        parameters,
    );
    [tensor(dx, x.shape()), tensor(dw, [features]), tensor(db, [features])]
}

pub(in crate::kernels) fn activation(x: &FlexTensor, activation: Activation) -> FlexTensor {
    let mut y = room(values(x).len());
    kernels::activation_forward(activation, values(x), &mut y);
    tensor(y, x.shape())
}

pub(in crate::kernels) fn activation_gradient(
    x: &FlexTensor,
    activation: Activation,
    dy: &FlexTensor,
) -> FlexTensor {
    let mut dx = room(values(x).len());
    kernels::activation_backward(activation, values(x), values(dy), &mut dx);
    tensor(dx, x.shape())
}

pub(in crate::kernels) fn swiglu(x: &FlexTensor) -> FlexTensor {
    let [rows, twice] = matrix_shape(x);
    let mut y = room(rows * twice / 2);
    kernels::swiglu_forward(values(x), twice / 2, &mut y);
    rows_like(x, y, twice / 2)
}

pub(in crate::kernels) fn swiglu_gradient(x: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let [_, twice] = matrix_shape(x);
    let mut dx = room(values(x).len());
    kernels::swiglu_backward(values(x), twice / 2, values(dy), &mut dx);
    tensor(dx, x.shape())
}

/// Two fully connected layers with an activation between them, plus `residual` where there is one; and the activation's input if
/// it is to be kept.
pub(in crate::kernels) fn mlp(
    x: &FlexTensor,
    weights: [&FlexTensor; 2],
    biases: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    activation: Activation,
    keep: bool,
    settings: LinearSettings,
) -> (FlexTensor, Option<FlexTensor>) {
    let [rows, _] = matrix_shape(x);
    let [hidden, outputs] = weights.map(|w| matrix_shape(w)[0]);
    let mut y = room(rows * outputs);
    let mut before = keep.then(|| room(rows * hidden));
    let packed = weights.map(|w| packed_weight(w, WeightUse::Forward, settings, rows));
    let layers = std::array::from_fn(|i| Layer {
        weight: weight_with(weights[i], &packed[i]),
        bias: values(biases[i]),
    });
    kernels::mlp_forward(
        values(x),
        layers,
        activation,
        residual.map(values),
        before.as_deref_mut(),
        &mut y,
        settings.precision,
    );
    (rows_like(x, y, outputs), before.map(|before| tensor(before, [rows, hidden])))
}

/// As [`linear_input_gradient`], times the derivative of the activation that the layer's input came from.
pub(in crate::kernels) fn linear_input_gradient_through(
    dy: &FlexTensor,
    w: &FlexTensor,
    (activation, input): (Activation, &FlexTensor),
    settings: LinearSettings,
) -> FlexTensor {
    let ([rows, _], [_, inputs]) = (matrix_shape(dy), matrix_shape(w));
    let mut dx = room(rows * inputs);
    let activation = Some((activation, values(input)));
    let packed = packed_weight(w, WeightUse::InputGradient, settings, rows);
    kernels::linear_input_gradient(
        values(dy),
        weight_with(w, &packed),
        activation,
        &mut dx,
        settings.precision,
    );
    rows_like(dy, dx, inputs)
}
