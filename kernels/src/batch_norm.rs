//! Batch normalisation (Ioffe and Szegedy, 2015) of `[batch, channels, positions]`, with a residual and a
//! ReLU in the same pass: y = relu((x − mean) / √(variance + ε) · γ + β + residual).
//!
//! Each channel is one task, and its sums run over the images in order.

use crate::Level;
use crate::parallel::{self, Shared};
use crate::reduce::sum;
use crate::simd::{Simd, load_some, simd_fn, store_some};

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

/// What the forward pass learns of each channel.
#[derive(Debug)]
pub struct BatchStatistics<'a> {
    /// The mean over images and positions.
    pub mean: &'a mut [f32],
    /// The variance, divided by the count (running estimates want it divided by the count less one).
    pub variance: &'a mut [f32],
    /// 1 / √(variance + ε), which the gradient needs.
    pub reciprocal_deviation: &'a mut [f32],
}

/// Normalises with the batch's own statistics, as in training.
///
/// # Panics
/// If lengths do not fit.
pub fn batch_norm_forward(
    shape: &ChannelShape,
    x: &[f32],
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    residual: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
    statistics: BatchStatistics<'_>,
) {
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
pub struct BatchNormGradients<'a> {
    /// To the input.
    pub dx: &'a mut [f32],
    /// To γ.
    pub dgamma: &'a mut [f32],
    /// To β.
    pub dbeta: &'a mut [f32],
    /// To the residual: dy where the ReLU let through.
    pub dresidual: Option<&'a mut [f32]>,
}

/// Computes the gradients of [`batch_norm_forward`]; `relu_output` is y if there was a ReLU.
///
/// # Panics
/// If lengths do not fit.
pub fn batch_norm_backward(
    shape: &ChannelShape,
    x: &[f32],
    gamma: &[f32],
    [mean, reciprocal_deviation]: [&[f32]; 2],
    relu_output: Option<&[f32]>,
    dy: &[f32],
    gradients: BatchNormGradients<'_>,
) {
    let BatchNormGradients { dx, dgamma, dbeta, dresidual } = gradients;
    shape.check(
        &[
            x.len(),
            dy.len(),
            dx.len(),
            relu_output.map_or(x.len(), <[f32]>::len),
            dresidual.as_ref().map_or(x.len(), |dresidual| dresidual.len()),
        ],
        &[gamma.len(), mean.len(), reciprocal_deviation.len(), dgamma.len(), dbeta.len()],
    );
    let level = Level::current();
    let count = (shape.batch * shape.positions) as f64;
    let (dx, dgammas, dbetas) = (Shared::new(dx), Shared::new(dgamma), Shared::new(dbeta));
    let dresidual = dresidual.map(Shared::new);
    parallel::for_each(shape.channels, |channel| {
        let (mean, deviation) = (mean[channel], reciprocal_deviation[channel]);
        let (mut dgamma, mut dbeta) = (0.0, 0.0);
        for plane in shape.planes(channel) {
            let output = relu_output.map(|output| &output[plane.clone()]);
            // SAFETY: channels have disjoint planes.
            let dresidual = dresidual.map(|d| unsafe { d.slice(plane.start, plane.len()) });
            let (sum, projected) =
                gradient_sums(level, &x[plane.clone()], mean, deviation, output, &dy[plane], dresidual);
            dbeta += f64::from(sum);
            dgamma += f64::from(projected);
        }
        let terms = GradientTerms {
            mean,
            deviation,
            scale: gamma[channel] * deviation,
            sum: (dbeta / count) as f32,
            projected: (dgamma / count) as f32,
        };
        for plane in shape.planes(channel) {
            let output = relu_output.map(|output| &output[plane.clone()]);
            // SAFETY: channels have disjoint planes.
            let dx = unsafe { dx.slice(plane.start, plane.len()) };
            input_gradient(level, &x[plane.clone()], terms, output, &dy[plane], dx);
        }
        // SAFETY: every channel has its own element of each.
        unsafe {
            dgammas.slice(channel, 1)[0] = dgamma as f32;
            dbetas.slice(channel, 1)[0] = dbeta as f32;
        }
    });
}

/// y = relu(x · scale + shift + residual) with one scale and shift for each channel: batch normalisation
/// with running statistics, as in evaluation (scale = γ / √(variance + ε), shift = β − mean · scale).
///
/// # Panics
/// If lengths do not fit.
pub fn scale_shift_forward(
    shape: &ChannelShape,
    x: &[f32],
    [scale, shift]: [&[f32]; 2],
    residual: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) {
    shape.check(&[x.len(), y.len(), residual.map_or(x.len(), <[f32]>::len)], &[scale.len(), shift.len()]);
    let level = Level::current();
    let y = Shared::new(y);
    parallel::for_each(shape.batch, |image| {
        for channel in 0..shape.channels {
            let start = (image * shape.channels + channel) * shape.positions;
            let plane = start..start + shape.positions;
            let residual = residual.map(|residual| &residual[plane.clone()]);
            let affine = Affine { centre: 0.0, scale: scale[channel], shift: shift[channel], relu };
            // SAFETY: images are disjoint.
            let y = unsafe { y.slice(plane.start, plane.len()) };
            apply(level, &x[plane], affine, residual, y);
        }
    });
}

/// The gradients of [`scale_shift_forward`] to its input and, where wanted, the residual, for constant scale
/// and shift; `relu_output` is y if there was a ReLU.
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
        for channel in 0..shape.channels {
            let start = (image * shape.channels + channel) * shape.positions;
            let plane = start..start + shape.positions;
            let output = relu_output.map(|output| &output[plane.clone()]);
            // SAFETY: images are disjoint.
            let (dx, dresidual) = unsafe {
                (
                    dx.slice(plane.start, plane.len()),
                    dresidual.map(|dresidual| dresidual.slice(plane.start, plane.len())),
                )
            };
            scaled_gradient(level, scale[channel], output, &dy[plane], dx, dresidual);
        }
    });
}

/// y = (x − centre) · scale + shift, then ReLU if wanted.
#[derive(Clone, Copy)]
struct Affine {
    centre: f32,
    scale: f32,
    shift: f32,
    relu: bool,
}

simd_fn! {
    fn apply(simd: S, x: &[f32], affine: Affine, residual: Option<&[f32]>, y: &mut [f32]) {
        let (centre, zero) = (simd.splat(affine.centre), simd.splat(0.0));
        let (scale, shift) = (simd.splat(affine.scale), simd.splat(affine.shift));
        for first in (0..x.len()).step_by(S::LANES) {
            let centred = simd.sub(load_some(simd, &x[first..]), centre);
            let mut result = simd.mul_add(centred, scale, shift);
            if let Some(residual) = residual {
                result = simd.add(result, load_some(simd, &residual[first..]));
            }
            if affine.relu {
                result = simd.select_gt(zero, result, zero, result);
            }
            store_some(simd, &mut y[first..], result);
        }
    }
}

simd_fn! {
    /// Σ (x − centre)².
    fn centred_squares(simd: S, x: &[f32], centre: f32) -> f32 {
        let (whole, rest) = x.split_at(x.len() - x.len() % S::LANES);
        let centre_vector = simd.splat(centre);
        let mut squares = [simd.splat(0.0); 2];
        for (i, x) in whole.chunks(S::LANES).enumerate() {
            let centred = simd.sub(load_some(simd, x), centre_vector);
            squares[i % 2] = simd.mul_add(centred, centred, squares[i % 2]);
        }
        let rest: f32 = rest.iter().map(|x| (x - centre) * (x - centre)).sum();
        simd.sum(simd.add(squares[0], squares[1])) + rest
    }
}

/// dy where the ReLU let through, which is where its output is positive.
#[inline(always)]
fn masked<S: Simd>(simd: S, relu_output: Option<&[f32]>, dy: &[f32], first: usize) -> S::Vector {
    let gradient = load_some(simd, &dy[first..]);
    match relu_output {
        None => gradient,
        Some(output) => {
            let zero = simd.splat(0.0);
            simd.select_gt(load_some(simd, &output[first..]), zero, gradient, zero)
        }
    }
}

simd_fn! {
    /// (Σ dy, Σ dy · x̂), writing the masked dy to `dresidual`.
    fn gradient_sums(
        simd: S,
        x: &[f32],
        mean: f32,
        deviation: f32,
        relu_output: Option<&[f32]>,
        dy: &[f32],
        dresidual: Option<&mut [f32]>,
    ) -> (f32, f32) {
        let (mean, deviation) = (simd.splat(mean), simd.splat(deviation));
        let (mut sum, mut projected) = (simd.splat(0.0), simd.splat(0.0));
        let mut dresidual = dresidual;
        for first in (0..x.len()).step_by(S::LANES) {
            let normalised = simd.mul(simd.sub(load_some(simd, &x[first..]), mean), deviation);
            let gradient = masked(simd, relu_output, dy, first);
            sum = simd.add(sum, gradient);
            projected = simd.mul_add(gradient, normalised, projected);
            if let Some(dresidual) = &mut dresidual {
                store_some(simd, &mut dresidual[first..], gradient);
            }
        }
        (simd.sum(sum), simd.sum(projected))
    }
}

/// The numbers of one channel in dx = γ / deviation · (dy − mean(dy) − x̂ · mean(dy · x̂)).
#[derive(Clone, Copy)]
struct GradientTerms {
    mean: f32,
    deviation: f32,
    scale: f32,
    sum: f32,
    projected: f32,
}

simd_fn! {
    fn input_gradient(
        simd: S,
        x: &[f32],
        terms: GradientTerms,
        relu_output: Option<&[f32]>,
        dy: &[f32],
        dx: &mut [f32],
    ) {
        let (mean, deviation) = (simd.splat(terms.mean), simd.splat(terms.deviation));
        let (sum, projected) = (simd.splat(terms.sum), simd.splat(terms.projected));
        let scale = simd.splat(terms.scale);
        for first in (0..x.len()).step_by(S::LANES) {
            let normalised = simd.mul(simd.sub(load_some(simd, &x[first..]), mean), deviation);
            let gradient = masked(simd, relu_output, dy, first);
            let centred = simd.sub(simd.sub(gradient, sum), simd.mul(normalised, projected));
            store_some(simd, &mut dx[first..], simd.mul(centred, scale));
        }
    }
}

simd_fn! {
    fn scaled_gradient(
        simd: S,
        scale: f32,
        relu_output: Option<&[f32]>,
        dy: &[f32],
        dx: &mut [f32],
        dresidual: Option<&mut [f32]>,
    ) {
        let scale = simd.splat(scale);
        let mut dresidual = dresidual;
        for first in (0..dy.len()).step_by(S::LANES) {
            let gradient = masked(simd, relu_output, dy, first);
            if let Some(dresidual) = &mut dresidual {
                store_some(simd, &mut dresidual[first..], gradient);
            }
            store_some(simd, &mut dx[first..], simd.mul(gradient, scale));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{
        Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level, doubles,
    };

    struct Case {
        shape: ChannelShape,
        x: Vec<f32>,
        residual: Option<Vec<f32>>,
        relu: bool,
        dy: Vec<f32>,
        gamma: Vec<f32>,
        beta: Vec<f32>,
    }

    impl Case {
        fn new(random: &mut Random, shape: ChannelShape, with_residual: bool, relu: bool) -> Case {
            let count = shape.batch * shape.channels * shape.positions;
            let offset = 3.0 * random.number();
            let x = random.numbers(count).iter().map(|x| x + offset).collect();
            let residual = with_residual.then(|| random.numbers(count));
            let (gamma, beta) = (random.numbers(shape.channels), random.numbers(shape.channels));
            Case { shape, x, residual, relu, dy: random.numbers(count), gamma, beta }
        }

        /// y, mean, variance, dx, dγ, dβ, dresidual.
        fn run(&self) -> [Vec<f32>; 7] {
            let zeros = |n: usize| vec![0.0; n];
            let (n, c) = (self.x.len(), self.shape.channels);
            let (mut y, mut mean, mut variance, mut deviation) = (zeros(n), zeros(c), zeros(c), zeros(c));
            let statistics = BatchStatistics {
                mean: &mut mean,
                variance: &mut variance,
                reciprocal_deviation: &mut deviation,
            };
            let residual = self.residual.as_deref();
            let affine = [&self.gamma[..], &self.beta];
            batch_norm_forward(&self.shape, &self.x, affine, 1e-3, residual, self.relu, &mut y, statistics);
            let (mut dx, mut dgamma, mut dbeta, mut dresidual) = (zeros(n), zeros(c), zeros(c), zeros(n));
            let gradients = BatchNormGradients {
                dx: &mut dx,
                dgamma: &mut dgamma,
                dbeta: &mut dbeta,
                dresidual: Some(&mut dresidual),
            };
            let output = self.relu.then_some(&y[..]);
            let saved = [&mean[..], &deviation];
            batch_norm_backward(&self.shape, &self.x, &self.gamma, saved, output, &self.dy, gradients);
            [y, mean, variance, dx, dgamma, dbeta, dresidual]
        }

        /// The same in double precision; the gradients by the chain rule through mean and variance.
        fn reference(&self) -> [Vec<f64>; 7] {
            let (x, dy) = (doubles(&self.x), doubles(&self.dy));
            let count = (self.shape.batch * self.shape.positions) as f64;
            let (n, c) = (x.len(), self.shape.channels);
            let zeros = |n: usize| vec![0.0; n];
            let mut r = [zeros(n), zeros(c), zeros(c), zeros(n), zeros(c), zeros(c), zeros(n)];
            for channel in 0..c {
                let elements: Vec<usize> = self.shape.planes(channel).flatten().collect();
                let (gamma, beta) = (f64::from(self.gamma[channel]), f64::from(self.beta[channel]));
                let mean = elements.iter().map(|i| x[*i]).sum::<f64>() / count;
                let variance = elements.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / count;
                let deviation = (variance + f64::from(1e-3_f32)).sqrt();
                let (mut dvariance, mut dmean) = (0.0, 0.0);
                for &i in &elements {
                    let hat = (x[i] - mean) / deviation;
                    let sum = hat * gamma + beta + self.residual.as_ref().map_or(0.0, |r| f64::from(r[i]));
                    r[0][i] = if self.relu { sum.max(0.0) } else { sum };
                    let gradient = if self.relu && sum <= 0.0 { 0.0 } else { dy[i] };
                    r[4][channel] += gradient * hat;
                    r[5][channel] += gradient;
                    r[6][i] = gradient;
                    dmean -= gradient * gamma / deviation;
                    dvariance -= 0.5 * gradient * gamma * (x[i] - mean) / deviation.powi(3);
                }
                for &i in &elements {
                    r[3][i] =
                        r[6][i] * gamma / deviation + dvariance * 2.0 * (x[i] - mean) / count + dmean / count;
                }
                (r[1][channel], r[2][channel]) = (mean, variance);
            }
            r
        }
    }

    #[test]
    fn values_and_gradients_agree_with_double_precision() {
        let mut random = Random(60);
        for case in 0..120 {
            let shape = ChannelShape {
                batch: random.between(1, 5),
                channels: random.between(1, 6),
                positions: random.between(2, 70),
            };
            let case = Case::new(&mut random, shape, case % 2 == 0, case % 3 != 0);
            let expected = case.reference();
            at_every_level(|level| {
                for (i, (found, expected)) in case.run().iter().zip(&expected).enumerate() {
                    assert_close(&format!("result {i} of {shape:?} at {level:?}"), found, expected, 2e-5);
                }
            });
        }
    }

    #[test]
    fn the_number_of_threads_is_irrelevant() {
        let shape = ChannelShape { batch: 7, channels: 13, positions: 81 };
        let case = Case::new(&mut Random(61), shape, true, true);
        assert_thread_count_is_irrelevant("batch norm", || case.run().concat());
    }

    #[test]
    fn evaluation_scales_and_shifts_each_image_alone() {
        let shape = ChannelShape { batch: 3, channels: 4, positions: 37 };
        let case = Case::new(&mut Random(62), shape, true, true);
        let (residual, affine) = (case.residual.as_ref().expect("a residual"), [&case.gamma[..], &case.beta]);
        at_every_level(|level| {
            let run = |shape: &ChannelShape, range: std::ops::Range<usize>| {
                let mut y = vec![0.0; range.len()];
                let residual = Some(&residual[range.clone()]);
                scale_shift_forward(shape, &case.x[range.clone()], affine, residual, true, &mut y);
                let (mut dx, mut dresidual) = (y.clone(), y.clone());
                let dy = &case.dy[range];
                scale_shift_backward(shape, &case.gamma, Some(&y), dy, &mut dx, Some(&mut dresidual));
                [y, dx, dresidual]
            };
            let whole = run(&shape, 0..case.x.len());
            let image = case.x.len() / 3;
            let alone = run(&ChannelShape { batch: 1, ..shape }, image..2 * image);
            for (alone, whole) in alone.iter().zip(&whole) {
                assert_same_bits("one image", alone, &whole[image..2 * image]);
            }
            for i in 0..case.x.len() {
                let channel = i / 37 % 4;
                let sum = f64::from(case.x[i]) * f64::from(case.gamma[channel])
                    + f64::from(case.beta[channel])
                    + f64::from(residual[i]);
                assert!((f64::from(whole[0][i]) - sum.max(0.0)).abs() < 1e-6, "{level:?}");
                let gradient = if whole[0][i] > 0.0 { case.dy[i] } else { 0.0 };
                assert_eq!(whole[1][i], gradient * case.gamma[channel]);
                assert_eq!(whole[2][i], gradient);
            }
        });
    }
}
