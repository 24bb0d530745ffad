//! Images into transformed tiles and back, filters into transformed filters and back.
//!
//! A vector's lanes hold one element of as many tiles, or of one tile in as many channels. Each lane's values are first gathered
//! in a small buffer, whose transpose the transforms work on.

use super::tiles::TilePlace;
use super::transforms::{OUTPUTS, SIDE, both_ways, filter, filter_gradient, input, output, output_gradient};
use crate::Stored;
use crate::convolution::{Convolution, ConvolutionEpilogue, add_residual};
use crate::parallel::Shared;
use crate::simd::{MAX_LANES, Simd, WHOLE, first_lanes, load_lanes, simd_fn, store_some};
use std::ops::Range;

/// Numbers between the rows of an input tile in the buffer.
const ROW: usize = 8;
/// Numbers of an input tile in the buffer.
const TILE: usize = SIDE * ROW;
/// Numbers of an output tile in the buffer.
const OUTPUT_TILE: usize = OUTPUTS * OUTPUTS;

/// Numbers that whole vectors are stored to and loaded from, each in one cache line.
#[repr(align(64))]
struct Aligned<const N: usize>([f32; N]);

impl<const N: usize> Aligned<N> {
    const ZERO: Self = Self([0.0; N]);
}

/// A tile of inputs, or of outputs, for each lane.
type InputTiles = Aligned<{ MAX_LANES * TILE }>;
type OutputTiles = Aligned<{ MAX_LANES * OUTPUT_TILE }>;

/// Where element `e` of row `r` of a pass's results begins: at `pointer + e · element_stride + r · row_stride`. The creator must
/// ensure that whole vectors are writable there for every row and every vector of the pass, and that tasks get disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct Elements {
    pub(super) pointer: Shared<f32>,
    pub(super) element_stride: usize,
    pub(super) row_stride: usize,
}

impl Elements {
    /// The same, starting at a row and a lane.
    #[inline(always)]
    pub(super) fn at(self, row: usize, lane: usize) -> Self {
        Elements { pointer: self.pointer.offset(row * self.row_stride + lane), ..self }
    }

    /// The place of element `e`.
    #[inline(always)]
    pub(super) fn element(self, e: usize) -> *mut f32 {
        self.pointer.pointer().wrapping_add(e * self.element_stride)
    }
}

simd_fn! {
    /// Bᵀ · d · B of the tiles at `places`: one row per channel of `channels`, one lane per tile.
    pub(super) fn transform_tiles<N: Stored>(
        simd: S,
        shape: &Convolution,
        x: &[N],
        channels: Range<usize>,
        places: &[TilePlace],
        target: Elements,
    ) {
        assert!(x.len() == shape.input_len() && channels.end <= shape.in_channels);
        let mut buffer = InputTiles::ZERO;
        let ahead = if x.len() >= BEYOND_CACHES { CHANNELS_AHEAD * shape.input_positions() } else { 0 };
        for (row, channel) in channels.enumerate() {
            let plane = x[channel * shape.input_positions()..].as_ptr();
            for (vector, places) in places.chunks(S::LANES).enumerate() {
                for (lane, place) in places.iter().enumerate() {
                    copy_input(simd, shape, plane, ahead, place, &mut buffer.0[lane * TILE..]);
                }
                transform_input(simd, &buffer, target.at(row, vector * S::LANES));
            }
        }
    }
}

simd_fn! {
    /// Bᵀ · d · B of the tiles at `places`: one row per tile, one lane per channel of `channels`.
    pub(super) fn transform_channels(
        simd: S,
        shape: &Convolution,
        x: &[f32],
        channels: Range<usize>,
        places: &[TilePlace],
        target: Elements,
    ) {
        assert!(x.len() == shape.input_len() && channels.end <= shape.in_channels);
        let mut buffer = InputTiles::ZERO;
        for (row, place) in places.iter().enumerate() {
            for first in channels.clone().step_by(S::LANES) {
                for (lane, channel) in (first..channels.end.min(first + S::LANES)).enumerate() {
                    let plane = x[channel * shape.input_positions()..].as_ptr();
                    copy_input(simd, shape, plane, 0, place, &mut buffer.0[lane * TILE..]);
                }
                transform_input(simd, &buffer, target.at(row, first - channels.start));
            }
        }
    }
}

/// Input size, in values, that exceeds the caches, from which channels are prefetched.
const BEYOND_CACHES: usize = 2 << 20;
/// Prefetch distance, in channels.
const CHANNELS_AHEAD: usize = 4;

/// Copies a tile's rows into `buffer`, with zeros for the padding, as whole vectors. If `ahead` is not zero, prefetches that many
/// values further on.
#[inline(always)]
fn copy_input<S: Simd, N: Stored>(
    simd: S,
    shape: &Convolution,
    plane: *const N,
    ahead: usize,
    place: &TilePlace,
    buffer: &mut [f32],
) {
    let row = |row: usize| {
        let inside = (place.input_rows.0..place.input_rows.1).contains(&row);
        let source = plane.wrapping_offset(place.input + (row * shape.input_size[1]) as isize);
        (source, if inside { place.input_columns } else { 0 })
    };
    for (vector, target) in buffer[..TILE].chunks_exact_mut(S::LANES).enumerate() {
        let first = vector * S::LANES / ROW;
        let (source, mask) = row(first);
        if ahead > 0 {
            simd.prefetch(source.wrapping_add(ahead).cast());
            simd.prefetch(source.wrapping_add(ahead + shape.input_size[1]).cast());
        }
        // SAFETY: the masks' columns of the place's rows lie in the image.
        let values = unsafe {
            if S::LANES == 2 * ROW {
                let (next, next_mask) = row(first + 1);
                N::load_halves(simd, source, next, [mask, next_mask])
            } else {
                // A whole row, or a part of it.
                let part = vector * S::LANES % ROW;
                N::load_masked(simd, source.wrapping_add(part), mask >> part)
            }
        };
        store_some(simd, target, values);
    }
}

/// Numbers from `source`, those whose bit in `mask` is set and zeros for the others, as they would stand in the vector whose
/// first lane is number `vector` if they stood at number `start`.
///
/// # Safety
/// The mask's numbers are readable.
#[inline(always)]
unsafe fn load_shifted<S: Simd>(
    simd: S,
    source: *const f32,
    mask: u32,
    start: usize,
    vector: usize,
) -> S::Vector {
    // SAFETY: source and mask are shifted alike.
    unsafe {
        match start.checked_sub(vector) {
            Some(right) => simd.load_masked(source.wrapping_sub(right), mask << right),
            None => simd.load_masked(source.wrapping_add(vector - start), mask >> (vector - start)),
        }
    }
}

/// Transforms the tiles of a buffer, one per lane.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
fn transform_input<S: Simd>(simd: S, buffer: &InputTiles, target: Elements) {
    let mut lanes = InputTiles::ZERO;
    let mut tile = [[simd.splat(0.0); SIDE]; SIDE];
    // SAFETY: the buffer holds a tile for each lane, `lanes` a vector for each number of a tile; the creator of the target
    // ensures its vectors.
    unsafe {
        for first in (0..TILE).step_by(S::LANES) {
            let block = lanes.0.as_mut_ptr().add(first * S::LANES);
            simd.transpose(buffer.0.as_ptr().add(first), TILE, block, S::LANES);
        }
        for i in 0..SIDE {
            for j in 0..SIDE {
                tile[i][j] = simd.load(lanes.0.as_ptr().add((i * ROW + j) * S::LANES));
            }
        }
        store_elements(simd, target, WHOLE, both_ways!(simd, input, tile, 6, 6));
    }
}

simd_fn! {
    /// A · dy · Aᵀ of the tiles at `places`: one row per channel of `channels`, one lane per tile.
    #[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
    pub(super) fn transform_output_gradient(
        simd: S,
        shape: &Convolution,
        dy: &[f32],
        channels: Range<usize>,
        places: &[TilePlace],
        target: Elements,
    ) {
        assert!(dy.len() == shape.output_len() && channels.end <= shape.out_channels);
        let mut buffer = OutputTiles::ZERO;
        let mut lanes = OutputTiles::ZERO;
        let mut tile = [[simd.splat(0.0); OUTPUTS]; OUTPUTS];
        for (row, channel) in channels.enumerate() {
            let plane = dy[channel * shape.positions()..].as_ptr();
            for (vector, places) in places.chunks(S::LANES).enumerate() {
                for (lane, place) in places.iter().enumerate() {
                    copy_output(simd, shape, plane, place, &mut buffer.0[lane * OUTPUT_TILE..]);
                }
                let target = target.at(row, vector * S::LANES);
                // SAFETY: the buffer holds a tile for each lane, `lanes` a vector for each number of a tile; the creator of the
                // target ensures its vectors.
                unsafe {
                    for first in (0..OUTPUT_TILE).step_by(S::LANES) {
                        let block = lanes.0.as_mut_ptr().add(first * S::LANES);
                        simd.transpose(buffer.0.as_ptr().add(first), OUTPUT_TILE, block, S::LANES);
                    }
                    for i in 0..OUTPUTS {
                        for j in 0..OUTPUTS {
                            tile[i][j] = simd.load(lanes.0.as_ptr().add((i * OUTPUTS + j) * S::LANES));
                        }
                    }
                    store_elements(simd, target, WHOLE, both_ways!(simd, output_gradient, tile, 4, 6));
                }
            }
        }
    }
}

/// Copies a tile's output rows into `buffer`, with zeros beyond the image.
#[inline(always)]
fn copy_output<S: Simd>(
    simd: S,
    shape: &Convolution,
    plane: *const f32,
    place: &TilePlace,
    buffer: &mut [f32],
) {
    let (width, columns) = (shape.output_size()[1], (1 << place.output_columns) - 1);
    for (vector, target) in buffer[..OUTPUT_TILE].chunks_exact_mut(S::LANES).enumerate() {
        let mut values = simd.splat(0.0);
        for row in vector * S::LANES / OUTPUTS..(vector + 1) * S::LANES / OUTPUTS {
            let lanes = if row < place.output_rows { columns } else { 0 };
            let source = plane.wrapping_add(place.output + row * width);
            // SAFETY: the mask's columns of the place's rows lie in the image.
            values = simd
                .add(values, unsafe { load_shifted(simd, source, lanes, row * OUTPUTS, vector * S::LANES) });
        }
        store_some(simd, target, values);
    }
}

simd_fn! {
    /// Aᵀ · m · A, then `epilogue`, to the tiles of y at `places`, for each of `channels`.
    ///
    /// # Safety
    /// The caller must ensure that nothing else writes these channels of these tiles.
    #[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
    pub(super) fn transform_products<N: Stored>(
        simd: S,
        shape: &Convolution,
        products: Elements,
        channels: Range<usize>,
        places: &[TilePlace],
        epilogue: &ConvolutionEpilogue<'_>,
        y: Shared<N>,
    ) {
        let (positions, width) = (shape.positions(), shape.output_size()[1]);
        let zero = simd.splat(0.0);
        let mut lanes = OutputTiles::ZERO;
        let mut tiles = OutputTiles::ZERO;
        let mut narrow = [N::default(); OUTPUT_TILE];
        for (row, channel) in channels.enumerate() {
            let bias = simd.splat(epilogue.bias.map_or(0.0, |bias| bias[channel]));
            let scale = simd.splat(epilogue.scale.map_or(1.0, |scale| scale[channel]));
            for (vector, places) in places.chunks(S::LANES).enumerate() {
                let products = products.at(row, vector * S::LANES);
                // SAFETY: the creator of the products ensures their vectors; `lanes` and `tiles` hold a vector for each
                // number of a tile.
                unsafe {
                    let outputs = both_ways!(simd, output, load_elements(simd, products, WHOLE), 6, 4);
                    for i in 0..OUTPUTS {
                        for j in 0..OUTPUTS {
                            let mut value = outputs[i][j];
                            if epilogue.bias.is_some() {
                                value = simd.mul_add(value, scale, bias);
                            }
                            if epilogue.relu && epilogue.residual.is_none() {
                                value = simd.select_gt(zero, value, zero, value);
                            }
                            simd.store(lanes.0.as_mut_ptr().add((i * OUTPUTS + j) * S::LANES), value);
                        }
                    }
                    for first in (0..OUTPUT_TILE).step_by(S::LANES) {
                        let block = lanes.0.as_ptr().add(first * S::LANES);
                        simd.transpose(block, S::LANES, tiles.0.as_mut_ptr().add(first), OUTPUT_TILE);
                    }
                }
                for (place, tile) in places.iter().zip(tiles.0.chunks_exact(OUTPUT_TILE)) {
                    let start = channel * positions + place.output;
                    let stored = N::narrowed(simd, tile, &mut narrow).chunks_exact(OUTPUTS);
                    for (i, (values, stored)) in tile.chunks_exact(OUTPUTS).zip(stored).take(place.output_rows).enumerate() {
                        let start = start + i * width;
                        // SAFETY: the place's rows and columns lie in the output, which the caller ensures.
                        let y = unsafe { y.slice(start, place.output_columns) };
                        match epilogue.residual {
                            None if y.len() == OUTPUTS => y.copy_from_slice(stored),
                            None => y.copy_from_slice(&stored[..y.len()]),
                            Some(residual) => add_residual(values, &residual[start..], epilogue.relu, y),
                        }
                    }
                }
            }
        }
    }
}

/// Numbers of a filter.
const TAPS: usize = 9;

simd_fn! {
    /// G · g · Gᵀ of the filters `[inputs, 3, 3]` of one output channel: one row.
    #[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
    pub(super) fn transform_filters(simd: S, filters: &[f32], target: Elements) {
        let mut last = Aligned::<{ (MAX_LANES + 1) * TAPS }>::ZERO;
        let mut lanes = Aligned::<{ MAX_LANES * MAX_LANES }>::ZERO;
        let mut taps = [[simd.splat(0.0); 3]; 3];
        for (vector, filters) in (0..).zip((0..filters.len()).step_by(S::LANES * TAPS).map(|i| &filters[i..])) {
            // A filter is read as whole vectors, which end within the one after it.
            let source = if filters.len() >= (S::LANES + 1) * TAPS {
                filters
            } else {
                let count = filters.len().min(S::LANES * TAPS);
                last.0[..count].copy_from_slice(&filters[..count]);
                &last.0
            };
            let mask = first_lanes(simd, filters.len() / TAPS);
            // SAFETY: the source holds a filter more than there are lanes, `lanes` a vector for each number of a vector; the
            // creator of the target ensures its vectors.
            unsafe {
                for tap in (0..TAPS).step_by(S::LANES) {
                    let block = lanes.0.as_mut_ptr().add(tap * S::LANES);
                    simd.transpose(source.as_ptr().add(tap), TAPS, block, S::LANES);
                }
                for i in 0..3 {
                    for j in 0..3 {
                        taps[i][j] = simd.load(lanes.0.as_ptr().add((3 * i + j) * S::LANES));
                    }
                }
                let target = target.at(0, vector * S::LANES);
                store_elements(simd, target, mask, both_ways!(simd, filter, taps, 3, 6));
            }
        }
    }
}

simd_fn! {
    /// Gᵀ · du · G to the gradients `[inputs, 3, 3]` of the filters of one output channel.
    #[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
    pub(super) fn transform_filter_gradients(simd: S, transformed: Elements, filters: &mut [f32]) {
        let inputs = filters.len() / TAPS;
        let mut lanes = [0.0; MAX_LANES * TAPS];
        for first in (0..inputs).step_by(S::LANES) {
            let mask = first_lanes(simd, inputs - first);
            let transformed = transformed.at(0, first);
            // SAFETY: the creator of `transformed` ensures the mask's lanes; `lanes` holds a vector for each tap.
            unsafe {
                let tile = load_elements(simd, transformed, mask);
                let taps = both_ways!(simd, filter_gradient, tile, 6, 3);
                for i in 0..3 {
                    for j in 0..3 {
                        simd.store(lanes.as_mut_ptr().add((3 * i + j) * S::LANES), taps[i][j]);
                    }
                }
            }
            for (lane, filter) in filters[first * TAPS..].chunks_exact_mut(TAPS).take(S::LANES).enumerate() {
                for (tap, number) in filter.iter_mut().enumerate() {
                    *number = lanes[tap * S::LANES + lane];
                }
            }
        }
    }
}

/// The lanes of `mask` of every element of transformed tiles.
///
/// # Safety
/// They are readable.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
unsafe fn load_elements<S: Simd>(simd: S, elements: Elements, mask: u32) -> [[S::Vector; SIDE]; SIDE] {
    let mut tile = [[simd.splat(0.0); SIDE]; SIDE];
    for i in 0..SIDE {
        for j in 0..SIDE {
            // SAFETY: passed on.
            tile[i][j] = unsafe { load_lanes(simd, elements.element(i * SIDE + j), mask) };
        }
    }
    tile
}

/// Stores the lanes of `mask` of every element of transformed tiles.
///
/// # Safety
/// They are writable.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
unsafe fn store_elements<S: Simd>(simd: S, elements: Elements, mask: u32, tile: [[S::Vector; SIDE]; SIDE]) {
    for i in 0..SIDE {
        for j in 0..SIDE {
            let target = elements.element(i * SIDE + j);
            // SAFETY: passed on.
            unsafe {
                if mask == WHOLE {
                    simd.store(target, tile[i][j])
                } else {
                    simd.store_masked(target, mask, tile[i][j])
                }
            }
        }
    }
}
