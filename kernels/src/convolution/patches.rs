//! Which input elements the kernel meets at each output position, and their packing.

use super::Convolution;
use crate::simd::{WHOLE, load_lanes, simd_fn};
use std::ops::Range;

/// For every vector of neighbouring output positions and every kernel element ("tap"): which lanes meet the
/// input rather than the padding, and where. The same for every image and channel.
pub(super) struct PatchTable {
    vectors: usize,
    taps: usize,
    /// `[vectors, taps]`: the lanes inside the input.
    masks: Vec<u32>,
    /// Offsets within a channel: of lane 0 (it may lie outside) for each vector and tap where neighbouring
    /// positions meet neighbouring elements, else of every lane.
    offsets: Vec<i32>,
    contiguous: bool,
}

impl PatchTable {
    pub(super) fn new(shape: &Convolution, lanes: usize) -> Self {
        let [height, width] = shape.input_size;
        let [_, output_width] = shape.output_size();
        let positions = shape.positions();
        let contiguous = shape.stride == [1, 1] && output_width == width;
        let (vectors, taps) = (positions.div_ceil(lanes), shape.taps());
        let mut masks = Vec::with_capacity(vectors * taps);
        let mut offsets = Vec::with_capacity(vectors * taps * if contiguous { 1 } else { lanes });
        for vector in 0..vectors {
            for tap in 0..taps {
                let mut mask = 0;
                for lane in 0..lanes {
                    let position = vector * lanes + lane;
                    let place = |axis: usize, output: usize, tap: usize| {
                        (output * shape.stride[axis] + tap) as i32 - shape.padding[axis] as i32
                    };
                    let row = place(0, position / output_width, tap / shape.kernel[1]);
                    let column = place(1, position % output_width, tap % shape.kernel[1]);
                    let inside = position < positions
                        && (0..height as i32).contains(&row)
                        && (0..width as i32).contains(&column);
                    mask |= u32::from(inside) << lane;
                    if lane == 0 || !contiguous {
                        offsets.push(row * width as i32 + column);
                    }
                }
                masks.push(mask);
            }
        }
        // A full vector's mask means "whole" to the loads whatever the number of lanes.
        let whole = (1 << lanes) - 1;
        masks.iter_mut().filter(|mask| **mask == whole).for_each(|mask| *mask = WHOLE);
        PatchTable { vectors, taps, masks, offsets, contiguous }
    }

    /// Vectors that one image's positions take.
    pub(super) fn vectors(&self) -> usize {
        self.vectors
    }

    /// The image and the vector within it of a vector counted through the batch.
    pub(super) fn locate(&self, vector: usize) -> (usize, usize) {
        (vector / self.vectors, vector % self.vectors)
    }
}

simd_fn! {
    /// Packs the patches of input channels `channels` at the positions of `vectors` (counted through the
    /// batch) into rows of `row_stride` numbers, one row for each (channel, tap). Lanes that meet the padding
    /// or lie beyond the image's last position are zero.
    pub(super) fn pack_patches(
        simd: S,
        table: &PatchTable,
        x: &[f32],
        shape: &Convolution,
        channels: Range<usize>,
        vectors: Range<usize>,
        row_stride: usize,
        rows: &mut [f32],
    ) {
        let plane = shape.input_positions();
        let taps = table.taps;
        assert!(x.len() == shape.input_len() && channels.end <= shape.in_channels);
        assert!(vectors.end <= shape.batch * table.vectors && vectors.len() * S::LANES <= row_stride);
        assert!(rows.len() >= channels.len() * taps * row_stride);
        let (image, first) = table.locate(vectors.start);
        // SAFETY: the table's offsets of set lanes lie within a channel's plane, channels and images
        // within `x`, and rows within `rows`, as checked above. Whole masks of a contiguous tap and the
        // masks of gathered ones cover LANES lanes of such offsets.
        unsafe {
            for (row, channel) in channels.enumerate() {
                let target = rows.as_mut_ptr().add(row * taps * row_stride);
                let mut input = x.as_ptr().add((image * shape.in_channels + channel) * plane);
                let mut first_tap = first * taps;
                for place in 0..vectors.len() {
                    let mut target = target.add(place * S::LANES);
                    for tap in first_tap..first_tap + taps {
                        let mask = *table.masks.get_unchecked(tap);
                        let values = if table.contiguous {
                            let offset = *table.offsets.get_unchecked(tap);
                            load_lanes(simd, input.wrapping_offset(offset as isize), mask)
                        } else {
                            simd.gather(input, table.offsets.as_ptr().add(tap * S::LANES), mask)
                        };
                        simd.store(target, values);
                        target = target.wrapping_add(row_stride);
                    }
                    first_tap += taps;
                    if first_tap == table.masks.len() {
                        first_tap = 0;
                        input = input.wrapping_add(shape.in_channels * plane);
                    }
                }
            }
        }
    }
}
