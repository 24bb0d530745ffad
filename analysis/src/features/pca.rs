//! Principal components of features (Pearson, 1901; Hotelling, 1933).

use archaeo_random::{keyed_rng, standard_normal};
use rayon::prelude::*;

use super::matrix::{Features, for_each_product};
use crate::statistics::{Result, check_count};

/// Further directions that are iterated along, so that those that are wanted converge soon.
const MORE: usize = 8;

/// Residual of an eigenvector, relative to the largest eigenvalue, at which it is found.
const TOLERANCE: f64 = 1e-8;

/// Iterations after which it is, too.
const MOST_ITERATIONS: usize = 1000;

/// The directions in which features vary most.
#[derive(Clone, Debug)]
pub struct Pca {
    /// Coordinates of the images, `(n, components)` row by row, centred.
    pub scores: Vec<f64>,
    /// Number of components.
    pub components: usize,
    /// Share of the variance along each component.
    pub explained: Vec<f64>,
    /// The components, each of unit length, `(components, width)`. The entry of the largest size is positive.
    pub axes: Vec<Vec<f64>>,
}

/// The first `components` principal components (as many as there are dimensions, if there are fewer), from the eigenvectors of the
/// covariance matrix by subspace iteration.
///
/// # Errors
/// Fewer than two images, no components, or a value that is not finite.
pub fn pca(features: &Features, components: usize) -> Result<Pca> {
    check_count("a principal component analysis", 2, features.len())?;
    check_count("the components of a principal component analysis", 1, components)?;
    features.check_finite()?;
    let centred = features.centred();
    let (width, n) = (features.width(), features.len() as f64);
    let components = components.min(width);
    let columns = centred.transposed();
    let mut covariance = Vec::with_capacity(width * width);
    for_each_product(&columns, &columns, |_, row| {
        covariance.extend(row.iter().map(|&value| f64::from(value) / (n - 1.0)));
    });
    let total: f64 = (0..width).map(|feature| covariance[feature * width + feature]).sum();
    let (values, mut axes) = largest_eigenvectors(&covariance, width, components);
    for axis in &mut axes {
        let largest =
            axis.iter().fold(0.0, |best: f64, &entry| if entry.abs() > best.abs() { entry } else { best });
        if largest < 0.0 {
            axis.iter_mut().for_each(|entry| *entry = -*entry);
        }
    }
    let project = |row: &[f32]| {
        let along =
            |axis: &Vec<f64>| row.iter().zip(axis).map(|(&value, entry)| f64::from(value) * entry).sum();
        axes.iter().map(along).collect::<Vec<f64>>()
    };
    let scores = centred.rows().flat_map(project).collect();
    let share = |value: &f64| if total > 0.0 { value.max(0.0) / total } else { 0.0 };
    Ok(Pca { scores, components, explained: values.iter().map(share).collect(), axes })
}

/// Eigenvalues, the largest first, and their eigenvectors of a symmetric matrix without negative eigenvalues.
fn largest_eigenvectors(matrix: &[f64], width: usize, wanted: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = (wanted + MORE).min(width);
    let mut rng = keyed_rng(0, "start of a subspace iteration", 0, 0);
    let mut basis: Vec<Vec<f64>> =
        (0..size).map(|_| (0..width).map(|_| standard_normal(&mut rng)).collect()).collect();
    orthonormalise(&mut basis);
    let mut values = vec![0.0; size];
    for _ in 0..MOST_ITERATIONS {
        let images: Vec<Vec<f64>> = basis
            .iter()
            .map(|vector| matrix.par_chunks_exact(width).map(|row| dot(row, vector)).collect())
            .collect();
        let within: Vec<f64> =
            basis.iter().flat_map(|vector| images.iter().map(|image| dot(vector, image))).collect();
        let (found, rotation) = jacobi(within, size);
        let rotated = |vectors: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let combined = |column: usize| {
                let mut sum = vec![0.0; width];
                for (vector, row) in vectors.iter().zip(rotation.chunks_exact(size)) {
                    sum.iter_mut().zip(vector).for_each(|(sum, entry)| *sum += row[column] * entry);
                }
                sum
            };
            (0..size).map(combined).collect()
        };
        let (vectors, images) = (rotated(&basis), rotated(&images));
        let scale = found[0].abs().max(f64::MIN_POSITIVE);
        let residual = |place: usize| {
            let squares =
                images[place].iter().zip(&vectors[place]).map(|(a, v)| (a - found[place] * v).powi(2));
            squares.sum::<f64>().sqrt() / scale
        };
        let converged = (0..wanted).all(|place| residual(place) < TOLERANCE);
        values = found;
        if converged {
            basis = vectors;
            break;
        }
        basis = images;
        orthonormalise(&mut basis);
    }
    values.truncate(wanted);
    basis.truncate(wanted);
    (values, basis)
}

/// Gram-Schmidt, twice, in the order of the vectors; one that depends on those before it becomes another direction.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    let width = vectors.first().map_or(0, Vec::len);
    for place in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(place);
        let own = &mut rest[0];
        let mut replacement = 0;
        loop {
            let length = dot(own, own).sqrt();
            for _ in 0..2 {
                for other in before.iter() {
                    let along = dot(own, other);
                    own.iter_mut().zip(other).for_each(|(own, other)| *own -= along * other);
                }
            }
            let left = dot(own, own).sqrt();
            if left > 1e-10 * length && left > 0.0 {
                own.iter_mut().for_each(|entry| *entry /= left);
                break;
            }
            own.fill(0.0);
            own[replacement % width] = 1.0;
            replacement += 1;
        }
    }
}

/// Eigenvalues of a symmetric matrix, the largest first, and the eigenvectors as columns (Jacobi, 1846).
fn jacobi(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|place| vectors[place * size + place] = 1.0);
    let scale = dot(&matrix, &matrix).sqrt();
    for _ in 0..60 {
        let mut off = 0.0;
        for p in 0..size {
            for q in p + 1..size {
                let apq = matrix[p * size + q];
                off += apq * apq;
                if apq.abs() <= 1e-300 {
                    continue;
                }
                let theta = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * apq);
                let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cos = 1.0 / tan.hypot(1.0);
                let sin = tan * cos;
                for k in 0..size {
                    let (a, b) = (matrix[k * size + p], matrix[k * size + q]);
                    (matrix[k * size + p], matrix[k * size + q]) = (cos * a - sin * b, sin * a + cos * b);
                }
                for k in 0..size {
                    let (a, b) = (matrix[p * size + k], matrix[q * size + k]);
                    (matrix[p * size + k], matrix[q * size + k]) = (cos * a - sin * b, sin * a + cos * b);
                }
                for k in 0..size {
                    let (a, b) = (vectors[k * size + p], vectors[k * size + q]);
                    (vectors[k * size + p], vectors[k * size + q]) = (cos * a - sin * b, sin * a + cos * b);
                }
            }
        }
        if off.sqrt() <= 1e-15 * scale {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| matrix[b * size + b].total_cmp(&matrix[a * size + a]));
    let values = order.iter().map(|&place| matrix[place * size + place]).collect();
    let sorted = (0..size).flat_map(|row| order.iter().map(move |&place| (row, place)));
    let columns = sorted.map(|(row, place)| vectors[row * size + place]).collect();
    (values, columns)
}

/// In four sums, so that the compiler may compute several at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let whole = a.len() / 4 * 4;
    for (a, b) in a[..whole].chunks_exact(4).zip(b[..whole].chunks_exact(4)) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a[whole..].iter().zip(&b[whole..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{fixture, matrix, normal, numbers};

    #[test]
    fn components_are_scikit_learns() {
        let all = fixture("pca");
        let found = pca(&matrix(&all["x"]), 3).unwrap();
        let close = |found: &[f64], expected: &[f64], tolerance: f64| {
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < tolerance, "{a} and {b}");
            }
        };
        close(&found.explained, &numbers(&all["explained"]), 1e-6);
        close(&found.axes.concat(), &numbers(&all["axes"]), 1e-5);
        close(&found.scores, &numbers(&all["scores"]), 2e-5);
    }

    #[test]
    fn degenerate_features_have_components_too() {
        let constant = pca(&Features::new(3, vec![1.0; 12]), 2).unwrap();
        assert_eq!(constant.explained, [0.0; 2]);
        assert!(constant.scores.iter().all(|score| *score == 0.0));
        let line = Features::new(2, (0..10).flat_map(|i| [i as f32, 2.0 * i as f32]).collect());
        let found = pca(&line, 2).unwrap();
        assert!((found.explained[0] - 1.0).abs() < 1e-6, "{:?}", found.explained);
        // As many as there are dimensions.
        assert_eq!(pca(&normal(20, 2, 1), 5).unwrap().components, 2);
        assert!(pca(&Features::new(3, vec![1.0; 3]), 2).is_err());
    }
}
