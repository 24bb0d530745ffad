//! Softmax of rows: y = e^(x − max) / Σ e^(x − max).

use crate::Level;
use crate::parallel::CHUNK;
use crate::reduce::add_to;
use crate::simd::{load_some, simd_fn, store_some};
use rayon::prelude::*;

/// Softmax of rows of `columns` numbers, after adding `mask` (the length of one row, for all rows, or of all
/// rows). A row of only −∞ becomes zeros.
///
/// # Panics
/// If lengths do not fit.
pub fn softmax_forward(x: &[f32], columns: usize, mask: Option<&[f32]>, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "input and output have one length");
    if x.is_empty() {
        return;
    }
    assert!(columns > 0 && x.len().is_multiple_of(columns), "the input is whole rows of {columns}");
    if let Some(mask) = mask {
        assert!(mask.len() == columns || mask.len() == x.len(), "a mask is one row or as long as the input");
    }
    let level = Level::current();
    let numbers = CHUNK.div_ceil(columns) * columns;
    x.par_chunks(numbers).zip(y.par_chunks_mut(numbers)).enumerate().for_each(|(task, (x, y))| {
        y.copy_from_slice(x);
        match mask {
            Some(mask) if mask.len() == x.len() || mask.len() > columns => {
                add_to(level, &mask[task * numbers..][..y.len()], y)
            }
            Some(mask) => y.chunks_mut(columns).for_each(|row| add_to(level, mask, row)),
            None => {}
        }
        softmax_in_place(level, y, columns);
    });
}

/// dx = y · (dy − Σ y · dy) for rows of `columns` numbers, y being the softmax.
///
/// # Panics
/// If lengths do not fit.
pub fn softmax_backward(y: &[f32], dy: &[f32], columns: usize, dx: &mut [f32]) {
    assert!(y.len() == dy.len() && y.len() == dx.len(), "output and gradients have one length");
    if y.is_empty() {
        return;
    }
    assert!(columns > 0 && y.len().is_multiple_of(columns), "the output is whole rows of {columns}");
    let level = Level::current();
    let numbers = CHUNK.div_ceil(columns) * columns;
    let chunks = y.par_chunks(numbers).zip(dy.par_chunks(numbers)).zip(dx.par_chunks_mut(numbers));
    chunks.for_each(|((y, dy), dx)| {
        dx.copy_from_slice(dy);
        softmax_backward_in_place(level, y, dx, columns);
    });
}

/// Rows that go through each step together, to hide the latency of sums over lanes.
const ROWS: usize = 4;

simd_fn! {
    /// Softmax of rows of `columns` numbers on this thread.
    pub(crate) fn softmax_in_place(simd: S, rows: &mut [f32], columns: usize) {
        let whole = columns - columns % S::LANES;
        for rows in rows.chunks_mut(ROWS * columns) {
            let mut largest = [f32::NEG_INFINITY; ROWS];
            for (row, largest) in rows.chunks(columns).zip(&mut largest) {
                let (whole, rest) = row.split_at(whole);
                let mut vector = simd.splat(f32::NEG_INFINITY);
                for x in whole.chunks(S::LANES) {
                    vector = simd.max(vector, load_some(simd, x));
                }
                *largest = rest.iter().fold(simd.maximum(vector), |largest, x| largest.max(*x));
            }
            let mut totals = [0.0; ROWS];
            for ((row, largest), total) in rows.chunks_mut(columns).zip(largest).zip(&mut totals) {
                let shift = simd.splat(largest);
                let (whole, rest) = row.split_at_mut(whole);
                let mut sum = simd.splat(0.0);
                for x in whole.chunks_mut(S::LANES) {
                    let power = crate::math::exp(simd, simd.sub(load_some(simd, x), shift));
                    store_some(simd, x, power);
                    sum = simd.add(sum, power);
                }
                let power = crate::math::exp(simd, simd.sub(load_some(simd, rest), shift));
                store_some(simd, rest, power);
                // Reload, so that lanes beyond the row's end count as zero.
                *total = simd.sum(simd.add(sum, load_some(simd, rest)));
            }
            for ((row, largest), total) in rows.chunks_mut(columns).zip(largest).zip(totals) {
                if largest == f32::NEG_INFINITY {
                    row.fill(0.0);
                    continue;
                }
                let scale = simd.splat(1.0 / total);
                for x in row.chunks_mut(S::LANES) {
                    let weight = simd.mul(load_some(simd, x), scale);
                    store_some(simd, x, weight);
                }
            }
        }
    }
}

simd_fn! {
    /// gradient ← y · (gradient − Σ y · gradient) on this thread.
    pub(crate) fn softmax_backward_in_place(simd: S, y: &[f32], gradient: &mut [f32], columns: usize) {
        for (y, gradient) in y.chunks(columns).zip(gradient.chunks_mut(columns)) {
            let mut product = simd.splat(0.0);
            for (y, gradient) in y.chunks(S::LANES).zip(gradient.chunks(S::LANES)) {
                product = simd.mul_add(load_some(simd, y), load_some(simd, gradient), product);
            }
            let mean = simd.splat(simd.sum(product));
            for (y, gradient) in y.chunks(S::LANES).zip(gradient.chunks_mut(S::LANES)) {
                let centred = simd.sub(load_some(simd, gradient), mean);
                store_some(simd, gradient, simd.mul(load_some(simd, y), centred));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{
        Random, assert_close, assert_same_bits, assert_thread_count_is_irrelevant, at_every_level,
    };

    #[test]
    fn values_and_gradients_agree_with_double_precision() {
        let mut random = Random(30);
        for case in 0..200 {
            let (rows, columns) = (random.between(0, 6), random.between(1, 80));
            let count = rows * columns;
            let x: Vec<f32> = random.numbers(count).iter().map(|x| x * 20.0).collect();
            let dy = random.numbers(count);
            let mut mask = random.numbers(if case % 3 == 0 { columns } else { count });
            mask.iter_mut().for_each(|x| *x = if *x > 0.3 { f32::NEG_INFINITY } else { *x });
            if mask.len() == count && rows > 2 {
                mask[columns..2 * columns].fill(f32::NEG_INFINITY);
            }
            let mask = (case % 4 != 1).then_some(mask);
            let (mut y_reference, mut dx_reference) = (vec![0.0; count], vec![0.0; count]);
            for row in 0..rows {
                let score = |i: usize| {
                    let added = mask.as_ref().map_or(0.0, |mask| mask[(row * columns + i) % mask.len()]);
                    f64::from(x[row * columns + i]) + f64::from(added)
                };
                let total: f64 = (0..columns).map(|i| score(i).exp()).sum();
                let weight = |i| if total == 0.0 { 0.0 } else { score(i).exp() / total };
                let d = |i| f64::from(dy[row * columns + i]);
                let mean: f64 = (0..columns).map(|i| weight(i) * d(i)).sum();
                for i in 0..columns {
                    y_reference[row * columns + i] = weight(i);
                    dx_reference[row * columns + i] = weight(i) * (d(i) - mean);
                }
            }
            at_every_level(|level| {
                let (mut y, mut dx) = (vec![7.0; count], vec![7.0; count]);
                softmax_forward(&x, columns, mask.as_deref(), &mut y);
                softmax_backward(&y, &dy, columns, &mut dx);
                assert_close(&format!("softmax at {level:?}"), &y, &y_reference, 2e-6);
                assert_close(&format!("gradient at {level:?}"), &dx, &dx_reference, 2e-6);
            });
        }
    }

    #[test]
    fn neither_threads_nor_other_rows_matter() {
        let columns = 197;
        let x = Random(31).numbers(400 * columns);
        let run = |x: &[f32]| {
            let mut y = vec![0.0; x.len()];
            softmax_forward(x, columns, None, &mut y);
            y
        };
        assert_thread_count_is_irrelevant("softmax", || run(&x));
        at_every_level(|_| {
            let part = 100 * columns..101 * columns;
            assert_same_bits("one row", &run(&x[part.clone()]), &run(&x)[part]);
        });
    }

    #[test]
    fn large_scores_do_not_overflow() {
        at_every_level(|_| {
            let mut y = [0.0; 3];
            softmax_forward(&[1e30, -1e30, 1e30], 3, None, &mut y);
            assert_eq!(y, [0.5, 0.0, 0.5]);
        });
    }
}
