//! The gradient of a convolution to its input.

use super::{Convolution, ConvolutionEpilogue, convolution_forward};
use crate::gemm::{Product, Threads};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::stored::widened;
use crate::transpose::transpose;
use crate::{Level, Precision, Stored};
use rayon::prelude::*;

/// dx from `dy`.
///
/// # Panics
/// If lengths do not fit.
pub fn convolution_input_gradient<N: Stored>(
    shape: &Convolution,
    dy: &[N],
    weight: &[f32],
    dx: &mut [f32],
    precision: Precision,
) {
    shape.check(dx.len(), weight.len(), dy.len());
    let reversible = (0..2).all(|i| shape.stride[i] == 1 && shape.padding[i] < shape.kernel[i]);
    if dx.is_empty() || dy.is_empty() {
        dx.fill(0.0);
    } else if reversible {
        by_reversed_kernel(shape, dy, weight, dx, precision);
    } else {
        by_scattering(shape, dy, weight, dx, precision);
    }
}

/// At stride 1 the gradient is itself a convolution, by the kernel rotated by 180°, with the roles of input
/// and output channels exchanged.
fn by_reversed_kernel<N: Stored>(
    shape: &Convolution,
    dy: &[N],
    weight: &[f32],
    dx: &mut [f32],
    precision: Precision,
) {
    let (inputs, outputs, taps) = (shape.group_inputs(), shape.group_outputs(), shape.taps());
    let mut reversed = Scratch::take(weight.len());
    let group = inputs * outputs * taps;
    for (weight, reversed) in weight.chunks(group).zip(reversed.chunks_mut(group)) {
        reverse(weight, [outputs, inputs, taps], reversed);
    }
    let transposed = Convolution {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        input_size: shape.output_size(),
        padding: [0, 1].map(|i| shape.kernel[i] - 1 - shape.padding[i]),
        ..*shape
    };
    convolution_forward(&transposed, dy, &reversed[..], ConvolutionEpilogue::default(), dx, precision);
}

/// Input channels whose kernels one task reverses: their values for an output are contiguous.
const REVERSED_PER_TASK: usize = 16;

/// `[output, input, tap]` becomes `[input, output, reversed tap]`.
fn reverse(weight: &[f32], [outputs, inputs, taps]: [usize; 3], reversed: &mut [f32]) {
    if taps == 1 {
        return transpose(Level::current(), weight, [outputs, inputs], reversed);
    }
    let bands = reversed.par_chunks_mut(REVERSED_PER_TASK * outputs * taps);
    bands.enumerate().for_each(|(band, reversed)| {
        for output in 0..outputs {
            let first = (output * inputs + band * REVERSED_PER_TASK) * taps;
            for (input, kernels) in reversed.chunks_mut(outputs * taps).enumerate() {
                turn(&weight[first + input * taps..][..taps], &mut kernels[output * taps..][..taps]);
            }
        }
    });
}

/// The kernel rotated by 180°. With the usual size known at compile time, it stays in registers.
fn turn(kernel: &[f32], turned: &mut [f32]) {
    match (<&[f32; 9]>::try_from(kernel), <&mut [f32; 9]>::try_from(&mut *turned)) {
        (Ok(kernel), Ok(turned)) => *turned = std::array::from_fn(|tap| kernel[8 - tap]),
        _ => turned.iter_mut().zip(kernel.iter().rev()).for_each(|(to, from)| *to = *from),
    }
}

/// Numbers of the patch gradient that one task holds.
const PATCH_NUMBERS: usize = 128 * 1024;

/// The general case: the patches' gradient is Wᵀ · dy, and every input element sums those it appears in.
fn by_scattering<N: Stored>(
    shape: &Convolution,
    dy: &[N],
    weight: &[f32],
    dx: &mut [f32],
    precision: Precision,
) {
    let level = Level::current();
    let (inputs, outputs, taps) = (shape.group_inputs(), shape.group_outputs(), shape.taps());
    let (positions, plane) = (shape.positions(), shape.input_positions());
    let channels = (PATCH_NUMBERS / (taps * positions)).clamp(1, inputs);
    let blocks = inputs.div_ceil(channels);
    // Wᵀ of each group, whose rows every image's product then reads in place.
    let mut transposed = Scratch::take(weight.len());
    let group_len = outputs * inputs * taps;
    for (weight, transposed) in weight.chunks(group_len).zip(transposed.chunks_mut(group_len)) {
        transpose(level, weight, [outputs, inputs * taps], transposed);
    }
    let dx = Shared::new(dx);
    parallel::for_each(shape.batch * shape.groups * blocks, |task| {
        let (image, rest) = (task / (shape.groups * blocks), task % (shape.groups * blocks));
        let (group, first) = (rest / blocks, rest % blocks * channels);
        let channels = channels.min(inputs - first);
        let rows = group * group_len + first * taps * outputs;
        let a = Matrix::new(&transposed[rows..][..channels * taps * outputs], channels * taps, outputs);
        let start = (image * shape.out_channels + group * outputs) * positions;
        let mut room = None;
        let dy = widened(level, &dy[start..start + outputs * positions], &mut room);
        let b = Matrix::new(dy, outputs, positions);
        let mut patches = Scratch::take(channels * taps * positions);
        let product = Product::new(level, a, b, precision);
        // SAFETY: the scratch belongs to this task and has the product's shape.
        unsafe { product.run(Shared::new(&mut patches), positions, Threads::One, &|_, _| {}) }
        let channel = image * shape.in_channels + group * inputs + first;
        // SAFETY: tasks have disjoint channels of disjoint images.
        let dx = unsafe { dx.slice(channel * plane, channels * plane) };
        dx.fill(0.0);
        for (plane, patches) in dx.chunks_mut(plane).zip(patches.chunks(taps * positions)) {
            scatter(shape, patches, plane);
        }
    });
}

/// Adds one channel's patch gradient `[taps, positions]` to the elements it came from.
fn scatter(shape: &Convolution, patches: &[f32], plane: &mut [f32]) {
    let [height, width] = shape.input_size;
    let [output_height, output_width] = shape.output_size();
    // The outputs whose element at `tap` lies inside the input, and the input index of output 0.
    let inside = |axis: usize, tap: usize, input: usize, output: usize| {
        let (stride, padding) = (shape.stride[axis], shape.padding[axis]);
        let first = padding.saturating_sub(tap).div_ceil(stride);
        let end = (input + padding).saturating_sub(tap).div_ceil(stride).min(output);
        first..end.max(first)
    };
    for (tap, patch) in patches.chunks(output_height * output_width).enumerate() {
        let (tap_row, tap_column) = (tap / shape.kernel[1], tap % shape.kernel[1]);
        let columns = inside(1, tap_column, width, output_width);
        for row in inside(0, tap_row, height, output_height) {
            let target = (row * shape.stride[0] + tap_row - shape.padding[0]) * width;
            for column in columns.clone() {
                plane[target + column * shape.stride[1] + tap_column - shape.padding[1]] +=
                    patch[row * output_width + column];
            }
        }
    }
}
