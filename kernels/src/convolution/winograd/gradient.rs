//! The gradient to the weights by Winograd's algorithm.

use super::passes::{Elements, transform_channels, transform_filter_gradients, transform_output_gradient};
use super::tiles::Tiles;
use super::transforms::ELEMENTS;
use super::{HELD, OUTPUTS_PER_TASK, Product, apart, some};
use crate::Level;
use crate::convolution::Convolution;
use crate::gemm::tile_shape;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::MAX_LANES;

/// The fewest tiles whose transforms are held at once, and the most.
const TILES_HELD: [usize; 2] = [64, 256];

/// As [`crate::convolution_weight_gradient`].
pub(in crate::convolution) fn weight_gradient(
    shape: &Convolution,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) {
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
            parallel::for_each(panels * tile_tasks + output_tasks, |task| {
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
