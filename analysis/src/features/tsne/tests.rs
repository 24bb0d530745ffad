//! Against scikit-learn (`tests/fixtures/make_features.py`), direct sums and finite differences.

use super::*;
use crate::features::testing::{clusters, fixture, matrix, normal, number, numbers, points};
use crate::features::{TRUST_NEIGHBOURS, picture_trust};

fn picture(features: &Features) -> Tsne {
    tsne(features, PERPLEXITY, &mut || true).unwrap().unwrap()
}

#[test]
fn affinities_gradient_and_divergence_are_scikit_learns() {
    let all = fixture("tsne");
    let (x, y) = (matrix(&all["x"]), points(&all["points"]));
    let affinities = Affinities::of(&x, number(&all["perplexity"]));
    let n = x.len();
    let mut dense = vec![0.0; n * n];
    (0..n).for_each(|row| affinities.row(row).for_each(|(column, value)| dense[row * n + column] = value));
    let expected = numbers(&all["affinities"]);
    // scikit-learn looks for the width in single precision, to within 1e-5 of the entropy.
    for (own, theirs) in dense.iter().zip(&expected) {
        assert!((own - theirs).abs() < 1e-6 + 1e-4 * theirs, "{own} and {theirs}");
    }
    let close = |own: f64, theirs: f64| {
        assert!((own - theirs).abs() < 2e-5 * theirs.abs().max(0.05), "{own} and {theirs}")
    };
    close(divergence(&y, &affinities, 0.0), number(&all["divergence"]));
    let gradient = gradient(&y, &affinities, 1.0, 0.0);
    for (own, theirs) in gradient.iter().flatten().zip(numbers(&all["gradient"])) {
        close(4.0 * own, theirs);
    }
}

#[test]
fn the_gradient_is_that_of_the_divergence() {
    let x = normal(40, 5, 1);
    let affinities = Affinities::of(&x, 8.0);
    let points: Vec<[f64; 2]> = normal(40, 2, 2).rows().map(|row| [row[0].into(), row[1].into()]).collect();
    let found = gradient(&points, &affinities, 1.0, 0.0);
    for image in [0, 7, 39] {
        for axis in 0..2 {
            let at = |step: f64| {
                let mut moved = points.clone();
                moved[image][axis] += step;
                divergence(&moved, &affinities, 0.0)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((4.0 * found[image][axis] - slope).abs() < 1e-7, "{slope} and {:?}", found[image]);
        }
    }
}

#[test]
fn affinities_have_their_perplexity_and_sum_to_one() {
    let x = normal(300, 6, 3);
    let affinities = Affinities::of(&x, 30.0);
    let total: f64 = (0..300).flat_map(|image| affinities.row(image)).map(|(_, value)| value).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    for (image, other) in [(0, 5), (17, 250)] {
        let find =
            |a: usize, b: usize| affinities.row(a).find(|(other, _)| *other == b).map(|(_, value)| value);
        assert_eq!(find(image, other), find(other, image));
    }
}

#[test]
fn the_tree_is_exact_without_an_approximation_and_near_it_with_one() {
    let mut points: Vec<[f64; 2]> =
        normal(400, 2, 4).rows().map(|row| [10.0 * f64::from(row[0]), 4.0 * f64::from(row[1])]).collect();
    // Two images in one place.
    points[3] = points[200];
    let direct = |image: usize| {
        let (mut force, mut sum) = ([0.0; 2], 0.0);
        for (other, point) in points.iter().enumerate().filter(|(other, _)| *other != image) {
            let difference = [points[image][0] - point[0], points[image][1] - point[1]];
            let weight = 1.0 / (1.0 + difference[0].powi(2) + difference[1].powi(2));
            assert_ne!(other, image);
            sum += weight;
            (0..2).for_each(|axis| force[axis] += weight * weight * difference[axis]);
        }
        (force, sum)
    };
    let expected: Vec<([f64; 2], f64)> = (0..400).map(direct).collect();
    let total: f64 = expected.iter().map(|(_, sum)| sum).sum();
    let exact = repulsion(&points, 0.0);
    assert!((exact.normalisation / total - 1.0).abs() < 1e-12);
    let near = repulsion(&points, THETA);
    assert!((near.normalisation / total - 1.0).abs() < 0.015, "{}", near.normalisation / total);
    let size = |force: [f64; 2]| force[0].hypot(force[1]);
    let typical = expected.iter().map(|(force, _)| size(*force)).sum::<f64>() / 400.0;
    let off = |own: [f64; 2], force: [f64; 2]| size([own[0] - force[0], own[1] - force[1]]) / typical;
    for ((own, approximate), (force, _)) in exact.forces.iter().zip(&near.forces).zip(&expected) {
        assert!(off(*own, *force) < 1e-12);
        assert!(off(*approximate, *force) < 0.1, "{approximate:?} and {force:?}");
    }
}

#[test]
fn pictures_are_as_trustworthy_as_scikit_learns() {
    let all = fixture("digits");
    let x = matrix(&all["x"]);
    let found = picture(&x);
    let trust = picture_trust(&x, &found.points, TRUST_NEIGHBOURS).unwrap();
    assert!(trust.trustworthiness > number(&all["trustworthiness"]) - 0.01, "{trust:?}");
    assert!(found.divergence < number(&all["divergence"]) + 0.05, "{}", found.divergence);
}

#[test]
fn threads_do_not_matter_and_the_approximation_hardly_does() {
    let (x, labels) = clusters(4, 160, 8, 6.0, 5);
    assert!(x.len() > MOST_EXACT);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| picture(&x).points)
    };
    let points = with(1);
    assert_eq!(points, with(3));
    let trust = picture_trust(&x, &points, TRUST_NEIGHBOURS).unwrap();
    assert!(trust.trustworthiness > 0.9, "{trust:?}");
    // Clusters are apart: the nearest point of each is of its own.
    for (image, own) in points.iter().enumerate() {
        let distance = |other: &usize| (points[*other][0] - own[0]).hypot(points[*other][1] - own[1]);
        let others = (0..points.len()).filter(|other| *other != image);
        let nearest = others.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
        assert_eq!(labels[nearest], labels[image]);
    }
}

#[test]
fn few_images_equal_ones_and_an_end_on_request() {
    let few = picture(&normal(5, 3, 1));
    assert!(few.points.iter().flatten().all(|value| value.is_finite()));
    assert!((few.perplexity - 4.0 / 3.0).abs() < 1e-12);
    let equal = picture(&Features::new(2, vec![0.5; 40]));
    assert!(equal.points.iter().flatten().all(|value| value.is_finite()), "{equal:?}");
    assert!(tsne(&normal(3, 2, 1), 30.0, &mut || true).is_err());
    assert!(tsne(&normal(20, 2, 1), 5.0, &mut || false).unwrap().is_none());
}
