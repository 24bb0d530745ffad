//! Sums over rows, in an order that no number of threads changes.

use crate::Level;
use crate::parallel::{self, Shared};
use crate::scratch::Scratch;
use crate::simd::{load_some, simd_fn, store_some};

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
        // SAFETY: every task has sums of its own.
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
    pub(crate) fn sum(simd: S, x: &[f32]) -> f32 {
        let mut sums = [simd.splat(0.0); 2];
        for x in x.chunks(2 * S::LANES) {
            let (low, high) = x.split_at(x.len().min(S::LANES));
            sums = [simd.add(sums[0], load_some(simd, low)), simd.add(sums[1], load_some(simd, high))];
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
