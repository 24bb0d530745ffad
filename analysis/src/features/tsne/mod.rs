//! t-SNE (van der Maaten & Hinton, 2008) with the Barnes-Hut approximation (van der Maaten, 2014).
//!
//! Points y minimise `KL(P ‖ Q) = Σ p_ij ln (p_ij / q_ij)`, where P holds the affinities of the features and
//! `q_ij = (1 + ‖y_i − y_j‖²)⁻¹ / Z`. The start is the plane of the first two principal components, scaled so that the first has a
//! deviation of 10⁻⁴ (Kobak & Berens, 2019): nothing is drawn at random, and equal features give equal pictures on every number of
//! threads. The learning rate is n / 12, at least 200 (Belkina et al., 2019).

mod affinities;
mod repulsion;

use rayon::prelude::*;

use self::affinities::Affinities;
use self::repulsion::{Repulsion, repulsion};
use super::matrix::Features;
use super::pca::pca;
use crate::statistics::{Result, check_count};

/// Effective number of neighbours of an image.
pub const PERPLEXITY: f64 = 30.0;

/// Fewest images of a picture.
const FEWEST: usize = 4;

/// Accuracy of the approximation: a cell of the tree stands for its points where its side is below this share of its distance.
const THETA: f64 = 0.5;

/// Up to this number of images nothing is approximated.
const MOST_EXACT: usize = 500;

/// Iterations in which affinities are exaggerated, and by what.
const EARLY: (usize, f64) = (250, 12.0);

/// All iterations.
const ITERATIONS: usize = 750;

/// A picture of images as points.
#[derive(Clone, Debug)]
pub struct Tsne {
    /// One point per image.
    pub points: Vec<[f64; 2]>,
    /// `KL(P ‖ Q)` at the end, nats.
    pub divergence: f64,
    /// The perplexity: lower than asked for where there are too few images.
    pub perplexity: f64,
}

/// A picture of `features` by Euclidean distance. With fewer than three times `perplexity` other images, the perplexity is a third of
/// their number. `go_on` is asked before every iteration; where it says no, the result is `None`.
///
/// # Errors
/// Fewer than four images, or a value that is not finite.
///
/// # Panics
/// A perplexity below 1.
pub fn tsne(features: &Features, perplexity: f64, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Tsne>> {
    check_count("t-SNE", FEWEST, features.len())?;
    assert!(perplexity >= 1.0, "a perplexity is a number of neighbours");
    features.check_finite()?;
    let n = features.len();
    let perplexity = perplexity.min((n - 1) as f64 / 3.0);
    let affinities = Affinities::of(features, perplexity);
    let theta = if n <= MOST_EXACT { 0.0 } else { THETA };
    let mut points = start(features)?;
    let mut update = vec![[0.0; 2]; n];
    let mut gains = vec![[1.0; 2]; n];
    let rate = (n as f64 / EARLY.1).max(200.0);
    for iteration in 0..ITERATIONS {
        if !go_on() {
            return Ok(None);
        }
        let early = iteration < EARLY.0;
        let (exaggeration, momentum) = if early { (EARLY.1, 0.5) } else { (1.0, 0.8) };
        let gradient = gradient(&points, &affinities, exaggeration, theta);
        for (((point, update), gain), slope) in
            points.iter_mut().zip(&mut update).zip(&mut gains).zip(gradient)
        {
            for axis in 0..2 {
                // Jacobs (1988): a direction that is kept gains speed.
                let turned = slope[axis] * update[axis] > 0.0;
                gain[axis] = if turned { gain[axis] * 0.8 } else { gain[axis] + 0.2 };
                gain[axis] = f64::max(gain[axis], 0.01);
                update[axis] = momentum * update[axis] - rate * gain[axis] * slope[axis];
                point[axis] += update[axis];
            }
        }
        centre(&mut points);
    }
    let divergence = divergence(&points, &affinities, theta);
    Ok(Some(Tsne { points, divergence, perplexity }))
}

fn start(features: &Features) -> Result<Vec<[f64; 2]>> {
    let found = pca(features, 2)?;
    let point = |row: &[f64]| [row[0], row.get(1).copied().unwrap_or(0.0)];
    let points: Vec<[f64; 2]> = found.scores.chunks_exact(found.components).map(point).collect();
    let squares: f64 = points.iter().map(|point| point[0] * point[0]).sum();
    let deviation = (squares / points.len() as f64).sqrt();
    let scale = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    Ok(points.iter().map(|point| point.map(|value| value * scale)).collect())
}

fn centre(points: &mut [[f64; 2]]) {
    let n = points.len() as f64;
    for axis in 0..2 {
        let mean = points.iter().map(|point| point[axis]).sum::<f64>() / n;
        points.iter_mut().for_each(|point| point[axis] -= mean);
    }
}

/// A quarter of the gradient of the divergence: `Σⱼ (e · p_ij − q_ij) (1 + ‖y_i − y_j‖²)⁻¹ (y_i − y_j)` with the exaggeration e.
fn gradient(points: &[[f64; 2]], affinities: &Affinities, exaggeration: f64, theta: f64) -> Vec<[f64; 2]> {
    let Repulsion { forces, normalisation } = repulsion(points, theta);
    let of_point = |(image, force): (usize, &[f64; 2])| {
        let own = points[image];
        let mut attraction = [0.0; 2];
        for (other, affinity) in affinities.row(image) {
            let difference = [own[0] - points[other][0], own[1] - points[other][1]];
            let weight = affinity / (1.0 + difference[0] * difference[0] + difference[1] * difference[1]);
            attraction[0] += weight * difference[0];
            attraction[1] += weight * difference[1];
        }
        [0, 1].map(|axis| exaggeration * attraction[axis] - force[axis] / normalisation)
    };
    forces.par_iter().enumerate().map(of_point).collect()
}

fn divergence(points: &[[f64; 2]], affinities: &Affinities, theta: f64) -> f64 {
    let normalisation = repulsion(points, theta).normalisation;
    let of_image = |image: usize| -> f64 {
        let own = points[image];
        let terms = affinities.row(image).filter(|(_, affinity)| *affinity > 0.0).map(|(other, affinity)| {
            let square = (own[0] - points[other][0]).powi(2) + (own[1] - points[other][1]).powi(2);
            affinity * (affinity * normalisation * (1.0 + square)).ln()
        });
        terms.sum()
    };
    (0..points.len()).map(of_image).sum()
}

#[cfg(test)]
mod tests;
