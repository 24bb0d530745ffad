//! 3×3 convolutions at stride 1 by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", 2016): a quarter of the multiplications.
//!
//! Outputs are cut into 4×4 tiles. The 6×6 inputs that a tile depends on and each filter are transformed; then each of the 36
//! elements is a matrix product over the channels, U · V, and the products are transformed back: Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A.
//! The gradient to the weights is the same formula's: dU = (A dY Aᵀ) · Vᵀ, then Gᵀ dU G.
//!
//! Sums are always `f32`, whatever the precision asked for: this is faster than bfloat16 products of all nine taps, and
//! closer. Their error is about twice that of the direct sum (see [`transforms`]'s choice of points, and the test here).
//! Each output is summed over the channels in order, so no result depends on the batch or the threads.

mod passes;
mod transforms;

use super::{Convolution, ConvolutionEpilogue};
use crate::gemm::micro::{Finish, Left, Panel, Target, multiply_panel};
use crate::gemm::{TileShape, tile_shape};
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::{MAX_LANES, MAX_TILE_VECTORS, WHOLE};
use crate::{Level, Precision};
use passes::{
    Elements, TilePlace, Tiles, transform_channels, transform_filter_gradients, transform_filters,
    transform_output_gradient, transform_products, transform_tiles,
};
use std::ops::Range;
use transforms::ELEMENTS;

/// Channels on either side below which the transforms cost more than the multiplications that they save.
const FEWEST_CHANNELS: usize = 32;
/// Outputs that a tile must yield on average: one of 16 costs 36 multiplications rather than 144.
const FEWEST_OUTPUTS: usize = 8;

/// Whether this is the way to compute a convolution and its gradients. It depends on the layer only.
pub(super) fn suits(shape: &Convolution) -> bool {
    shape.kernel == [3, 3]
        && shape.stride == [1, 1]
        && shape.groups == 1
        && shape.in_channels.min(shape.out_channels) >= FEWEST_CHANNELS
        && shape.positions() >= FEWEST_OUTPUTS * Tiles::of(shape).of_image()
}

/// Numbers of transformed tiles that are held at once by all threads.
const HELD: usize = 2 << 20;
/// Numbers of transformed inputs of one panel that stay in a second-level cache.
const CACHED: usize = 1 << 17;
/// Output channels of a task: their filters and products stay in the second-level cache.
const OUTPUTS_PER_TASK: usize = 16;
/// Input channels of a task.
const INPUTS_PER_TASK: usize = 16;

/// A stride of at least `numbers` between the elements of tiles: an odd number of cache lines, for 36 lines that are written
/// together would evict one another if they were a power of two apart.
fn apart(numbers: usize) -> usize {
    (numbers.div_ceil(16) | 1) * 16
}

/// As [`super::convolution_forward`].
pub(super) fn forward(
    shape: &Convolution,
    x: &[f32],
    weight: &[f32],
    epilogue: &ConvolutionEpilogue<'_>,
    y: &mut [f32],
) {
    let level = Level::current();
    let tile = tile_shape(level);
    let forward =
        Forward { level, tile, shape, tiles: Tiles::of(shape), x, weight, epilogue, y: Shared::new(y) };
    parallel::enter(|| match ELEMENTS * shape.in_channels * tile.columns <= CACHED {
        true => forward.by_panels(),
        false => forward.by_channels(),
    });
}

struct Forward<'a> {
    level: Level,
    tile: TileShape,
    shape: &'a Convolution,
    tiles: Tiles,
    x: &'a [f32],
    weight: &'a [f32],
    epilogue: &'a ConvolutionEpilogue<'a>,
    y: Shared<f32>,
}

impl Forward<'_> {
    /// The filters are transformed once; then each task goes all the way for one panel of tiles, whose transforms do not leave
    /// the cache.
    fn by_panels(&self) {
        let (inputs, outputs) = (self.shape.in_channels, self.shape.out_channels);
        let parts: Vec<_> = (0..outputs.div_ceil(OUTPUTS_PER_TASK))
            .map(|part| {
                let channels = some(part, OUTPUTS_PER_TASK, outputs);
                let filters = TransformedFilters::new(self.level, self.shape, self.weight, channels.clone());
                (channels, filters)
            })
            .collect();
        parallel::for_each(self.panels(), |panel| {
            let places = self.places(panel);
            let mut transformed = Scratch::take(self.panel_size());
            let right = self.panel_elements(Shared::new(&mut transformed), places.len());
            transform_tiles(self.level, self.shape, self.x, 0..inputs, &places, right);
            for (channels, filters) in &parts {
                self.multiply(channels.clone(), filters, &places, right);
            }
        });
    }

    /// As many panels as are held at once are transformed, then multiplied by the filters of some channels at a time, which are
    /// transformed for that.
    fn by_channels(&self) {
        let (inputs, outputs) = (self.shape.in_channels, self.shape.out_channels);
        let most = (HELD / self.panel_size()).clamp(1, self.panels());
        let mut transformed = Scratch::take(most * self.panel_size());
        let transformed = Shared::new(&mut transformed);
        for first in (0..self.panels()).step_by(most) {
            let held = most.min(self.panels() - first);
            let places: Vec<_> = (first..first + held).map(|panel| self.places(panel)).collect();
            let elements = |panel: usize| {
                self.panel_elements(transformed.offset(panel * self.panel_size()), places[panel].len())
            };
            let input_tasks = inputs.div_ceil(INPUTS_PER_TASK);
            parallel::for_each(held * input_tasks, |task| {
                let panel = task / input_tasks;
                let channels = some(task % input_tasks, INPUTS_PER_TASK, inputs);
                let target = elements(panel).at(channels.start, 0);
                transform_tiles(self.level, self.shape, self.x, channels, &places[panel], target);
            });
            let output_tasks = outputs.div_ceil(OUTPUTS_PER_TASK);
            // Where channels are few, their panels are shared out too.
            let splits = (4 * rayon::current_num_threads()).div_ceil(output_tasks).min(held);
            let panels_per_task = held.div_ceil(splits);
            parallel::for_each(output_tasks * splits, |task| {
                let channels = some(task % output_tasks, OUTPUTS_PER_TASK, outputs);
                let filters = TransformedFilters::new(self.level, self.shape, self.weight, channels.clone());
                for panel in some(task / output_tasks, panels_per_task, held) {
                    self.multiply(channels.clone(), &filters, &places[panel], elements(panel));
                }
            });
        }
    }

    fn panels(&self) -> usize {
        self.tiles.count().div_ceil(self.tile.columns)
    }

    /// The tiles of a panel.
    fn places(&self, panel: usize) -> Vec<TilePlace> {
        self.tiles.places(some(panel, self.tile.columns, self.tiles.count()))
    }

    /// Numbers of a panel's transformed inputs.
    fn panel_size(&self) -> usize {
        ELEMENTS * apart(self.shape.in_channels * self.tile.columns)
    }

    /// Element e of a panel is the right operand of a product: `[channel][tile]`.
    fn panel_elements(&self, pointer: Shared<f32>, tiles: usize) -> Elements {
        let width = tiles.next_multiple_of(self.tile.lanes);
        Elements { pointer, element_stride: apart(self.shape.in_channels * width), row_stride: width }
    }

    /// The outputs of some channels in the tiles of a panel.
    fn multiply(
        &self,
        channels: Range<usize>,
        filters: &TransformedFilters,
        places: &[TilePlace],
        right: Elements,
    ) {
        let (inputs, width) = (self.shape.in_channels, right.row_stride);
        let element_stride = apart(channels.len() * width);
        let mut products = Scratch::take(ELEMENTS * element_stride);
        let products = Elements { pointer: Shared::new(&mut products), element_stride, row_stride: width };
        for element in 0..ELEMENTS {
            let product = Product {
                left: filters.rows(element),
                left_stride: inputs,
                right: right.element(element),
                depth: inputs,
                target: products.element(element),
                target_stride: width,
                accumulate: false,
            };
            product.multiply(self.level, self.tile, channels.len(), width);
        }
        transform_products(self.level, self.shape, products, channels, places, self.epilogue, self.y);
    }
}

/// The filters of some output channels as the left operands of 36 products: `[element, output, input]`.
struct TransformedFilters {
    numbers: Scratch,
    element_stride: usize,
}

impl TransformedFilters {
    fn new(level: Level, shape: &Convolution, weight: &[f32], outputs: Range<usize>) -> Self {
        let (patch, inputs) = (shape.patch_len(), shape.in_channels);
        let element_stride = apart(outputs.len() * inputs);
        let mut numbers = Scratch::take(ELEMENTS * element_stride);
        let pointer = Shared::new(&mut numbers);
        let target = Elements { pointer, element_stride, row_stride: inputs };
        for (row, output) in outputs.enumerate() {
            transform_filters(level, &weight[output * patch..][..patch], target.at(row, 0));
        }
        TransformedFilters { numbers, element_stride }
    }

    fn rows(&self, element: usize) -> *const f32 {
        self.numbers[element * self.element_stride..].as_ptr()
    }
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
    /// Whoever calls it vouches for the operands and the target: `rows` rows, `columns` columns.
    fn multiply(&self, level: Level, tile: TileShape, rows: usize, columns: usize) {
        let vectors = columns.div_ceil(tile.lanes);
        let mut masks = [0; MAX_TILE_VECTORS];
        for (v, mask) in masks[..vectors].iter_mut().enumerate() {
            *mask = tile.mask(columns - v * tile.lanes);
        }
        debug_assert!(columns % tile.lanes != 0 || masks[..vectors].iter().all(|mask| *mask == WHOLE));
        let panel = Panel {
            rows,
            vectors,
            depth: self.depth,
            precision: Precision::F32,
            left: Left { pointer: self.left, row_stride: self.left_stride, k_stride: 1 },
            strip_stride: tile.rows * self.left_stride,
            right: self.right,
            target: Target {
                pointer: self.target,
                row_stride: self.target_stride,
                offsets: std::array::from_fn(|v| v * tile.lanes),
                masks,
                accumulate: self.accumulate,
            },
            finish: Finish::NOTHING,
        };
        multiply_panel(level, &panel);
    }
}

/// The fewest tiles whose transforms are held at once, and the most.
const TILES_HELD: [usize; 2] = [64, 256];

/// As [`super::convolution_weight_gradient`].
pub(super) fn weight_gradient(shape: &Convolution, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    let level = Level::current();
    let tile = tile_shape(level);
    let tiles = Tiles::of(shape);
    let (inputs, outputs) = (shape.in_channels, shape.out_channels);
    let [fewest, most] = TILES_HELD;
    // Depends on the layer only, as the order of the sums does.
    let held = (HELD / (ELEMENTS * inputs.max(outputs)) / MAX_LANES * MAX_LANES).clamp(fewest, most);
    let padded_inputs = inputs.next_multiple_of(tile.lanes);
    let strides = [outputs * held, held * padded_inputs, OUTPUTS_PER_TASK * inputs].map(apart);
    let output_tasks = outputs.div_ceil(OUTPUTS_PER_TASK);
    let one_round = tiles.count() <= held;
    let dweight = Shared::new(dweight);
    parallel::enter(|| {
        let [mut left, mut right] = [strides[0], strides[1]].map(|stride| Scratch::take(ELEMENTS * stride));
        let mut sums = Scratch::take(if one_round { 0 } else { output_tasks * ELEMENTS * strides[2] });
        // [element, output, tile]
        let pointer = Shared::new(&mut left);
        let left = Elements { pointer, element_stride: strides[0], row_stride: held };
        let (right, sums) = (Shared::new(&mut right), Shared::new(&mut sums));
        for first in (0..tiles.count()).step_by(held) {
            let places = tiles.places(first..(first + held).min(tiles.count()));
            let depth = places.len();
            // A panel of input channels of element e is the right operand of a product: [tile][channel].
            let panel = |first: usize| {
                let width = (padded_inputs - first).min(tile.columns);
                let pointer = right.offset(first * depth);
                let elements = Elements { pointer, element_stride: strides[1], row_stride: width };
                (first..(first + width).min(inputs), elements)
            };
            let panels = inputs.div_ceil(tile.columns);
            let tile_tasks = depth.div_ceil(TILES_PER_TASK);
            let left_tasks = outputs.div_ceil(OUTPUTS_PER_TASK);
            parallel::for_each(panels * tile_tasks + left_tasks, |task| {
                if let Some(task) = task.checked_sub(panels * tile_tasks) {
                    let channels = some(task, OUTPUTS_PER_TASK, outputs);
                    let target = left.at(channels.start, 0);
                    transform_output_gradient(level, shape, dy, channels, &places, target);
                    return;
                }
                let (channels, target) = panel(task / tile_tasks * tile.columns);
                let tiles = some(task % tile_tasks, TILES_PER_TASK, depth);
                let target = target.at(tiles.start, 0);
                transform_channels(level, shape, x, channels, &places[tiles], target);
            });
            parallel::for_each(output_tasks, |task| {
                let rows = some(task, OUTPUTS_PER_TASK, outputs);
                // [element, output, input]; kept from round to round where there are several.
                let mut own = Scratch::take(if one_round { ELEMENTS * strides[2] } else { 0 });
                let pointer = match one_round {
                    true => Shared::new(&mut own),
                    false => sums.offset(task * ELEMENTS * strides[2]),
                };
                let sums = Elements { pointer, element_stride: strides[2], row_stride: inputs };
                for element in 0..ELEMENTS {
                    for index in 0..panels {
                        let (channels, right) = panel(index * tile.columns);
                        let product = Product {
                            left: left.at(rows.start, 0).element(element),
                            left_stride: held,
                            right: right.element(element),
                            depth,
                            target: sums.at(0, channels.start).element(element),
                            target_stride: inputs,
                            accumulate: first > 0,
                        };
                        product.multiply(level, tile, rows.len(), channels.len());
                    }
                }
                if first + held >= tiles.count() {
                    for (row, output) in rows.enumerate() {
                        // SAFETY: every output channel has its own filters.
                        let filters = unsafe { dweight.slice(output * inputs * 9, inputs * 9) };
                        transform_filter_gradients(level, sums.at(row, 0), filters);
                    }
                }
            });
        }
    });
}

/// Tiles of a task that transforms inputs.
const TILES_PER_TASK: usize = 16;
/// The `index`th part of `0..count`, in parts of `size`.
fn some(index: usize, size: usize, count: usize) -> Range<usize> {
    (index * size).min(count)..((index + 1) * size).min(count)
}

#[cfg(test)]
mod tests;
