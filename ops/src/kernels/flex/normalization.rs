//! Batch norm, and the scale and shift that replace it at evaluation.

use std::sync::Arc;

use archaeo_kernels::{
    self as kernels, BatchStatistics, Bf16, ChannelEpilogue, ChannelShape, Precision, Stored,
};
use burn::backend::TensorMetadata;
use burn_flex::FlexTensor;

use super::images::{conv2d_input_gradient, conv2d_weight_gradient, convolved};
use super::{room, tensor, values};
use crate::kernels::FusedConvolution;

fn channel_shape([batch, channels, height, width]: [usize; 4]) -> ChannelShape {
    ChannelShape { batch, channels, positions: height * width }
}

/// The input of a batch norm after a convolution, or its gradient: in bfloat16 if the convolution's operands are.
#[derive(Clone, Debug)]
pub(in crate::kernels) enum Convolved {
    F32(Arc<Vec<f32>>),
    Bf16(Arc<Vec<Bf16>>),
}

impl From<Vec<f32>> for Convolved {
    fn from(numbers: Vec<f32>) -> Self {
        Convolved::F32(Arc::new(numbers))
    }
}

impl From<Vec<Bf16>> for Convolved {
    fn from(numbers: Vec<Bf16>) -> Self {
        Convolved::Bf16(Arc::new(numbers))
    }
}

impl Convolved {
    /// The requested gradients of the convolution's input and weight, from this gradient of its output.
    pub(in crate::kernels) fn conv2d_gradients(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        geometry: [usize; 3],
        precision: Precision,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        match self {
            Convolved::F32(dy) => conv2d_gradients(x, weight, geometry, dy, precision, wanted),
            Convolved::Bf16(dy) => conv2d_gradients(x, weight, geometry, dy, precision, wanted),
        }
    }
}

fn conv2d_gradients<N: Stored>(
    x: &FlexTensor,
    weight: &FlexTensor,
    geometry: [usize; 3],
    dy: &[N],
    precision: Precision,
    [x_wanted, weight_wanted]: [bool; 2],
) -> [Option<FlexTensor>; 2] {
    [
        x_wanted.then(|| conv2d_input_gradient(x, weight, geometry, dy, precision)),
        weight_wanted.then(|| conv2d_weight_gradient(x, weight, geometry, dy, precision)),
    ]
}

/// The moments of a batch, `[channels]`.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct ChannelMoments {
    pub(in crate::kernels) mean: FlexTensor,
    pub(in crate::kernels) variance: FlexTensor,
    pub(in crate::kernels) reciprocal_deviation: FlexTensor,
}

/// Input and statistics of a batch norm.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct Normalised {
    pub(in crate::kernels) convolved: Convolved,
    pub(in crate::kernels) moments: ChannelMoments,
}

/// A convolution, batch norm, plus `residual`, then ReLU.
pub(in crate::kernels) fn conv2d_batch_norm(
    x: &FlexTensor,
    weight: &FlexTensor,
    affine: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    epsilon: f32,
    settings: FusedConvolution,
) -> (FlexTensor, Normalised) {
    let FusedConvolution { geometry, relu, precision } = settings;
    let then = ChannelEpilogue { residual: residual.map(values), relu };
    match precision {
        Precision::F32 => {
            let (z, shape) = convolved::<f32>(x, weight, geometry, precision);
            batch_norm(z, shape, affine, epsilon, then)
        }
        Precision::Bf16 => {
            let (z, shape) = convolved::<Bf16>(x, weight, geometry, precision);
            batch_norm(z, shape, affine, epsilon, then)
        }
    }
}

/// Normalises a convolution's output, of shape `[batch, channels, height, width]`.
fn batch_norm<N: Stored>(
    z: Vec<N>,
    shape: [usize; 4],
    affine: [&FlexTensor; 2],
    epsilon: f32,
    then: ChannelEpilogue<'_>,
) -> (FlexTensor, Normalised)
where
    Convolved: From<Vec<N>>,
{
    let channels = shape[1];
    let mut y = room(z.len());
    let (mut mean, mut variance, mut reciprocal_deviation) = (room(channels), room(channels), room(channels));
    kernels::batch_norm_forward(
        &channel_shape(shape),
        &z,
        affine.map(values),
        epsilon,
        then,
        &mut y,
        BatchStatistics {
            mean: &mut mean,
            variance: &mut variance,
            reciprocal_deviation: &mut reciprocal_deviation,
        },
    );
    let [mean, variance, reciprocal_deviation] =
        [mean, variance, reciprocal_deviation].map(|values| tensor(values, [channels]));
    let moments = ChannelMoments { mean, variance, reciprocal_deviation };
    (tensor(y, shape), Normalised { convolved: z.into(), moments })
}

/// Where the ReLU after a batch norm is active: see [`kernels::ReluMask`].
#[derive(Clone, Debug)]
pub(in crate::kernels) enum ReluMask {
    Absent,
    Output(FlexTensor),
    Beta(FlexTensor),
}

/// The gradients of a batch norm.
pub(in crate::kernels) struct BatchNormGradients {
    /// Gradient of the convolution's output.
    pub(in crate::kernels) dz: Convolved,
    pub(in crate::kernels) dgamma: FlexTensor,
    pub(in crate::kernels) dbeta: FlexTensor,
    /// Gradient of the residual, if requested.
    pub(in crate::kernels) dresidual: Option<FlexTensor>,
}

/// The gradients of a batch norm. Arrays needed only here are consumed.
pub(in crate::kernels) fn batch_norm_gradients(
    normalised: Normalised,
    gamma: &FlexTensor,
    relu: ReluMask,
    dy: FlexTensor,
    with_residual: bool,
) -> BatchNormGradients {
    let Normalised { convolved, moments } = normalised;
    match convolved {
        Convolved::F32(z) => gradients_of(&z, &moments, gamma, &relu, &dy, with_residual),
        Convolved::Bf16(z) => gradients_of(&z, &moments, gamma, &relu, &dy, with_residual),
    }
}

fn gradients_of<N: Stored>(
    z: &[N],
    moments: &ChannelMoments,
    gamma: &FlexTensor,
    relu: &ReluMask,
    dy: &FlexTensor,
    with_residual: bool,
) -> BatchNormGradients
where
    Convolved: From<Vec<N>>,
{
    let shape = channel_shape(dy.shape().dims());
    let (mut dz, mut dgamma, mut dbeta) = (room(z.len()), room(shape.channels), room(shape.channels));
    let mut dresidual = with_residual.then(|| room(z.len()));
    kernels::batch_norm_backward(
        &shape,
        z,
        values(gamma),
        [values(&moments.mean), values(&moments.reciprocal_deviation)],
        match relu {
            ReluMask::Absent => kernels::ReluMask::Absent,
            ReluMask::Output(output) => kernels::ReluMask::Output(values(output)),
            ReluMask::Beta(beta) => kernels::ReluMask::Beta(values(beta)),
        },
        values(dy),
        kernels::BatchNormGradients {
            dx: &mut dz,
            dgamma: &mut dgamma,
            dbeta: &mut dbeta,
            dresidual: dresidual.as_deref_mut(),
        },
    );
    let [dgamma, dbeta] = [dgamma, dbeta].map(|values| tensor(values, [shape.channels]));
    let dresidual = dresidual.map(|dresidual| tensor(dresidual, dy.shape()));
    BatchNormGradients { dz: dz.into(), dgamma, dbeta, dresidual }
}

/// Gradients of input and, where there was one, residual.
pub(in crate::kernels) fn scale_shift_gradients(
    scale: &FlexTensor,
    relu_output: Option<&FlexTensor>,
    dy: &FlexTensor,
    with_residual: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let mut dx = room(values(dy).len());
    let mut dresidual = with_residual.then(|| room(values(dy).len()));
    kernels::scale_shift_backward(
        &channel_shape(dy.shape().dims()),
        values(scale),
        relu_output.map(values),
        values(dy),
        &mut dx,
        dresidual.as_deref_mut(),
    );
    (tensor(dx, dy.shape()), dresidual.map(|dresidual| tensor(dresidual, dy.shape())))
}
