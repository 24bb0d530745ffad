//! Arrays whose elements are not in order, put in order.

use rayon::prelude::*;

/// Values below which threads do not pay.
const WORTH_THREADS: usize = 1 << 15;

/// Copies the elements of an array of `shape`, which begins at `start` of `x` and whose axes have `strides`, to `y`, the last axis
/// fastest.
///
/// # Panics
/// If `y` has another number of elements, or an element lies outside `x`.
pub fn copy_strided(x: &[f32], start: usize, shape: &[usize], strides: &[isize], y: &mut [f32]) {
    assert!(shape.len() == strides.len() && shape.iter().product::<usize>() == y.len(), "the shape fits");
    if y.is_empty() {
        return;
    }
    // Axes that follow one another in memory are one.
    let mut axes: Vec<(usize, isize)> = Vec::with_capacity(shape.len());
    for (&length, &stride) in shape.iter().zip(strides).filter(|(length, _)| **length > 1) {
        match axes.last_mut() {
            Some((outer, outer_stride)) if *outer_stride == stride * length as isize => {
                (*outer, *outer_stride) = (*outer * length, stride);
            }
            _ => axes.push((length, stride)),
        }
    }
    let Some(((length, stride), outer)) = axes.split_last() else {
        y[0] = x[start];
        return;
    };
    let (length, stride) = (*length, *stride);
    let first = |mut row: usize| {
        let mut place = start as isize;
        for (length, stride) in outer.iter().rev() {
            place += (row % length) as isize * stride;
            row /= length;
        }
        place as usize
    };
    let rows = WORTH_THREADS.div_ceil(length);
    y.par_chunks_mut(rows * length).enumerate().for_each(|(chunk, y)| {
        for (row, y) in y.chunks_exact_mut(length).enumerate() {
            let from = first(chunk * rows + row);
            match stride {
                1 => y.copy_from_slice(&x[from..][..length]),
                0 => y.fill(x[from]),
                _ => {
                    for (i, y) in y.iter_mut().enumerate() {
                        *y = x[from.wrapping_add_signed(i as isize * stride)];
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, assert_same_bits};

    #[test]
    fn elements_are_found_by_their_strides() {
        let mut random = Random(170);
        for _ in 0..300 {
            let count = random.between(0, 4);
            let whole: Vec<usize> = (0..count).map(|_| random.between(1, 6)).collect();
            let x = random.numbers(whole.iter().product());
            // A part of the array, its axes in another order, some of them backwards or repeated.
            let mut axes: Vec<(usize, isize)> = Vec::new();
            let mut start = 0;
            for (axis, &length) in whole.iter().enumerate() {
                let stride: usize = whole[axis + 1..].iter().product();
                let (from, kept) = (random.between(0, length - 1), random.between(1, length));
                let kept = kept.min(length - from);
                match random.between(0, 4) {
                    0 => {
                        start += (from + kept - 1) * stride;
                        axes.push((kept, -(stride as isize)));
                    }
                    1 => {
                        start += from * stride;
                        axes.push((random.between(1, 3), 0));
                    }
                    _ => {
                        start += from * stride;
                        axes.push((kept, stride as isize));
                    }
                }
            }
            for last in (1..axes.len()).rev() {
                axes.swap(last, random.between(0, last));
            }
            let (shape, strides): (Vec<usize>, Vec<isize>) = axes.into_iter().unzip();
            let mut places = vec![start as isize];
            for (&length, &stride) in shape.iter().zip(&strides) {
                places = places
                    .iter()
                    .flat_map(|place| (0..length as isize).map(move |i| place + i * stride))
                    .collect();
            }
            let expected: Vec<f32> = places.iter().map(|place| x[*place as usize]).collect();
            let mut y = vec![9.0; expected.len()];
            copy_strided(&x, start, &shape, &strides, &mut y);
            assert_same_bits(&format!("{shape:?} by {strides:?} from {start}"), &y, &expected);
        }
    }

    #[test]
    fn a_transposed_matrix_beyond_one_task() {
        let [rows, columns] = [300, 500];
        let x = Random(171).numbers(rows * columns);
        let mut y = vec![0.0; x.len()];
        copy_strided(&x, 0, &[columns, rows], &[1, columns as isize], &mut y);
        assert!((0..x.len()).all(|i| y[i].to_bits() == x[i % rows * columns + i / rows].to_bits()));
    }

    #[test]
    #[should_panic(expected = "the shape fits")]
    fn another_number_of_elements_is_refused() {
        copy_strided(&[0.0; 4], 0, &[2, 2], &[2, 1], &mut [0.0; 3]);
    }
}
