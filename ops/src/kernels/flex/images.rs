//! Convolution and pooling.

use archaeo_kernels::{
    self as kernels, Convolution, ConvolutionEpilogue, Filters, Patches, Pooling, Precision, Stored,
};
use burn::backend::TensorMetadata;
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::packed::packed_filters;
use super::{room, tensor, values};
use crate::kernels::FusedConvolution;

fn convolution(x: &FlexTensor, weight: &FlexTensor, [stride, padding, groups]: [usize; 3]) -> Convolution {
    let (x, weight) = (x.shape(), weight.shape());
    Convolution {
        batch: x[0],
        in_channels: x[1],
        out_channels: weight[0],
        input_size: [x[2], x[3]],
        kernel: [weight[2], weight[3]],
        stride: [stride; 2],
        padding: [padding; 2],
        groups,
    }
}

fn output_shape(shape: &Convolution) -> [usize; 4] {
    let [height, width] = shape.output_size();
    [shape.batch, shape.out_channels, height, width]
}

/// A convolution's output, stored in either way, and its shape.
pub(super) fn convolved<N: Stored>(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    precision: Precision,
) -> (Vec<N>, [usize; 4]) {
    let shape = convolution(x, weight, geometry);
    let mut y = room(shape.output_len());
    let epilogue = ConvolutionEpilogue::default();
    kernels::convolution_forward(&shape, values(x), values(weight), epilogue, &mut y, precision);
    (y, output_shape(&shape))
}

pub(in crate::kernels) fn conv2d(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    precision: Precision,
) -> FlexTensor {
    let (y, shape) = convolved(x, weight, geometry, precision);
    tensor(y, shape)
}

/// As [`conv2d`], then by channel `· scale + shift`, plus `residual`, then ReLU; the weight may be kept packed.
pub(in crate::kernels) fn conv2d_scale_shift(
    x: &FlexTensor,
    weight: &FlexTensor,
    [scale, shift]: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    settings: FusedConvolution,
) -> FlexTensor {
    let FusedConvolution { geometry, relu, precision } = settings;
    let (scale, bias) = (Some(values(scale)), Some(values(shift)));
    let epilogue = ConvolutionEpilogue { scale, bias, residual: residual.map(values), relu };
    let shape = convolution(x, weight, geometry);
    let packed = match precision {
        Precision::Bf16 => packed_filters(weight, &shape),
        Precision::F32 => None,
    };
    let mut filters = Filters::from(values(weight));
    if let Some(packed) = &packed {
        filters = filters.packed(packed);
    }
    let mut y = room::<f32>(shape.output_len());
    kernels::convolution_forward(&shape, values(x), filters, epilogue, &mut y, precision);
    tensor(y, output_shape(&shape))
}

pub(in crate::kernels) fn conv2d_input_gradient<N: Stored>(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    dy: &[N],
    precision: Precision,
) -> FlexTensor {
    let shape = convolution(x, weight, geometry);
    let mut dx = room(shape.input_len());
    kernels::convolution_input_gradient(&shape, dy, values(weight), &mut dx, precision);
    tensor(dx, x.shape())
}

pub(in crate::kernels) fn conv2d_weight_gradient<N: Stored>(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    dy: &[N],
    precision: Precision,
) -> FlexTensor {
    let shape = convolution(x, weight, geometry);
    let mut dw = room(shape.weight_len());
    kernels::convolution_weight_gradient(&shape, values(x), dy, &mut dw, None, precision);
    tensor(dw, weight.shape())
}

fn pooling(shape: &Shape, [kernel, stride, padding]: [usize; 3]) -> Pooling {
    Pooling {
        input_size: [shape[2], shape[3]],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

/// The largest value of each window, and its index in the plane.
pub(in crate::kernels) fn max_pool2d(x: &FlexTensor, window: [usize; 3]) -> (FlexTensor, Vec<u32>) {
    let shape = x.shape();
    let pooling = pooling(&shape, window);
    let [height, width] = pooling.output_size();
    let mut y = room(shape[0] * shape[1] * height * width);
    let mut indices = vec![0; y.len()];
    kernels::max_pool_forward(&pooling, values(x), &mut y, &mut indices);
    (tensor(y, [shape[0], shape[1], height, width]), indices)
}

pub(in crate::kernels) fn max_pool2d_gradient(
    shape: &Shape,
    window: [usize; 3],
    indices: &[u32],
    dy: &FlexTensor,
) -> FlexTensor {
    let mut dx = room(shape.num_elements());
    kernels::max_pool_backward(&pooling(shape, window), indices, values(dy), &mut dx);
    tensor(dx, shape.clone())
}

/// Numbers of one channel of an image.
fn positions(images: &FlexTensor) -> usize {
    let shape = images.shape();
    shape[2] * shape[3]
}

/// The mean over all positions.
pub(in crate::kernels) fn mean_pool(x: &FlexTensor) -> FlexTensor {
    let shape = x.shape();
    let mut y = room(shape[0] * shape[1]);
    kernels::mean_pool_forward(values(x), positions(x), &mut y);
    tensor(y, [shape[0], shape[1]])
}

/// The gradient of [`mean_pool`] to an input of this shape.
pub(in crate::kernels) fn mean_pool_gradient(x: Shape, dy: &FlexTensor) -> FlexTensor {
    let mut dx = room(x.num_elements());
    kernels::mean_pool_backward(values(dy), x[2] * x[3], &mut dx);
    tensor(dx, x)
}

/// `(images − mean) / deviation` by channel.
pub(in crate::kernels) fn standardise(images: &FlexTensor, numbers: [&[f32]; 2]) -> FlexTensor {
    let mut y = room(values(images).len());
    kernels::standardise(values(images), positions(images), numbers, &mut y);
    tensor(y, images.shape())
}

pub(in crate::kernels) fn standardise_gradient(dy: &FlexTensor, deviation: &[f32]) -> FlexTensor {
    let mut dx = room(values(dy).len());
    kernels::standardise_backward(values(dy), positions(dy), deviation, &mut dx);
    tensor(dx, dy.shape())
}

fn patch_shape(images: &Shape, patch: usize) -> Patches {
    Patches { batch: images[0], channels: images[1], size: [images[2], images[3]], patch }
}

pub(in crate::kernels) fn patches(images: &FlexTensor, patch: usize) -> FlexTensor {
    let shape = patch_shape(&images.shape(), patch);
    let mut y = room(values(images).len());
    kernels::patches_forward(&shape, values(images), &mut y);
    tensor(y, [shape.batch, shape.grid().into_iter().product(), shape.numbers()])
}

/// The gradient of [`patches`] to images of this shape.
pub(in crate::kernels) fn patches_gradient(images: Shape, patch: usize, dy: &FlexTensor) -> FlexTensor {
    let mut dx = room(values(dy).len());
    kernels::patches_backward(&patch_shape(&images, patch), values(dy), &mut dx);
    tensor(dx, images)
}
