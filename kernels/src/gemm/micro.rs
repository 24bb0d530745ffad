//! The register tile: a few rows times a few vectors of columns, summed over k.

use crate::simd::{
    MAX_LANES, MAX_TILE_ROWS, MAX_TILE_VECTORS, Simd, WHOLE, load_lanes, simd_fn, store_lanes,
};
use crate::{Bf16, Precision};
use std::mem::MaybeUninit;

/// The left operand of a tile: (row, k) lies at `pointer + row · row_stride + k · k_stride`.
/// With bfloat16 operands k counts pairs.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    pub(crate) pointer: *const f32,
    pub(crate) row_stride: usize,
    pub(crate) k_stride: usize,
}

/// Target of a tile: row r of vector v to `pointer + r · row_stride + offsets[v]`, lanes of `masks[v]`.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) pointer: *mut f32,
    pub(crate) row_stride: usize,
    pub(crate) offsets: [usize; MAX_TILE_VECTORS],
    pub(crate) masks: [u32; MAX_TILE_VECTORS],
    /// Adds to the target rather than replacing it.
    pub(crate) accumulate: bool,
    /// The target holds bfloat16 rather than `f32`, as do strides and offsets; accumulation is not supported then.
    pub(crate) bf16: bool,
}

impl Target {
    /// The target advanced by some elements.
    #[inline(always)]
    fn after(&self, numbers: usize) -> *mut f32 {
        match self.bf16 {
            true => self.pointer.cast::<Bf16>().wrapping_add(numbers).cast(),
            false => self.pointer.wrapping_add(numbers),
        }
    }
}

/// Epilogue of the finished sums before they are stored.
///
/// In order: times `scale`, plus the column's bias, times the row's scale plus the row's bias, plus the residual, then ReLU.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    pub(crate) scale: f32,
    /// The bias of the tile's first column; the others follow the layout of the columns.
    pub(crate) column_bias: Option<*const f32>,
    /// One factor per row; only together with `row_bias`.
    pub(crate) row_scale: Option<*const f32>,
    pub(crate) row_bias: Option<*const f32>,
    /// Laid out by the target's offsets; its row stride.
    pub(crate) residual: Option<(*const f32, usize)>,
    /// Replace negative results by zero.
    pub(crate) relu: bool,
}

impl Finish {
    pub(crate) const NOTHING: Finish = Finish {
        scale: 1.0,
        column_bias: None,
        row_scale: None,
        row_bias: None,
        residual: None,
        relu: false,
    };
}

/// One panel of the right operand and the rows of the left operand to multiply by it.
///
/// The creator must ensure that `left` is readable for `rows` rows and `depth` steps, `right` for `depth · vectors` vectors, and
/// that `target` and `finish` are valid for the lanes of the masks, the target exclusively.
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    pub(crate) rows: usize,
    pub(crate) vectors: usize,
    /// Steps over k.
    pub(crate) depth: usize,
    pub(crate) precision: Precision,
    pub(crate) left: Left,
    /// From one strip of `TILE_ROWS` rows of the left operand to the next.
    pub(crate) strip_stride: usize,
    pub(crate) right: *const f32,
    /// Data read next, as long as `right`, which is prefetched meanwhile. It may be any address.
    pub(crate) upcoming: *const f32,
    pub(crate) target: Target,
    pub(crate) finish: Finish,
}

/// Numbers in a cache line.
const LINE: usize = 16;

/// The right operand of a tile, and the prefetch address: at each step the line at `upcoming`, which then advances.
#[derive(Clone, Copy)]
struct Right {
    pointer: *const f32,
    upcoming: *const f32,
    upcoming_stride: usize,
}

simd_fn! {
    /// Multiplies all rows by the panel, tile by tile.
    ///
    /// Every element is a chain of fused multiply-adds over k from zero, in ascending order, regardless of the size of its tile.
    /// That order is what makes results independent of the batch and of the partition among threads.
    pub(crate) fn multiply_panel(simd: S, panel: &Panel) {
        let Panel { mut left, mut target, mut finish, .. } = *panel;
        for (strip, row) in (0..panel.rows).step_by(S::TILE_ROWS).enumerate() {
            let size = ((panel.rows - row).min(S::TILE_ROWS), panel.vectors);
            let (upcoming, upcoming_stride) = match strip * LINE < panel.vectors * S::LANES {
                true => (panel.upcoming.wrapping_add(strip * LINE * panel.depth), LINE),
                false => (panel.right, 0),
            };
            let right = Right { pointer: panel.right, upcoming, upcoming_stride };
            // SAFETY: see `Panel`; the pointers advance by whole strips within its rows.
            unsafe {
                match panel.precision {
                    Precision::F32 => {
                        tile::<S, false>(simd, size, panel.depth, left, right, &target, &finish)
                    }
                    Precision::Bf16 => {
                        tile::<S, true>(simd, size, panel.depth, left, right, &target, &finish)
                    }
                }
            }
            left.pointer = left.pointer.wrapping_add(panel.strip_stride);
            target.pointer = target.after(S::TILE_ROWS * target.row_stride);
            finish.row_scale = finish.row_scale.map(|scale| scale.wrapping_add(S::TILE_ROWS));
            finish.row_bias = finish.row_bias.map(|bias| bias.wrapping_add(S::TILE_ROWS));
            finish.residual = finish.residual.map(|(residual, stride)| {
                (residual.wrapping_add(S::TILE_ROWS * stride), stride)
            });
        }
    }
}

/// One tile of `rows` × `vectors`.
///
/// # Safety
/// `left` is readable for `rows` rows and `k` steps, `right` for `k · vectors` vectors; `target` and
/// `finish` are valid for the lanes of their masks; `rows` ≤ `TILE_ROWS` and `vectors` ≤ `TILE_VECTORS`.
#[inline(always)]
unsafe fn tile<S: Simd, const BF16: bool>(
    simd: S,
    (rows, vectors): (usize, usize),
    k: usize,
    left: Left,
    right: Right,
    target: &Target,
    finish: &Finish,
) {
    macro_rules! sized {
        ($($rows:literal)*; $vectors:literal) => {
            match rows {
                $($rows if $rows <= S::TILE_ROWS => {
                    fixed_tile::<S, BF16, $rows, $vectors>(simd, k, left, right, target, finish)
                })*
                _ => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    // SAFETY: passed on.
    unsafe {
        match vectors {
            1 => sized!(1 2 3 4 5 6 7 8; 1),
            2 => sized!(1 2 3 4 5 6 7 8; 2),
            3 if S::TILE_VECTORS >= 3 => sized!(1 2 3 4 5 6 7 8; 3),
            _ => unreachable!("a tile of {vectors} vectors"),
        }
    }
}

/// # Safety
/// As for [`tile`].
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "the indices are what unrolls into registers")]
unsafe fn fixed_tile<S: Simd, const BF16: bool, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    k: usize,
    left: Left,
    right: Right,
    target: &Target,
    finish: &Finish,
) {
    let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
    let Right { pointer: mut right, mut upcoming, upcoming_stride } = right;
    // SAFETY: the caller ensures `k` steps of both operands, and for the target, the biases and the
    // residual where the masks are set.
    unsafe {
        if let Some((residual, stride)) = finish.residual {
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    simd.prefetch(residual.wrapping_add(r * stride + target.offsets[v]));
                }
            }
        }
        let mut step = left.pointer;
        for _ in 0..k {
            simd.prefetch(upcoming);
            upcoming = upcoming.wrapping_add(upcoming_stride);
            let mut columns = [simd.splat(0.0); VECTORS];
            for v in 0..VECTORS {
                columns[v] = simd.load(right.add(v * S::LANES));
            }
            for r in 0..ROWS {
                let factor = simd.splat(*step.add(r * left.row_stride));
                for v in 0..VECTORS {
                    sums[r][v] = if BF16 {
                        simd.dot_bf16(factor, columns[v], sums[r][v])
                    } else {
                        simd.mul_add(factor, columns[v], sums[r][v])
                    };
                }
            }
            step = step.wrapping_add(left.k_stride);
            right = right.wrapping_add(VECTORS * S::LANES);
        }

        if target.accumulate {
            for v in 0..VECTORS {
                let (offset, mask) = (target.offsets[v], target.masks[v]);
                for r in 0..ROWS {
                    let before = load_lanes(simd, target.pointer.add(r * target.row_stride + offset), mask);
                    sums[r][v] = simd.add(before, sums[r][v]);
                }
            }
        }
        if finish.scale != 1.0 {
            let scale = simd.splat(finish.scale);
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    sums[r][v] = simd.mul(sums[r][v], scale);
                }
            }
        }
        if let Some(bias) = finish.column_bias {
            for v in 0..VECTORS {
                let bias = load_lanes(simd, bias.add(target.offsets[v]), target.masks[v]);
                for r in 0..ROWS {
                    sums[r][v] = simd.add(sums[r][v], bias);
                }
            }
        }
        if let Some(bias) = finish.row_bias {
            for r in 0..ROWS {
                let bias = simd.splat(*bias.add(r));
                let scale = finish.row_scale.map_or(simd.splat(1.0), |scale| simd.splat(*scale.add(r)));
                for v in 0..VECTORS {
                    sums[r][v] = simd.mul_add(sums[r][v], scale, bias);
                }
            }
        }
        if let Some((residual, stride)) = finish.residual {
            for v in 0..VECTORS {
                let (offset, mask) = (target.offsets[v], target.masks[v]);
                for r in 0..ROWS {
                    let residual = load_lanes(simd, residual.add(r * stride + offset), mask);
                    sums[r][v] = simd.add(sums[r][v], residual);
                }
            }
        }
        if finish.relu {
            let zero = simd.splat(0.0);
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    sums[r][v] = simd.select_gt(zero, sums[r][v], zero, sums[r][v]);
                }
            }
        }
        // Sums to be rounded pass through a block: rounded here, the surrounding loops would be too long to unroll, and all tiles
        // would keep their sums in memory rather than in registers.
        let mut block = MaybeUninit::<[f32; MAX_TILE_ROWS * MAX_TILE_VECTORS * MAX_LANES]>::uninit();
        let (pointer, row_stride) = match target.bf16 {
            true => (block.as_mut_ptr().cast::<f32>(), VECTORS * S::LANES),
            false => (target.pointer, target.row_stride),
        };
        for v in 0..VECTORS {
            let (offset, mask) = match target.bf16 {
                true => (v * S::LANES, WHOLE),
                false => (target.offsets[v], target.masks[v]),
            };
            for r in 0..ROWS {
                store_lanes(simd, pointer.add(r * row_stride + offset), mask, sums[r][v]);
            }
        }
        if target.bf16 {
            store_rounded(simd, pointer, (ROWS, VECTORS), target);
        }
    }
}

/// Stores a block of `rows` times `vectors` whole vectors to a target of bfloat16 numbers.
///
/// # Safety
/// The block is readable, and the target valid for the lanes of its masks.
#[inline(always)]
unsafe fn store_rounded<S: Simd>(
    simd: S,
    block: *const f32,
    (rows, vectors): (usize, usize),
    target: &Target,
) {
    let pointer = target.pointer.cast::<Bf16>();
    for v in 0..vectors {
        let (offset, mask) = (target.offsets[v], target.masks[v]);
        for r in 0..rows {
            // SAFETY: passed on.
            unsafe {
                let sums = simd.load(block.add((r * vectors + v) * S::LANES));
                store_lanes(simd, pointer.add(r * target.row_stride + offset), mask, sums)
            }
        }
    }
}
