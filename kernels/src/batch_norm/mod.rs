//! Batch normalisation (Ioffe and Szegedy, 2015) of `[batch, channels, positions]`, with a residual and a
//! ReLU in the same pass: y = relu((x − mean) / √(variance + ε) · γ + β + residual).
//!
//! Each channel is one task, and its sums run over the images in order.

mod passes;

use crate::parallel::{self, Shared};
use crate::reduce::sum;
use crate::{Level, Stored};
use passes::{
    Affine, GradientTerms, Passed, apply, centred_squares, gradient_sums, input_gradient, scaled_gradient,
};

/// The shape of images whose channels are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelShape {
    /// Images.
    pub batch: usize,
    /// Channels of each image.
    pub channels: usize,
    /// Height times width.
    pub positions: usize,
}

impl ChannelShape {
    fn check(&self, lengths: &[usize], per_channel: &[usize]) {
        let expected = self.batch * self.channels * self.positions;
        assert!(
            lengths.iter().all(|length| *length == expected),
            "images have the shape {self:?}: {lengths:?}"
        );
        assert!(
            per_channel.iter().all(|length| *length == self.channels),
            "there is one number for each of {} channels: {per_channel:?}",
            self.channels
        );
    }

    /// The channel's numbers in every image, as ranges.
    fn planes(&self, channel: usize) -> impl Iterator<Item = std::ops::Range<usize>> + Clone + use<> {
        let Self { batch, channels, positions } = *self;
        (0..batch).map(move |image| {
            let start = (image * channels + channel) * positions;
            start..start + positions
        })
    }
}

/// What follows the normalisation: plus residual, then ReLU.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelEpilogue<'a> {
    /// Values of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Replace negative results by zero.
    pub relu: bool,
}

/// Statistics of each channel from the forward pass.
#[derive(Debug)]
pub struct BatchStatistics<'a> {
    /// The mean over images and positions.
    pub mean: &'a mut [f32],
    /// The variance, divided by the count (running estimates divide by the count less one).
    pub variance: &'a mut [f32],
    /// 1 / √(variance + ε), which the gradient needs.
    pub reciprocal_deviation: &'a mut [f32],
}

/// Normalises with the batch's own statistics, as in training.
///
/// # Panics
/// If lengths do not fit.
pub fn batch_norm_forward<N: Stored>(
    shape: &ChannelShape,
    x: &[N],
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    epilogue: ChannelEpilogue<'_>,
    y: &mut [f32],
    statistics: BatchStatistics<'_>,
) {
    let ChannelEpilogue { residual, relu } = epilogue;
    let BatchStatistics { mean, variance, reciprocal_deviation } = statistics;
    shape.check(
        &[x.len(), y.len(), residual.map_or(x.len(), <[f32]>::len)],
        &[gamma.len(), beta.len(), mean.len(), variance.len(), reciprocal_deviation.len()],
    );
    let level = Level::current();
    let count = (shape.batch * shape.positions) as f64;
    let y = Shared::new(y);
    let (means, variances, deviations) =
        (Shared::new(mean), Shared::new(variance), Shared::new(reciprocal_deviation));
    parallel::for_each(shape.channels, |channel| {
        let planes = shape.planes(channel);
        let total: f64 = planes.clone().map(|plane| f64::from(sum(level, &x[plane]))).sum();
        let mean = (total / count) as f32;
        let squares: f64 =
            planes.clone().map(|plane| f64::from(centred_squares(level, &x[plane], mean))).sum();
        let variance = (squares / count) as f32;
        let deviation = 1.0 / (variance + epsilon).sqrt();
        let scale = gamma[channel] * deviation;
        let affine = Affine { centre: mean, scale, shift: beta[channel], relu };
        for plane in planes {
            let residual = residual.map(|residual| &residual[plane.clone()]);
            // SAFETY: channels have disjoint planes.
            let y = unsafe { y.slice(plane.start, plane.len()) };
            apply(level, &x[plane], affine, residual, y);
        }
        // SAFETY: every channel has its own element of each.
        unsafe {
            means.slice(channel, 1)[0] = mean;
            variances.slice(channel, 1)[0] = variance;
            deviations.slice(channel, 1)[0] = deviation;
        }
    });
}

/// The gradients of [`batch_norm_forward`].
#[derive(Debug)]
pub struct BatchNormGradients<'a, N = f32> {
    /// Gradient of the input, stored in the input's format.
    pub dx: &'a mut [N],
    /// Gradient of γ, `[channels]`.
    pub dgamma: &'a mut [f32],
    /// Gradient of β, `[channels]`.
    pub dbeta: &'a mut [f32],
    /// Gradient of the residual: dy where the ReLU is active.
    pub dresidual: Option<&'a mut [f32]>,
}

/// Where the ReLU of [`batch_norm_forward`] is active.
#[derive(Clone, Copy, Debug)]
pub enum ReluMask<'a> {
    /// No ReLU.
    Absent,
    /// Where this output y is positive.
    Output(&'a [f32]),
    /// Without a residual: where the normalisation with this β is positive, which is faster to compute than to read.
    Beta(&'a [f32]),
}

/// Computes the gradients of [`batch_norm_forward`].
///
/// # Panics
/// If lengths do not fit.
pub fn batch_norm_backward<N: Stored>(
    shape: &ChannelShape,
    x: &[N],
    gamma: &[f32],
    [mean, reciprocal_deviation]: [&[f32]; 2],
    relu: ReluMask<'_>,
    dy: &[f32],
    gradients: BatchNormGradients<'_, N>,
) {
    let BatchNormGradients { dx, dgamma, dbeta, dresidual } = gradients;
    let (relu_output, beta) = match relu {
        ReluMask::Absent => (None, None),
        ReluMask::Output(output) => (Some(output), None),
        ReluMask::Beta(beta) => (None, Some(beta)),
    };
    shape.check(
        &[
            x.len(),
            dy.len(),
            dx.len(),
            relu_output.map_or(x.len(), <[f32]>::len),
            dresidual.as_ref().map_or(x.len(), |dresidual| dresidual.len()),
        ],
        &[
            gamma.len(),
            mean.len(),
            reciprocal_deviation.len(),
            dgamma.len(),
            dbeta.len(),
            beta.map_or(gamma.len(), <[f32]>::len),
        ],
    );
    let level = Level::current();
    let count = (shape.batch * shape.positions) as f64;
    let (dx, dgammas, dbetas) = (Shared::new(dx), Shared::new(dgamma), Shared::new(dbeta));
    let dresidual = dresidual.map(Shared::new);
    parallel::for_each(shape.channels, |channel| {
        let (mean, deviation) = (mean[channel], reciprocal_deviation[channel]);
        let scale = gamma[channel] * deviation;
        let passed = |plane: std::ops::Range<usize>| match (relu_output, beta) {
            (Some(output), _) => Passed::Output(&output[plane]),
            (None, Some(beta)) => {
                Passed::Again(Affine { centre: mean, scale, shift: beta[channel], relu: true })
            }
            (None, None) => Passed::Everywhere,
        };
        let (mut dgamma, mut dbeta) = (0.0, 0.0);
        for plane in shape.planes(channel) {
            let passed = passed(plane.clone());
            // SAFETY: channels have disjoint planes.
            let dresidual = dresidual.map(|d| unsafe { d.slice(plane.start, plane.len()) });
            let (sum, projected) =
                gradient_sums(level, &x[plane.clone()], mean, deviation, passed, &dy[plane], dresidual);
            dbeta += f64::from(sum);
            dgamma += f64::from(projected);
        }
        let terms = GradientTerms {
            mean,
            deviation,
            scale,
            sum: (dbeta / count) as f32,
            projected: (dgamma / count) as f32,
        };
        for plane in shape.planes(channel) {
            let passed = passed(plane.clone());
            // SAFETY: channels have disjoint planes.
            let dx = unsafe { dx.slice(plane.start, plane.len()) };
            input_gradient(level, &x[plane.clone()], terms, passed, &dy[plane], dx);
        }
        // SAFETY: every channel has its own element of each.
        unsafe {
            dgammas.slice(channel, 1)[0] = dgamma as f32;
            dbetas.slice(channel, 1)[0] = dbeta as f32;
        }
    });
}

/// The gradients of y = x · scale + shift by channel, plus residual, then ReLU, to x and, if requested, the residual, for
/// constant scale and shift; `relu_output` is y if there was a ReLU.
///
/// # Panics
/// If lengths do not fit.
pub fn scale_shift_backward(
    shape: &ChannelShape,
    scale: &[f32],
    relu_output: Option<&[f32]>,
    dy: &[f32],
    dx: &mut [f32],
    dresidual: Option<&mut [f32]>,
) {
    shape.check(
        &[
            dy.len(),
            dx.len(),
            relu_output.map_or(dy.len(), <[f32]>::len),
            dresidual.as_ref().map_or(dy.len(), |dresidual| dresidual.len()),
        ],
        &[scale.len()],
    );
    let level = Level::current();
    let dx = Shared::new(dx);
    let dresidual = dresidual.map(Shared::new);
    parallel::for_each(shape.batch, |image| {
        for (channel, &scale) in scale.iter().enumerate() {
            let start = (image * shape.channels + channel) * shape.positions;
            let plane = start..start + shape.positions;
            let passed = match relu_output {
                Some(output) => Passed::Output(&output[plane.clone()]),
                None => Passed::Everywhere,
            };
            // SAFETY: images are disjoint.
            let (dx, dresidual) = unsafe {
                (
                    dx.slice(plane.start, plane.len()),
                    dresidual.map(|dresidual| dresidual.slice(plane.start, plane.len())),
                )
            };
            scaled_gradient(level, scale, passed, &dy[plane], dx, dresidual);
        }
    });
}

#[cfg(test)]
mod tests;
