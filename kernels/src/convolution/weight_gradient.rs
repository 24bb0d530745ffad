//! The gradients of a convolution to its weight and its bias.
//!
//! The weight's is a matrix product for each group, its transpose `[in_channels · kernel, out_channels]` = patches · dyᵀ,
//! summed over all images' positions.

use super::patches::{PatchTable, Place, pack_patches, pack_position_pairs};
use super::{Convolution, winograd};
use crate::gemm::micro::{Finish, Left, Panel, Target, multiply_panel};
use crate::gemm::pack::{pack_right, steps};
use crate::gemm::{TileShape, tile_shape};
use crate::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::reduce::{add_to, sum};
use crate::scratch::Scratch;
use crate::simd::MAX_TILE_VECTORS;
use crate::transpose::transpose;
use crate::{Level, Precision, Stored};
use rayon::prelude::*;
use std::ops::Range;

/// Least and most rows of the weight gradient's transpose (pairs of input channel and tap) in one task.
const ROWS_PER_TASK: [usize; 2] = [64, 576];
/// Tasks that the weight gradient is divided into, if it is large enough.
const TASKS: usize = 16;
/// Positions that justify separate sums, added to the others at the end.
const POSITIONS_PER_SEGMENT: usize = 2048;
/// Positions that are packed at once.
const POSITIONS: usize = 256;
/// Blocks of rows for which dy is packed once for all of them.
const SHARING_BLOCKS: usize = 3;

/// dweight and, if requested, dbias from `x` and `dy`.
///
/// # Panics
/// If lengths do not fit.
pub fn convolution_weight_gradient<N: Stored>(
    shape: &Convolution,
    x: &[f32],
    dy: &[N],
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
    // In bfloat16 the sum itself is as fast, or faster where other programs use the shared cache, which the transformed tiles need.
    if let Some(dy) = N::as_f32(dy)
        && precision == Precision::F32
        && winograd::suits(shape)
    {
        return winograd::weight_gradient(shape, x, dy, dweight);
    }
    let tile = tile_shape(level);
    let (inputs, outputs, taps) = (shape.group_inputs(), shape.group_outputs(), shape.taps());
    // Depends on the layer and the batch, not on the threads: the segments' sums are added in order.
    let positions = shape.batch * shape.positions();
    let segments = (positions / POSITIONS_PER_SEGMENT).clamp(1, TASKS.min(shape.batch));
    let [fewest, most] = ROWS_PER_TASK.map(|rows| (rows / taps).max(1));
    let channels = inputs.div_ceil(TASKS.div_ceil(segments * shape.groups)).clamp(fewest, most).min(inputs);
    let blocks = inputs.div_ceil(channels);
    let table = PatchTable::new(shape, tile.lanes, false);
    let work = WeightGradient { level, tile, shape, x, dy, table, precision };
    let (chunks, all_steps) = work.chunks(segments);
    let width = outputs.next_multiple_of(tile.lanes);
    let packed = match blocks >= SHARING_BLOCKS {
        true => work.pack_all_gradients(&chunks, all_steps * width),
        false => Scratch::take(0),
    };
    let packed = |group: usize| packed.get(group * all_steps * width..).filter(|packed| !packed.is_empty());
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
        work.block(group, channels, &chunks[segment], packed(group), sums);
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

fn bias_gradient<N: Stored>(level: Level, shape: &Convolution, dy: &[N], dbias: &mut [f32]) {
    let positions = shape.positions();
    dbias.par_iter_mut().enumerate().for_each(|(channel, dbias)| {
        let plane = |image: usize| &dy[(image * shape.out_channels + channel) * positions..][..positions];
        *dbias = (0..shape.batch).map(|image| f64::from(sum(level, plane(image)))).sum::<f64>() as f32;
    });
}

struct WeightGradient<'a, N> {
    level: Level,
    tile: TileShape,
    shape: &'a Convolution,
    x: &'a [f32],
    dy: &'a [N],
    table: PatchTable,
    precision: Precision,
}

/// Positions that are packed together.
struct Chunk {
    pieces: Vec<Piece>,
    /// The steps of the product over them, and those of all previous chunks.
    depth: usize,
    before: usize,
}

impl<N: Stored> WeightGradient<'_, N> {
    /// The chunks of each segment (a group of images), and the steps of all of them.
    fn chunks(&self, segments: usize) -> (Vec<Vec<Chunk>>, usize) {
        let per_image = self.table.own_vectors() / self.shape.batch;
        let per_chunk = (POSITIONS * per_image / self.shape.positions()).max(1);
        let images = self.shape.batch.div_ceil(segments);
        let mut before = 0;
        let mut chunk = |vectors| {
            let pieces = self.pieces(vectors);
            let depth = steps(pieces.iter().map(|piece| self.length(piece.count)).sum(), self.precision);
            before += depth;
            Chunk { pieces, depth, before: before - depth }
        };
        let chunks = (0..segments).map(|segment| {
            let end = ((segment + 1) * images).min(self.shape.batch) * per_image;
            let first = (segment * images * per_image).min(end);
            (first..end).step_by(per_chunk).map(|first| chunk(first..(first + per_chunk).min(end))).collect()
        });
        (chunks.collect(), before)
    }

    /// dy of all positions in panels: of each group, chunk and panel in turn.
    fn pack_all_gradients(&self, chunks: &[Vec<Chunk>], of_group: usize) -> Scratch {
        let outputs = self.shape.group_outputs();
        let width = outputs.next_multiple_of(self.tile.lanes);
        let panels = outputs.div_ceil(self.tile.columns);
        let chunks: Vec<_> = chunks.iter().flatten().collect();
        let mut packed = Scratch::take(self.shape.groups * of_group);
        let shared = Shared::new(&mut packed);
        parallel::for_each(self.shape.groups * chunks.len() * panels, |task| {
            let (group, rest) = (task / (chunks.len() * panels), task % (chunks.len() * panels));
            let (chunk, columns) = (chunks[rest / panels], self.columns(rest % panels));
            let start = group * of_group + chunk.before * width + chunk.depth * columns.start;
            // SAFETY: each task has its own panels.
            let panel =
                unsafe { shared.slice(start, chunk.depth * columns.len().next_multiple_of(self.tile.lanes)) };
            self.pack_gradients(group, columns, &chunk.pieces, panel);
        });
        packed
    }

    /// `sums[(channel, tap), output]` = Σ over the chunks' positions of patch · dy. `packed` is the group's dy in panels; without it,
    /// each is packed here.
    fn block(
        &self,
        group: usize,
        channels: Range<usize>,
        chunks: &[Chunk],
        packed: Option<&[f32]>,
        sums: &mut [f32],
    ) {
        let (shape, tile) = (self.shape, self.tile);
        let (rows, outputs) = (channels.len() * shape.taps(), shape.group_outputs());
        let width = outputs.next_multiple_of(tile.lanes);
        let first_channel = group * shape.group_inputs() + channels.start;
        let inputs = first_channel..first_channel + channels.len();
        let longest = chunks.iter().map(|chunk| chunk.depth).max().unwrap_or(0);
        if longest == 0 {
            sums.fill(0.0);
        }
        // A row's last vector is stored whole.
        let mut patches = Scratch::take(rows.next_multiple_of(tile.rows) * longest + tile.lanes);
        let mut gradients = Scratch::take(if packed.is_some() { 0 } else { tile.columns * longest });
        for (index, chunk) in chunks.iter().enumerate() {
            self.pack_chunk(inputs.clone(), chunk, &mut patches);
            for columns in (0..outputs.div_ceil(tile.columns)).map(|panel| self.columns(panel)) {
                let right = match packed {
                    Some(packed) => packed[chunk.before * width + chunk.depth * columns.start..].as_ptr(),
                    None => {
                        self.pack_gradients(group, columns.clone(), &chunk.pieces, &mut gradients);
                        gradients.as_ptr()
                    }
                };
                let vectors = columns.len().div_ceil(tile.lanes);
                let mut target = Target {
                    pointer: sums[columns.start..].as_mut_ptr(),
                    row_stride: outputs,
                    offsets: std::array::from_fn(|v| v * tile.lanes),
                    masks: [0; MAX_TILE_VECTORS],
                    accumulate: index > 0,
                    bf16: false,
                };
                for (v, mask) in target.masks[..vectors].iter_mut().enumerate() {
                    *mask = tile.mask(columns.len() - v * tile.lanes);
                }
                multiply_panel(
                    self.level,
                    &Panel {
                        rows,
                        vectors,
                        depth: chunk.depth,
                        precision: self.precision,
                        left: Left { pointer: patches.as_ptr(), row_stride: chunk.depth, k_stride: 1 },
                        strip_stride: tile.rows * chunk.depth,
                        right,
                        upcoming: right,
                        target,
                        finish: Finish::NOTHING,
                    },
                );
            }
        }
    }

    /// The output channels of a panel.
    fn columns(&self, panel: usize) -> Range<usize> {
        let first = panel * self.tile.columns;
        first..(first + self.tile.columns).min(self.shape.group_outputs())
    }

    /// The patches of some input channels at a chunk's positions: one row per channel and tap.
    fn pack_chunk(&self, inputs: Range<usize>, chunk: &Chunk, patches: &mut [f32]) {
        let (level, table, shape) = (self.level, &self.table, self.shape);
        match self.precision {
            Precision::F32 => {
                let places = self.places(chunk, 1);
                pack_patches(level, table, self.x, shape, inputs, &places, Precision::F32, patches);
            }
            Precision::Bf16 => {
                let places = self.places(chunk, 2);
                pack_position_pairs(level, table, self.x, shape, inputs, &places, patches);
            }
        }
    }

    /// The part of each image that some vectors cover.
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

    /// Where the patches at a chunk's positions are packed, one piece after the other: as many vectors as there are values in a
    /// word share a target.
    fn places(&self, chunk: &Chunk, numbers: usize) -> Vec<Place> {
        let (lanes, per_image) = (self.tile.lanes, self.table.own_vectors() / self.shape.batch);
        let mut start = 0;
        let mut places = Vec::new();
        for piece in &chunk.pieces {
            let first = piece.image * per_image + piece.first / lanes;
            let vectors = piece.count.div_ceil(lanes);
            for vector in 0..vectors.next_multiple_of(numbers) {
                // What the last vector of a row writes beyond its positions, the next piece or row overwrites.
                let target = start / numbers + vector / numbers * lanes;
                places.push(match vector < vectors {
                    true => self.table.place(first + vector, target, chunk.depth),
                    false => self.table.nowhere(target, chunk.depth),
                });
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
