//! Vectors of `f32`, one interface for every processor.
//!
//! A kernel is written once, generic over [`Simd`], and [`simd_fn!`] compiles it for each [`Level`] and
//! chooses at the call. A value of a [`Simd`] type is proof that the processor has its instructions: only
//! the dispatch in [`simd_fn!`] makes one. That is why the arithmetic methods are safe, and only the ones
//! that touch memory are not.
//!
//! [`Level`]: crate::Level

use crate::Stored;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;

/// The most rows in a tile of any level.
pub(crate) const MAX_TILE_ROWS: usize = 8;

/// The most vectors side by side in a tile of any level.
pub(crate) const MAX_TILE_VECTORS: usize = 3;

/// The bits of √½: numbers are split there, so that logarithms of mantissas are small on both sides of zero.
pub(crate) const ROOT_OF_HALF: i32 = 0x3f35_04f3;

/// The most lanes of any level.
pub(crate) const MAX_LANES: usize = 16;

/// To bfloat16, ties to even, as the processor's own conversion does it: numbers below the smallest normal
/// one become zero, and NaN stays NaN. In the low half of the result.
#[inline(always)]
pub(crate) fn round_to_bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1))) >> 16;
    if magnitude > 0x7f80_0000 {
        bits >> 16 | 0x40
    } else if magnitude < 0x0080_0000 {
        bits >> 31 << 15
    } else {
        rounded
    }
}

/// The vector operations of one level. Public for the bounds of [`Stored`]'s methods; the module is not.
pub trait Simd: Copy + Send + Sync {
    /// [`Simd::LANES`] numbers.
    type Vector: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows of the matrix product's register tile.
    const TILE_ROWS: usize;
    /// Vectors side by side in the matrix product's register tile.
    const TILE_VECTORS: usize;
    /// Columns of the register tile.
    const TILE_COLUMNS: usize = Self::LANES * Self::TILE_VECTORS;

    fn splat(self, value: f32) -> Self::Vector;
    /// # Safety
    /// `source` is readable for `LANES` numbers.
    unsafe fn load(self, source: *const f32) -> Self::Vector;
    /// # Safety
    /// `target` is writable for `LANES` numbers.
    unsafe fn store(self, target: *mut f32, vector: Self::Vector);
    /// Lanes whose bit in `mask` is clear are zero, and their memory is not touched.
    ///
    /// # Safety
    /// `source + lane` is readable for every set bit; the pointer itself may lie outside.
    unsafe fn load_masked(self, source: *const f32, mask: u32) -> Self::Vector;
    /// Only lanes whose bit in `mask` is set are written.
    ///
    /// # Safety
    /// `target + lane` is writable for every set bit.
    unsafe fn store_masked(self, target: *mut f32, mask: u32, vector: Self::Vector);
    /// Lane `i` is `source[indices[i]]` where its bit in `mask` is set, else zero.
    ///
    /// # Safety
    /// `indices` is readable for `LANES` numbers, `source + index` for the index of every set bit.
    unsafe fn gather(self, source: *const f32, indices: *const i32, mask: u32) -> Self::Vector;

    /// Prefetches the cache line at `source`, which may be any address.
    #[inline(always)]
    fn prefetch(self, source: *const f32) {
        let _ = source;
    }

    /// Half a vector from `first` and half from `second`, side by side; lanes of a half whose bit in its mask is clear are
    /// zero, and their memory is not touched.
    ///
    /// # Safety
    /// As for [`Simd::load_masked`], of both.
    #[inline(always)]
    unsafe fn load_halves(self, first: *const f32, second: *const f32, masks: [u32; 2]) -> Self::Vector {
        let half = Self::LANES / 2;
        // SAFETY: passed on.
        unsafe {
            let second = self.load_masked(second.wrapping_sub(half), masks[1] << half);
            self.add(self.load_masked(first, masks[0]), second)
        }
    }

    /// Lane `i` is `source[2 · i]`.
    ///
    /// # Safety
    /// `source` is readable for `2 · LANES − 1` numbers.
    #[inline(always)]
    unsafe fn load_every_second(self, source: *const f32) -> Self::Vector {
        let mut numbers = [0.0; MAX_LANES];
        for (lane, number) in numbers[..Self::LANES].iter_mut().enumerate() {
            // SAFETY: the caller ensures the numbers.
            *number = unsafe { *source.add(2 * lane) };
        }
        // SAFETY: no level has more than MAX_LANES lanes.
        unsafe { self.load(numbers.as_ptr()) }
    }

    /// Half of the lanes each.
    ///
    /// # Safety
    /// `first` and `second` are writable for half of [`Simd::LANES`] numbers.
    #[inline(always)]
    unsafe fn store_halves(self, first: *mut f32, second: *mut f32, vector: Self::Vector) {
        let (mut numbers, half) = ([0.0; MAX_LANES], Self::LANES / 2);
        // SAFETY: no level has more than MAX_LANES lanes; the caller ensures the targets.
        unsafe {
            self.store(numbers.as_mut_ptr(), vector);
            first.copy_from_nonoverlapping(numbers.as_ptr(), half);
            second.copy_from_nonoverlapping(numbers[half..].as_ptr(), half);
        }
    }

    /// `LANES` bfloat16 numbers.
    ///
    /// # Safety
    /// `source` is readable for `LANES` numbers.
    #[inline(always)]
    unsafe fn load_bf16(self, source: *const u16) -> Self::Vector {
        let mut numbers = [0.0; MAX_LANES];
        for (lane, number) in numbers[..Self::LANES].iter_mut().enumerate() {
            // SAFETY: the caller ensures the numbers.
            *number = f32::from_bits(u32::from(unsafe { *source.add(lane) }) << 16);
        }
        // SAFETY: no level has more than MAX_LANES lanes.
        unsafe { self.load(numbers.as_ptr()) }
    }
    /// As [`Simd::load_masked`], of bfloat16 numbers.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn load_bf16_masked(self, source: *const u16, mask: u32) -> Self::Vector {
        let mut numbers = [0.0; MAX_LANES];
        for (lane, number) in numbers[..Self::LANES].iter_mut().enumerate() {
            if mask >> lane & 1 == 1 {
                // SAFETY: the caller ensures the lanes whose bit is set.
                *number = f32::from_bits(u32::from(unsafe { *source.wrapping_add(lane) }) << 16);
            }
        }
        // SAFETY: no level has more than MAX_LANES lanes.
        unsafe { self.load(numbers.as_ptr()) }
    }
    /// As [`Simd::load_halves`], of bfloat16 numbers.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn load_bf16_halves(self, first: *const u16, second: *const u16, masks: [u32; 2]) -> Self::Vector {
        let half = Self::LANES / 2;
        // SAFETY: passed on.
        unsafe {
            let second = self.load_bf16_masked(second.wrapping_sub(half), masks[1] << half);
            self.add(self.load_bf16_masked(first, masks[0]), second)
        }
    }
    /// Rounds as [`round_to_bf16`] does.
    ///
    /// # Safety
    /// `target` is writable for `LANES` numbers.
    #[inline(always)]
    unsafe fn store_bf16(self, target: *mut u16, vector: Self::Vector) {
        // SAFETY: passed on.
        unsafe { self.store_bf16_masked(target, WHOLE, vector) }
    }
    /// As [`Simd::store_bf16`], of the lanes whose bit in `mask` is set.
    ///
    /// # Safety
    /// `target + lane` is writable for every set bit.
    #[inline(always)]
    unsafe fn store_bf16_masked(self, target: *mut u16, mask: u32, vector: Self::Vector) {
        let mut numbers = [0.0; MAX_LANES];
        // SAFETY: no level has more than MAX_LANES lanes; the caller ensures the lanes whose bit is set.
        unsafe {
            self.store(numbers.as_mut_ptr(), vector);
            for (lane, number) in numbers[..Self::LANES].iter().enumerate() {
                if mask >> lane & 1 == 1 {
                    *target.wrapping_add(lane) = round_to_bf16(*number) as u16;
                }
            }
        }
    }

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger one; `b` where either is not a number.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller one; `b` where either is not a number.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b + c`, rounded once where the level has a fused multiply-add.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::Vector) -> Self::Vector;
    /// `2^n` for integral `n` from −126 to 127.
    fn exp2_integral(self, n: Self::Vector) -> Self::Vector;
    /// The integral `e` of `x = m · 2^e` with `m` in [√½, √2), for positive normal `x`; anything else gives an unspecified number.
    fn exponent(self, x: Self::Vector) -> Self::Vector;
    /// The `m` that belongs to [`Simd::exponent`].
    fn mantissa(self, x: Self::Vector) -> Self::Vector;
    /// `yes` where `a > b`, else `no` (also where either is not a number).
    fn select_gt(self, a: Self::Vector, b: Self::Vector, yes: Self::Vector, no: Self::Vector)
    -> Self::Vector;
    /// Sum of the lanes, in one fixed order.
    fn sum(self, a: Self::Vector) -> f32;
    /// The largest lane.
    fn maximum(self, a: Self::Vector) -> f32;

    /// `accumulator + Σ` of the two products of bfloat16 numbers in each 32-bit lane: the high half first,
    /// then the low half, each sum rounded to `f32` (the products are exact).
    fn dot_bf16(self, a: Self::Vector, b: Self::Vector, accumulator: Self::Vector) -> Self::Vector;

    /// In each 32-bit lane two bfloat16 numbers for [`Simd::dot_bf16`]: `low` in the low half, `high` in the high half,
    /// rounded as by [`round_to_bf16`].
    #[inline(always)]
    fn pair_bf16(self, low: Self::Vector, high: Self::Vector) -> Self::Vector {
        let (mut lows, mut highs) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
        // SAFETY: no level has more than MAX_LANES lanes.
        unsafe {
            self.store(lows.as_mut_ptr(), low);
            self.store(highs.as_mut_ptr(), high);
            for (low, high) in lows.iter_mut().zip(&highs) {
                *low = f32::from_bits(round_to_bf16(*low) | round_to_bf16(*high) << 16);
            }
            self.load(lows.as_ptr())
        }
    }

    /// As [`Simd::pair_bf16`] of neighbours among the numbers of `first` and then `second`.
    #[inline(always)]
    fn narrow_bf16(self, first: Self::Vector, second: Self::Vector) -> Self::Vector {
        let mut numbers = [0.0; 2 * MAX_LANES];
        // SAFETY: no level has more than MAX_LANES lanes.
        unsafe {
            self.store(numbers.as_mut_ptr(), first);
            self.store(numbers.as_mut_ptr().add(Self::LANES), second);
            for i in 0..MAX_LANES {
                let (low, high) = (round_to_bf16(numbers[2 * i]), round_to_bf16(numbers[2 * i + 1]));
                numbers[i] = f32::from_bits(low | high << 16);
            }
            self.load(numbers.as_ptr())
        }
    }

    /// Writes the transpose of the `LANES`×`LANES` block at `source` to `target` (strides between rows).
    ///
    /// # Safety
    /// Every row of both blocks is in bounds.
    unsafe fn transpose(
        self,
        source: *const f32,
        source_stride: usize,
        target: *mut f32,
        target_stride: usize,
    );
}

/// The mask of a whole vector at any level.
pub(crate) const WHOLE: u32 = u32::MAX;

/// The mask with the first `count` of a vector's lanes set; [`WHOLE`] if that is all of them.
#[inline(always)]
pub(crate) fn first_lanes<S: Simd>(_: S, count: usize) -> u32 {
    if count >= S::LANES { WHOLE } else { (1 << count) - 1 }
}

/// Loads the lanes of `mask`; the others are zero.
///
/// # Safety
/// The lanes of `mask` are readable.
#[inline(always)]
pub(crate) unsafe fn load_lanes<S: Simd, N: Stored>(simd: S, source: *const N, mask: u32) -> S::Vector {
    // SAFETY: passed on.
    unsafe { if mask == WHOLE { N::load(simd, source) } else { N::load_masked(simd, source, mask) } }
}

/// Loads up to `LANES` numbers from the front of `source`; missing lanes are zero.
#[inline(always)]
pub(crate) fn load_some<S: Simd, N: Stored>(simd: S, source: &[N]) -> S::Vector {
    // SAFETY: the lanes are the numbers of the slice.
    unsafe { load_lanes(simd, source.as_ptr(), first_lanes(simd, source.len())) }
}

/// Distance, in values, between reading and prefetching in a pass through planes: the processor does not predict the step from
/// one plane, or one image's part of a channel, to the next.
pub(crate) const AHEAD: usize = 512;

/// As [`load_some`], and prefetches [`AHEAD`], which may be an invalid address.
#[inline(always)]
pub(crate) fn load_ahead<S: Simd, N: Stored>(simd: S, source: &[N]) -> S::Vector {
    simd.prefetch(source.as_ptr().wrapping_add(AHEAD).cast());
    load_some(simd, source)
}

/// Stores the lanes of `mask`.
///
/// # Safety
/// The lanes of `mask` are writable.
#[inline(always)]
pub(crate) unsafe fn store_lanes<S: Simd, N: Stored>(simd: S, target: *mut N, mask: u32, vector: S::Vector) {
    // SAFETY: passed on.
    unsafe {
        if mask == WHOLE {
            N::store(simd, target, vector)
        } else {
            N::store_masked(simd, target, mask, vector)
        }
    }
}

/// Stores up to `LANES` numbers to the front of `target`; lanes beyond its end are dropped.
#[inline(always)]
pub(crate) fn store_some<S: Simd, N: Stored>(simd: S, target: &mut [N], vector: S::Vector) {
    // SAFETY: the lanes are the numbers of the slice.
    unsafe { store_lanes(simd, target.as_mut_ptr(), first_lanes(simd, target.len()), vector) }
}

/// Defines methods of a level's token, of vectors only, that are one or a few instructions without memory access.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! register_only {
    ($vector:ty; $(fn $name:ident($($arg:ident),*) = $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $vector),*) -> $vector {
            // SAFETY: the token proves the instructions.
            unsafe { $value }
        }
    )*};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use register_only;

/// Defines a function that is compiled for every level: `fn name(simd: S, args…)` becomes
/// `fn name(level: Level, args…)`, whose body sees `simd`, a value of the chosen level's [`Simd`] type `S`. It may be generic over
/// how its numbers are stored.
macro_rules! simd_fn {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident $(<$($number:ident: Stored),+>)?
     ($simd:ident: S $(, $arg:ident: $type:ty)* $(,)?)
     $(-> $output:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "the arguments of one mathematical operation")]
        $visibility fn $name $(<$($number: $crate::Stored),+>)? (level: $crate::Level $(, $arg: $type)*)
        $(-> $output)? {
            #[inline(always)]
            fn generic<S: $crate::simd::Simd $($(, $number: $crate::Stored)+)?>($simd: S $(, $arg: $type)*)
            $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$($number: $crate::Stored),+>)? ($($arg: $type),*) $(-> $output)? {
                // SAFETY: this function's target features are the ones that the token stands for.
                generic(unsafe { $crate::simd::avx2::Avx2Fma::new() } $(, $arg)*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")]
            fn avx512 $(<$($number: $crate::Stored),+>)? ($($arg: $type),*) $(-> $output)? {
                // SAFETY: as above.
                generic(unsafe { $crate::simd::avx512::Avx512::new() } $(, $arg)*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,avx512bf16")]
            fn avx512_bf16 $(<$($number: $crate::Stored),+>)? ($($arg: $type),*) $(-> $output)? {
                // SAFETY: as above.
                generic(unsafe { $crate::simd::avx512::Avx512Bf16::new() } $(, $arg)*)
            }

            match level {
                // SAFETY: a level comes from `Level::current`, which only yields what was detected.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx512Bf16 => unsafe { avx512_bf16($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx2Fma => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "aarch64")]
                $crate::Level::Neon => generic($crate::simd::neon::Neon $(, $arg)*),
                _ => generic($crate::simd::portable::Portable $(, $arg)*),
            }
        }
    };
}
pub(crate) use simd_fn;
