//! Pooling of planes `[planes, height, width]` (planes = batch · channels); each plane is a task.

use crate::Level;
use crate::scratch::Scratch;
use crate::simd::{MAX_LANES, WHOLE, load_some, simd_fn, store_some};
use rayon::prelude::*;
use std::ops::Range;

/// The shape of a pooling. Pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Height and width of the input.
    pub input_size: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Rows and columns around the input, on either side, at most half the window: they are never the
    /// maximum.
    pub padding: [usize; 2],
}

impl Pooling {
    /// Height and width of the output: ⌊(input + 2 · padding − kernel) / stride⌋ + 1.
    ///
    /// # Panics
    /// If the window is larger than the padded input, the padding larger than half the window, or a stride
    /// zero.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            let padded = self.input_size[i] + 2 * self.padding[i];
            assert!(
                self.stride[i] > 0 && self.kernel[i] <= padded && 2 * self.padding[i] <= self.kernel[i],
                "the window does not fit the input: {self:?}"
            );
            (padded - self.kernel[i]) / self.stride[i] + 1
        })
    }

    /// Elements of an input and an output plane, after checking that both hold the same number of planes.
    fn plane_sizes(&self, input: usize, output: usize) -> [usize; 2] {
        let sizes = [self.input_size, self.output_size()].map(|size| size.iter().product::<usize>());
        assert!(sizes[0] > 0 && self.kernel.iter().all(|k| *k > 0), "nothing to pool: {self:?}");
        assert!(
            input.is_multiple_of(sizes[0]) && input / sizes[0] * sizes[1] == output,
            "input ({input}) and output ({output}) are whole planes of {self:?}"
        );
        assert!(u32::try_from(sizes[0]).is_ok(), "a plane fits 32-bit indices");
        sizes
    }

    fn windows(&self) -> Windows {
        let [rows, columns] = self.output_size();
        let range = |axis: usize, output: usize| {
            let (padding, start) = (self.padding[axis], output * self.stride[axis]);
            let end = (start + self.kernel[axis]).min(self.input_size[axis] + padding);
            start.saturating_sub(padding)..end - padding
        };
        Windows {
            rows: (0..rows).map(|row| range(0, row)).collect(),
            columns: (0..columns).map(|column| range(1, column)).collect(),
            width: self.input_size[1],
        }
    }
}

/// The input rows and columns covered by the windows of each output row and column.
struct Windows {
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    /// Of the input.
    width: usize,
}

impl Windows {
    /// Calls `visit` with every output's index in its plane and each index within the input plane that its window covers.
    #[inline(always)]
    fn visit(&self, mut visit: impl FnMut(usize, usize)) {
        for (row, rows) in self.rows.iter().enumerate() {
            for (column, columns) in self.columns.iter().enumerate() {
                for start in rows.clone().map(|row| row * self.width) {
                    for i in start + columns.start..start + columns.end {
                        visit(row * self.columns.len() + column, i);
                    }
                }
            }
        }
    }
}

/// Numbers up to which every whole one is an `f32`.
const WHOLE_NUMBERS: usize = 1 << 24;

simd_fn! {
    /// The maxima of one plane and their indices, if all its numbers are finite; otherwise false, and the output is undefined.
    /// `rows` are the input rows of each output row.
    fn maxima_of_finite(
        simd: S,
        shape: &Pooling,
        rows: &[Range<usize>],
        x: &[f32],
        y: &mut [f32],
        indices: &mut [u32],
    ) -> bool {
        let ([height, width], [_, columns]) = (shape.input_size, shape.output_size());
        let (stride, kernel, padding) = (shape.stride[1], shape.kernel[1], shape.padding[1]);
        assert!(x.len() == height * width && y.len() == rows.len() * columns && indices.len() == y.len());
        assert!(rows.iter().all(|rows| rows.end <= height));
        if x.len() > WHOLE_NUMBERS {
            return false;
        }
        // The plane with −∞ on either side of its rows, as far as whole vectors of windows reach, so that no lane needs a mask.
        let padded_width = (columns.next_multiple_of(S::LANES) * stride + kernel).max(padding + width);
        let mut padded = Scratch::take(height * padded_width);
        let mut check = simd.splat(0.0);
        for (row, padded) in x.chunks_exact(width).zip(padded.chunks_exact_mut(padded_width)) {
            padded[..padding].fill(f32::NEG_INFINITY);
            padded[padding + width..].fill(f32::NEG_INFINITY);
            for (numbers, target) in row.chunks(S::LANES).zip(padded[padding..].chunks_mut(S::LANES)) {
                let vector = load_some(simd, numbers);
                check = simd.mul_add(vector, simd.splat(0.0), check);
                store_some(simd, &mut target[..numbers.len()], vector);
            }
        }
        // Zero times a non-finite value is NaN.
        if simd.sum(check) != 0.0 {
            return false;
        }
        let mut starts = [0; MAX_LANES];
        let mut numbers = [0.0; MAX_LANES];
        for lane in 0..S::LANES {
            starts[lane] = (lane * stride) as i32;
            numbers[lane] = (lane * stride) as f32 - padding as f32;
        }
        // SAFETY: `numbers` holds a whole vector.
        let columns_of_lanes = unsafe { simd.load(numbers.as_ptr()) };
        for (row, input_rows) in rows.iter().enumerate() {
            for first in (0..columns).step_by(S::LANES) {
                let mut largest = simd.splat(f32::NEG_INFINITY);
                let mut index = simd.splat(0.0);
                for input_row in input_rows.clone() {
                    for tap in 0..kernel {
                        let start = first * stride + tap;
                        // SAFETY: the row is one of the plane's, and padded until the last lane's window ends; `starts` holds
                        // a whole vector.
                        let value = unsafe {
                            let source = padded.as_ptr().add(input_row * padded_width + start);
                            match stride {
                                1 => simd.load(source),
                                2 => simd.load_every_second(source),
                                _ => simd.gather(source, starts.as_ptr(), WHOLE),
                            }
                        };
                        let here = simd.add(columns_of_lanes, simd.splat((input_row * width + start) as f32));
                        index = simd.select_gt(value, largest, here, index);
                        largest = simd.max(largest, value);
                    }
                }
                let place = row * columns + first;
                let lanes = S::LANES.min(columns - first);
                store_some(simd, &mut y[place..place + lanes], largest);
                store_some(simd, &mut numbers[..S::LANES], index);
                for (index, number) in indices[place..place + lanes].iter_mut().zip(&numbers) {
                    *index = *number as u32;
                }
            }
        }
        true
    }
}

/// The maximum of each window, and its index within its plane: the first of equals; NaN counts as the largest.
///
/// # Panics
/// If lengths do not fit.
pub fn max_pool_forward(shape: &Pooling, x: &[f32], y: &mut [f32], indices: &mut [u32]) {
    let [input, output] = shape.plane_sizes(x.len(), y.len());
    assert_eq!(indices.len(), y.len(), "there is an index for each output");
    let (windows, level) = (shape.windows(), Level::current());
    let planes = x.par_chunks(input).zip(y.par_chunks_mut(output)).zip(indices.par_chunks_mut(output));
    planes.for_each(|((x, y), indices)| {
        if maxima_of_finite(level, shape, &windows.rows, x, y, indices) {
            return;
        }
        y.fill(f32::NEG_INFINITY);
        indices.fill(u32::MAX);
        windows.visit(|position, i| {
            let (largest, index) = (&mut y[position], &mut indices[position]);
            if *index == u32::MAX || x[i] > *largest || (x[i].is_nan() && !largest.is_nan()) {
                (*largest, *index) = (x[i], i as u32);
            }
        });
    });
}

/// The gradient of [`max_pool_forward`]: each output's goes to the element at its index.
///
/// # Panics
/// If lengths do not fit, or an index lies outside the plane.
pub fn max_pool_backward(shape: &Pooling, indices: &[u32], dy: &[f32], dx: &mut [f32]) {
    let [input, output] = shape.plane_sizes(dx.len(), dy.len());
    assert_eq!(indices.len(), dy.len(), "there is an index for each output");
    let planes = dx.par_chunks_mut(input).zip(dy.par_chunks(output)).zip(indices.par_chunks(output));
    planes.for_each(|((dx, dy), indices)| {
        dx.fill(0.0);
        dy.iter().zip(indices).for_each(|(dy, index)| dx[*index as usize] += dy);
    });
}

/// Accumulators of a sum, which do not wait for one another.
const SUMS: usize = 8;

/// Numbers in one task of means.
const NUMBERS_PER_TASK: usize = 1 << 14;

/// The mean of every plane of `positions` numbers.
///
/// # Panics
/// If lengths do not fit.
pub fn mean_pool_forward(x: &[f32], positions: usize, means: &mut [f32]) {
    assert_eq!(x.len(), means.len() * positions, "a plane of {positions} for each mean");
    if positions == 0 {
        return means.fill(f32::NAN);
    }
    let level = Level::current();
    let chunk = (NUMBERS_PER_TASK / positions).max(1);
    let planes = x.par_chunks(chunk * positions).zip(means.par_chunks_mut(chunk));
    planes.for_each(|(x, means)| mean_planes(level, x, positions, means));
}

/// The gradient of [`mean_pool_forward`].
///
/// # Panics
/// If lengths do not fit.
pub fn mean_pool_backward(dmeans: &[f32], positions: usize, dx: &mut [f32]) {
    assert_eq!(dx.len(), dmeans.len() * positions, "a plane of {positions} for each mean");
    let share = (1.0 / positions as f64) as f32;
    let planes = dx.par_chunks_mut(positions.max(1)).zip(dmeans);
    planes.for_each(|(dx, dmean)| dx.fill(share * dmean));
}

simd_fn! {
    fn mean_planes(simd: S, x: &[f32], positions: usize, means: &mut [f32]) {
        for (x, mean) in x.chunks_exact(positions).zip(means) {
            let mut sums = [simd.splat(0.0); SUMS];
            let together = x.chunks_exact(SUMS * S::LANES);
            let rest = together.remainder().chunks_exact(S::LANES);
            let last = rest.remainder();
            for x in together {
                for (sum, x) in sums.iter_mut().zip(x.chunks_exact(S::LANES)) {
                    *sum = simd.add(*sum, load_some(simd, x));
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            let [ab, cd, ef, gh] = [simd.add(a, b), simd.add(c, d), simd.add(e, f), simd.add(g, h)];
            let mut sum = simd.add(simd.add(ab, cd), simd.add(ef, gh));
            for x in rest {
                sum = simd.add(sum, load_some(simd, x));
            }
            *mean = (simd.sum(sum) + last.iter().sum::<f32>()) / positions as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Random, assert_close, assert_thread_count_is_irrelevant, at_every_level};

    fn random_shape(random: &mut Random) -> Pooling {
        let kernel = [random.between(1, 4), random.between(1, 4)];
        Pooling {
            input_size: [random.between(4, 12), random.between(4, 12)],
            kernel,
            stride: [random.between(1, 3), random.between(1, 3)],
            padding: kernel.map(|kernel| random.between(0, kernel / 2)),
        }
    }

    /// The elements of a window, by visiting all of its places.
    fn window(shape: &Pooling, row: usize, column: usize) -> Vec<usize> {
        let mut elements = Vec::new();
        for i in 0..shape.kernel[0] {
            for j in 0..shape.kernel[1] {
                let y = (row * shape.stride[0] + i) as isize - shape.padding[0] as isize;
                let x = (column * shape.stride[1] + j) as isize - shape.padding[1] as isize;
                let [height, width] = shape.input_size.map(|size| size as isize);
                if (0..height).contains(&y) && (0..width).contains(&x) {
                    elements.push((y * width + x) as usize);
                }
            }
        }
        elements
    }

    #[test]
    fn values_and_gradients_follow_the_definition() {
        let mut random = Random(70);
        for _ in 0..300 {
            let (shape, planes) = (random_shape(&mut random), random.between(1, 3));
            let [rows, columns] = shape.output_size();
            let [input, output] = [shape.input_size.iter().product::<usize>(), rows * columns];
            let (x, dy) = (random.numbers(planes * input), random.numbers(planes * output));
            let zeros = |n: usize| vec![0.0; n];
            let (mut maxima, mut dmax) = (zeros(dy.len()), zeros(x.len()));
            for i in 0..planes * output {
                let (plane, row, column) = (i / output, i % output / columns, i % columns);
                let elements = window(&shape, row, column);
                let largest = *elements
                    .iter()
                    .max_by(|a, b| x[plane * input + **a].total_cmp(&x[plane * input + **b]))
                    .expect("a window meets its input");
                maxima[i] = f64::from(x[plane * input + largest]);
                dmax[plane * input + largest] += f64::from(dy[i]);
            }
            let (mut y, mut dx, mut indices) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0; dy.len()]);
            max_pool_forward(&shape, &x, &mut y, &mut indices);
            assert_close("maximum", &y, &maxima, 0.0);
            max_pool_backward(&shape, &indices, &dy, &mut dx);
            assert_close("maximum's gradient", &dx, &dmax, 1e-6);
        }
    }

    #[test]
    fn equals_go_to_the_first_and_nan_wins() {
        let shape = Pooling { input_size: [1, 4], kernel: [1, 4], stride: [1, 1], padding: [0, 0] };
        let (mut y, mut index) = ([0.0], [9]);
        max_pool_forward(&shape, &[1.0, 2.0, 2.0, 0.0], &mut y, &mut index);
        assert_eq!((y, index), ([2.0], [1]));
        max_pool_forward(&shape, &[1.0, f32::NAN, 3.0, f32::NAN], &mut y, &mut index);
        assert!(y[0].is_nan() && index == [1]);
        max_pool_forward(&shape, &[f32::NEG_INFINITY; 4], &mut y, &mut index);
        assert_eq!((y, index), ([f32::NEG_INFINITY], [0]));
    }

    #[test]
    fn the_number_of_threads_is_irrelevant() {
        let shape = Pooling { input_size: [9, 9], kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
        let x = Random(71).numbers(20 * 81);
        assert_thread_count_is_irrelevant("pooling", || {
            let (mut y, mut indices) = (vec![0.0; 20 * 25], vec![0; 20 * 25]);
            let mut dx = vec![0.0; x.len()];
            max_pool_forward(&shape, &x, &mut y, &mut indices);
            max_pool_backward(&shape, &indices, &y, &mut dx);
            [y, dx].concat()
        });
    }

    #[test]
    fn means_and_their_gradients_are_those_of_whole_planes() {
        let mut random = Random(81);
        for _ in 0..60 {
            let (planes, positions) = (random.between(1, 40), random.between(1, 400));
            let x = random.numbers(planes * positions);
            let means: Vec<f64> = x
                .chunks(positions)
                .map(|x| x.iter().map(|x| f64::from(*x)).sum::<f64>() / positions as f64)
                .collect();
            at_every_level(|level| {
                let mut y = vec![9.0; planes];
                mean_pool_forward(&x, positions, &mut y);
                assert_close(&format!("{planes}×{positions} at {level:?}"), &y, &means, 1e-6);
            });
            let mut dx = vec![9.0; x.len()];
            mean_pool_backward(&x[..planes], positions, &mut dx);
            let gradient: Vec<f64> =
                (0..x.len()).map(|i| f64::from(x[i / positions]) / positions as f64).collect();
            assert_close("gradient", &dx, &gradient, 1e-7);
        }
        let x = random.numbers(300 * 170);
        assert_thread_count_is_irrelevant("mean_pool", || {
            let mut y = vec![0.0; 300];
            mean_pool_forward(&x, 170, &mut y);
            y
        });
    }
}
