//! Outputs by Winograd's algorithm; the gradient to the inputs is computed in the same way, with the kernels rotated by 180°.

use super::passes::{Elements, transform_filters, transform_products, transform_tiles};
use super::tiles::{TilePlace, Tiles};
use super::transforms::ELEMENTS;
use super::{HELD, OUTPUTS_PER_TASK, Product, apart, some};
use crate::convolution::{Convolution, ConvolutionEpilogue};
use crate::gemm::{TileShape, tile_shape};
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::{Level, Stored};
use std::ops::Range;

/// Numbers of transformed inputs of one panel that stay in a second-level cache.
const CACHED: usize = 1 << 17;
/// Input channels of a task.
const INPUTS_PER_TASK: usize = 16;

/// As [`crate::convolution_forward`].
pub(in crate::convolution) fn forward<X: Stored, Y: Stored>(
    shape: &Convolution,
    x: &[X],
    weight: &[f32],
    epilogue: &ConvolutionEpilogue<'_>,
    y: &mut [Y],
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

struct Forward<'a, X, Y> {
    level: Level,
    tile: TileShape,
    shape: &'a Convolution,
    tiles: Tiles,
    x: &'a [X],
    weight: &'a [f32],
    epilogue: &'a ConvolutionEpilogue<'a>,
    y: Shared<Y>,
}

impl<X: Stored, Y: Stored> Forward<'_, X, Y> {
    /// The filters are transformed once; then each task processes one panel of tiles completely, whose transforms stay in the
    /// cache.
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

    /// A group of panels is transformed, then multiplied by the filters of some channels at a time, which are transformed on
    /// demand.
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
