//! Which input elements the kernel meets at each output position, and their packing.

use super::Convolution;
use crate::Precision;
use crate::simd::{Simd, WHOLE, load_lanes, simd_fn};
use std::ops::Range;

/// For every vector of output positions and every kernel element ("tap"): which lanes meet the input rather than the
/// padding, and where. The same for every image and channel.
///
/// A vector holds neighbouring positions of one image. Where an image's last vector would be half empty or more, the
/// positions left over of several images share one.
pub(super) struct PatchTable {
    taps: usize,
    lanes: usize,
    /// Vectors of every image.
    own: usize,
    /// Vectors of the whole batch that come after all images' own.
    shared: usize,
    leftover: Leftover,
    image_len: usize,
    /// From an element to the one that is asked for when it is read.
    ahead: isize,
    batch: usize,
    /// `[own and one shared, taps]`: the lanes inside the input.
    masks: Vec<u32>,
    /// `[own, taps]`: offsets within a channel of lane 0, which may lie outside; where neighbouring positions meet
    /// neighbouring elements.
    starts: Vec<i32>,
    /// `[vectors, taps, lanes]`: offsets of every lane, of the vectors that `starts` does not serve.
    gathered: Vec<i32>,
    /// `[own and one shared, taps]`: whether all lanes are inside and meet every second element.
    every_second: Vec<bool>,
}

/// Channels between what is packed and what is asked for from memory. The processor does not foresee the way from plane to plane.
const CHANNELS_AHEAD: usize = 8;

/// The positions of each image in a shared vector, and the images that share one; none where nothing is shared.
#[derive(Clone, Copy, Default)]
pub(super) struct Leftover {
    pub(super) positions: usize,
    pub(super) images: usize,
}

/// A vector of positions that is to be packed.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Its first mask and, if it has them, start or gathered offsets.
    first: usize,
    starts: bool,
    gathered: usize,
    /// Of its (first) image in the input.
    image: usize,
    /// Lanes whose image exists.
    lanes: u32,
    /// Where its first row goes, and the numbers to the next one.
    target: usize,
    row_stride: usize,
}

impl PatchTable {
    /// With `share`, images share vectors where that saves some.
    pub(super) fn new(shape: &Convolution, lanes: usize, share: bool) -> Self {
        let [height, width] = shape.input_size;
        let [_, output_width] = shape.output_size();
        let (positions, taps) = (shape.positions(), shape.taps());
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
        let contiguous = shape.stride == [1, 1] && output_width == width;
        let mut table = PatchTable {
            taps,
            lanes,
            own,
            shared,
            leftover,
            image_len,
            ahead: (CHANNELS_AHEAD * shape.input_positions()) as isize,
            batch: shape.batch,
            masks: Vec::with_capacity((own + 1) * taps),
            starts: Vec::new(),
            gathered: Vec::new(),
            every_second: Vec::with_capacity((own + 1) * taps),
        };
        for vector in 0..own + shared.min(1) {
            let starts = contiguous && vector < own;
            for tap in 0..taps {
                let mut mask = 0;
                for lane in 0..lanes {
                    let (image, position) = match vector < own {
                        true => (0, vector * lanes + lane),
                        false => (lane / rest, own * lanes + lane % rest),
                    };
                    let place = |axis: usize, output: usize, tap: usize| {
                        (output * shape.stride[axis] + tap) as i32 - shape.padding[axis] as i32
                    };
                    let row = place(0, position / output_width, tap / shape.kernel[1]);
                    let column = place(1, position % output_width, tap % shape.kernel[1]);
                    let exists = position < positions && (vector < own || image < leftover.images);
                    let inside =
                        exists && (0..height as i32).contains(&row) && (0..width as i32).contains(&column);
                    mask |= u32::from(inside) << lane;
                    let offset = (image * image_len) as i32 + row * width as i32 + column;
                    match starts {
                        true if lane == 0 => table.starts.push(offset),
                        true => {}
                        // Lanes outside are not read.
                        false => table.gathered.push(if inside { offset } else { 0 }),
                    }
                }
                let all = mask == (1 << lanes) - 1;
                let offsets = &table.gathered[table.gathered.len().saturating_sub(lanes)..];
                let steps_of_two = offsets.windows(2).all(|pair| pair[1] == pair[0] + 2);
                table.every_second.push(all && !starts && steps_of_two);
                // A full vector's mask means "whole" to the loads whatever the number of lanes.
                table.masks.push(if all { WHOLE } else { mask });
            }
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

    /// The image of a vector of one image's own, and the vector's number in it.
    pub(super) fn locate(&self, vector: usize) -> (usize, usize) {
        (vector / self.own, vector % self.own)
    }

    /// The place of a vector, whose rows go to `target` and then every `row_stride` numbers.
    pub(super) fn place(&self, vector: usize, target: usize, row_stride: usize) -> Place {
        let starts = !self.starts.is_empty();
        let Some(shared) = vector.checked_sub(self.own_vectors()) else {
            let (image, index) = self.locate(vector);
            return Place {
                first: index * self.taps,
                starts,
                gathered: index * self.taps * self.lanes,
                image: image * self.image_len,
                lanes: WHOLE,
                target,
                row_stride,
            };
        };
        let first_image = shared * self.leftover.images;
        let images = (self.batch - first_image).min(self.leftover.images);
        Place {
            first: self.own * self.taps,
            starts: false,
            gathered: if starts { 0 } else { self.own * self.taps * self.lanes },
            image: first_image * self.image_len,
            lanes: (1 << (images * self.leftover.positions)) - 1,
            target,
            row_stride,
        }
    }

    /// A place without positions.
    pub(super) fn nowhere(&self, target: usize, row_stride: usize) -> Place {
        Place { first: 0, starts: false, gathered: 0, image: 0, lanes: 0, target, row_stride }
    }

    /// The place's elements of a channel, whose plane in the first image begins at `channel`.
    ///
    /// # Safety
    /// The channel is one of the input that the table was made for, and so is the place.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, simd: S, channel: *const f32, place: &Place, tap: usize) -> S::Vector {
        // SAFETY: a place's masks and offsets lie in the table, and its set lanes in every channel of its image.
        unsafe {
            let mask = *self.masks.get_unchecked(place.first + tap);
            let image = channel.add(place.image);
            if place.starts {
                let start = *self.starts.get_unchecked(place.first + tap);
                simd.prefetch(image.wrapping_offset(start as isize + self.ahead));
                load_lanes(simd, image.wrapping_offset(start as isize), mask)
            } else {
                let offsets = self.gathered.as_ptr().add(place.gathered + tap * S::LANES);
                if *self.every_second.get_unchecked(place.first + tap) && place.lanes == WHOLE {
                    return simd.load_every_second(image.offset(*offsets as isize));
                }
                simd.gather(image, offsets, mask & place.lanes)
            }
        }
    }
}

simd_fn! {
    /// Packs the patches of input channels `channels` at `places`: one row for each (channel, tap), or for each pair of them
    /// in bfloat16, whose last one is filled up with zeros. Lanes that meet the padding, or are no position, are zero.
    pub(super) fn pack_patches(
        simd: S,
        table: &PatchTable,
        x: &[f32],
        shape: &Convolution,
        channels: Range<usize>,
        places: &[Place],
        precision: Precision,
        packed: &mut [f32],
    ) {
        assert!(x.len() == shape.input_len() && channels.end <= shape.in_channels && table.lanes == S::LANES);
        let rows = channels.len() * table.taps;
        let last = match precision {
            Precision::F32 => rows,
            Precision::Bf16 => rows.div_ceil(2),
        };
        let room = |place: &Place| place.target + last.saturating_sub(1) * place.row_stride + S::LANES;
        assert!(places.iter().all(|place| room(place) <= packed.len()) || rows == 0);
        let plane = shape.input_positions();
        let mut channel = x[channels.start.min(shape.in_channels - 1) * plane..].as_ptr();
        let mut tap = 0;
        macro_rules! next {
            () => {
                tap += 1;
                if tap == table.taps {
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
    /// are neighbours among the lanes of two places, the second of which may be nowhere.
    pub(super) fn pack_position_pairs(
        simd: S,
        table: &PatchTable,
        x: &[f32],
        shape: &Convolution,
        channels: Range<usize>,
        places: &[Place],
        packed: &mut [f32],
    ) {
        assert!(x.len() == shape.input_len() && channels.end <= shape.in_channels && table.lanes == S::LANES);
        let rows = channels.len() * table.taps;
        let room = |place: &Place| place.target + rows.saturating_sub(1) * place.row_stride + S::LANES;
        assert!(places.iter().all(|place| room(place) <= packed.len()) || rows == 0);
        let plane = shape.input_positions();
        for row in 0..rows {
            let (channel, tap) = (channels.start + row / table.taps, row % table.taps);
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
