//! Do two representations of the same images agree? Linear CKA (Kornblith et al., 2019) with the unbiased estimator of HSIC (Song et
//! al., 2012), as Nguyen et al. (2021) use it in minibatches.
//!
//! With K = X Xᵀ and L = Y Yᵀ without their diagonals, `HSIC₁(K, L) = ⟨K̃, L̃⟩ / (n (n − 3))`, where `K̃` is K with its rows, columns and
//! total centred without the diagonal (Székely & Rizzo, 2014, definition 2), and
//! `CKA = Σ HSIC₁(K, L) / √(Σ HSIC₁(K, K) · Σ HSIC₁(L, L))`, each sum over minibatches. It is 1 for representations that differ by a
//! rotation, a uniform scale and a shift, and 0 on average for those of unrelated images, where the usual estimator gives the more the
//! wider the features are.

use archaeo_random::keyed_rng;
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::matrix::{Features, for_each_product};
use crate::statistics::{
    DEFAULT_LEVEL, Estimate, Measured, Result, check_count, check_lengths, student_t_two_sided,
};

/// Fewest images of a minibatch.
const FEWEST: usize = 4;

/// Groups of images that the jackknife leaves out, one at a time.
const GROUPS: usize = 20;

/// Share of the mean square of the kernel below which nothing is left of it once it is centred: rounding.
const ROUNDING: f64 = 1e-12;

/// Similarities of every two images of a minibatch.
#[derive(Clone, Debug)]
pub struct Gram {
    n: usize,
    /// Inner products of centred features, the diagonal included.
    products: Vec<f32>,
    /// The same, centred without the diagonal, which is 0.
    centred: Vec<f32>,
}

impl Gram {
    /// Inner products of the features of a minibatch.
    ///
    /// # Errors
    /// Fewer than four images, or a value that is not finite.
    pub fn of(features: &Features) -> Result<Self> {
        check_count("CKA", FEWEST, features.len())?;
        features.check_finite()?;
        // A shift of the features does not change the centred kernel, and without it the products are as small as they can be.
        let features = features.centred();
        let n = features.len();
        let mut products = Vec::with_capacity(n * n);
        for_each_product(&features, &features, |_, row| products.extend_from_slice(row));
        let everything: Vec<usize> = (0..n).collect();
        let centred = centred(&products, n, &everything);
        Ok(Self { n, products, centred })
    }

    /// Images.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is no image; there always is.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// `HSIC₁` of two kernels of the same images.
    fn hsic(&self, other: &Self) -> f64 {
        inner(&self.centred, &other.centred) / self.pairs()
    }

    /// `HSIC₁` with the images of `other` in another order.
    fn hsic_permuted(&self, other: &Self, order: &[usize]) -> f64 {
        let rows = self.centred.chunks_exact(self.n).zip(order);
        let products = rows.map(|(row, &image)| {
            let permuted = &other.centred[image * self.n..][..self.n];
            row.iter().zip(order).map(|(&a, &column)| f64::from(a) * f64::from(permuted[column])).sum::<f64>()
        });
        products.sum::<f64>() / self.pairs()
    }

    fn pairs(&self) -> f64 {
        (self.n * (self.n - 3)) as f64
    }

    /// Whether the features differ between images.
    fn varies(&self) -> bool {
        self.hsic(self) * self.pairs() > ROUNDING * inner(&self.products, &self.products)
    }
}

/// Linear CKA of two representations of the same images, each given as the kernels of its minibatches in the same order. `None` where
/// one of them is the same for all images.
///
/// # Panics
/// Minibatches that do not correspond.
pub fn linear_cka(first: &[Gram], second: &[Gram]) -> Option<f64> {
    let sizes = |grams: &[Gram]| grams.iter().map(Gram::len).collect::<Vec<_>>();
    assert_eq!(sizes(first), sizes(second), "CKA compares representations of the same images");
    if !(first.iter().any(Gram::varies) && second.iter().any(Gram::varies)) {
        return None;
    }
    let sum = |a: &[Gram], b: &[Gram]| a.iter().zip(b).map(|(a, b)| a.hsic(b)).sum::<f64>();
    ratio(sum(first, second), sum(first, first), sum(second, second))
}

/// Linear CKA of one minibatch, with the interval of a jackknife over 20 groups of images (Student's t with 19 degrees of freedom;
/// Tukey, 1958), or over all images where there are fewer than 40.
///
/// # Errors
/// Different numbers of images.
pub fn cka_estimate(first: &Gram, second: &Gram) -> Result<Measured> {
    check_lengths("CKA", first.len(), second.len())?;
    let pair = [std::slice::from_ref(first), std::slice::from_ref(second)];
    let Some(value) = linear_cka(pair[0], pair[1]) else {
        return Ok(Measured::undefined("one of the representations is the same for all images"));
    };
    let n = first.len();
    let groups = if n < 2 * GROUPS { n } else { GROUPS };
    if n - n.div_ceil(groups) < FEWEST {
        return Ok(Measured::Known(Estimate { n, ..Estimate::of_one(value, DEFAULT_LEVEL) }));
    }
    let left_out: Option<Vec<f64>> = (0..groups)
        .into_par_iter()
        .map(|group| {
            let kept: Vec<usize> = (0..n).filter(|image| image % groups != group).collect();
            let [a, b] = [first, second].map(|gram| centred(&gram.products, n, &kept));
            ratio(inner(&a, &b), inner(&a, &a), inner(&b, &b))
        })
        .collect();
    let Some(left_out) = left_out else {
        return Ok(Measured::undefined("without some of the images, a representation is the same for all"));
    };
    let count = groups as f64;
    let mean = left_out.iter().sum::<f64>() / count;
    let squares: f64 = left_out.iter().map(|value| (value - mean).powi(2)).sum();
    let half_width =
        student_t_two_sided(DEFAULT_LEVEL, count - 1.0) * (squares * (count - 1.0) / count).sqrt();
    let method = format!("jackknife over {groups} groups of images, Student's t");
    let (low, high) = (value - half_width, (value + half_width).min(1.0));
    Ok(Measured::Known(Estimate { value, low, high, level: DEFAULT_LEVEL, n, method }))
}

/// CKA of two representations against what it is when the images of one are in a random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CkaNull {
    /// Mean over random orders.
    pub mean: f64,
    /// The largest of them.
    pub largest: f64,
    /// (b + 1) / (m + 1) for b of m random orders with a CKA at least as large (Phipson & Smyth, 2010).
    pub p_value: f64,
    /// Number of random orders.
    pub orders: usize,
}

/// Holds the CKA of two minibatches against random orders of the images of the second; `None` where it is undefined.
///
/// # Errors
/// Different numbers of images, no orders.
pub fn cka_null(first: &Gram, second: &Gram, orders: usize, seed: u64) -> Result<Option<CkaNull>> {
    check_lengths("CKA", first.len(), second.len())?;
    check_count("a permutation test", 1, orders)?;
    let Some(value) = linear_cka(std::slice::from_ref(first), std::slice::from_ref(second)) else {
        return Ok(None);
    };
    // An order changes neither of the two norms.
    let norms = (first.hsic(first) * second.hsic(second)).sqrt();
    let permuted: Vec<f64> = (0..orders as u64)
        .into_par_iter()
        .map(|draw| {
            let mut rng = keyed_rng(seed, "order of images for CKA", draw, 0);
            let mut order: Vec<(u64, usize)> = (0..first.n).map(|image| (rng.next_u64(), image)).collect();
            order.sort_unstable();
            let order: Vec<usize> = order.into_iter().map(|(_, image)| image).collect();
            first.hsic_permuted(second, &order) / norms
        })
        .collect();
    let as_large = permuted.iter().filter(|&&null| null >= value - 1e-12).count();
    Ok(Some(CkaNull {
        mean: permuted.iter().sum::<f64>() / orders as f64,
        largest: permuted.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        p_value: (as_large + 1) as f64 / (orders + 1) as f64,
        orders,
    }))
}

fn ratio(both: f64, first: f64, second: f64) -> Option<f64> {
    let value = both / (first * second).sqrt();
    value.is_finite().then_some(value)
}

fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// The kernel of the images `kept` among `n`, centred without its diagonal.
fn centred(products: &[f32], n: usize, kept: &[usize]) -> Vec<f32> {
    let m = kept.len();
    let mut kernel = vec![0f32; m * m];
    for (row, &a) in kept.iter().enumerate() {
        for (column, &b) in kept.iter().enumerate() {
            if row != column {
                kernel[row * m + column] = products[a * n + b];
            }
        }
    }
    let sums: Vec<f64> =
        kernel.chunks_exact(m).map(|row| row.iter().map(|&value| f64::from(value)).sum()).collect();
    let total = sums.iter().sum::<f64>() / ((m - 1) * (m - 2)) as f64;
    let shares: Vec<f64> = sums.iter().map(|sum| sum / (m - 2) as f64).collect();
    for (row, values) in kernel.chunks_exact_mut(m).enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            if row != column {
                *value = (f64::from(*value) - shares[row] - shares[column] + total) as f32;
            }
        }
    }
    kernel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::{fixture, matrix, normal, number};

    fn grams(features: &[&Features]) -> Vec<Gram> {
        features.iter().map(|features| Gram::of(features).unwrap()).collect()
    }

    fn cka(first: &Features, second: &Features) -> f64 {
        linear_cka(&grams(&[first]), &grams(&[second])).unwrap()
    }

    #[test]
    fn cka_is_that_of_the_formula() {
        let all = fixture("cka");
        let (x, y) = (matrix(&all["x"]), matrix(&all["y"]));
        assert!((cka(&x, &y) - number(&all["cka"])).abs() < 1e-6);
        let halves = |features: &Features| {
            let n = features.len();
            let [first, second] = [0..n / 2, n / 2..n].map(|rows| features.select(&rows.collect::<Vec<_>>()));
            grams(&[&first, &second])
        };
        let minibatches = linear_cka(&halves(&x), &halves(&y)).unwrap();
        assert!((minibatches - number(&all["cka_of_two_batches"])).abs() < 1e-6);
        assert!((minibatches - cka(&x, &y)).abs() > 1e-4, "the batches matter");
    }

    #[test]
    fn a_rotation_a_scale_and_a_shift_change_nothing() {
        let x = normal(60, 3, 1);
        let (sin, cos) = (0.6f32, 0.8f32);
        let turned = x.rows().flat_map(|row| {
            [row[0] * cos - row[1] * sin, row[0] * sin + row[1] * cos, row[2]].map(|value| 3.0 * value + 5.0)
        });
        let turned = Features::new(3, turned.collect());
        assert!((cka(&x, &turned) - 1.0).abs() < 1e-6);
        assert!((cka(&x, &x) - 1.0).abs() < 1e-6);
        assert!(cka(&x, &normal(60, 3, 2)) < 0.2);
    }

    /// The biased estimator gives about 0.5 here.
    #[test]
    fn unrelated_wide_features_have_none_on_average() {
        let pairs = (0..20).map(|seed| cka(&normal(50, 60, 2 * seed + 10), &normal(50, 60, 2 * seed + 11)));
        let mean = pairs.sum::<f64>() / 20.0;
        assert!(mean.abs() < 0.03, "{mean}");
    }

    #[test]
    fn intervals_hold_what_many_samples_give() {
        // y is x plus noise: the value of many images is known from a large sample.
        let sample = |n: usize, seed: u64| {
            let (x, noise) = (normal(n, 5, seed), normal(n, 5, seed + 1000));
            let y = x.values().iter().zip(noise.values()).map(|(x, noise)| x + noise).collect();
            (x, Features::new(5, y))
        };
        let (x, y) = sample(1500, 1);
        let truth = cka(&x, &y);
        let held = (0..60).filter(|&seed| {
            let (x, y) = sample(80, 2 * seed + 7);
            let found = cka_estimate(&Gram::of(&x).unwrap(), &Gram::of(&y).unwrap()).unwrap();
            let found = found.known().unwrap().clone();
            (found.low..=found.high).contains(&truth)
        });
        let held = held.count();
        assert!((51..=60).contains(&held), "{held} of 60 intervals hold {truth}");
    }

    #[test]
    fn related_features_stand_out_from_permuted_images() {
        let x = normal(50, 4, 3);
        let [x_gram, same, other] = [&x, &x, &normal(50, 4, 4)].map(|features| Gram::of(features).unwrap());
        let related = cka_null(&x_gram, &same, 99, 1).unwrap().unwrap();
        assert_eq!(related.p_value, 0.01);
        assert!(related.largest < 0.4 && related.mean.abs() < 0.05, "{related:?}");
        let unrelated = cka_null(&x_gram, &other, 99, 1).unwrap().unwrap();
        assert!(unrelated.p_value > 0.05, "{unrelated:?}");
    }

    #[test]
    fn constant_features_have_none() {
        let constant = Features::new(2, [0.3, 0.1].repeat(10));
        let [x, constant] = [&normal(10, 2, 1), &constant].map(|features| Gram::of(features).unwrap());
        assert_eq!(linear_cka(std::slice::from_ref(&x), std::slice::from_ref(&constant)), None);
        assert!(cka_estimate(&x, &constant).unwrap().reason().is_some());
        assert!(cka_null(&x, &constant, 9, 1).unwrap().is_none());
        assert!(Gram::of(&normal(3, 2, 1)).is_err());
    }
}
