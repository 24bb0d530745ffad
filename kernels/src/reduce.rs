//! Sums over rows, in an order that does not depend on the number of threads.

use crate::Level;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::{load_ahead, load_some, simd_fn, store_some};
use rayon::prelude::*;

/// y = the sum of the parts of `x` that are as long as `y`, in their order.
///
/// # Panics
/// If the length of `x` is not a multiple of that of `y`.
pub fn sum_of_parts(x: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    if y.is_empty() {
        return;
    }
    let (level, length) = (Level::current(), y.len());
    assert!(x.len().is_multiple_of(length), "{} numbers are no parts of {length}", x.len());
    y.par_chunks_mut(NUMBERS_PER_TASK).enumerate().for_each(|(task, y)| {
        for part in x.chunks_exact(length) {
            add_to(level, &part[task * NUMBERS_PER_TASK..][..y.len()], y);
        }
    });
}

/// Numbers of a sum of parts in one task.
const NUMBERS_PER_TASK: usize = 4096;

/// Rows summed by one task; the tasks' sums are added in ascending order.
pub(crate) const ROWS_PER_TASK: usize = 128;

/// Adds what `task(first_row..end, sums)` leaves in `sums` (zero at first) over all groups of rows.
pub(crate) fn sum_over_rows(
    level: Level,
    rows: usize,
    sums: &mut [f32],
    task: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
) {
    let (width, tasks) = (sums.len(), rows.div_ceil(ROWS_PER_TASK));
    let mut partial = Scratch::take(tasks * width);
    let shared = Shared::new(&mut partial);
    parallel::for_each(tasks, |i| {
        // SAFETY: every task has its own sums.
        let sums = unsafe { shared.slice(i * width, width) };
        sums.fill(0.0);
        task(i * ROWS_PER_TASK..((i + 1) * ROWS_PER_TASK).min(rows), sums);
    });
    sums.fill(0.0);
    for i in 0..tasks {
        add_to(level, &partial[i * width..(i + 1) * width], sums);
    }
}

/// The sum of the rows of `x`, which are as long as `sums`.
pub(crate) fn column_sums(level: Level, x: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    if width == 0 {
        return;
    }
    sum_over_rows(level, x.len() / width, sums, |rows, sums| {
        for row in rows {
            add_to(level, &x[row * width..][..width], sums);
        }
    });
}

simd_fn! {
    /// The sum of `x`.
    pub(crate) fn sum<N: Stored>(simd: S, x: &[N]) -> f32 {
        let mut sums = [simd.splat(0.0); 2];
        for x in x.chunks(2 * S::LANES) {
            let (low, high) = x.split_at(x.len().min(S::LANES));
            sums = [simd.add(sums[0], load_ahead(simd, low)), simd.add(sums[1], load_ahead(simd, high))];
        }
        simd.sum(simd.add(sums[0], sums[1]))
    }
}

simd_fn! {
    /// y ← y + x.
    pub(crate) fn add_to(simd: S, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)) {
            let sum = simd.add(load_some(simd, x), load_some(simd, y));
            store_some(simd, y, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{
        Random, assert_close, assert_thread_count_is_irrelevant, at_every_level, doubles,
    };

    #[test]
    fn sums_agree_with_double_precision_for_any_number_of_threads() {
        let mut random = Random(90);
        for count in [0, 1, 17, 100, 12_293] {
            let x = random.numbers(count);
            at_every_level(|level| {
                assert_close("sum", &[sum(level, &x)], &[doubles(&x).iter().sum()], 1e-5);
            });
        }
        let x = random.numbers(20_000);
        let parts = |x: &[f32]| {
            let mut sums = vec![9.0; 10_000];
            sum_of_parts(x, &mut sums);
            sums
        };
        assert!(parts(&x).iter().zip(&x).enumerate().all(|(i, (sum, first))| *sum == first + x[10_000 + i]));
        assert_thread_count_is_irrelevant("parts", || parts(&x));
        assert_thread_count_is_irrelevant("column sums", || {
            let mut sums = vec![0.0; 40];
            column_sums(Level::current(), &x, &mut sums);
            sums
        });
    }
}
