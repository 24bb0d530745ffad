//! Eight lanes with AVX2 and fused multiply-add.

use super::{ROOT_OF_HALF, Simd, register_only};
use std::arch::x86_64::*;

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2Fma(());

impl Avx2Fma {
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Avx2Fma(())
    }

    /// All bits of a lane set where its bit in `mask` is.
    #[inline(always)]
    fn lane_mask(self, mask: u32) -> __m256i {
        // SAFETY: the token proves the instructions.
        unsafe {
            let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask as i32), bits), bits)
        }
    }

    /// To bfloat16 in the low half of each lane, as [`super::round_to_bf16`] does; the high half is zero.
    #[inline(always)]
    fn round_to_bf16(self, x: __m256) -> __m256i {
        // SAFETY: the token proves the instructions.
        unsafe {
            let bits = _mm256_castps_si256(x);
            let magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fff_ffff));
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let sign = _mm256_and_si256(bits, _mm256_set1_epi32(i32::MIN));
            let not_a_number = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f80_0000));
            let below_normal = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x0080_0000), magnitude);
            let result = _mm256_blendv_epi8(rounded, quiet, not_a_number);
            _mm256_srli_epi32::<16>(_mm256_blendv_epi8(result, sign, below_normal))
        }
    }

    #[inline(always)]
    fn halves(self, a: __m256) -> (__m128, __m128) {
        // SAFETY: the token proves the instructions.
        unsafe { (_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a)) }
    }
}

impl Simd for Avx2Fma {
    type Vector = __m256;
    const LANES: usize = 8;
    // 12 accumulators, 2 vectors of the right operand, 1 broadcast: 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;

    register_only! {
        __m256;
        fn add(a, b) = _mm256_add_ps(a, b);
        fn sub(a, b) = _mm256_sub_ps(a, b);
        fn mul(a, b) = _mm256_mul_ps(a, b);
        fn div(a, b) = _mm256_div_ps(a, b);
        fn max(a, b) = _mm256_max_ps(a, b);
        fn min(a, b) = _mm256_min_ps(a, b);
        fn mul_add(a, b, c) = _mm256_fmadd_ps(a, b, c);
        fn sqrt(a) = _mm256_sqrt_ps(a);
        fn round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        fn exp2_integral(n) = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            _mm256_cvtps_epi32(n),
            _mm256_set1_epi32(127)
        )));
        fn exponent(x) = _mm256_cvtepi32_ps(_mm256_srai_epi32::<23>(_mm256_sub_epi32(
            _mm256_castps_si256(x),
            _mm256_set1_epi32(ROOT_OF_HALF)
        )));
        fn mantissa(x) = {
            let root = _mm256_set1_epi32(ROOT_OF_HALF);
            let shifted = _mm256_sub_epi32(_mm256_castps_si256(x), root);
            let fraction = _mm256_and_si256(shifted, _mm256_set1_epi32(0x007f_ffff));
            _mm256_castsi256_ps(_mm256_add_epi32(fraction, root))
        };
        fn select_gt(a, b, yes, no) = _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b));
        fn dot_bf16(a, b, accumulator) = {
            let (a, b) = (_mm256_castps_si256(a), _mm256_castps_si256(b));
            let top = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            let high = |x| _mm256_castsi256_ps(_mm256_and_si256(x, top));
            let low = |x| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x));
            _mm256_fmadd_ps(low(a), low(b), _mm256_fmadd_ps(high(a), high(b), accumulator))
        };
        fn pair_bf16(low, high) = {
            let (low, high) = (Avx2Fma(()).round_to_bf16(low), Avx2Fma(()).round_to_bf16(high));
            _mm256_castsi256_ps(_mm256_or_si256(low, _mm256_slli_epi32::<16>(high)))
        };
    }

    #[inline(always)]
    fn prefetch(self, source: *const f32) {
        // SAFETY: the instruction reads nothing; invalid addresses are ignored.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(source.cast()) }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: the token proves the instructions.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> __m256 {
        // SAFETY: the caller ensures eight numbers.
        unsafe { _mm256_loadu_ps(source) }
    }
    #[inline(always)]
    unsafe fn store(self, target: *mut f32, vector: __m256) {
        // SAFETY: the caller ensures eight numbers.
        unsafe { _mm256_storeu_ps(target, vector) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, source: *const f32, mask: u32) -> __m256 {
        // SAFETY: a masked load touches only lanes whose mask is set.
        unsafe { _mm256_maskload_ps(source, self.lane_mask(mask)) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, target: *mut f32, mask: u32, vector: __m256) {
        // SAFETY: a masked store touches only lanes whose mask is set.
        unsafe { _mm256_maskstore_ps(target, self.lane_mask(mask), vector) }
    }
    #[inline(always)]
    unsafe fn gather(self, source: *const f32, indices: *const i32, mask: u32) -> __m256 {
        // SAFETY: the caller ensures the indices and for the elements of set lanes; others are not read.
        unsafe {
            _mm256_mask_i32gather_ps::<4>(
                _mm256_setzero_ps(),
                source,
                _mm256_loadu_si256(indices.cast()),
                _mm256_castsi256_ps(self.lane_mask(mask)),
            )
        }
    }
    #[inline(always)]
    unsafe fn load_every_second(self, source: *const f32) -> __m256 {
        // SAFETY: the caller ensures 15 numbers, of which the second load takes the last eight.
        unsafe {
            let (first, second) = (_mm256_loadu_ps(source), _mm256_loadu_ps(source.add(7)));
            // Two of the first and two of the second in each half; then the pairs in order.
            let pairs = _mm256_castps_pd(_mm256_shuffle_ps::<0xd8>(first, second));
            _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(pairs))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, source: *const u16) -> __m256 {
        // SAFETY: the caller ensures eight numbers.
        unsafe {
            let numbers = _mm256_cvtepu16_epi32(_mm_loadu_si128(source.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(numbers))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, target: *mut u16, vector: __m256) {
        let rounded = self.round_to_bf16(vector);
        // SAFETY: the caller ensures eight numbers.
        unsafe {
            // Four in each half, twice; then one of each.
            let fours = _mm256_packus_epi32(rounded, rounded);
            let eight = _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(fours));
            _mm_storeu_si128(target.cast(), eight)
        }
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        let (low, high) = self.halves(a);
        // SAFETY: the token proves the instructions.
        unsafe {
            let four = _mm_add_ps(low, high);
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn maximum(self, a: __m256) -> f32 {
        let (low, high) = self.halves(a);
        // SAFETY: the token proves the instructions.
        unsafe {
            let four = _mm_max_ps(low, high);
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    unsafe fn transpose(
        self,
        source: *const f32,
        source_stride: usize,
        target: *mut f32,
        target_stride: usize,
    ) {
        // Macros, because a closure would lack the target features and call each instruction as a function.
        macro_rules! pair {
            ($i:expr) => {{
                let a = _mm256_loadu_ps(source.add($i * source_stride));
                let b = _mm256_loadu_ps(source.add(($i + 1) * source_stride));
                (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
            }};
        }
        macro_rules! four {
            ($i:expr) => {{
                let ((a, b), (c, d)) = (pair!($i), pair!($i + 2));
                [
                    _mm256_shuffle_ps::<0x44>(a, c),
                    _mm256_shuffle_ps::<0xee>(a, c),
                    _mm256_shuffle_ps::<0x44>(b, d),
                    _mm256_shuffle_ps::<0xee>(b, d),
                ]
            }};
        }
        // SAFETY: the caller ensures both blocks; the token proves the instructions.
        unsafe {
            // Pairs, then quadruples of rows within each half, then the halves.
            let (upper, lower) = (four!(0), four!(4));
            for i in 0..4 {
                let (near, far) = (target.add(i * target_stride), target.add((i + 4) * target_stride));
                _mm256_storeu_ps(near, _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]));
                _mm256_storeu_ps(far, _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]));
            }
        }
    }
}
