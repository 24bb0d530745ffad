//! Layer normalisation (Ba, Kiros and Hinton, 2016): y = (x − mean) / √(variance + ε) · γ + β for each row.

use crate::Level;
use crate::parallel::Shared;
use crate::reduce::sum_over_rows;
use crate::simd::{load_some, simd_fn, store_some};
use rayon::prelude::*;

/// Rows in one task of the forward pass.
const ROWS_PER_TASK: usize = 64;

/// Normalises rows of `gamma.len()` numbers; keeps each row's mean and 1/√(variance + ε) for the gradient.
///
/// # Panics
/// If lengths do not fit.
pub fn layer_norm_forward(
    x: &[f32],
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    y: &mut [f32],
    [mean, reciprocal_deviation]: [&mut [f32]; 2],
) {
    let width = gamma.len();
    let rows = mean.len();
    assert_eq!(x.len(), rows * width, "the input has a row of {width} for each mean");
    assert!(y.len() == x.len() && beta.len() == width && reciprocal_deviation.len() == rows, "lengths fit");
    if width == 0 {
        return;
    }
    let level = Level::current();
    let numbers = ROWS_PER_TASK * width;
    x.par_chunks(numbers)
        .zip(y.par_chunks_mut(numbers))
        .zip(mean.par_chunks_mut(ROWS_PER_TASK))
        .zip(reciprocal_deviation.par_chunks_mut(ROWS_PER_TASK))
        .for_each(|(((x, y), mean), deviation)| forward(level, x, gamma, beta, epsilon, y, mean, deviation));
}

simd_fn! {
    fn forward(
        simd: S,
        x: &[f32],
        gamma: &[f32],
        beta: &[f32],
        epsilon: f32,
        y: &mut [f32],
        means: &mut [f32],
        reciprocal_deviations: &mut [f32],
    ) {
        let width = gamma.len();
        for (row, (x, y)) in x.chunks(width).zip(y.chunks_mut(width)).enumerate() {
            let mut sum = simd.splat(0.0);
            for x in x.chunks(S::LANES) {
                sum = simd.add(sum, load_some(simd, x));
            }
            let mean = simd.sum(sum) / width as f32;
            let mean_vector = simd.splat(mean);
            let mut squares = simd.splat(0.0);
            let (whole, rest) = x.split_at(width - width % S::LANES);
            for x in whole.chunks(S::LANES) {
                let centred = simd.sub(load_some(simd, x), mean_vector);
                squares = simd.mul_add(centred, centred, squares);
            }
            // Lanes beyond the row's end would count as −mean.
            let rest_squares: f32 = rest.iter().map(|x| (x - mean) * (x - mean)).sum();
            let variance = (simd.sum(squares) + rest_squares) / width as f32;
            let reciprocal = 1.0 / (variance + epsilon).sqrt();
            let scale = simd.splat(reciprocal);
            let columns = gamma.chunks(S::LANES).zip(beta.chunks(S::LANES));
            for ((x, y), (gamma, beta)) in x.chunks(S::LANES).zip(y.chunks_mut(S::LANES)).zip(columns) {
                let normalised = simd.mul(simd.sub(load_some(simd, x), mean_vector), scale);
                store_some(simd, y, simd.mul_add(normalised, load_some(simd, gamma), load_some(simd, beta)));
            }
            means[row] = mean;
            reciprocal_deviations[row] = reciprocal;
        }
    }
}

/// The gradients of [`layer_norm_forward`] to its input, plus `residual` where there is one, γ and β.
///
/// # Panics
/// If lengths do not fit.
pub fn layer_norm_backward(
    x: &[f32],
    gamma: &[f32],
    [mean, reciprocal_deviation]: [&[f32]; 2],
    dy: &[f32],
    residual: Option<&[f32]>,
    dx: &mut [f32],
    [dgamma, dbeta]: [&mut [f32]; 2],
) {
    let (width, rows) = (gamma.len(), mean.len());
    assert_eq!(x.len(), rows * width, "the input has a row of {width} for each mean");
    let fits = dy.len() == x.len() && dx.len() == x.len();
    assert!(
        fits && residual.is_none_or(|residual| residual.len() == x.len()),
        "gradients are as long as the input"
    );
    assert!(
        dgamma.len() == width && dbeta.len() == width && reciprocal_deviation.len() == rows,
        "lengths fit"
    );
    if width == 0 {
        return;
    }
    let level = Level::current();
    let dx = Shared::new(dx);
    let mut sums = vec![0.0; 2 * width];
    sum_over_rows(level, rows, &mut sums, |rows, sums| {
        let numbers = rows.start * width..rows.end * width;
        // SAFETY: groups of rows are disjoint.
        let dx = unsafe { dx.slice(numbers.start, numbers.len()) };
        let (dgamma, dbeta) = sums.split_at_mut(width);
        let (mean, deviation) = (&mean[rows.clone()], &reciprocal_deviation[rows]);
        let (x, dy) = (&x[numbers.clone()], &dy[numbers.clone()]);
        let residual = residual.map(|residual| &residual[numbers]);
        backward(level, x, gamma, mean, deviation, dy, residual, dx, dgamma, dbeta);
    });
    dgamma.copy_from_slice(&sums[..width]);
    dbeta.copy_from_slice(&sums[width..]);
}

simd_fn! {
    /// With x̂ the normalised row and g = dy · γ: dx = (g − mean(g) − x̂ · mean(g · x̂)) / deviation.
    fn backward(
        simd: S,
        x: &[f32],
        gamma: &[f32],
        means: &[f32],
        reciprocal_deviations: &[f32],
        dy: &[f32],
        residual: Option<&[f32]>,
        dx: &mut [f32],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) {
        let width = gamma.len();
        let rows = x.chunks(width).zip(dy.chunks(width)).zip(dx.chunks_mut(width)).enumerate();
        for (row, ((x, dy), dx)) in rows {
            let (mean, scale) = (simd.splat(means[row]), simd.splat(reciprocal_deviations[row]));
            let (mut sum, mut projected) = (simd.splat(0.0), simd.splat(0.0));
            for first in (0..width).step_by(S::LANES) {
                let normalised = simd.mul(simd.sub(load_some(simd, &x[first..]), mean), scale);
                let output = load_some(simd, &dy[first..]);
                // The slices end with the row, so lanes beyond it load as zero and add nothing.
                let gradient = simd.mul(output, load_some(simd, &gamma[first..]));
                sum = simd.add(sum, gradient);
                projected = simd.mul_add(gradient, normalised, projected);
                let gamma_sum = simd.mul_add(output, normalised, load_some(simd, &dgamma[first..]));
                store_some(simd, &mut dgamma[first..], gamma_sum);
                let beta_sum = simd.add(output, load_some(simd, &dbeta[first..]));
                store_some(simd, &mut dbeta[first..], beta_sum);
            }
            let sum = simd.splat(simd.sum(sum) / width as f32);
            let projected = simd.splat(simd.sum(projected) / width as f32);
            for first in (0..width).step_by(S::LANES) {
                let normalised = simd.mul(simd.sub(load_some(simd, &x[first..]), mean), scale);
                let gradient = simd.mul(load_some(simd, &dy[first..]), load_some(simd, &gamma[first..]));
                let centred = simd.sub(simd.sub(gradient, sum), simd.mul(normalised, projected));
                let mut gradient = simd.mul(centred, scale);
                if let Some(residual) = residual {
                    let residual = &residual[row * width..(row + 1) * width];
                    gradient = simd.add(gradient, load_some(simd, &residual[first..]));
                }
                store_some(simd, &mut dx[first..], gradient);
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

    /// (y, dx, dγ, dβ) in double precision.
    fn reference(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f64, dy: &[f32]) -> [Vec<f64>; 4] {
        let width = gamma.len();
        let n = width as f64;
        let mut results = [vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; width], vec![0.0; width]];
        for first in (0..x.len()).step_by(width.max(1)) {
            let row: Vec<f64> = x[first..first + width].iter().map(|x| f64::from(*x)).collect();
            let mean = row.iter().sum::<f64>() / n;
            let deviation = (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + epsilon).sqrt();
            let hat: Vec<f64> = row.iter().map(|x| (x - mean) / deviation).collect();
            let g: Vec<f64> = (0..width).map(|i| f64::from(dy[first + i]) * f64::from(gamma[i])).collect();
            let g_mean = g.iter().sum::<f64>() / n;
            let g_projected = g.iter().zip(&hat).map(|(g, hat)| g * hat).sum::<f64>() / n;
            for i in 0..width {
                results[0][first + i] = hat[i] * f64::from(gamma[i]) + f64::from(beta[i]);
                results[1][first + i] = (g[i] - g_mean - hat[i] * g_projected) / deviation;
                results[2][i] += f64::from(dy[first + i]) * hat[i];
                results[3][i] += f64::from(dy[first + i]);
            }
        }
        results
    }

    fn run(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, dy: &[f32]) -> [Vec<f32>; 4] {
        let (width, rows) = (gamma.len(), x.len() / gamma.len());
        let (mut y, mut mean, mut deviation) = (vec![0.0; x.len()], vec![0.0; rows], vec![0.0; rows]);
        layer_norm_forward(x, [gamma, beta], epsilon, &mut y, [&mut mean, &mut deviation]);
        let (mut dx, mut dgamma, mut dbeta) = (vec![0.0; x.len()], vec![0.0; width], vec![0.0; width]);
        layer_norm_backward(x, gamma, [&mean, &deviation], dy, None, &mut dx, [&mut dgamma, &mut dbeta]);
        let mut onto = vec![0.0; x.len()];
        layer_norm_backward(x, gamma, [&mean, &deviation], dy, Some(x), &mut onto, [&mut dgamma, &mut dbeta]);
        let sums: Vec<f32> = dx.iter().zip(x).map(|(dx, x)| dx + x).collect();
        assert_same_bits("gradient onto a residual", &onto, &sums);
        [y, dx, dgamma, dbeta]
    }

    #[test]
    fn values_and_gradients_agree_with_double_precision() {
        let mut random = Random(20);
        for _ in 0..150 {
            let (rows, width) = (random.between(0, 9), random.between(1, 100));
            let offset = if random.coin() { 100.0 } else { 0.0 };
            let x: Vec<f32> = random.numbers(rows * width).iter().map(|x| x + offset).collect();
            let (gamma, beta) = (random.numbers(width), random.numbers(width));
            let dy = random.numbers(rows * width);
            let epsilon = 1e-3;
            let expected = reference(&x, &gamma, &beta, f64::from(epsilon), &dy);
            at_every_level(|level| {
                let found = run(&x, &gamma, &beta, epsilon, &dy);
                for (found, expected) in found.iter().zip(&expected) {
                    let tolerance = if offset > 0.0 { 3e-4 } else { 1e-5 };
                    assert_close(&format!("{rows}×{width} at {level:?}"), found, expected, tolerance);
                }
            });
        }
    }

    #[test]
    fn neither_threads_nor_other_rows_matter() {
        let (rows, width) = (300, 70);
        let mut random = Random(21);
        let (x, dy) = (random.numbers(rows * width), random.numbers(rows * width));
        let (gamma, beta) = (random.numbers(width), random.numbers(width));
        assert_thread_count_is_irrelevant("layer norm", || run(&x, &gamma, &beta, 1e-6, &dy).concat());
        at_every_level(|_| {
            let whole = run(&x, &gamma, &beta, 1e-6, &dy);
            let part = 130 * width..131 * width;
            let alone = run(&x[part.clone()], &gamma, &beta, 1e-6, &dy[part.clone()]);
            assert_same_bits("forward", &alone[0], &whole[0][part.clone()]);
            assert_same_bits("gradient", &alone[1], &whole[1][part]);
        });
    }
}
