//! Batch norm, and the scale and shift that it is at evaluation.

use archaeo_kernels::{self as kernels, BatchNormGradients, BatchStatistics, ChannelEpilogue, ChannelShape};
use burn::backend::TensorMetadata;
use burn_flex::FlexTensor;

use super::{room, tensor, values};

fn channel_shape(x: &FlexTensor) -> ChannelShape {
    let shape = x.shape();
    ChannelShape { batch: shape[0], channels: shape[1], positions: shape[2] * shape[3] }
}

/// What a batch norm leaves beside its output.
#[derive(Clone, Debug)]
pub(in crate::kernels) struct ChannelMoments {
    pub(in crate::kernels) mean: FlexTensor,
    pub(in crate::kernels) variance: FlexTensor,
    pub(in crate::kernels) reciprocal_deviation: FlexTensor,
}

pub(in crate::kernels) fn batch_norm(
    x: &FlexTensor,
    [weight, bias]: [&FlexTensor; 2],
    residual: Option<&FlexTensor>,
    epsilon: f32,
    relu: bool,
) -> (FlexTensor, ChannelMoments) {
    let shape = channel_shape(x);
    let channels = shape.channels;
    let mut y = room(values(x).len());
    let (mut mean, mut variance, mut reciprocal_deviation) = (room(channels), room(channels), room(channels));
    kernels::batch_norm_forward(
        &shape,
        values(x),
        [values(weight), values(bias)],
        epsilon,
        ChannelEpilogue { residual: residual.map(values), relu },
        &mut y,
        BatchStatistics {
            mean: &mut mean,
            variance: &mut variance,
            reciprocal_deviation: &mut reciprocal_deviation,
        },
    );
    let [mean, variance, reciprocal_deviation] =
        [mean, variance, reciprocal_deviation].map(|values| tensor(values, [channels]));
    (tensor(y, x.shape()), ChannelMoments { mean, variance, reciprocal_deviation })
}

/// Where the ReLU after a batch norm let through: see [`kernels::ReluMask`].
#[derive(Clone, Debug)]
pub(in crate::kernels) enum ReluMask {
    Absent,
    Output(FlexTensor),
    Bias(FlexTensor),
}

/// Gradients of input, weight, bias and, where there was one, residual.
pub(in crate::kernels) fn batch_norm_gradients(
    x: &FlexTensor,
    weight: &FlexTensor,
    moments: &ChannelMoments,
    relu: &ReluMask,
    dy: &FlexTensor,
    with_residual: bool,
) -> ([FlexTensor; 3], Option<FlexTensor>) {
    let shape = channel_shape(x);
    let (mut dx, mut dgamma, mut dbeta) = (room(values(x).len()), room(shape.channels), room(shape.channels));
    let mut dresidual = with_residual.then(|| room(values(x).len()));
    kernels::batch_norm_backward(
        &shape,
        values(x),
        values(weight),
        [values(&moments.mean), values(&moments.reciprocal_deviation)],
        match relu {
            ReluMask::Absent => kernels::ReluMask::Absent,
            ReluMask::Output(output) => kernels::ReluMask::Output(values(output)),
            ReluMask::Bias(bias) => kernels::ReluMask::Beta(values(bias)),
        },
        values(dy),
        BatchNormGradients {
            dx: &mut dx,
            dgamma: &mut dgamma,
            dbeta: &mut dbeta,
            dresidual: dresidual.as_deref_mut(),
        },
    );
    let channels = [shape.channels];
    let gradients = [tensor(dx, x.shape()), tensor(dgamma, channels), tensor(dbeta, channels)];
    (gradients, dresidual.map(|dresidual| tensor(dresidual, x.shape())))
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
        &channel_shape(dy),
        values(scale),
        relu_output.map(values),
        values(dy),
        &mut dx,
        dresidual.as_deref_mut(),
    );
    (tensor(dx, dy.shape()), dresidual.map(|dresidual| tensor(dresidual, dy.shape())))
}
