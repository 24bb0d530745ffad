//! Convolution as one matrix product per image: weights `[out_channels, in_channels · kernel]` by patches
//! `[in_channels · kernel, positions]`.
//!
//! The patches are packed directly from the image into the product's panels ([`super::patches`]), so the patch matrix never
//! exists. Several small images share a panel. Sums run over k = (channel, kernel row, kernel column) in blocks.

use super::filters::{FilterOperand, Filters};
use super::patches::{PatchTable, pack_patches};
use super::{Convolution, ConvolutionEpilogue, add_residual};
use crate::gemm::micro::{Finish, Panel, Target, multiply_panel};
use crate::gemm::pack::steps;
use crate::gemm::{TileShape, tile_shape};
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::{MAX_TILE_VECTORS, WHOLE};
use crate::stored::convert;
use crate::{Level, Precision, Stored};
use std::ops::Range;

/// As [`super::convolution_forward`], once lengths are checked and there is something to compute.
pub(super) fn forward<X: Stored, Y: Stored>(
    shape: &Convolution,
    x: &[X],
    filters: Filters<'_>,
    epilogue: ConvolutionEpilogue<'_>,
    y: &mut [Y],
    precision: Precision,
) {
    let level = Level::current();
    let tile = tile_shape(level);
    let table = PatchTable::new(shape, tile.lanes, true);
    let filters = FilterOperand::new(level, shape, filters, precision);
    let per_panel = tile.columns / tile.lanes;
    let (own, shared) = (table.own_vectors(), table.shared_vectors());
    let most = (PACKED / (filters.longest(shape) * tile.columns)).clamp(1, PANELS_PER_TASK);
    let panels_per_task = (own.div_ceil(per_panel) * shape.groups / TASKS).clamp(1, most);
    let per_task = panels_per_task * per_panel;
    let (own_tasks, shared_tasks) = (own.div_ceil(per_task), shared.div_ceil(per_panel));
    let pieces = own_tasks + shared_tasks;
    // Small outputs have few panels, so their channels are shared out too.
    let wanted = (4 * rayon::current_num_threads()).div_ceil(pieces * shape.groups);
    let channels = shape.group_outputs().div_ceil(wanted).max(32).next_multiple_of(tile.rows);
    let blocks = shape.group_outputs().div_ceil(channels);
    let forward = Forward { level, tile, shape, x, epilogue, table, filters, precision, y: Shared::new(y) };
    parallel::for_each(pieces * shape.groups * blocks, |task| {
        let (piece, rest) = (task / (shape.groups * blocks), task % (shape.groups * blocks));
        let (group, first) = (rest / blocks, rest % blocks * channels);
        let channels = first..(first + channels).min(shape.group_outputs());
        let vectors = match piece.checked_sub(own_tasks) {
            None => piece * per_task..((piece + 1) * per_task).min(own),
            Some(piece) => own + piece * per_panel..own + ((piece + 1) * per_panel).min(shared),
        };
        forward.panels(group, channels, vectors);
    });
}

/// Panels packed together, so that a channel is read in one long piece.
const PANELS_PER_TASK: usize = 8;
/// Numbers that are packed together: they stay in the second-level cache.
const PACKED: usize = 1 << 17;
/// Tasks below which a task has fewer panels.
const TASKS: usize = 32;
/// Output channels that a task multiplies by one panel before moving to the next: their weights stay in the second-level
/// cache for all its panels.
const CHANNELS_AT_ONCE: usize = 64;

struct Forward<'a, X, Y> {
    level: Level,
    tile: TileShape,
    shape: &'a Convolution,
    x: &'a [X],
    epilogue: ConvolutionEpilogue<'a>,
    table: PatchTable,
    filters: FilterOperand<'a>,
    precision: Precision,
    y: Shared<Y>,
}

impl<X: Stored, Y: Stored> Forward<'_, X, Y> {
    /// Computes some output channels of a group at the positions of some vectors, either all of single images or all shared.
    fn panels(&self, group: usize, channels: Range<usize>, vectors: Range<usize>) {
        let (shape, lanes) = (self.shape, self.tile.lanes);
        let per_panel = self.tile.columns / lanes;
        let longest = self.filters.longest(shape);
        let panel_len = steps(longest, self.precision) * self.tile.columns;
        let panels: Vec<_> = vectors
            .clone()
            .step_by(per_panel)
            .map(|first| first..(first + per_panel).min(vectors.end))
            .collect();
        let places: Vec<_> = vectors
            .clone()
            .enumerate()
            .map(|(i, vector)| {
                let (panel, within) = (i / per_panel, i % per_panel);
                let row_stride = panels[panel].len() * lanes;
                self.table.place(vector, panel * panel_len + within * lanes, row_stride)
            })
            .collect();
        let mut packed = Scratch::take(panels.len() * panel_len);
        // Sums that cannot be stored at once, or are not complete where they would be rounded, are gathered first.
        let blocks = self.filters.blocks.len();
        let gathered = vectors.start >= self.table.own_vectors() || Y::BF16 && blocks > 1;
        let row_stride = vectors.len() * lanes;
        let mut sums = Scratch::take(if gathered { channels.len() * row_stride } else { 0 });
        let shared_sums = Shared::new(&mut sums);
        for (index, block) in self.filters.blocks.iter().enumerate() {
            let inputs = group * shape.group_inputs() + block.start;
            let inputs = inputs..inputs + block.len();
            let (level, precision) = (self.level, self.precision);
            pack_patches(level, &self.table, self.x, shape, inputs, &places, precision, &mut packed);
            let last = index + 1 == blocks;
            for first in channels.clone().step_by(CHANNELS_AT_ONCE) {
                let rows = first..(first + CHANNELS_AT_ONCE).min(channels.end);
                let left = self.filters.left(shape, group, index, rows.start);
                let channel = group * shape.group_outputs() + rows.start;
                for (panel, vectors) in panels.iter().enumerate() {
                    let mut target = match gathered {
                        false => self.target(channel, vectors.clone()),
                        true => {
                            let start =
                                (rows.start - channels.start) * row_stride + panel * self.tile.columns;
                            self.rows_target(shared_sums.offset(start), row_stride)
                        }
                    };
                    target.accumulate = index > 0;
                    multiply_panel(
                        level,
                        &Panel {
                            rows: rows.len(),
                            vectors: vectors.len(),
                            depth: steps(block.len() * shape.taps(), precision),
                            precision,
                            left,
                            strip_stride: self.tile.rows * left.row_stride,
                            right: packed[panel * panel_len..].as_ptr(),
                            upcoming: packed[panel * panel_len..].as_ptr(),
                            target,
                            finish: if last { self.finish(channel, gathered) } else { Finish::NOTHING },
                        },
                    );
                }
            }
        }
        if gathered {
            self.sort(group * shape.group_outputs() + channels.start, vectors, &sums);
        }
    }

    /// The output from channel `channel` on at the positions of an image's own vectors.
    fn target(&self, channel: usize, vectors: Range<usize>) -> Target {
        let (positions, lanes) = (self.shape.positions(), self.tile.lanes);
        let mut target = Target {
            pointer: self.y.offset(channel * positions).pointer().cast(),
            row_stride: positions,
            offsets: [0; MAX_TILE_VECTORS],
            masks: [0; MAX_TILE_VECTORS],
            accumulate: false,
            bf16: Y::BF16,
        };
        for (v, vector) in vectors.enumerate() {
            let (image, vector) = self.table.locate(vector);
            target.offsets[v] = image * self.shape.out_channels * positions + vector * lanes;
            target.masks[v] = self.tile.mask(positions - vector * lanes);
        }
        target
    }

    /// Rows of whole vectors.
    fn rows_target(&self, rows: Shared<f32>, row_stride: usize) -> Target {
        Target {
            pointer: rows.pointer(),
            row_stride,
            offsets: std::array::from_fn(|v| v * self.tile.lanes),
            masks: [WHOLE; MAX_TILE_VECTORS],
            accumulate: false,
            bf16: false,
        }
    }

    /// Copies the rows of gathered vectors, for channels from `channel` on, to their images.
    fn sort(&self, channel: usize, vectors: Range<usize>, sums: &[f32]) {
        let (shape, positions, lanes) = (self.shape, self.shape.positions(), self.tile.lanes);
        let leftover = self.table.leftover();
        let ConvolutionEpilogue { residual, relu, .. } = self.epilogue;
        let store = |image: usize, channel: usize, position: usize, sums: &[f32]| {
            let start = (image * shape.out_channels + channel) * positions + position;
            // SAFETY: only this task writes its channels' positions.
            let y = unsafe { self.y.slice(start, sums.len()) };
            match residual {
                None => convert(self.level, sums, y),
                Some(residual) => add_residual(sums, &residual[start..], relu, y),
            }
        };
        for (row, sums) in sums.chunks_exact(vectors.len() * lanes).enumerate() {
            for (vector, sums) in vectors.clone().zip(sums.chunks_exact(lanes)) {
                let Some(shared) = vector.checked_sub(self.table.own_vectors()) else {
                    let (image, vector) = self.table.locate(vector);
                    let count = lanes.min(positions - vector * lanes);
                    store(image, channel + row, vector * lanes, &sums[..count]);
                    continue;
                };
                let first_image = shared * leftover.images;
                let images = first_image..(first_image + leftover.images).min(shape.batch);
                for (image, sums) in images.zip(sums.chunks_exact(leftover.positions)) {
                    store(image, channel + row, positions - leftover.positions, sums);
                }
            }
        }
    }

    /// The epilogue of the sums from `first_channel` on; where they are gathered, a residual is added later.
    fn finish(&self, first_channel: usize, gathered: bool) -> Finish {
        let positions = self.shape.positions();
        let residual = self.epilogue.residual.filter(|_| !gathered);
        Finish {
            row_scale: self.epilogue.scale.map(|scale| scale[first_channel..].as_ptr()),
            row_bias: self.epilogue.bias.map(|bias| bias[first_channel..].as_ptr()),
            residual: residual.map(|residual| (residual[first_channel * positions..].as_ptr(), positions)),
            relu: self.epilogue.relu && (residual.is_some() || self.epilogue.residual.is_none()),
            ..Finish::NOTHING
        }
    }
}
