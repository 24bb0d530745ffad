//! Four lanes in plain Rust, which every compiler target can vectorise.

use super::{ROOT_OF_HALF, Simd};

/// The level without special instructions; always available.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

type Vector = [f32; 4];

#[inline(always)]
fn each(a: Vector, b: Vector, operation: impl Fn(f32, f32) -> f32) -> Vector {
    [operation(a[0], b[0]), operation(a[1], b[1]), operation(a[2], b[2]), operation(a[3], b[3])]
}

/// Fused where the target has the instruction; elsewhere `f32::mul_add` would be a slow library call.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}

impl Simd for Portable {
    type Vector = Vector;
    const LANES: usize = 4;
    // Baseline x86-64 has 16 vector registers.
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> Vector {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> Vector {
        // SAFETY: the caller ensures four numbers; an array of f32 needs no more than their alignment.
        unsafe { source.cast::<Vector>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, target: *mut f32, vector: Vector) {
        // SAFETY: as for `load`.
        unsafe { target.cast::<Vector>().write_unaligned(vector) }
    }
    #[inline(always)]
    unsafe fn load_masked(self, source: *const f32, mask: u32) -> Vector {
        std::array::from_fn(|lane| {
            // SAFETY: the caller ensures the lanes whose bit is set, and only those are read.
            if mask >> lane & 1 == 1 { unsafe { *source.wrapping_add(lane) } } else { 0.0 }
        })
    }
    #[inline(always)]
    unsafe fn store_masked(self, target: *mut f32, mask: u32, vector: Vector) {
        for (lane, value) in vector.into_iter().enumerate() {
            if mask >> lane & 1 == 1 {
                // SAFETY: the caller ensures the lanes whose bit is set.
                unsafe { *target.wrapping_add(lane) = value }
            }
        }
    }
    #[inline(always)]
    unsafe fn gather(self, source: *const f32, indices: *const i32, mask: u32) -> Vector {
        std::array::from_fn(|lane| {
            if mask >> lane & 1 == 1 {
                // SAFETY: the caller ensures the indices and for the elements of set bits.
                unsafe { *source.offset(*indices.add(lane) as isize) }
            } else {
                0.0
            }
        })
    }

    #[inline(always)]
    fn add(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(self, a: Vector, b: Vector, c: Vector) -> Vector {
        [
            multiply_add(a[0], b[0], c[0]),
            multiply_add(a[1], b[1], c[1]),
            multiply_add(a[2], b[2], c[2]),
            multiply_add(a[3], b[3], c[3]),
        ]
    }
    #[inline(always)]
    fn sqrt(self, a: Vector) -> Vector {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn round(self, a: Vector) -> Vector {
        // Adding and subtracting 1.5 · 2^23 rounds in hardware; the library's function is a slow call on
        // baseline x86-64. Its callers stay far below 2^22.
        const SHIFT: f32 = 12_582_912.0;
        a.map(|a| (a + SHIFT) - SHIFT)
    }
    #[inline(always)]
    fn exp2_integral(self, n: Vector) -> Vector {
        n.map(|n| f32::from_bits((((n as i32) + 127) as u32) << 23))
    }
    #[inline(always)]
    fn exponent(self, x: Vector) -> Vector {
        x.map(|x| (((x.to_bits() as i32).wrapping_sub(ROOT_OF_HALF)) >> 23) as f32)
    }
    #[inline(always)]
    fn mantissa(self, x: Vector) -> Vector {
        x.map(|x| {
            let shifted = (x.to_bits() as i32).wrapping_sub(ROOT_OF_HALF);
            f32::from_bits(((shifted & 0x007f_ffff) + ROOT_OF_HALF) as u32)
        })
    }
    #[inline(always)]
    fn select_gt(self, a: Vector, b: Vector, yes: Vector, no: Vector) -> Vector {
        std::array::from_fn(|lane| if a[lane] > b[lane] { yes[lane] } else { no[lane] })
    }
    #[inline(always)]
    fn sum(self, a: Vector) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    fn maximum(self, a: Vector) -> f32 {
        a[0].max(a[2]).max(a[1].max(a[3]))
    }

    #[inline(always)]
    fn dot_bf16(self, a: Vector, b: Vector, accumulator: Vector) -> Vector {
        let high = |x: Vector| x.map(|x| f32::from_bits(x.to_bits() & 0xffff_0000));
        let low = |x: Vector| x.map(|x| f32::from_bits(x.to_bits() << 16));
        self.add(self.mul(low(a), low(b)), self.add(self.mul(high(a), high(b)), accumulator))
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        source: *const f32,
        source_stride: usize,
        target: *mut f32,
        target_stride: usize,
    ) {
        for row in 0..4 {
            for column in 0..4 {
                // SAFETY: the caller ensures both blocks.
                unsafe {
                    *target.add(column * target_stride + row) = *source.add(row * source_stride + column)
                }
            }
        }
    }
}
