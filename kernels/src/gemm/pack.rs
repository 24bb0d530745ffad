//! Operands rearranged into the order in which the register tile reads them.
//!
//! The right operand becomes panels of `TILE_COLUMNS` columns, each `[k][columns]` with the last vector padded with zeros. The
//! left operand becomes strips of `TILE_ROWS` rows where it cannot be read in place. With bfloat16 operands a 32-bit word holds
//! the numbers of steps k (low half) and k + 1.

use crate::matrix::Matrix;
use crate::simd::{MAX_LANES, Simd, first_lanes, load_lanes, load_some, round_to_bf16, simd_fn, store_some};
use crate::{Precision, Stored};
use std::ops::Range;

/// The steps that the tile makes over `k` numbers: pairs with bfloat16 operands.
pub(crate) fn steps(k: usize, precision: Precision) -> usize {
    match precision {
        Precision::F32 => k,
        Precision::Bf16 => k.div_ceil(2),
    }
}

/// Distance, in rows, between packing and prefetching. The processor does not predict the step from row to row.
const ROWS_AHEAD: usize = 16;

/// Distance, in blocks of a transposition, between packing and prefetching.
const BLOCKS_AHEAD: usize = 2;

/// Prefetches the first line of as many columns as there are lanes.
#[inline(always)]
fn prefetch_block<S: Simd, N: Stored>(simd: S, source: *const N, stride: usize) {
    for lane in 0..S::LANES {
        simd.prefetch(source.wrapping_add(lane * stride).cast());
    }
}

/// Two bfloat16 numbers as the bits of one `f32`, which is how buffers store them.
#[inline(always)]
fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(round_to_bf16(low) | round_to_bf16(high) << 16)
}

simd_fn! {
    /// Packs rows `k` and columns `columns` (at most one panel) of `right` into `panel`.
    pub(crate) fn pack_right<N: Stored>(
        simd: S,
        right: &Matrix<'_, N>,
        k: Range<usize>,
        columns: Range<usize>,
        precision: Precision,
        panel: &mut [f32],
    ) {
        let width = columns.len().div_ceil(S::LANES) * S::LANES;
        assert!(k.end <= right.rows && columns.end <= right.columns);
        assert!(panel.len() >= steps(k.len(), precision) * width);
        match precision {
            Precision::F32 => pack_right_f32(simd, right, k, columns, panel),
            Precision::Bf16 => pack_right_bf16(simd, right, k, columns, panel),
        }
    }
}

#[inline(always)]
fn pack_right_f32<S: Simd, N: Stored>(
    simd: S,
    right: &Matrix<'_, N>,
    k: Range<usize>,
    columns: Range<usize>,
    panel: &mut [f32],
) {
    let vectors = columns.len().div_ceil(S::LANES);
    let width = vectors * S::LANES;
    for v in 0..vectors {
        let first = columns.start + v * S::LANES;
        let count = (columns.end - first).min(S::LANES);
        let mut row = 0;
        if right.column_stride == 1 {
            let mask = first_lanes(simd, count);
            while row < k.len() {
                // SAFETY: `pack_right` has checked that the rows and columns lie in the matrix and that the
                // panel holds `k · width` numbers; the mask covers `count` columns.
                unsafe {
                    let source = right.at(k.start + row, first);
                    simd.prefetch(source.wrapping_add(ROWS_AHEAD * right.row_stride).cast());
                    let vector = load_lanes(simd, source, mask);
                    simd.store(panel.as_mut_ptr().add(row * width + v * S::LANES), vector);
                }
                row += 1;
            }
        } else if let Some(numbers) = N::as_f32(right.data)
            && right.row_stride == 1
            && count == S::LANES
        {
            while row + S::LANES <= k.len() {
                let source = &numbers[first * right.column_stride + k.start + row..];
                // SAFETY: as above, for a block of LANES rows and columns.
                unsafe {
                    let ahead = source.as_ptr().wrapping_add(BLOCKS_AHEAD * S::LANES);
                    prefetch_block(simd, ahead, right.column_stride);
                    let target = panel.as_mut_ptr().add(row * width + v * S::LANES);
                    simd.transpose(source.as_ptr(), right.column_stride, target, width);
                }
                row += S::LANES;
            }
        }
        for row in row..k.len() {
            for lane in 0..S::LANES {
                panel[row * width + v * S::LANES + lane] =
                    if lane < count { element(right, k.start + row, first + lane) } else { 0.0 };
            }
        }
    }
}

#[inline(always)]
fn pack_right_bf16<S: Simd, N: Stored>(
    simd: S,
    right: &Matrix<'_, N>,
    k: Range<usize>,
    columns: Range<usize>,
    panel: &mut [f32],
) {
    let vectors = columns.len().div_ceil(S::LANES);
    let width = vectors * S::LANES;
    // LANES columns of LANES words.
    let mut words = [0.0; MAX_LANES * MAX_LANES];
    for v in 0..vectors {
        let first = columns.start + v * S::LANES;
        let count = (columns.end - first).min(S::LANES);
        let mut row = 0;
        if right.row_stride == 1 && count == S::LANES {
            while row + 2 * S::LANES <= k.len() {
                let ahead = BLOCKS_AHEAD * 2 * S::LANES;
                for ahead in [ahead, ahead + S::LANES] {
                    prefetch_block(simd, right.at(k.start + row + ahead, first), right.column_stride);
                }
                for lane in 0..S::LANES {
                    let start = (first + lane) * right.column_stride + k.start + row;
                    let (low, high) = right.data[start..][..2 * S::LANES].split_at(S::LANES);
                    let narrow = simd.narrow_bf16(load_some(simd, low), load_some(simd, high));
                    store_some(simd, &mut words[lane * S::LANES..], narrow);
                }
                // SAFETY: `words` holds LANES² numbers, and the panel `k / 2 · width`.
                unsafe {
                    let target = panel.as_mut_ptr().add(row / 2 * width + v * S::LANES);
                    simd.transpose(words.as_ptr(), S::LANES, target, width);
                }
                row += 2 * S::LANES;
            }
        }
        if right.column_stride == 1 {
            let mask = first_lanes(simd, count);
            while row + 2 <= k.len() {
                // SAFETY: the caller has checked that rows k and columns lie in the matrix, of which the mask's
                // lanes are the last, and that the panel holds `k / 2 · width` words.
                unsafe {
                    let low = right.at(k.start + row, first);
                    for row in [0, 1] {
                        simd.prefetch(low.wrapping_add((ROWS_AHEAD + row) * right.row_stride).cast());
                    }
                    let (low, high) =
                        (load_lanes(simd, low, mask), load_lanes(simd, low.add(right.row_stride), mask));
                    let words = panel.as_mut_ptr().add(row / 2 * width + v * S::LANES);
                    simd.store(words, simd.pair_bf16(low, high));
                }
                row += 2;
            }
        }
        while row < k.len() {
            let target = &mut panel[row / 2 * width + v * S::LANES..][..S::LANES];
            let (here, paired) = (k.start + row, row + 1 < k.len());
            target.fill(0.0);
            for (lane, word) in target[..count].iter_mut().enumerate() {
                let high = if paired { element(right, here + 1, first + lane) } else { 0.0 };
                *word = pair(element(right, here, first + lane), high);
            }
            row += 2;
        }
    }
}

#[inline(always)]
fn element<N: Stored>(matrix: &Matrix<'_, N>, row: usize, column: usize) -> f32 {
    matrix.data[row * matrix.row_stride + column * matrix.column_stride].into()
}

/// The left operand of a product.
#[derive(Clone, Copy)]
pub(crate) enum LeftOperand<'a> {
    Numbers(Matrix<'a>),
    /// Rows of bfloat16 words, one after the other, for products in bfloat16: the output of [`narrow_row`] for contiguous rows.
    Words {
        words: &'a [f32],
        rows: usize,
        /// Numbers of a row, which has `steps` words.
        columns: usize,
    },
}

impl LeftOperand<'_> {
    pub(crate) fn rows(&self) -> usize {
        match self {
            LeftOperand::Numbers(matrix) => matrix.rows,
            LeftOperand::Words { rows, .. } => *rows,
        }
    }

    pub(crate) fn columns(&self) -> usize {
        match self {
            LeftOperand::Numbers(matrix) => matrix.columns,
            LeftOperand::Words { columns, .. } => *columns,
        }
    }

    pub(crate) fn layout(&self, precision: Precision) -> LeftLayout {
        match self {
            LeftOperand::Numbers(matrix) => LeftLayout::of(matrix, precision),
            LeftOperand::Words { .. } => LeftLayout::InPlace,
        }
    }
}

/// How the left operand is read: in place, or from strips.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftLayout {
    /// Rows contiguous in k, of `f32` or of bfloat16 words, read where they are.
    InPlace,
    /// Strips `[row][k]`: bfloat16 words of rows contiguous in k.
    Rows,
    /// Strips `[k][row]`: anything else.
    Columns,
}

impl LeftLayout {
    pub(crate) fn of(left: &Matrix<'_>, precision: Precision) -> Self {
        match precision {
            Precision::F32 if left.column_stride == 1 => LeftLayout::InPlace,
            Precision::Bf16 if left.column_stride == 1 => LeftLayout::Rows,
            _ => LeftLayout::Columns,
        }
    }
}

/// A row's numbers in bfloat16 words.
#[inline(always)]
fn narrow_row<S: Simd>(simd: S, numbers: &[f32], words: &mut [f32]) {
    let (whole, rest) = numbers.split_at(numbers.len() - numbers.len() % (2 * S::LANES));
    let (words, last) = words.split_at_mut(whole.len() / 2);
    for (words, numbers) in words.chunks_exact_mut(S::LANES).zip(whole.chunks_exact(2 * S::LANES)) {
        narrow_vector(simd, numbers, words);
    }
    narrow_vector(simd, rest, last);
}

/// Up to `2 · LANES` numbers in bfloat16 words.
#[inline(always)]
fn narrow_vector<S: Simd>(simd: S, numbers: &[f32], words: &mut [f32]) {
    let (low, high) = numbers.split_at(numbers.len().min(S::LANES));
    store_some(simd, words, simd.narrow_bf16(load_some(simd, low), load_some(simd, high)));
}

/// Packs as many strips at once as fill vectors, so that whole cache lines are read; the number of strips packed. With `BF16`
/// it packs the pairs of k, and leaves the last of an odd number. The matrix has contiguous columns.
#[inline(always)]
fn pack_strips_together<S: Simd, const BF16: bool>(
    simd: S,
    left: &Matrix<'_>,
    rows: Range<usize>,
    k: Range<usize>,
    strips: &mut [f32],
) -> usize {
    const {
        assert!(S::LANES <= 2 * S::TILE_ROWS, "what a step has too much is no more than the next one's words")
    };
    let (together, numbers) = (S::LANES / S::TILE_ROWS, if BF16 { 2 } else { 1 });
    let (steps, strip) = (k.len() / numbers, k.len().div_ceil(numbers) * S::TILE_ROWS);
    if left.row_stride != 1 || together == 0 || steps == 0 {
        return 0;
    }
    let groups = rows.len() / (together * S::TILE_ROWS);
    let (used, stride) = (together * S::TILE_ROWS, left.column_stride);
    assert!(groups == 0 || rows.start + groups * used + (k.end - 1) * stride <= left.data.len());
    assert!(strips.len() >= groups * together * strip);
    for group in 0..groups {
        let source = left.at(rows.start + group * used, k.start);
        let target = strips[group * together * strip..].as_mut_ptr();
        for step in 0..steps {
            // SAFETY: the last group's numbers of the last k end within the data, and its strips' words within the strips,
            // as checked above; masks select the rows of one strip.
            unsafe {
                let source = source.add(numbers * step * stride);
                for number in 0..numbers {
                    simd.prefetch(source.wrapping_add((ROWS_AHEAD + number) * stride));
                }
                let mask = first_lanes(simd, used);
                let mut words = load_lanes(simd, source, mask);
                if BF16 {
                    words = simd.pair_bf16(words, load_lanes(simd, source.add(stride), mask));
                }
                let place = target.add(step * S::TILE_ROWS);
                if S::LANES == 2 * S::TILE_ROWS {
                    simd.store_halves(place, place.add(strip), words);
                } else if step + 1 < steps {
                    // The excess is overwritten by the next step's words.
                    simd.store(place, words);
                } else {
                    simd.store_masked(place, mask, words);
                }
            }
        }
    }
    groups * together
}

simd_fn! {
    /// Packs rows `rows` and columns `k` of `left` into strips of `TILE_ROWS`; rows missing in the last strip
    /// are left as they were, because the tile does not read them.
    pub(crate) fn pack_left(
        simd: S,
        left: &Matrix<'_>,
        rows: Range<usize>,
        k: Range<usize>,
        precision: Precision,
        strips: &mut [f32],
    ) {
        let strip = steps(k.len(), precision) * S::TILE_ROWS;
        assert!(rows.end <= left.rows && k.end <= left.columns);
        assert!(strips.len() >= rows.len().div_ceil(S::TILE_ROWS) * strip);
        match (LeftLayout::of(left, precision), precision) {
            (LeftLayout::InPlace, _) => unreachable!("nothing to pack"),
            (LeftLayout::Rows, _) => {
                let words = steps(k.len(), precision);
                for (row, words) in rows.zip(strips.chunks_mut(words.max(1))) {
                    narrow_row(simd, &left.data[row * left.row_stride..][k.clone()], words);
                }
            }
            (LeftLayout::Columns, Precision::F32) => {
                let whole = pack_strips_together::<S, false>(simd, left, rows.clone(), k.clone(), strips);
                for (i, first) in rows.clone().step_by(S::TILE_ROWS).enumerate().skip(whole) {
                    let target = &mut strips[i * strip..][..strip];
                    let count = (rows.end - first).min(S::TILE_ROWS);
                    for (k, target) in k.clone().zip(target.chunks_exact_mut(S::TILE_ROWS)) {
                        for (r, number) in target[..count].iter_mut().enumerate() {
                            *number = element(left, first + r, k);
                        }
                    }
                }
            }
            (LeftLayout::Columns, Precision::Bf16) => {
                let whole = pack_strips_together::<S, true>(simd, left, rows.clone(), k.clone(), strips);
                for (i, first) in rows.clone().step_by(S::TILE_ROWS).enumerate() {
                    let target = &mut strips[i * strip..][..strip];
                    let count = (rows.end - first).min(S::TILE_ROWS);
                    // The last number of an odd k has no partner, and a vector would read beyond it.
                    let pairs = if i < whole { k.len() / 2 } else { 0 };
                    let rest = k.clone().step_by(2).zip(target.chunks_exact_mut(S::TILE_ROWS)).skip(pairs);
                    for (low, target) in rest {
                        for (r, word) in target[..count].iter_mut().enumerate() {
                            let high = if low + 1 < k.end { element(left, first + r, low + 1) } else { 0.0 };
                            *word = pair(element(left, first + r, low), high);
                        }
                    }
                }
            }
        }
    }
}
