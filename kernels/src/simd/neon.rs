//! Four lanes with NEON, which every 64-bit ARM processor has.

use super::portable::Portable;
use super::{ROOT_OF_HALF, Simd, register_only};
use std::arch::aarch64::*;

/// Proof of NEON, which is part of the target and so always available.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

/// To bfloat16 in the high half of each lane, as [`super::round_to_bf16`] does; the low half is zero.
#[inline(always)]
fn round_to_bf16(x: float32x4_t) -> uint32x4_t {
    // SAFETY: the target has the instructions.
    unsafe {
        let bits = vreinterpretq_u32_f32(x);
        let magnitude = vandq_u32(bits, vdupq_n_u32(0x7fff_ffff));
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
        let not_a_number = vcgtq_u32(magnitude, vdupq_n_u32(0x7f80_0000));
        let below_normal = vcltq_u32(magnitude, vdupq_n_u32(0x0080_0000));
        let sign = vandq_u32(bits, vdupq_n_u32(0x8000_0000));
        let result = vbslq_u32(below_normal, sign, vbslq_u32(not_a_number, quiet, rounded));
        vandq_u32(result, vdupq_n_u32(0xffff_0000))
    }
}

impl Simd for Neon {
    type Vector = float32x4_t;
    const LANES: usize = 4;
    // 24 accumulators, 3 vectors of the right operand, 1 broadcast: 28 of 32 registers.
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;

    register_only! {
        float32x4_t;
        fn add(a, b) = vaddq_f32(a, b);
        fn sub(a, b) = vsubq_f32(a, b);
        fn mul(a, b) = vmulq_f32(a, b);
        fn div(a, b) = vdivq_f32(a, b);
        // Not vmaxq_f32 and vminq_f32, which return NaN for NaN in either operand.
        fn max(a, b) = vbslq_f32(vcgtq_f32(a, b), a, b);
        fn min(a, b) = vbslq_f32(vcltq_f32(a, b), a, b);
        fn mul_add(a, b, c) = vfmaq_f32(c, a, b);
        fn sqrt(a) = vsqrtq_f32(a);
        fn round(a) = vrndnq_f32(a);
        fn exp2_integral(n) = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(
            vcvtq_s32_f32(n),
            vdupq_n_s32(127)
        )));
        fn exponent(x) = vcvtq_f32_s32(vshrq_n_s32::<23>(vsubq_s32(
            vreinterpretq_s32_f32(x),
            vdupq_n_s32(ROOT_OF_HALF)
        )));
        fn mantissa(x) = {
            let root = vdupq_n_s32(ROOT_OF_HALF);
            let shifted = vsubq_s32(vreinterpretq_s32_f32(x), root);
            let fraction = vandq_s32(shifted, vdupq_n_s32(0x007f_ffff));
            vreinterpretq_f32_s32(vaddq_s32(fraction, root))
        };
        fn select_gt(a, b, yes, no) = vbslq_f32(vcgtq_f32(a, b), yes, no);
        fn dot_bf16(a, b, accumulator) = {
            let (a, b) = (vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b));
            let top = vdupq_n_u32(0xffff_0000);
            let (high_a, high_b) = (vandq_u32(a, top), vandq_u32(b, top));
            let (low_a, low_b) = (vshlq_n_u32::<16>(a), vshlq_n_u32::<16>(b));
            let sum = vfmaq_f32(accumulator, vreinterpretq_f32_u32(high_a), vreinterpretq_f32_u32(high_b));
            vfmaq_f32(sum, vreinterpretq_f32_u32(low_a), vreinterpretq_f32_u32(low_b))
        };
        fn pair_bf16(low, high) = {
            let low = vshrq_n_u32::<16>(round_to_bf16(low));
            vreinterpretq_f32_u32(vorrq_u32(round_to_bf16(high), low))
        };
        fn narrow_bf16(first, second) =
            Neon.pair_bf16(vuzp1q_f32(first, second), vuzp2q_f32(first, second));
    }

    #[inline(always)]
    unsafe fn load_bf16(self, source: *const u16) -> float32x4_t {
        // SAFETY: the caller ensures four numbers.
        unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(source))) }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, target: *mut u16, vector: float32x4_t) {
        // SAFETY: the caller ensures four numbers.
        unsafe { vst1_u16(target, vshrn_n_u32::<16>(round_to_bf16(vector))) }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: the target has the instructions.
        unsafe { vdupq_n_f32(value) }
    }
    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> float32x4_t {
        // SAFETY: the caller ensures four numbers.
        unsafe { vld1q_f32(source) }
    }
    #[inline(always)]
    unsafe fn store(self, target: *mut f32, vector: float32x4_t) {
        // SAFETY: the caller ensures four numbers.
        unsafe { vst1q_f32(target, vector) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, source: *const f32, mask: u32) -> float32x4_t {
        // SAFETY: passed on; there are four numbers.
        unsafe { self.load(Portable.load_masked(source, mask).as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, target: *mut f32, mask: u32, vector: float32x4_t) {
        let mut numbers = [0.0; 4];
        // SAFETY: there is room for four numbers; the rest is passed on.
        unsafe {
            self.store(numbers.as_mut_ptr(), vector);
            Portable.store_masked(target, mask, numbers);
        }
    }
    #[inline(always)]
    unsafe fn gather(self, source: *const f32, indices: *const i32, mask: u32) -> float32x4_t {
        // SAFETY: passed on; there are four numbers.
        unsafe { self.load(Portable.gather(source, indices, mask).as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_every_second(self, source: *const f32) -> float32x4_t {
        // SAFETY: both loads together are the seven numbers that the caller ensures.
        unsafe {
            let (first, last) = (vld1q_f32(source), vld1q_f32(source.add(3)));
            vuzp1q_f32(first, vextq_f32::<1>(last, last))
        }
    }
    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        // SAFETY: the target has the instructions.
        unsafe { vaddvq_f32(a) }
    }
    #[inline(always)]
    fn maximum(self, a: float32x4_t) -> f32 {
        // SAFETY: the target has the instructions.
        unsafe { vmaxnmvq_f32(a) }
    }
    #[inline(always)]
    unsafe fn transpose(
        self,
        source: *const f32,
        source_stride: usize,
        target: *mut f32,
        target_stride: usize,
    ) {
        // SAFETY: the caller ensures both blocks.
        unsafe {
            let row = |i: usize| vld1q_f32(source.add(i * source_stride));
            // Two rows' even and odd columns, then four rows' halves.
            let pairs =
                |a, b| (vreinterpretq_f64_f32(vtrn1q_f32(a, b)), vreinterpretq_f64_f32(vtrn2q_f32(a, b)));
            let (even_upper, odd_upper) = pairs(row(0), row(1));
            let (even_lower, odd_lower) = pairs(row(2), row(3));
            let columns = [
                vtrn1q_f64(even_upper, even_lower),
                vtrn1q_f64(odd_upper, odd_lower),
                vtrn2q_f64(even_upper, even_lower),
                vtrn2q_f64(odd_upper, odd_lower),
            ];
            for (i, column) in columns.into_iter().enumerate() {
                vst1q_f32(target.add(i * target_stride), vreinterpretq_f32_f64(column));
            }
        }
    }
}
