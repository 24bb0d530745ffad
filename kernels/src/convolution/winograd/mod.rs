//! 3×3 convolutions at stride 1 by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", 2016): a quarter of the multiplications.
//!
//! Outputs are divided into 4×4 tiles. The 6×6 inputs that a tile depends on and each filter are transformed; then each of the 36
//! elements is a matrix product over the channels, U · V, and the products are transformed back: Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A.
//! The gradient to the weights is the same formula's: dU = (A dY Aᵀ) · Vᵀ, then Gᵀ dU G.
//!
//! Sums are always `f32`, regardless of the requested precision: for values and gradients to the input this is faster than
//! bfloat16 products of all nine taps, and more accurate. (Gradients to the weights are not faster, and use bfloat16 if
//! requested.) The sums' error is about twice that of the direct sum (see [`transforms`]'s choice of points, and the test here).
//! Each output is summed over the channels in order, so no result depends on the batch or the threads.

mod forward;
mod gradient;
mod passes;
mod tiles;
mod transforms;

use super::Convolution;
use crate::gemm::TileShape;
use crate::gemm::micro::{Finish, Left, Panel, Target, multiply_panel};
use crate::simd::MAX_TILE_VECTORS;
use crate::{Level, Precision};
use std::ops::Range;
use tiles::Tiles;

pub(super) use forward::forward;
pub(super) use gradient::weight_gradient;

/// Channels on either side below which the transforms cost more than they save.
const FEWEST_CHANNELS: usize = 32;
/// Outputs that a tile must yield on average: one of 16 costs 36 multiplications rather than 144.
const FEWEST_OUTPUTS: usize = 8;

/// Whether the algorithm is used for a convolution and its gradients. It depends on the layer only.
pub(super) fn suits(shape: &Convolution) -> bool {
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.groups == 1
        && shape.in_channels.min(shape.out_channels) >= FEWEST_CHANNELS
        && shape.positions() >= FEWEST_OUTPUTS * Tiles::of(shape).of_image()
}

/// Numbers of transformed tiles that are held at once by all threads.
const HELD: usize = 2 << 20;
/// Output channels of a task: their filters and products stay in the second-level cache.
const OUTPUTS_PER_TASK: usize = 16;

/// A stride of at least `numbers` between the elements of tiles: an odd number of cache lines, because 36 lines written together
/// would evict one another if they were a power of two apart.
fn apart(numbers: usize) -> usize {
    (numbers.div_ceil(16) | 1) * 16
}

/// A product of some rows by one panel, all of it in one block of k.
struct Product {
    left: *const f32,
    left_stride: usize,
    right: *const f32,
    depth: usize,
    target: *mut f32,
    target_stride: usize,
    accumulate: bool,
}

impl Product {
    /// The caller must ensure that operands and target are valid: `rows` rows, `columns` columns.
    fn multiply(&self, level: Level, tile: TileShape, rows: usize, columns: usize) {
        let vectors = columns.div_ceil(tile.lanes);
        let mut masks = [0; MAX_TILE_VECTORS];
        for (v, mask) in masks[..vectors].iter_mut().enumerate() {
            *mask = tile.mask(columns - v * tile.lanes);
        }
        let panel = Panel {
            rows,
            vectors,
            depth: self.depth,
            precision: Precision::F32,
            left: Left { pointer: self.left, row_stride: self.left_stride, k_stride: 1 },
            strip_stride: tile.rows * self.left_stride,
            right: self.right,
            upcoming: self.right,
            target: Target {
                pointer: self.target,
                row_stride: self.target_stride,
                offsets: std::array::from_fn(|v| v * tile.lanes),
                masks,
                accumulate: self.accumulate,
                bf16: false,
            },
            finish: Finish::NOTHING,
        };
        multiply_panel(level, &panel);
    }
}

/// The `index`th part of `0..count`, in parts of `size`.
fn some(index: usize, size: usize, count: usize) -> Range<usize> {
    (index * size).min(count)..((index + 1) * size).min(count)
}

#[cfg(test)]
mod tests;
