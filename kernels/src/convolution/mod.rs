//! Two-dimensional convolution of `[batch, channels, height, width]` images (cross-correlation, as usual).
//!
//! For each image the output is a matrix product: weights `[out_channels, in_channels · kernel]` by patches
//! `[in_channels · kernel, positions]`. The patches are packed straight from the image into the product's
//! panels ([`patches`]), so the patch matrix never exists. A panel's vectors hold positions of one image
//! each; several small images share a panel. Sums run over k = (channel, kernel row, kernel column) in
//! blocks that depend on the layer only, so an image's output does not depend on its batch.

mod gradient;
mod patches;
mod shape;

pub use gradient::{convolution_input_gradient, convolution_weight_gradient};
pub use shape::Convolution;

use crate::gemm::micro::{Finish, Left, Panel, Target, multiply_panel};
use crate::gemm::pack::{LeftLayout, pack_left, pack_right, steps};
use crate::gemm::{TileShape, tile_shape};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::MAX_TILE_VECTORS;
use crate::{Level, Precision};
use patches::{PatchTable, pack_patches};
use std::ops::Range;

/// What is done to a convolution's sums before they are stored: times scale, plus bias, plus residual, then ReLU.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvolutionEpilogue<'a> {
    /// One factor for each output channel; only together with a bias.
    pub scale: Option<&'a [f32]>,
    /// One number for each output channel.
    pub bias: Option<&'a [f32]>,
    /// Numbers of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Replace negative results by zero.
    pub relu: bool,
}

/// The longest block of k, in numbers: a panel of it stays in the second-level cache.
const K_BLOCK: usize = 640;

/// y = convolution of `x` by `weight`, plus what `epilogue` says.
///
/// # Panics
/// If lengths do not fit.
pub fn convolution_forward(
    shape: &Convolution,
    x: &[f32],
    weight: &[f32],
    epilogue: ConvolutionEpilogue<'_>,
    y: &mut [f32],
    precision: Precision,
) {
    shape.check(x.len(), weight.len(), y.len());
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), shape.out_channels, "a bias has one number for each output channel");
    }
    if let Some(scale) = epilogue.scale {
        assert_eq!(scale.len(), shape.out_channels, "a scale has one number for each output channel");
        assert!(epilogue.bias.is_some(), "a scale comes with a bias");
    }
    if let Some(residual) = epilogue.residual {
        assert_eq!(residual.len(), y.len(), "a residual has the output's shape");
    }
    if y.is_empty() {
        return;
    }
    assert!(shape.in_channels > 0, "a convolution has input channels: {shape:?}");
    let level = Level::current();
    let tile = tile_shape(level);
    let table = PatchTable::new(shape, tile.lanes);
    let weights = PackedWeights::new(level, shape, weight, precision);
    let vectors = shape.batch * table.vectors();
    let panels = vectors.div_ceil(tile.columns / tile.lanes);
    // Small outputs have few panels, so their channels are shared out too.
    let wanted = (4 * rayon::current_num_threads()).div_ceil(panels * shape.groups);
    let channels = shape.group_outputs().div_ceil(wanted).max(32).next_multiple_of(tile.rows);
    let blocks = shape.group_outputs().div_ceil(channels);
    let forward = Forward { level, tile, shape, x, epilogue, table, weights, precision, y: Shared::new(y) };
    parallel::for_each(panels * shape.groups * blocks, |task| {
        let (panel, rest) = (task / (shape.groups * blocks), task % (shape.groups * blocks));
        let (group, first) = (rest / blocks, rest % blocks * channels);
        let per_panel = tile.columns / tile.lanes;
        let vectors = panel * per_panel..(panel * per_panel + per_panel).min(vectors);
        forward.panel(group, first..(first + channels).min(shape.group_outputs()), vectors);
    });
}

/// The weights as the left operand of every panel, one entry for each block of k.
struct PackedWeights<'a> {
    weight: &'a [f32],
    /// Ranges of a group's channels, each a block of k.
    blocks: Vec<Range<usize>>,
    /// bfloat16 words of each group and block in turn; empty in f32, which reads the weights in place.
    words: Vec<Vec<f32>>,
}

impl<'a> PackedWeights<'a> {
    fn new(level: Level, shape: &Convolution, weight: &'a [f32], precision: Precision) -> Self {
        let inputs = shape.group_inputs();
        let channels = (K_BLOCK / shape.taps()).clamp(1, inputs.max(1));
        let blocks: Vec<_> = (0..inputs).step_by(channels).map(|c| c..(c + channels).min(inputs)).collect();
        let mut words = Vec::new();
        if precision == Precision::Bf16 {
            let tile_rows = tile_shape(level).rows;
            for group in 0..shape.groups {
                let rows = shape.group_outputs();
                let start = group * rows * shape.patch_len();
                let matrix =
                    Matrix::new(&weight[start..start + rows * shape.patch_len()], rows, shape.patch_len());
                for block in &blocks {
                    let k = block.start * shape.taps()..block.end * shape.taps();
                    let mut packed = vec![0.0; rows.next_multiple_of(tile_rows) * steps(k.len(), precision)];
                    pack_left(level, &matrix, 0..rows, k, precision, &mut packed);
                    words.push(packed);
                }
            }
            assert!(LeftLayout::of(&Matrix::new(weight, 1, weight.len()), precision) == LeftLayout::Rows);
        }
        PackedWeights { weight, blocks, words }
    }

    fn left(&self, shape: &Convolution, group: usize, block: usize, row: usize) -> Left {
        match self.words.get(group * self.blocks.len() + block) {
            None => {
                let start = (group * shape.group_outputs() + row) * shape.patch_len()
                    + self.blocks[block].start * shape.taps();
                let pointer = self.weight[start..].as_ptr();
                Left { pointer, row_stride: shape.patch_len(), k_stride: 1 }
            }
            Some(words) => {
                let depth = steps(self.blocks[block].len() * shape.taps(), Precision::Bf16);
                Left { pointer: words[row * depth..].as_ptr(), row_stride: depth, k_stride: 1 }
            }
        }
    }
}

struct Forward<'a> {
    level: Level,
    tile: TileShape,
    shape: &'a Convolution,
    x: &'a [f32],
    epilogue: ConvolutionEpilogue<'a>,
    table: PatchTable,
    weights: PackedWeights<'a>,
    precision: Precision,
    y: Shared<f32>,
}

impl Forward<'_> {
    /// Computes some output channels of a group at the positions of some vectors, at most a panel of them.
    fn panel(&self, group: usize, channels: Range<usize>, vectors: Range<usize>) {
        let (shape, positions) = (self.shape, self.shape.positions());
        let width = vectors.len() * self.tile.lanes;
        let first_channel = group * shape.group_outputs() + channels.start;
        let mut target = Target {
            pointer: self.y.offset(first_channel * positions).pointer(),
            row_stride: positions,
            offsets: [0; MAX_TILE_VECTORS],
            masks: [0; MAX_TILE_VECTORS],
            accumulate: false,
        };
        for (v, vector) in vectors.clone().enumerate() {
            let (image, vector) = self.table.locate(vector);
            target.offsets[v] = image * shape.out_channels * positions + vector * self.tile.lanes;
            target.masks[v] = self.tile.mask(positions - vector * self.tile.lanes);
        }
        let longest = self.weights.blocks.first().map_or(0, |block| block.len() * shape.taps());
        let mut numbers = Scratch::take(longest * width);
        let mut words = Scratch::take(match self.precision {
            Precision::F32 => 0,
            Precision::Bf16 => steps(longest, self.precision) * width,
        });
        for (index, block) in self.weights.blocks.iter().enumerate() {
            let k = block.len() * shape.taps();
            let inputs = group * shape.group_inputs() + block.start;
            let rows = inputs..inputs + block.len();
            pack_patches(self.level, &self.table, self.x, shape, rows, vectors.clone(), width, &mut numbers);
            let right = match self.precision {
                Precision::F32 => numbers.as_ptr(),
                Precision::Bf16 => {
                    let panel = Matrix::new(&numbers[..k * width], k, width);
                    pack_right(self.level, &panel, 0..k, 0..width, self.precision, &mut words);
                    words.as_ptr()
                }
            };
            let last = index + 1 == self.weights.blocks.len();
            target.accumulate = index > 0;
            let left = self.weights.left(shape, group, index, channels.start);
            multiply_panel(
                self.level,
                &Panel {
                    rows: channels.len(),
                    vectors: vectors.len(),
                    depth: steps(k, self.precision),
                    precision: self.precision,
                    left,
                    strip_stride: self.tile.rows * left.row_stride,
                    right,
                    target,
                    finish: if last { self.finish(first_channel) } else { Finish::NOTHING },
                },
            );
        }
    }

    fn finish(&self, first_channel: usize) -> Finish {
        let positions = self.shape.positions();
        Finish {
            row_scale: self.epilogue.scale.map(|scale| scale[first_channel..].as_ptr()),
            row_bias: self.epilogue.bias.map(|bias| bias[first_channel..].as_ptr()),
            residual: self
                .epilogue
                .residual
                .map(|residual| (residual[first_channel * positions..].as_ptr(), positions)),
            relu: self.epilogue.relu,
            ..Finish::NOTHING
        }
    }
}

#[cfg(test)]
mod tests;
