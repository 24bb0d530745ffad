//! Storage formats: a kernel generic over [`Stored`] computes in `f32` and reads or writes either format.

use crate::Level;
use crate::scratch::Scratch;
use crate::simd::{MAX_LANES, Simd, load_some, round_to_bf16, simd_fn, store_some};

/// A bfloat16 number: the upper half of the bits of an `f32`. Equality compares bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(u16);

impl From<f32> for Bf16 {
    /// Rounds to nearest even; numbers below the smallest normal one become zero.
    fn from(x: f32) -> Self {
        Bf16(round_to_bf16(x) as u16)
    }
}

impl From<Bf16> for f32 {
    fn from(x: Bf16) -> Self {
        f32::from_bits(u32::from(x.0) << 16)
    }
}

/// Storage format of images: `f32` or [`Bf16`].
pub trait Stored: Access {}

impl Stored for f32 {}
impl Stored for Bf16 {}

/// Conversion between vectors of `f32` and stored numbers. Sealed.
pub trait Access: Copy + Default + Send + Sync + From<f32> + Into<f32> + 'static {
    /// Whether it is [`Bf16`].
    const BF16: bool;

    /// The same numbers, if they are `f32`.
    fn as_f32(numbers: &[Self]) -> Option<&[f32]>;

    /// `numbers` as they are stored, in `room` if they have to be converted.
    fn narrowed<'a, S: Simd>(simd: S, numbers: &'a [f32], room: &'a mut [Self]) -> &'a [Self];

    /// # Safety
    /// As for [`Simd::load`].
    unsafe fn load<S: Simd>(simd: S, source: *const Self) -> S::Vector;
    /// # Safety
    /// As for [`Simd::load_masked`].
    unsafe fn load_masked<S: Simd>(simd: S, source: *const Self, mask: u32) -> S::Vector;
    /// # Safety
    /// As for [`Simd::load_halves`].
    unsafe fn load_halves<S: Simd>(
        simd: S,
        first: *const Self,
        second: *const Self,
        masks: [u32; 2],
    ) -> S::Vector;
    /// # Safety
    /// As for [`Simd::load_every_second`].
    unsafe fn load_every_second<S: Simd>(simd: S, source: *const Self) -> S::Vector;
    /// # Safety
    /// As for [`Simd::gather`].
    unsafe fn gather<S: Simd>(simd: S, source: *const Self, indices: *const i32, mask: u32) -> S::Vector;
    /// # Safety
    /// As for [`Simd::store`].
    unsafe fn store<S: Simd>(simd: S, target: *mut Self, vector: S::Vector);
    /// # Safety
    /// As for [`Simd::store_masked`].
    unsafe fn store_masked<S: Simd>(simd: S, target: *mut Self, mask: u32, vector: S::Vector);
}

/// Methods that hand pointers on to a vector operation, whose conditions the caller ensures.
macro_rules! hand_on {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $vector:ty)? = $method:ident($($value:expr),*);)*) => {$(
        #[inline(always)]
        unsafe fn $name<S: Simd>(simd: S, $($arg: $type),*) $(-> $vector)? {
            // SAFETY: passed on.
            unsafe { simd.$method($($value),*) }
        }
    )*};
}

impl Access for f32 {
    const BF16: bool = false;

    #[inline(always)]
    fn as_f32(numbers: &[f32]) -> Option<&[f32]> {
        Some(numbers)
    }

    #[inline(always)]
    fn narrowed<'a, S: Simd>(_: S, numbers: &'a [f32], _: &'a mut [f32]) -> &'a [f32] {
        numbers
    }

    hand_on! {
        fn load(source: *const f32) -> S::Vector = load(source);
        fn load_masked(source: *const f32, mask: u32) -> S::Vector = load_masked(source, mask);
        fn load_halves(first: *const f32, second: *const f32, masks: [u32; 2]) -> S::Vector =
            load_halves(first, second, masks);
        fn load_every_second(source: *const f32) -> S::Vector = load_every_second(source);
        fn gather(source: *const f32, indices: *const i32, mask: u32) -> S::Vector =
            gather(source, indices, mask);
        fn store(target: *mut f32, vector: S::Vector) = store(target, vector);
        fn store_masked(target: *mut f32, mask: u32, vector: S::Vector) = store_masked(target, mask, vector);
    }
}

impl Access for Bf16 {
    const BF16: bool = true;

    #[inline(always)]
    fn as_f32(_: &[Bf16]) -> Option<&[f32]> {
        None
    }

    #[inline(always)]
    fn narrowed<'a, S: Simd>(simd: S, numbers: &'a [f32], room: &'a mut [Bf16]) -> &'a [Bf16] {
        for (room, numbers) in room.chunks_mut(S::LANES).zip(numbers.chunks(S::LANES)) {
            store_some(simd, room, load_some(simd, numbers));
        }
        &room[..numbers.len()]
    }

    hand_on! {
        fn load(source: *const Bf16) -> S::Vector = load_bf16(source.cast());
        fn load_masked(source: *const Bf16, mask: u32) -> S::Vector = load_bf16_masked(source.cast(), mask);
        fn load_halves(first: *const Bf16, second: *const Bf16, masks: [u32; 2]) -> S::Vector =
            load_bf16_halves(first.cast(), second.cast(), masks);
        fn store(target: *mut Bf16, vector: S::Vector) = store_bf16(target.cast(), vector);
        fn store_masked(target: *mut Bf16, mask: u32, vector: S::Vector) =
            store_bf16_masked(target.cast(), mask, vector);
    }

    #[inline(always)]
    unsafe fn load_every_second<S: Simd>(simd: S, source: *const Bf16) -> S::Vector {
        // SAFETY: passed on.
        each_lane(simd, |lane| unsafe { *source.add(2 * lane) }.into())
    }

    #[inline(always)]
    unsafe fn gather<S: Simd>(simd: S, source: *const Bf16, indices: *const i32, mask: u32) -> S::Vector {
        each_lane(simd, |lane| match mask >> lane & 1 {
            // SAFETY: the caller ensures the indices, and for the elements of set lanes.
            1 => unsafe { *source.offset(*indices.add(lane) as isize) }.into(),
            _ => 0.0,
        })
    }
}

/// A vector whose lanes are computed one by one.
#[inline(always)]
fn each_lane<S: Simd>(simd: S, value: impl Fn(usize) -> f32) -> S::Vector {
    let mut numbers = [0.0; MAX_LANES];
    for (lane, number) in numbers[..S::LANES].iter_mut().enumerate() {
        *number = value(lane);
    }
    load_some(simd, &numbers)
}

simd_fn! {
    /// Copies numbers to another storage format.
    pub(crate) fn convert<From: Stored, To: Stored>(simd: S, numbers: &[From], converted: &mut [To]) {
        for (numbers, converted) in numbers.chunks(S::LANES).zip(converted.chunks_mut(S::LANES)) {
            store_some(simd, converted, load_some(simd, numbers));
        }
    }
}

/// `numbers` as `f32`, in `room` if they have to be converted.
pub(crate) fn widened<'a, N: Stored>(
    level: Level,
    numbers: &'a [N],
    room: &'a mut Option<Scratch>,
) -> &'a [f32] {
    N::as_f32(numbers).unwrap_or_else(|| {
        let room = room.insert(Scratch::take(numbers.len()));
        convert(level, numbers, room);
        room
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, at_every_level};

    simd_fn! {
        /// Results of the vector operations on `numbers`: a copy by whole vectors and a last one in part; halves of the two ends;
        /// every second number; numbers in reversed order.
        fn accesses<N: Stored>(simd: S, numbers: &[N], copy: &mut [N], others: &mut Vec<f32>) {
            for (numbers, copy) in numbers.chunks(S::LANES).zip(copy.chunks_mut(S::LANES)) {
                store_some(simd, copy, load_some(simd, numbers));
            }
            let (half, last) = (S::LANES / 2, numbers.len() - S::LANES);
            let indices: Vec<i32> = (0..S::LANES as i32).rev().collect();
            // SAFETY: there are two vectors of numbers and more; masks leave half a vector of each end, and one lane.
            unsafe {
                let (start, end) = (numbers.as_ptr(), numbers[last..].as_ptr());
                let mask = (1 << half) - 1;
                for vector in [
                    N::load_halves(simd, start, end, [mask, mask & !1]),
                    N::load_every_second(simd, start),
                    N::gather(simd, start, indices.as_ptr(), crate::simd::WHOLE & !1),
                ] {
                    let mut lanes = [0.0; MAX_LANES];
                    store_some(simd, &mut lanes[..S::LANES], vector);
                    others.extend(&lanes[..S::LANES]);
                }
            }
        }
    }

    #[test]
    fn bfloat16_numbers_are_read_and_written_as_their_values_are() {
        let mut random = Random(95);
        let mut numbers = random.numbers(2 * MAX_LANES + 5);
        numbers[..6].copy_from_slice(&[0.0, -0.0, f32::INFINITY, 1e-40, 3.4e38, f32::NAN]);
        let narrow: Vec<Bf16> = numbers.iter().map(|x| Bf16::from(*x)).collect();
        let wide: Vec<f32> = narrow.iter().map(|x| f32::from(*x)).collect();
        assert_eq!((wide[3], wide[4]), (0.0, f32::INFINITY));
        assert!(
            wide[5].is_nan() && wide[6..].iter().zip(&numbers[6..]).all(|(a, b)| (a / b - 1.0).abs() < 4e-3)
        );
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        at_every_level(|level| {
            let mut converted = vec![Bf16::default(); numbers.len()];
            convert(level, &numbers, &mut converted);
            assert_eq!(converted, narrow, "{level:?}");
            let (mut copy, mut others) = (vec![Bf16::default(); numbers.len()], Vec::new());
            accesses(level, &narrow, &mut copy, &mut others);
            assert_eq!(copy, narrow, "{level:?}");
            let (mut wide_copy, mut expected) = (vec![0.0; numbers.len()], Vec::new());
            accesses(level, &wide, &mut wide_copy, &mut expected);
            assert_eq!(bits(&others), bits(&expected), "{level:?}");
            assert_eq!(bits(widened(level, &narrow, &mut None)), bits(&wide));
        });
    }
}
