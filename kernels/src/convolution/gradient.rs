//! The gradients of a convolution to its input, its weight and its bias.

use super::patches::{PatchTable, Place, pack_patches};
use super::{Convolution, ConvolutionEpilogue, convolution_forward, winograd};
use crate::gemm::micro::{Finish, Left, Panel, Target, multiply_panel};
use crate::gemm::pack::{pack_left, pack_right, steps};
use crate::gemm::{Product, Threads, TileShape, tile_shape};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::reduce::{add_to, sum};
use crate::scratch::Scratch;
use crate::simd::MAX_TILE_VECTORS;
use crate::transpose::transpose;
use crate::{Level, Precision};
use rayon::prelude::*;
use std::ops::Range;

/// dx from `dy`.
///
/// # Panics
/// If lengths do not fit.
pub fn convolution_input_gradient(
    shape: &Convolution,
    dy: &[f32],
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

/// At stride 1 the gradient is itself a convolution, by the kernel turned half round, with the roles of input
/// and output channels exchanged.
fn by_reversed_kernel(shape: &Convolution, dy: &[f32], weight: &[f32], dx: &mut [f32], precision: Precision) {
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
    convolution_forward(&transposed, dy, &reversed, ConvolutionEpilogue::default(), dx, precision);
}

/// Input channels whose kernels one task turns: their numbers for an output are read as one piece.
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
                let kernel = &weight[first + input * taps..][..taps];
                let turned = kernels[output * taps..][..taps].iter_mut();
                turned.zip(kernel.iter().rev()).for_each(|(to, from)| *to = *from);
            }
        }
    });
}

/// Numbers of the patch gradient that one task holds.
const PATCH_NUMBERS: usize = 128 * 1024;

/// The general case: the patches' gradient is Wᵀ · dy, and every input element sums those it appears in.
fn by_scattering(shape: &Convolution, dy: &[f32], weight: &[f32], dx: &mut [f32], precision: Precision) {
    let level = Level::current();
    let (inputs, outputs, taps) = (shape.group_inputs(), shape.group_outputs(), shape.taps());
    let (positions, plane) = (shape.positions(), shape.input_positions());
    let channels = (PATCH_NUMBERS / (taps * positions)).clamp(1, inputs);
    let blocks = inputs.div_ceil(channels);
    let dx = Shared::new(dx);
    parallel::for_each(shape.batch * shape.groups * blocks, |task| {
        let (image, rest) = (task / (shape.groups * blocks), task % (shape.groups * blocks));
        let (group, first) = (rest / blocks, rest % blocks * channels);
        let channels = channels.min(inputs - first);
        let kernels = &weight[group * outputs * inputs * taps..][..outputs * inputs * taps];
        let a = Matrix::strided(&kernels[first * taps..], [outputs, channels * taps], [inputs * taps, 1]);
        let start = (image * shape.out_channels + group * outputs) * positions;
        let b = Matrix::new(&dy[start..start + outputs * positions], outputs, positions);
        let mut patches = Scratch::take(channels * taps * positions);
        let product = Product::new(level, a.transposed(), b, precision);
        // SAFETY: the scratch is this task's own and has the product's shape.
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

/// Adds one channel's patch gradient `[taps, positions]` to the elements that it was made of.
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

/// Rows of the weight gradient's transpose (pairs of input channel and tap) in one task, at least and at most.
const ROWS_PER_TASK: [usize; 2] = [64, 576];
/// Tasks that the weight gradient is divided into, if it is large enough.
const TASKS: usize = 16;
/// Positions for which it is worth to have sums of their own, added to the others' in the end.
const POSITIONS_PER_SEGMENT: usize = 2048;
/// Positions that are packed at once.
const POSITIONS: usize = 256;

/// dweight and, where wanted, dbias from `x` and `dy`.
///
/// # Panics
/// If lengths do not fit.
pub fn convolution_weight_gradient(
    shape: &Convolution,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    dbias: Option<&mut [f32]>,
    precision: Precision,
) {
    shape.check(x.len(), dweight.len(), dy.len());
    let level = Level::current();
    if let Some(dbias) = dbias {
        assert_eq!(dbias.len(), shape.out_channels, "a bias has one number for each output channel");
        bias_gradient(level, shape, dy, dbias);
    }
    if dweight.is_empty() || dy.is_empty() {
        dweight.fill(0.0);
        return;
    }
    if winograd::suits(shape) {
        return winograd::weight_gradient(shape, x, dy, dweight);
    }
    let tile = tile_shape(level);
    let (inputs, outputs, taps) = (shape.group_inputs(), shape.group_outputs(), shape.taps());
    // Depends on the layer and the batch, not on the threads: the segments' sums are added in order.
    let positions = shape.batch * shape.positions();
    let segments = (positions / POSITIONS_PER_SEGMENT).clamp(1, TASKS.min(shape.batch));
    let images = shape.batch.div_ceil(segments);
    let [fewest, most] = ROWS_PER_TASK.map(|rows| (rows / taps).max(1));
    let channels = inputs.div_ceil(TASKS.div_ceil(segments * shape.groups)).clamp(fewest, most).min(inputs);
    let blocks = inputs.div_ceil(channels);
    let table = PatchTable::new(shape, tile.lanes, false);
    let work = WeightGradient { level, tile, shape, x, dy, table, precision };
    let transposed_len = shape.weight_len();
    // [segment, group, input channel, tap, output channel]
    let mut sums = Scratch::take(segments * transposed_len);
    let shared = Shared::new(&mut sums);
    parallel::for_each(segments * shape.groups * blocks, |task| {
        let (segment, rest) = (task / (shape.groups * blocks), task % (shape.groups * blocks));
        let (group, first) = (rest / blocks, rest % blocks * channels);
        let channels = first..(first + channels).min(inputs);
        let start = segment * transposed_len + (group * inputs + first) * taps * outputs;
        // SAFETY: tasks have disjoint segments, groups or channels.
        let sums = unsafe { shared.slice(start, channels.len() * taps * outputs) };
        let images = (segment * images).min(shape.batch)..((segment + 1) * images).min(shape.batch);
        work.block(group, channels, images, sums);
    });
    for segment in 1..segments {
        let (total, rest) = sums.split_at_mut(segment * transposed_len);
        add_to(level, &rest[..transposed_len], &mut total[..transposed_len]);
    }
    let patch = shape.patch_len();
    for (sums, dweight) in sums.chunks(patch * outputs).zip(dweight.chunks_mut(patch * outputs)) {
        transpose(level, sums, [patch, outputs], dweight);
    }
}

fn bias_gradient(level: Level, shape: &Convolution, dy: &[f32], dbias: &mut [f32]) {
    let positions = shape.positions();
    dbias.par_iter_mut().enumerate().for_each(|(channel, dbias)| {
        let plane = |image: usize| &dy[(image * shape.out_channels + channel) * positions..][..positions];
        *dbias = (0..shape.batch).map(|image| f64::from(sum(level, plane(image)))).sum::<f64>() as f32;
    });
}

struct WeightGradient<'a> {
    level: Level,
    tile: TileShape,
    shape: &'a Convolution,
    x: &'a [f32],
    dy: &'a [f32],
    table: PatchTable,
    precision: Precision,
}

impl WeightGradient<'_> {
    /// `sums[(channel, tap), output]` = Σ over the images' positions of patch · dy.
    fn block(&self, group: usize, channels: Range<usize>, images: Range<usize>, sums: &mut [f32]) {
        let (shape, tile) = (self.shape, self.tile);
        let (rows, outputs) = (channels.len() * shape.taps(), shape.group_outputs());
        let panels = outputs.div_ceil(tile.columns);
        let first_channel = group * shape.group_inputs() + channels.start;
        let inputs = first_channel..first_channel + channels.len();
        let first_vector = images.start * self.table.own_vectors() / shape.batch;
        let end_vector = images.end * self.table.own_vectors() / shape.batch;
        let per_image = self.table.own_vectors() / shape.batch;
        let per_chunk = (POSITIONS * per_image / shape.positions()).max(1);
        if first_vector == end_vector {
            sums.fill(0.0);
        }
        // A piece may end in a pair's empty half, and a vector be stored beyond it.
        let longest = per_chunk * (tile.lanes + 1);
        let mut patches = Scratch::take(rows * longest + tile.lanes);
        let mut words = Scratch::take(rows.next_multiple_of(tile.rows) * longest.div_ceil(2));
        let mut gradients = Scratch::take(tile.columns * longest);
        for first in (first_vector..end_vector).step_by(per_chunk) {
            let pieces = self.pieces(first..(first + per_chunk).min(end_vector));
            let k = pieces.iter().map(|piece| self.length(piece.count)).sum();
            let depth = steps(k, self.precision);
            let places = self.places(&pieces, k);
            let (level, f32) = (self.level, Precision::F32);
            pack_patches(level, &self.table, self.x, shape, inputs.clone(), &places, f32, &mut patches);
            let (left, row_stride) = match self.precision {
                Precision::F32 => (patches.as_ptr(), k),
                Precision::Bf16 => {
                    let matrix = Matrix::new(&patches[..rows * k], rows, k);
                    pack_left(self.level, &matrix, 0..rows, 0..k, self.precision, &mut words);
                    (words.as_ptr(), depth)
                }
            };
            for panel in 0..panels {
                let columns = panel * tile.columns..(panel * tile.columns + tile.columns).min(outputs);
                let width = columns.len();
                let vectors = width.div_ceil(tile.lanes);
                self.pack_gradients(group, columns.clone(), &pieces, &mut gradients);
                let mut target = Target {
                    pointer: sums[columns.start..].as_mut_ptr(),
                    row_stride: outputs,
                    offsets: std::array::from_fn(|v| v * tile.lanes),
                    masks: [0; MAX_TILE_VECTORS],
                    accumulate: first > first_vector,
                };
                for (v, mask) in target.masks[..vectors].iter_mut().enumerate() {
                    *mask = tile.mask(width - v * tile.lanes);
                }
                multiply_panel(
                    self.level,
                    &Panel {
                        rows,
                        vectors,
                        depth,
                        precision: self.precision,
                        left: Left { pointer: left, row_stride, k_stride: 1 },
                        strip_stride: tile.rows * row_stride,
                        right: gradients.as_ptr(),
                        target,
                        finish: Finish::NOTHING,
                    },
                );
            }
        }
    }

    /// The part of each image that some vectors are.
    fn pieces(&self, vectors: Range<usize>) -> Vec<Piece> {
        let per_image = self.table.own_vectors() / self.shape.batch;
        let mut pieces = Vec::new();
        let mut next = vectors.start;
        while next < vectors.end {
            let (image, vector) = self.table.locate(next);
            let vectors = (per_image - vector).min(vectors.end - next);
            let first = vector * self.tile.lanes;
            let count = (self.shape.positions() - first).min(vectors * self.tile.lanes);
            pieces.push(Piece { image, first, count });
            next += vectors;
        }
        pieces
    }

    /// The steps over k that `count` positions take: whole pairs in bfloat16.
    fn length(&self, count: usize) -> usize {
        match self.precision {
            Precision::F32 => count,
            Precision::Bf16 => count.next_multiple_of(2),
        }
    }

    /// Where the patches at the positions of some pieces are packed, one piece after the other.
    fn places(&self, pieces: &[Piece], k: usize) -> Vec<Place> {
        let (lanes, per_image) = (self.tile.lanes, self.table.own_vectors() / self.shape.batch);
        let mut start = 0;
        let mut places = Vec::new();
        for piece in pieces {
            let first = piece.image * per_image + piece.first / lanes;
            for vector in 0..piece.count.div_ceil(lanes) {
                // What the last vector of a row writes beyond its positions, the next piece or row overwrites.
                places.push(self.table.place(first + vector, start + vector * lanes, k));
            }
            start += self.length(piece.count);
        }
        places
    }

    /// Packs dy of some output channels at the positions of some pieces as a panel.
    fn pack_gradients(&self, group: usize, columns: Range<usize>, pieces: &[Piece], panel: &mut [f32]) {
        let shape = self.shape;
        let positions = shape.positions();
        let width = columns.len().next_multiple_of(self.tile.lanes);
        let first_channel = group * shape.group_outputs() + columns.start;
        let mut rest = panel;
        for &Piece { image, first, count } in pieces {
            let start = (image * shape.out_channels + first_channel) * positions + first;
            let gradient = Matrix::strided(&self.dy[start..], [count, columns.len()], [1, positions]);
            let (rows, others) = rest.split_at_mut(steps(count, self.precision) * width);
            pack_right(self.level, &gradient, 0..count, 0..columns.len(), self.precision, rows);
            rest = others;
        }
    }
}

/// Neighbouring positions of one image.
struct Piece {
    image: usize,
    first: usize,
    count: usize,
}
