//! Affinities of images: a Gaussian over the nearest images of each, as wide as its perplexity says, made symmetric.

use rayon::prelude::*;

use crate::features::matrix::{Features, squared_distance};

/// Halvings of the interval in which a Gaussian's width is sought.
const MOST_HALVINGS: usize = 200;

/// `p_ij = (p_j|i + p_i|j) / 2n`, zero where neither image is among the nearest of the other.
pub(super) struct Affinities {
    starts: Vec<usize>,
    images: Vec<u32>,
    values: Vec<f64>,
}

impl Affinities {
    /// From the `3 · perplexity + 1` nearest others of every image (all, if there are fewer).
    pub fn of(features: &Features, perplexity: f64) -> Self {
        let n = features.len();
        let k = ((3.0 * perplexity) as usize + 1).min(n - 1);
        let conditional: Vec<Vec<(usize, f64)>> = (0..n)
            .into_par_iter()
            .map(|image| {
                let nearest = nearest(features, image, k);
                let squares: Vec<f64> = nearest.iter().map(|(square, _)| f64::from(*square)).collect();
                let shares = gaussian(&squares, perplexity);
                nearest.iter().map(|(_, other)| *other).zip(shares).collect()
            })
            .collect();
        let mut rows: Vec<Vec<(u32, f64)>> = vec![Vec::new(); n];
        for (image, others) in conditional.iter().enumerate() {
            for &(other, share) in others {
                rows[image].push((other as u32, share));
                rows[other].push((image as u32, share));
            }
        }
        let (mut starts, mut images, mut values) = (vec![0], Vec::new(), Vec::new());
        for mut row in rows {
            row.sort_by_key(|(other, _)| *other);
            for alike in row.chunk_by(|a, b| a.0 == b.0) {
                images.push(alike[0].0);
                values.push(alike.iter().map(|(_, share)| share).sum::<f64>() / (2 * n) as f64);
            }
            starts.push(images.len());
        }
        Self { starts, images, values }
    }

    /// Those of an image with an affinity to it, ascending.
    pub fn row(&self, image: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.starts[image]..self.starts[image + 1];
        let others = self.images[range.clone()].iter().map(|&other| other as usize);
        others.zip(self.values[range].iter().copied())
    }
}

/// Squared distances of the `k` nearest others, and which they are; of equally near ones, the first.
fn nearest(features: &Features, image: usize, k: usize) -> Vec<(f32, usize)> {
    let own = features.row(image);
    let all = features.rows().map(|row| squared_distance(own, row)).zip(0..);
    let mut others: Vec<(f32, usize)> = all.filter(|(_, other)| *other != image).collect();
    let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if k < others.len() {
        others.select_nth_unstable_by(k - 1, order);
        others.truncate(k);
    }
    others.sort_unstable_by(order);
    others
}

/// `exp(−β d²)`, normalised, with the β at which its perplexity, the exponential of its entropy, is that asked for.
fn gaussian(squares: &[f64], perplexity: f64) -> Vec<f64> {
    let wanted = perplexity.ln();
    let nearest = squares[0];
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0);
    let mut weights = vec![0.0; squares.len()];
    for _ in 0..MOST_HALVINGS {
        // The nearest is weighed with 1, so that some weight is left whatever β is.
        weights
            .iter_mut()
            .zip(squares)
            .for_each(|(weight, square)| *weight = (-beta * (square - nearest)).exp());
        let sum: f64 = weights.iter().sum();
        let mean: f64 =
            weights.iter().zip(squares).map(|(w, square)| w * (square - nearest)).sum::<f64>() / sum;
        let entropy = sum.ln() + beta * mean;
        if (entropy - wanted).abs() < 1e-10 {
            break;
        }
        if entropy > wanted {
            low = beta;
            beta = if high.is_finite() { (low + high) / 2.0 } else { beta * 2.0 };
        } else {
            high = beta;
            beta = (low + high) / 2.0;
        }
    }
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}
