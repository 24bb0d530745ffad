//! Against scikit-learn (`tests/fixtures/make_features.py`), the optimum's own conditions, and labels that mean nothing.

use super::*;
use crate::features::testing::{clusters, fixture, indices, matrix, normal, number, numbers};
use crate::statistics::{DEFAULT_LEVEL, wilson};

#[test]
fn a_probe_is_scikit_learns_logistic_regression() {
    let all = fixture("probe");
    let (x, labels, test) = (matrix(&all["x"]), indices(&all["labels"]), matrix(&all["test"]));
    for case in all["cases"].as_array().unwrap() {
        let penalty = number(&case["penalty"]);
        let problem = Problem::new(&x, &labels, 4).unwrap();
        let parameters = problem.solve(vec![0.0; problem.parameters()], penalty, 1e-7);
        let (loss, gradient) = problem.loss(&parameters, penalty);
        assert!((loss - number(&case["loss"])).abs() < 1e-6, "{loss}");
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-5), "{gradient:?}");
        let weights = numbers(&case["weights"]);
        let size = weights.iter().fold(0.0, |size: f64, weight| size.max(weight.abs()));
        for (own, theirs) in parameters.iter().zip(&weights) {
            assert!((own - theirs).abs() < 1e-3 * size, "{own} and {theirs}, penalty {penalty}");
        }
        let probe = LinearProbe::fit(&x, &labels, 4, penalty).unwrap();
        assert_eq!(probe.predict(&test), indices(&case["predicted"]));
    }
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    let (x, labels) = clusters(3, 10, 5, 1.0, 1);
    let problem = Problem::new(&x, &labels, 3).unwrap();
    let at: Vec<f64> = normal(1, problem.parameters(), 2).values().iter().map(|&v| f64::from(v)).collect();
    let (_, gradient) = problem.loss(&at, 0.3);
    for (place, slope) in gradient.iter().enumerate() {
        let moved = |step: f64| {
            let mut moved = at.clone();
            moved[place] += step;
            problem.loss(&moved, 0.3).0
        };
        // Products are in single precision, so that steps are large.
        let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((slope - numeric).abs() < 2e-4, "{place}: {slope} and {numeric}");
    }
}

#[test]
fn the_penalty_is_chosen_where_it_generalises() {
    // Few images of many features: without a strong penalty the noise is learnt.
    let (training, labels) = clusters(2, 12, 60, 2.0, 1);
    let (validation, truth) = clusters(2, 60, 60, 2.0, 2);
    let chosen = choose_probe((&training, &labels), (&validation, &truth), 2).unwrap();
    let best = chosen.validation.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    let own = chosen.validation.iter().find(|(penalty, _)| *penalty == chosen.penalty).unwrap();
    assert_eq!(own.1, best);
    assert!(
        chosen
            .validation
            .iter()
            .take_while(|(penalty, _)| *penalty != chosen.penalty)
            .all(|(_, share)| *share < best)
    );
    assert!(best > 0.6 && chosen.penalty < PENALTIES[0], "{:?}", chosen.validation);
}

#[test]
fn unrelated_labels_score_chance() {
    let (features, test) = (normal(200, 10, 1), normal(200, 10, 2));
    let labels: Vec<usize> = (0..200).map(|image| image % 4).collect();
    let chosen = choose_probe((&features, &labels), (&normal(80, 10, 3), &labels[..80]), 4).unwrap();
    let right = chosen.probe.predict(&test).iter().zip(&labels).filter(|(a, b)| a == b).count();
    let chance = wilson(right, 200, DEFAULT_LEVEL).unwrap();
    assert!(chance.low < 0.25 && chance.high > 0.25, "{chance:?}");
}

#[test]
fn constant_features_and_missing_classes_are_taken_as_they_are() {
    let (features, labels) = clusters(2, 20, 3, 6.0, 1);
    let constant = Features::new(1, vec![0.1; 40]);
    let probe = LinearProbe::fit(&features.joined(&constant), &labels, 5, 1e-3).unwrap();
    let same = LinearProbe::fit(&features, &labels, 5, 1e-3).unwrap();
    assert_eq!(probe.predict(&features.joined(&constant)), labels);
    assert_eq!(same.predict(&features), labels);
    assert!(LinearProbe::fit(&features, &[1; 40], 5, 1e-3).is_err());
    assert!(LinearProbe::fit(&features, &labels[..39], 5, 1e-3).is_err());
    let broken = Features::new(3, [vec![f32::NAN], features.values()[1..].to_vec()].concat());
    assert!(LinearProbe::fit(&broken, &labels, 5, 1e-3).is_err());
}
