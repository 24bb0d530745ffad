//! Sixteen lanes with AVX-512, with and without its bfloat16 dot product.

use super::{ROOT_OF_HALF, Simd, register_only};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F, DQ, BW and VL.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// Proof that the processor has AVX-512 F, DQ, BW, VL and BF16.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16(());

impl Avx512 {
    /// # Safety
    /// The processor has AVX-512 F, DQ, BW and VL.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Avx512(())
    }

    #[inline(always)]
    fn dot_bf16_pairs(self, a: __m512, b: __m512, accumulator: __m512) -> __m512 {
        // SAFETY: the token proves the instructions.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            let top = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            let high_product = _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_and_si512(a, top)),
                _mm512_castsi512_ps(_mm512_and_si512(b, top)),
                accumulator,
            );
            _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(a)),
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(b)),
                high_product,
            )
        }
    }

    /// Rounded as by [`super::round_to_bf16`].
    #[inline(always)]
    fn rounded(self, x: __m512) -> __m256i {
        // SAFETY: the token proves the instructions.
        unsafe {
            let bits = _mm512_castps_si512(x);
            let magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fff_ffff));
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let nearest = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let not_a_number = _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7f80_0000));
            let below_normal = _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(0x0080_0000));
            let quiet = _mm512_mask_or_epi32(nearest, not_a_number, bits, _mm512_set1_epi32(0x0040_0000));
            let sign = _mm512_set1_epi32(i32::MIN);
            let result = _mm512_mask_and_epi32(quiet, below_normal, bits, sign);
            _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(result))
        }
    }
}

impl Avx512Bf16 {
    /// # Safety
    /// The processor has AVX-512 F, DQ, BW, VL and BF16.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Avx512Bf16(())
    }

    #[inline(always)]
    fn dot_bf16_pairs(self, a: __m512, b: __m512, accumulator: __m512) -> __m512 {
        // SAFETY: the token proves the instruction; both types are 512 bits of plain data.
        unsafe {
            _mm512_dpbf16_ps(
                accumulator,
                std::mem::transmute::<__m512, __m512bh>(a),
                std::mem::transmute::<__m512, __m512bh>(b),
            )
        }
    }

    /// Rounded as by [`super::round_to_bf16`].
    #[inline(always)]
    fn rounded(self, x: __m512) -> __m256i {
        // SAFETY: the token proves the instruction; both types are 256 bits of plain data.
        unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)) }
    }
}

/// The two tokens differ in the instructions for bfloat16 only.
macro_rules! implement_simd {
    ($token:ty $(, $own:item)*) => {
        impl Simd for $token {
            $($own)*
            type Vector = __m512;
            const LANES: usize = 16;
            // 24 accumulators, 3 vectors of the right operand, 1 broadcast: 28 of 32 registers.
            const TILE_ROWS: usize = 8;
            const TILE_VECTORS: usize = 3;

            register_only! {
                __m512;
                fn add(a, b) = _mm512_add_ps(a, b);
                fn sub(a, b) = _mm512_sub_ps(a, b);
                fn mul(a, b) = _mm512_mul_ps(a, b);
                fn div(a, b) = _mm512_div_ps(a, b);
                fn max(a, b) = _mm512_max_ps(a, b);
                fn min(a, b) = _mm512_min_ps(a, b);
                fn mul_add(a, b, c) = _mm512_fmadd_ps(a, b, c);
                fn sqrt(a) = _mm512_sqrt_ps(a);
                fn round(a) = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
                fn exp2_integral(n) = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
                    _mm512_cvtps_epi32(n),
                    _mm512_set1_epi32(127)
                )));
                fn exponent(x) = _mm512_cvtepi32_ps(_mm512_srai_epi32::<23>(_mm512_sub_epi32(
                    _mm512_castps_si512(x),
                    _mm512_set1_epi32(ROOT_OF_HALF)
                )));
                fn mantissa(x) = {
                    let root = _mm512_set1_epi32(ROOT_OF_HALF);
                    let shifted = _mm512_sub_epi32(_mm512_castps_si512(x), root);
                    let fraction = _mm512_and_si512(shifted, _mm512_set1_epi32(0x007f_ffff));
                    _mm512_castsi512_ps(_mm512_add_epi32(fraction, root))
                };
                fn select_gt(a, b, yes, no) =
                    _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), no, yes);
            }
            #[inline(always)]
            fn dot_bf16(self, a: __m512, b: __m512, accumulator: __m512) -> __m512 {
                self.dot_bf16_pairs(a, b, accumulator)
            }
            #[inline(always)]
            fn prefetch(self, source: *const f32) {
                // SAFETY: the instruction reads nothing; invalid addresses are ignored.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(source.cast()) }
            }
            #[inline(always)]
            fn splat(self, value: f32) -> __m512 {
                // SAFETY: the token proves the instructions.
                unsafe { _mm512_set1_ps(value) }
            }
            #[inline(always)]
            unsafe fn load(self, source: *const f32) -> __m512 {
                // SAFETY: the caller ensures sixteen numbers.
                unsafe { _mm512_loadu_ps(source) }
            }
            #[inline(always)]
            unsafe fn store(self, target: *mut f32, vector: __m512) {
                // SAFETY: the caller ensures sixteen numbers.
                unsafe { _mm512_storeu_ps(target, vector) }
            }
            #[inline(always)]
            unsafe fn load_masked(self, source: *const f32, mask: u32) -> __m512 {
                // SAFETY: a masked load touches only lanes whose bit is set.
                unsafe { _mm512_maskz_loadu_ps(mask as __mmask16, source) }
            }
            #[inline(always)]
            unsafe fn store_masked(self, target: *mut f32, mask: u32, vector: __m512) {
                // SAFETY: a masked store touches only lanes whose bit is set.
                unsafe { _mm512_mask_storeu_ps(target, mask as __mmask16, vector) }
            }
            #[inline(always)]
            unsafe fn gather(self, source: *const f32, indices: *const i32, mask: u32) -> __m512 {
                // SAFETY: the caller ensures the indices and the elements of set lanes; others are
                // not read.
                unsafe {
                    _mm512_mask_i32gather_ps::<4>(
                        _mm512_setzero_ps(),
                        mask as __mmask16,
                        _mm512_loadu_si512(indices.cast()),
                        source,
                    )
                }
            }
            #[inline(always)]
            unsafe fn load_halves(self, first: *const f32, second: *const f32, masks: [u32; 2]) -> __m512 {
                // SAFETY: the caller ensures the lanes that are set.
                unsafe {
                    let first = _mm256_maskz_loadu_ps(masks[0] as __mmask8, first);
                    let second = _mm256_maskz_loadu_ps(masks[1] as __mmask8, second);
                    _mm512_insertf32x8::<1>(_mm512_castps256_ps512(first), second)
                }
            }
            #[inline(always)]
            unsafe fn load_every_second(self, source: *const f32) -> __m512 {
                // SAFETY: the caller ensures 31 numbers, of which the second load takes the last 16.
                unsafe {
                    let (first, second) = (_mm512_loadu_ps(source), _mm512_loadu_ps(source.add(15)));
                    let lanes =
                        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
                    _mm512_permutex2var_ps(first, lanes, second)
                }
            }
            #[inline(always)]
            unsafe fn store_halves(self, first: *mut f32, second: *mut f32, vector: __m512) {
                // SAFETY: the caller ensures eight numbers each.
                unsafe {
                    _mm256_storeu_ps(first, _mm512_castps512_ps256(vector));
                    _mm256_storeu_ps(second, _mm512_extractf32x8_ps::<1>(vector))
                }
            }
            #[inline(always)]
            unsafe fn load_bf16(self, source: *const u16) -> __m512 {
                // SAFETY: the caller ensures sixteen numbers.
                unsafe { widened(_mm256_loadu_si256(source.cast())) }
            }
            #[inline(always)]
            unsafe fn load_bf16_masked(self, source: *const u16, mask: u32) -> __m512 {
                // SAFETY: a masked load touches only lanes whose bit is set.
                unsafe { widened(_mm256_maskz_loadu_epi16(mask as __mmask16, source.cast())) }
            }
            #[inline(always)]
            unsafe fn load_bf16_halves(
                self,
                first: *const u16,
                second: *const u16,
                masks: [u32; 2],
            ) -> __m512 {
                // SAFETY: the caller ensures the lanes that are set.
                unsafe {
                    let first = _mm_maskz_loadu_epi16(masks[0] as __mmask8, first.cast());
                    let second = _mm_maskz_loadu_epi16(masks[1] as __mmask8, second.cast());
                    widened(_mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), second))
                }
            }
            #[inline(always)]
            unsafe fn store_bf16(self, target: *mut u16, vector: __m512) {
                // SAFETY: the caller ensures sixteen numbers.
                unsafe { _mm256_storeu_si256(target.cast(), self.rounded(vector)) }
            }
            #[inline(always)]
            unsafe fn store_bf16_masked(self, target: *mut u16, mask: u32, vector: __m512) {
                // SAFETY: a masked store touches only lanes whose bit is set.
                unsafe { _mm256_mask_storeu_epi16(target.cast(), mask as __mmask16, self.rounded(vector)) }
            }
            #[inline(always)]
            fn sum(self, a: __m512) -> f32 {
                // SAFETY: the token proves the instructions.
                unsafe { _mm512_reduce_add_ps(a) }
            }
            #[inline(always)]
            fn maximum(self, a: __m512) -> f32 {
                // SAFETY: the token proves the instructions.
                unsafe { _mm512_reduce_max_ps(a) }
            }
            #[inline(always)]
            unsafe fn transpose(
                self,
                source: *const f32,
                source_stride: usize,
                target: *mut f32,
                target_stride: usize,
            ) {
                // SAFETY: the caller ensures both blocks; the token proves the instructions.
                unsafe { transpose16(source, source_stride, target, target_stride) }
            }
        }
    };
}
implement_simd!(Avx512);
implement_simd!(
    Avx512Bf16,
    #[inline(always)]
    fn pair_bf16(self, low: __m512, high: __m512) -> __m512 {
        // SAFETY: the token proves the instructions; both types are 512 bits of plain data.
        unsafe {
            // The low numbers, then the high ones; then one of each in turn.
            let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            let turns = _mm512_set_epi16(
                31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
                3, 18, 2, 17, 1, 16, 0,
            );
            _mm512_castsi512_ps(_mm512_permutexvar_epi16(turns, both))
        }
    },
    #[inline(always)]
    fn narrow_bf16(self, first: __m512, second: __m512) -> __m512 {
        // SAFETY: the token proves the instruction; both types are 512 bits of plain data.
        unsafe { std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(second, first)) }
    }
);

/// Sixteen bfloat16 numbers as `f32`.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn widened(numbers: __m256i) -> __m512 {
    // SAFETY: the caller ensures the instructions.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(numbers))) }
}

/// # Safety
/// The processor has AVX-512 F, and sixteen rows of sixteen numbers lie in bounds on both sides.
#[inline(always)]
unsafe fn transpose16(source: *const f32, source_stride: usize, target: *mut f32, target_stride: usize) {
    // Macros, because a closure would lack the target features and call each instruction as a function.
    macro_rules! pair {
        ($i:expr) => {{
            let a = _mm512_loadu_ps(source.add($i * source_stride));
            let b = _mm512_loadu_ps(source.add(($i + 1) * source_stride));
            (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
        }};
    }
    macro_rules! four {
        ($i:expr) => {{
            let ((a, b), (c, d)) = (pair!($i), pair!($i + 2));
            [
                _mm512_shuffle_ps::<0x44>(a, c),
                _mm512_shuffle_ps::<0xee>(a, c),
                _mm512_shuffle_ps::<0x44>(b, d),
                _mm512_shuffle_ps::<0xee>(b, d),
            ]
        }};
    }
    macro_rules! put {
        ($i:expr, $even:expr, $odd:expr, $which:literal) => {
            _mm512_storeu_ps(target.add($i * target_stride), _mm512_shuffle_f32x4::<$which>($even, $odd))
        };
    }
    // SAFETY: the caller ensures this.
    unsafe {
        // Within each 128-bit quarter: pairs of rows, then quadruples of rows.
        let rows = [four!(0), four!(4), four!(8), four!(12)];
        // Then the quarters themselves are a 4×4 matrix to transpose.
        #[allow(
            clippy::needless_range_loop,
            reason = "the quarters are four matrices, not one to walk through"
        )]
        for column in 0..4 {
            let (a, b, c, d) = (rows[0][column], rows[1][column], rows[2][column], rows[3][column]);
            let (even_ab, odd_ab) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (even_cd, odd_cd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            put!(column, even_ab, even_cd, 0x88);
            put!(4 + column, odd_ab, odd_cd, 0x88);
            put!(8 + column, even_ab, even_cd, 0xdd);
            put!(12 + column, odd_ab, odd_cd, 0xdd);
        }
    }
}
