//! The input elements under the kernel at each output position, and their packing.

use super::Convolution;
use crate::simd::{Simd, WHOLE, load_lanes, simd_fn};
use crate::{Precision, Stored};
use std::ops::Range;

/// For every vector of output positions and every kernel element ("tap"): which lanes lie in the input rather than the padding,
/// and where. The table is the same for every image and channel.
///
/// A vector holds neighbouring positions of one image. Where an image's last vector would be half empty or more, the remaining
/// positions of several images share one. The element of a position at a tap lies at the sum of an offset of the position and one
/// of the tap.
pub(super) struct PatchTable {
    lanes: usize,
    /// Vectors per image.
    own: usize,
    /// Shared vectors of the whole batch, which come after those of single images.
    shared: usize,
    leftover: Leftover,
    image_len: usize,
    /// Distance from an element to the one prefetched when it is read.
    ahead: isize,
    batch: usize,
    /// Offsets of the taps; those in the padding are negative.
    taps: Vec<isize>,
    /// `[own and one shared, lanes]`: offsets of the positions.
    positions: Vec<i32>,
    /// `[own and one shared]`: how they follow one another.
    steps: Vec<Step>,
    /// `[own and one shared, taps]`: the lanes inside the input.
    masks: Vec<u32>,
}

/// From the offset of a vector's position to that of the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    One,
    Two,
    Any,
}

/// Distance, in channels, between packing and prefetching. The processor does not predict the step from plane to plane.
const CHANNELS_AHEAD: usize = 8;

/// The positions of each image in a shared vector, and the images that share one; none if nothing is shared.
#[derive(Clone, Copy, Default)]
pub(super) struct Leftover {
    pub(super) positions: usize,
    pub(super) images: usize,
}

/// A vector of positions to be packed.
#[derive(Clone, Copy)]
pub(super) struct Place {
    step: Step,
    /// Offset of its (first) image in the input, and of its first lane.
    image: usize,
    first: isize,
    /// Its masks and its lanes' offsets in the table.
    masks: usize,
    positions: usize,
    /// Lanes whose image exists.
    lanes: u32,
    /// Target of its first row, and the stride to the next one.
    target: usize,
    row_stride: usize,
}

impl PatchTable {
    /// With `share`, images share vectors if that saves any.
    pub(super) fn new(shape: &Convolution, lanes: usize, share: bool) -> Self {
        let [height, width] = shape.input_size;
        let [_, output_width] = shape.output_size();
        let [rows, columns] = shape.kernel;
        let positions = shape.positions();
        let image_len = shape.in_channels * shape.input_positions();
        let rest = positions % lanes;
        let saves = rest > 0 && 2 * rest <= lanes && shape.batch > 1;
        let fits = i32::try_from(lanes * image_len).is_ok();
        let leftover = match share && saves && fits {
            true => Leftover { positions: rest, images: lanes / rest },
            false => Leftover::default(),
        };
        let own = (positions - leftover.positions).div_ceil(lanes);
        let shared = shape.batch.div_ceil(leftover.images.max(1)) * usize::from(leftover.images > 0);
        let [top, left] = shape.padding.map(|padding| padding as isize);
        let offset =
            |tap: usize| ((tap / columns) as isize - top) * width as isize + (tap % columns) as isize - left;
        let mut table = PatchTable {
            lanes,
            own,
            shared,
            leftover,
            image_len,
            ahead: (CHANNELS_AHEAD * shape.input_positions()) as isize,
            batch: shape.batch,
            taps: (0..shape.taps()).map(offset).collect(),
            positions: Vec::with_capacity((own + 1) * lanes),
            steps: Vec::with_capacity(own + 1),
            masks: Vec::with_capacity((own + 1) * shape.taps()),
        };
        for vector in 0..own + shared.min(1) {
            // Lanes whose row, for each row of the kernel, and column, for each column, lie inside.
            let (mut inside_rows, mut inside_columns) = (vec![0; rows], vec![0; columns]);
            for lane in 0..lanes {
                let (image, position) = match vector < own {
                    true => (0, vector * lanes + lane),
                    false => (lane / rest, own * lanes + lane % rest),
                };
                let row = position / output_width * shape.stride[0];
                let column = position % output_width * shape.stride[1];
                table.positions.push((image * image_len + row * width + column) as i32);
                if position < positions && (vector < own || image < leftover.images) {
                    let mark = |masks: &mut [u32], start: usize, padding: usize, size: usize| {
                        for (tap, mask) in masks.iter_mut().enumerate() {
                            let inside = (padding..padding + size).contains(&(start + tap));
                            *mask |= u32::from(inside) << lane;
                        }
                    };
                    mark(&mut inside_rows, row, shape.padding[0], height);
                    mark(&mut inside_columns, column, shape.padding[1], width);
                }
            }
            // A full vector's mask means "whole" to the loads whatever the number of lanes.
            let whole = |mask| if mask == (1 << lanes) - 1 { WHOLE } else { mask };
            for row in inside_rows {
                table.masks.extend(inside_columns.iter().map(|column| whole(row & column)));
            }
            let offsets = &table.positions[vector * lanes..];
            let all = |step: i32| offsets.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
            table.steps.push(match vector < own {
                true if all(1) => Step::One,
                true if all(2) => Step::Two,
                _ => Step::Any,
            });
        }
        table
    }

    /// Vectors that hold positions of one image, through the batch.
    pub(super) fn own_vectors(&self) -> usize {
        self.batch * self.own
    }

    /// Vectors that images share; they are counted after those of one image.
    pub(super) fn shared_vectors(&self) -> usize {
        self.shared
    }

    pub(super) fn leftover(&self) -> Leftover {
        self.leftover
    }

    /// The image of an unshared vector, and the vector's index in it.
    pub(super) fn locate(&self, vector: usize) -> (usize, usize) {
        (vector / self.own, vector % self.own)
    }

    /// The place of a vector, whose rows go to `target` and then every `row_stride` numbers.
    pub(super) fn place(&self, vector: usize, target: usize, row_stride: usize) -> Place {
        let (image, vector, lanes) = match vector.checked_sub(self.own_vectors()) {
            None => {
                let (image, index) = self.locate(vector);
                (image, index, WHOLE)
            }
            Some(shared) => {
                let first_image = shared * self.leftover.images;
                let images = (self.batch - first_image).min(self.leftover.images);
                (first_image, self.own, (1 << (images * self.leftover.positions)) - 1)
            }
        };
        let (image, positions) = (image * self.image_len, vector * self.lanes);
        Place {
            step: self.steps[vector],
            image,
            first: image as isize + self.positions[positions] as isize,
            masks: vector * self.taps.len(),
            positions,
            lanes,
            target,
            row_stride,
        }
    }

    /// A place without positions.
    pub(super) fn nowhere(&self, target: usize, row_stride: usize) -> Place {
        let step = Step::Any;
        Place { step, image: 0, first: 0, masks: 0, positions: 0, lanes: 0, target, row_stride }
    }

    /// Panics unless the channels lie in an input of the length, and at every place `rows` rows in as many numbers as are `packed`.
    #[allow(clippy::too_many_arguments, reason = "what a packing is told")]
    fn check<S: Simd>(
        &self,
        _: S,
        input_len: usize,
        shape: &Convolution,
        channels: &Range<usize>,
        places: &[Place],
        rows: usize,
        packed: usize,
    ) {
        assert!(
            input_len == shape.input_len() && channels.end <= shape.in_channels && self.lanes == S::LANES
        );
        let room = |place: &Place| place.target + rows.saturating_sub(1) * place.row_stride + S::LANES;
        assert!(places.iter().all(|place| room(place) <= packed) || rows == 0);
    }

    /// The place's elements of a channel, whose plane in the first image begins at `channel`.
    ///
    /// # Safety
    /// The channel is one of the input that the table was made for, and so is the place.
    #[inline(always)]
    unsafe fn load<S: Simd, N: Stored>(
        &self,
        simd: S,
        channel: *const N,
        place: &Place,
        tap: usize,
    ) -> S::Vector {
        // SAFETY: a place's masks and offsets lie in the table, and its set lanes in every channel of its image.
        unsafe {
            let mask = *self.masks.get_unchecked(place.masks + tap);
            let tap = *self.taps.get_unchecked(tap);
            let first = channel.wrapping_offset(place.first + tap);
            match place.step {
                Step::One => {
                    simd.prefetch(first.wrapping_offset(self.ahead).cast());
                    load_lanes(simd, first, mask)
                }
                Step::Two if mask == WHOLE => {
                    simd.prefetch(first.wrapping_offset(self.ahead).cast());
                    N::load_every_second(simd, first)
                }
                _ => {
                    let source = channel.wrapping_add(place.image).wrapping_offset(tap);
                    N::gather(simd, source, self.positions.as_ptr().add(place.positions), mask & place.lanes)
                }
            }
        }
    }
}

simd_fn! {
    /// Packs the patches of input channels `channels` at `places`: one row for each (channel, tap), or for each pair of them
    /// in bfloat16, of which the last is padded with zeros. Lanes in the padding, or without a position, are zero.
    pub(super) fn pack_patches<N: Stored>(
        simd: S,
        table: &PatchTable,
        x: &[N],
        shape: &Convolution,
        channels: Range<usize>,
        places: &[Place],
        precision: Precision,
        packed: &mut [f32],
    ) {
        let rows = channels.len() * table.taps.len();
        let last = match precision {
            Precision::F32 => rows,
            Precision::Bf16 => rows.div_ceil(2),
        };
        table.check(simd, x.len(), shape, &channels, places, last, packed.len());
        let plane = shape.input_positions();
        let mut channel = x[channels.start.min(shape.in_channels - 1) * plane..].as_ptr();
        let mut tap = 0;
        macro_rules! next {
            () => {
                tap += 1;
                if tap == table.taps.len() {
                    (tap, channel) = (0, channel.wrapping_add(plane));
                }
            };
        }
        // SAFETY: rows run over the taps of the channels, which lie in `x`; places were made by the table and have room, as
        // checked above.
        unsafe {
            match precision {
                Precision::F32 => {
                    for row in 0..rows {
                        for place in places {
                            let target = packed.as_mut_ptr().add(place.target + row * place.row_stride);
                            simd.store(target, table.load(simd, channel, place, tap));
                        }
                        next!();
                    }
                }
                Precision::Bf16 => {
                    for pair in 0..last {
                        let (low_channel, low_tap) = (channel, tap);
                        next!();
                        let paired = 2 * pair + 1 < rows;
                        for place in places {
                            let low = table.load(simd, low_channel, place, low_tap);
                            let high = match paired {
                                true => table.load(simd, channel, place, tap),
                                false => simd.splat(0.0),
                            };
                            let target = packed.as_mut_ptr().add(place.target + pair * place.row_stride);
                            simd.store(target, simd.pair_bf16(low, high));
                        }
                        next!();
                    }
                }
            }
        }
    }
}

simd_fn! {
    /// Packs the patches of input channels `channels` in bfloat16 with pairs of positions: one row for each (channel, tap), whose words
    /// are neighbours among the lanes of two places, the second of which may be empty.
    pub(super) fn pack_position_pairs(
        simd: S,
        table: &PatchTable,
        x: &[f32],
        shape: &Convolution,
        channels: Range<usize>,
        places: &[Place],
        packed: &mut [f32],
    ) {
        let rows = channels.len() * table.taps.len();
        table.check(simd, x.len(), shape, &channels, places, rows, packed.len());
        let plane = shape.input_positions();
        for row in 0..rows {
            let (channel, tap) = (channels.start + row / table.taps.len(), row % table.taps.len());
            let channel = x[channel * plane..].as_ptr();
            for [first, second] in places.as_chunks().0 {
                // SAFETY: rows run over the taps of the channels, which lie in `x`; places were made by the table and have room, as
                // checked above.
                unsafe {
                    let low = table.load(simd, channel, first, tap);
                    let high = match second.lanes {
                        0 => simd.splat(0.0),
                        _ => table.load(simd, channel, second, tap),
                    };
                    let target = packed.as_mut_ptr().add(first.target + row * first.row_stride);
                    simd.store(target, simd.narrow_bf16(low, high));
                }
            }
        }
    }
}
