//! Gathering rows, which divides a map of tokens into windows and reassembles it.

use rayon::prelude::*;

/// Values below which threads do not pay.
const WORTH_THREADS: usize = 1 << 14;

/// Row r of each image of y is row `sources[r]` of the same image of x, or zeros: `x` `[batch, rows, width]` → `y`
/// `[batch, sources, width]`.
///
/// # Panics
/// If lengths do not fit, or a source is out of range.
pub fn gather_rows(x: &[f32], [rows, width]: [usize; 2], sources: &[Option<usize>], y: &mut [f32]) {
    assert!(sources.iter().flatten().all(|source| *source < rows), "a source is one of {rows} rows");
    if y.is_empty() {
        return;
    }
    let batch = y.len() / (sources.len() * width);
    assert!(
        y.len() == batch * sources.len() * width && x.len() == batch * rows * width,
        "x ({}) and y ({}) hold the same images: {rows} rows of {width} become {}",
        x.len(),
        y.len(),
        sources.len()
    );
    let longest = (WORTH_THREADS / width).max(1) * width;
    let images = y.par_chunks_mut(sources.len() * width).enumerate();
    images.for_each(|(image, y)| {
        let x = &x[image * rows * width..][..rows * width];
        let pieces = y.par_chunks_mut(longest).zip(sources.par_chunks(longest / width));
        pieces.for_each(|(y, sources)| {
            for (y, source) in y.chunks_exact_mut(width).zip(sources) {
                match source {
                    Some(source) => y.copy_from_slice(&x[source * width..][..width]),
                    None => y.fill(0.0),
                }
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, assert_thread_count_is_irrelevant};

    #[test]
    fn every_row_comes_from_its_source() {
        let mut random = Random(130);
        for _ in 0..50 {
            let [batch, rows, count] = [random.between(1, 3), random.between(1, 90), random.between(0, 90)];
            let width = random.between(1, 400);
            let x = random.numbers(batch * rows * width);
            let sources: Vec<_> =
                (0..count).map(|_| random.coin().then(|| random.between(0, rows - 1))).collect();
            let run = || {
                let mut y = vec![9.0; batch * count * width];
                gather_rows(&x, [rows, width], &sources, &mut y);
                y
            };
            for (i, row) in run().chunks_exact(width).enumerate() {
                let (image, place) = (i / count, i % count);
                match sources[place] {
                    Some(source) => assert_eq!(row, &x[(image * rows + source) * width..][..width]),
                    None => assert!(row.iter().all(|y| *y == 0.0)),
                }
            }
            assert_thread_count_is_irrelevant("gather_rows", run);
        }
    }

    #[test]
    #[should_panic(expected = "a source is one of 2 rows")]
    fn a_source_beyond_the_rows_is_refused() {
        gather_rows(&[1.0, 2.0], [2, 1], &[Some(2)], &mut [0.0]);
    }
}
