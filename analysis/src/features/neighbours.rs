//! Nearest images by cosine similarity, and the k-NN classifier of DINO (Caron et al., 2021, section 4.1; Oquab et al., 2024).

use rayon::prelude::*;

use super::matrix::{Features, for_each_product};
use crate::statistics::{Result, check_count};

/// Temperature of the votes (Wu et al., 2018).
pub const TEMPERATURE: f64 = 0.07;

/// Numbers of neighbours that are asked.
pub const NEIGHBOURS: [usize; 3] = [1, 5, 20];

/// The most similar gallery images of every query, the most similar first. Of equally similar ones, the first in the gallery
/// comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    k: usize,
    images: Vec<usize>,
    similarities: Vec<f32>,
}

impl Neighbours {
    /// The `k` nearest of `gallery` (all, if there are fewer) to every row of `queries`, by the cosine of the angle between their
    /// features.
    ///
    /// # Errors
    /// No query, an empty gallery, or a value that is not finite.
    ///
    /// # Panics
    /// Different widths.
    pub fn find(queries: &Features, gallery: &Features, k: usize) -> Result<Self> {
        Self::of(queries, gallery, k, false)
    }

    /// The `k` nearest of all other rows of `features` to each.
    ///
    /// # Errors
    /// Fewer than two images, or a value that is not finite.
    pub fn among(features: &Features, k: usize) -> Result<Self> {
        check_count("a search among images", 2, features.len())?;
        Self::of(features, features, k, true)
    }

    fn of(queries: &Features, gallery: &Features, k: usize, others_only: bool) -> Result<Self> {
        assert_eq!(queries.width(), gallery.width(), "features of one model are compared");
        check_count("a search for neighbours", 1, queries.len().min(gallery.len()))?;
        queries.check_finite()?;
        gallery.check_finite()?;
        let k = k.min(gallery.len() - usize::from(others_only)).max(1);
        let (queries, gallery) = (queries.of_unit_length(), gallery.of_unit_length());
        let mut rows: Vec<(usize, Vec<f32>)> = Vec::new();
        let mut found = Self { k, images: Vec::new(), similarities: Vec::new() };
        let mut finish = |rows: &mut Vec<(usize, Vec<f32>)>| {
            let nearest: Vec<Vec<(f32, usize)>> = rows
                .par_iter()
                .map(|(query, similarities)| nearest(similarities, k, others_only.then_some(*query)))
                .collect();
            found.images.extend(nearest.iter().flatten().map(|(_, image)| *image));
            found.similarities.extend(nearest.iter().flatten().map(|(similarity, _)| *similarity));
            rows.clear();
        };
        for_each_product(&queries, &gallery, |query, similarities| {
            rows.push((query, similarities.to_vec()));
            if rows.len() == 256 {
                finish(&mut rows);
            }
        });
        finish(&mut rows);
        Ok(found)
    }

    /// Neighbours of each query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.images.len() / self.k
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Gallery images nearest to a query, the nearest first.
    pub fn images(&self, query: usize) -> &[usize] {
        &self.images[query * self.k..][..self.k]
    }

    /// Their cosine similarities.
    pub fn similarities(&self, query: usize) -> &[f32] {
        &self.similarities[query * self.k..][..self.k]
    }

    /// The class of each query by the votes of its `k` nearest: neighbour `i` votes for its class with weight softmax(sᵢ / 0.07) over
    /// all neighbours that were found, and the class with the largest sum wins; of equal sums, the lowest class.
    ///
    /// # Panics
    /// More neighbours than were found, or labels that do not belong to the gallery.
    pub fn votes(&self, labels: &[usize], classes: usize, k: usize) -> Vec<usize> {
        assert!((1..=self.k).contains(&k), "{k} of {} neighbours vote", self.k);
        let vote = |query: usize| {
            let (images, similarities) = (self.images(query), self.similarities(query));
            let largest = f64::from(similarities[0]);
            let mut sums = vec![0.0; classes];
            for (&image, &similarity) in images.iter().zip(similarities).take(k) {
                // The softmax's denominator is the same for all classes.
                sums[labels[image]] += ((f64::from(similarity) - largest) / TEMPERATURE).exp();
            }
            (1..classes).fold(0, |best, class| if sums[class] > sums[best] { class } else { best })
        };
        (0..self.len()).map(vote).collect()
    }

    /// Of each query, the share of its `k` nearest that have its label: precision at k.
    ///
    /// # Panics
    /// More neighbours than were found, or labels that do not belong to the queries and the gallery.
    pub fn precision(&self, queries: &[usize], gallery: &[usize], k: usize) -> Vec<f64> {
        assert!((1..=self.k).contains(&k) && queries.len() == self.len(), "labels of the queries are given");
        let of_query = |(query, label): (usize, &usize)| {
            let alike = self.images(query)[..k].iter().filter(|&&image| gallery[image] == *label).count();
            alike as f64 / k as f64
        };
        queries.iter().enumerate().map(of_query).collect()
    }
}

/// The `k` largest, in order; `left_out` is none of them.
fn nearest(similarities: &[f32], k: usize, left_out: Option<usize>) -> Vec<(f32, usize)> {
    let order = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let images = similarities.iter().copied().zip(0..).filter(|(_, image)| Some(*image) != left_out);
    let mut all: Vec<(f32, usize)> = images.collect();
    if k < all.len() {
        all.select_nth_unstable_by(k - 1, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}
