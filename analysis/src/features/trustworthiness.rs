//! Can a picture of points be trusted? Trustworthiness and continuity (Venna & Kaski, 2001).
//!
//! `T(k) = 1 − 2 / (n k (2n − 3k − 1)) · Σᵢ Σⱼ (r(i, j) − k)`, the inner sum over those among the k nearest of i in the picture that
//! are not in the features, where r is the rank of j by distance from i in the features. Continuity has the two spaces exchanged: it is
//! low where neighbours were torn apart.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::matrix::{Features, squared_distance};
use crate::statistics::{Result, StatisticsError, check_lengths};

/// Neighbours that are asked about.
pub const TRUST_NEIGHBOURS: usize = 12;

/// How far the neighbours in a picture are those in the features, and the other way round; 1 is perfect, and a picture of random
/// points has about ½.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureTrust {
    /// Whether neighbours in the picture are neighbours.
    pub trustworthiness: f64,
    /// Whether neighbours are so in the picture.
    pub continuity: f64,
    /// Neighbours that were asked about.
    pub k: usize,
}

/// Trustworthiness and continuity of `points` as a picture of `features`, by Euclidean distance, with `k` neighbours.
///
/// # Errors
/// Different lengths, `k` that is 0 or not below n / 2.
pub fn picture_trust(features: &Features, points: &[[f64; 2]], k: usize) -> Result<PictureTrust> {
    let n = features.len();
    check_lengths("trustworthiness", n, points.len())?;
    if k == 0 || 2 * k >= n {
        let allowed = "1 to less than half of the number of images";
        return Err(StatisticsError::OutOfRange {
            what: "the number of neighbours",
            value: k as f64,
            allowed,
        });
    }
    let features_of = |image: usize| -> Vec<f64> {
        let own = features.row(image);
        features.rows().map(|row| f64::from(squared_distance(own, row))).collect()
    };
    let points_of = |image: usize| -> Vec<f64> {
        let [x, y] = points[image];
        points.iter().map(|point| (point[0] - x).powi(2) + (point[1] - y).powi(2)).collect()
    };
    let losses: Vec<[f64; 2]> = (0..n)
        .into_par_iter()
        .map(|image| {
            let (in_features, in_picture) = (features_of(image), points_of(image));
            let (near, shown) = (nearest(&in_features, image, k), nearest(&in_picture, image, k));
            [intruders(&in_features, image, &shown, k), intruders(&in_picture, image, &near, k)]
        })
        .collect();
    let scale = 2.0 / (n * k * (2 * n - 3 * k - 1)) as f64;
    let [trustworthiness, continuity] =
        [0, 1].map(|which| 1.0 - scale * losses.iter().map(|loss| loss[which]).sum::<f64>());
    Ok(PictureTrust { trustworthiness, continuity, k })
}

/// The `k` others that are nearest; of equally near ones, the first.
fn nearest(distances: &[f64], own: usize, k: usize) -> Vec<usize> {
    let mut others: Vec<usize> = (0..distances.len()).filter(|&other| other != own).collect();
    let order = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b));
    if k < others.len() {
        others.select_nth_unstable_by(k - 1, order);
        others.truncate(k);
    }
    others
}

/// Σ (rank − k) over those of `neighbours` whose rank is above k.
fn intruders(distances: &[f64], own: usize, neighbours: &[usize], k: usize) -> f64 {
    let excess = |&neighbour: &usize| {
        let before = |&(other, &distance): &(usize, &f64)| {
            other != own
                && (distance < distances[neighbour]
                    || (distance == distances[neighbour] && other < neighbour))
        };
        let rank = 1 + distances.iter().enumerate().filter(before).count();
        rank.saturating_sub(k) as f64
    };
    neighbours.iter().map(excess).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{fixture, matrix, normal, number, points};

    #[test]
    fn trust_is_scikit_learns() {
        let all = fixture("trustworthiness");
        let (x, y) = (matrix(&all["x"]), points(&all["points"]));
        for (k, expected) in [(5, &all["k5"]), (12, &all["k12"])] {
            let found = picture_trust(&x, &y, k).unwrap();
            assert!((found.trustworthiness - number(&expected["trustworthiness"])).abs() < 1e-9, "{found:?}");
            assert!((found.continuity - number(&expected["continuity"])).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn a_faithful_picture_is_perfect_and_a_random_one_is_not() {
        let x = normal(100, 2, 1);
        let same: Vec<[f64; 2]> = x.rows().map(|row| [row[0].into(), row[1].into()]).collect();
        let found = picture_trust(&x, &same, 12).unwrap();
        assert_eq!((found.trustworthiness, found.continuity), (1.0, 1.0));
        let random: Vec<[f64; 2]> =
            normal(100, 2, 2).rows().map(|row| [row[0].into(), row[1].into()]).collect();
        let found = picture_trust(&x, &random, 12).unwrap();
        assert!(
            (found.trustworthiness - 0.5).abs() < 0.1 && (found.continuity - 0.5).abs() < 0.1,
            "{found:?}"
        );
        assert!(picture_trust(&x, &same, 50).is_err() && picture_trust(&x, &same, 0).is_err());
    }
}
