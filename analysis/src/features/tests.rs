//! Neighbours against a transcription of DINOv2's rule (`tests/fixtures/make_features.py`), separated clusters and permuted labels.

use super::testing::{clusters, fixture, indices, matrix, normal};
use super::*;
use crate::statistics::wilson;

fn right(answers: &[usize], labels: &[usize]) -> usize {
    answers.iter().zip(labels).filter(|(answer, label)| answer == label).count()
}

#[test]
fn votes_are_those_of_dinov2() {
    let all = fixture("neighbours");
    let (queries, gallery, labels) =
        (matrix(&all["queries"]), matrix(&all["gallery"]), indices(&all["labels"]));
    let found = Neighbours::find(&queries, &gallery, 20).unwrap();
    assert_eq!(
        (0..queries.len()).flat_map(|query| found.images(query).to_vec()).collect::<Vec<_>>(),
        indices(&all["nearest"])
    );
    for k in NEIGHBOURS {
        assert_eq!(found.votes(&labels, 5, k), indices(&all["votes"][k.to_string()]), "k = {k}");
    }
    // The vote of the nearest alone is its class.
    let nearest: Vec<usize> = (0..queries.len()).map(|query| labels[found.images(query)[0]]).collect();
    assert_eq!(found.votes(&labels, 5, 1), nearest);
}

#[test]
fn separated_clusters_are_told_apart_and_permuted_labels_are_not() {
    let (features, labels) = clusters(4, 50, 8, 12.0, 1);
    let found = Neighbours::among(&features, 20).unwrap();
    assert!((0..200).all(|query| !found.images(query).contains(&query)), "no image is its own neighbour");
    for k in NEIGHBOURS {
        assert_eq!(found.votes(&labels, 4, k), labels);
        assert_eq!(found.precision(&labels, &labels, k), [1.0; 200]);
    }
    // Unrelated labels: every class is as likely, whatever the neighbours are.
    let unrelated: Vec<usize> = (0..400).map(|image| image % 4).collect();
    let found = Neighbours::find(&normal(400, 8, 2), &normal(400, 8, 3), 20).unwrap();
    for k in NEIGHBOURS {
        let chance = wilson(right(&found.votes(&unrelated, 4, k), &unrelated), 400, 0.999).unwrap();
        assert!(chance.low < 0.25 && chance.high > 0.25, "{chance:?}");
    }
    let precision = found.precision(&unrelated, &unrelated, 20).iter().sum::<f64>() / 400.0;
    assert!((precision - 0.25).abs() < 0.03, "{precision}");
}

#[test]
fn ties_go_to_the_first() {
    // Three equal images, of which the second and third are of another class.
    let gallery = Features::new(2, [1.0, 0.0].repeat(3));
    let query = Features::new(2, vec![2.0, 0.0]);
    let found = Neighbours::find(&query, &gallery, 3).unwrap();
    assert_eq!(found.images(0), [0, 1, 2]);
    assert_eq!(found.votes(&[1, 0, 0], 2, 1), [1]);
    // One vote each: the lower class.
    assert_eq!(found.votes(&[1, 0, 0], 2, 2), [0]);
    // More neighbours than there are images.
    assert_eq!(Neighbours::find(&query, &gallery, 20).unwrap().k(), 3);
    assert_eq!(Neighbours::among(&gallery, 20).unwrap().k(), 2);
    assert!(Neighbours::among(&query, 1).is_err());
}

#[test]
fn the_length_of_features_does_not_matter() {
    let (features, scaled) = (normal(30, 4, 1), normal(30, 4, 1));
    let longer =
        scaled.rows().enumerate().flat_map(|(image, row)| row.iter().map(move |v| v * (image + 1) as f32));
    let longer = Features::new(4, longer.collect());
    let [a, b] = [&features, &longer].map(|gallery| Neighbours::find(&features, gallery, 5).unwrap());
    assert!((0..30).all(|query| a.images(query) == b.images(query)));
}
