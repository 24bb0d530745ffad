//! A convolution's weights as the left operand of its products.

use super::{Convolution, winograd};
use crate::gemm::micro::Left;
use crate::gemm::pack::{LeftLayout, pack_left, steps};
use crate::gemm::tile_shape;
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::scratch::{Numbers, Scratch};
use crate::{Level, Precision};
use std::ops::Range;

/// The longest block of k, in numbers: a panel of it stays in the second-level cache.
const K_BLOCK: usize = 640;

/// The weights of a convolution, `[out_channels, in_channels / groups, kernel…]`.
#[derive(Clone, Copy, Debug)]
pub struct Filters<'a> {
    pub(super) weight: &'a [f32],
    packed: Option<&'a PackedFilters>,
}

impl<'a> From<&'a [f32]> for Filters<'a> {
    fn from(weight: &'a [f32]) -> Self {
        Filters { weight, packed: None }
    }
}

impl<'a> From<&'a Vec<f32>> for Filters<'a> {
    fn from(weight: &'a Vec<f32>) -> Self {
        weight.as_slice().into()
    }
}

impl<'a> Filters<'a> {
    /// The same weights with their [`PackedFilters`], which a convolution in bfloat16 reads instead. Results are bit-identical.
    pub fn packed(self, packed: &'a PackedFilters) -> Self {
        Filters { packed: Some(packed), ..self }
    }
}

/// The weights of a convolution in bfloat16, rounded once for many images at the processor's [`Level`] of the time.
#[derive(Debug)]
pub struct PackedFilters {
    level: Level,
    taps: usize,
    lengths: [usize; 2],
    words: Vec<Numbers>,
}

impl PackedFilters {
    /// Rounds `weight`; empty if the convolution does not read weights in bfloat16, as for 3×3 kernels by Winograd's algorithm.
    ///
    /// # Panics
    /// If the weight is not one of `shape`.
    pub fn new(shape: &Convolution, weight: &[f32]) -> Option<Self> {
        assert_eq!(weight.len(), shape.weight_len(), "length of the weight of {shape:?}");
        if weight.is_empty() || winograd::suits(shape) {
            return None;
        }
        let level = Level::current();
        let words = pack(level, shape, weight, Numbers::zeros);
        Some(PackedFilters { level, taps: shape.taps(), lengths: lengths(shape), words })
    }

    /// Memory used, in bytes.
    pub fn bytes(&self) -> usize {
        self.words.iter().map(|words| size_of_val(&**words)).sum()
    }
}

/// Outputs of a group, and the number of products in each sum.
fn lengths(shape: &Convolution) -> [usize; 2] {
    [shape.group_outputs(), shape.patch_len()]
}

/// Ranges of a group's channels, each a block of k.
fn blocks(shape: &Convolution) -> Vec<Range<usize>> {
    let inputs = shape.group_inputs();
    let channels = (K_BLOCK / shape.taps()).clamp(1, inputs.max(1));
    (0..inputs).step_by(channels).map(|c| c..(c + channels).min(inputs)).collect()
}

/// bfloat16 words of each group and block in turn, in memory allocated by `memory`.
fn pack<M: std::ops::DerefMut<Target = [f32]>>(
    level: Level,
    shape: &Convolution,
    weight: &[f32],
    memory: impl Fn(usize) -> M,
) -> Vec<M> {
    assert!(LeftLayout::of(&Matrix::new(weight, 1, weight.len()), Precision::Bf16) == LeftLayout::Rows);
    let [outputs, patch_len] = lengths(shape);
    let mut words = Vec::new();
    for rows in weight.chunks(outputs * patch_len) {
        let matrix = Matrix::new(rows, outputs, patch_len);
        for block in blocks(shape) {
            let k = block.start * shape.taps()..block.end * shape.taps();
            let length = outputs.next_multiple_of(tile_shape(level).rows) * steps(k.len(), Precision::Bf16);
            let mut packed = memory(length);
            pack_rows(level, &matrix, k, &mut packed);
            words.push(packed);
        }
    }
    words
}

/// Strips of all rows of a matrix, in words of bfloat16 pairs, row by row.
fn pack_rows(level: Level, matrix: &Matrix<'_>, k: Range<usize>, packed: &mut [f32]) {
    let (tile_rows, depth) = (tile_shape(level).rows, steps(k.len(), Precision::Bf16));
    let rows_per_task = (WEIGHTS_PER_TASK / k.len().max(1)).next_multiple_of(tile_rows).max(tile_rows);
    let shared = Shared::new(packed);
    parallel::for_each(matrix.rows.div_ceil(rows_per_task), |task| {
        let rows = task * rows_per_task..((task + 1) * rows_per_task).min(matrix.rows);
        let length = rows.len().next_multiple_of(tile_rows) * depth;
        // SAFETY: each task has its own whole strips.
        let strips = unsafe { shared.slice(rows.start * depth, length) };
        pack_left(level, matrix, rows, k.clone(), Precision::Bf16, strips);
    });
}

/// Weights that one task packs.
const WEIGHTS_PER_TASK: usize = 1 << 15;

/// The weights as the left operand of every panel.
pub(super) struct FilterOperand<'a> {
    weight: &'a [f32],
    /// Ranges of a group's channels, each a block of k.
    pub(super) blocks: Vec<Range<usize>>,
    words: Words<'a>,
}

/// bfloat16 words of each group and block in turn.
enum Words<'a> {
    /// None in f32, which reads the weights in place.
    None,
    Now(Vec<Scratch>),
    Before(&'a [Numbers]),
}

impl<'a> FilterOperand<'a> {
    pub(super) fn new(level: Level, shape: &Convolution, filters: Filters<'a>, precision: Precision) -> Self {
        let words = match (precision, filters.packed) {
            (Precision::F32, _) => Words::None,
            (Precision::Bf16, Some(packed)) => {
                assert!(
                    (packed.level, packed.taps, packed.lengths) == (level, shape.taps(), lengths(shape)),
                    "what was packed are the weights of {shape:?}"
                );
                Words::Before(&packed.words)
            }
            (Precision::Bf16, None) => Words::Now(pack(level, shape, filters.weight, Scratch::take)),
        };
        FilterOperand { weight: filters.weight, blocks: blocks(shape), words }
    }

    /// Numbers of the longest block of k.
    pub(super) fn longest(&self, shape: &Convolution) -> usize {
        self.blocks.first().map_or(1, |block| block.len() * shape.taps())
    }

    /// A group's weights of one block, from output `row` on.
    pub(super) fn left(&self, shape: &Convolution, group: usize, block: usize, row: usize) -> Left {
        let index = group * self.blocks.len() + block;
        let words: &[f32] = match &self.words {
            Words::None => {
                let start = (group * shape.group_outputs() + row) * shape.patch_len()
                    + self.blocks[block].start * shape.taps();
                let pointer = self.weight[start..].as_ptr();
                return Left { pointer, row_stride: shape.patch_len(), k_stride: 1 };
            }
            Words::Now(words) => &words[index],
            Words::Before(words) => &words[index],
        };
        let depth = steps(self.blocks[block].len() * shape.taps(), Precision::Bf16);
        Left { pointer: words[row * depth..].as_ptr(), row_stride: depth, k_stride: 1 }
    }
}
