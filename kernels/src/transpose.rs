//! The transpose of a matrix, block by block.

use crate::Level;
use crate::parallel::{self, Shared};
use crate::simd::simd_fn;

/// Writes the transpose of `source`, `rows` by `columns` and contiguous, to `target`.
pub(crate) fn transpose(level: Level, source: &[f32], [rows, columns]: [usize; 2], target: &mut [f32]) {
    assert!(source.len() == rows * columns && target.len() == source.len());
    let bands = columns.div_ceil(COLUMNS_PER_TASK);
    let shared = Shared::new(target);
    parallel::for_each(bands, |band| {
        let first = band * COLUMNS_PER_TASK;
        let count = COLUMNS_PER_TASK.min(columns - first);
        // SAFETY: a band of the source's columns is a band of the target's rows, which no other task writes.
        let target = unsafe { shared.slice(first * rows, count * rows) };
        transpose_band(level, source, [rows, columns], first, target);
    });
}

/// Two vectors of the widest level: a cache line of the source is then read by one task alone.
const COLUMNS_PER_TASK: usize = 32;

simd_fn! {
    /// The columns of `source` from `first` on, as many as fill `target`.
    fn transpose_band(simd: S, source: &[f32], shape: [usize; 2], first: usize, target: &mut [f32]) {
        let [rows, columns] = shape;
        let count = target.len() / rows.max(1);
        assert!(target.len() == count * rows && first + count <= columns && source.len() == rows * columns);
        for row in (0..rows).step_by(S::LANES) {
            for column in (0..count).step_by(S::LANES) {
                if row + S::LANES <= rows && column + S::LANES <= count {
                    // SAFETY: the block lies within both matrices.
                    unsafe {
                        let source = source.as_ptr().add(row * columns + first + column);
                        simd.transpose(source, columns, target.as_mut_ptr().add(column * rows + row), rows);
                    }
                    continue;
                }
                for column in column..count.min(column + S::LANES) {
                    for row in row..rows.min(row + S::LANES) {
                        target[column * rows + row] = source[row * columns + first + column];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, at_every_level};

    #[test]
    fn every_element_changes_places() {
        let mut random = Random(120);
        for _ in 0..100 {
            let [rows, columns] = [0, 0].map(|_| random.between(0, 70));
            let source = random.numbers(rows * columns);
            at_every_level(|level| {
                let mut target = vec![0.0; source.len()];
                transpose(level, &source, [rows, columns], &mut target);
                for row in 0..rows {
                    for column in 0..columns {
                        assert_eq!(target[column * rows + row], source[row * columns + column]);
                    }
                }
            });
        }
    }
}
