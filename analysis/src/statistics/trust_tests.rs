//! The statistics of a report's summary, against definitions and brute force (`tests/fixtures/make_trust.py`) and at their edges.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::*;

const MANY: Resampling = Resampling { resamples: 10_000, level: 0.95, seed: 5 };

fn fixture(section: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../../tests/fixtures/trust.json")).unwrap();
    all[section].clone()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[track_caller]
fn assert_near(actual: f64, expected: f64, allowed: f64) {
    assert!((actual - expected).abs() <= allowed, "{actual} is not within {allowed} of {expected}");
}

/// `count` images of each class, `right` of them right.
fn images(classes: &[(usize, usize)]) -> (Vec<usize>, Vec<bool>) {
    let class =
        |(label, &(count, right)): (usize, &(usize, usize))| (0..count).map(move |i| (label, i < right));
    classes.iter().enumerate().flat_map(class).unzip()
}

#[test]
fn the_area_under_the_roc_curve_counts_pairs_with_ties_as_halves() {
    for row in fixture("roc").as_array().unwrap() {
        let (positives, negatives): (Vec<f64>, Vec<f64>) = (read(&row["positives"]), read(&row["negatives"]));
        let scores = [positives.as_slice(), negatives.as_slice()].concat();
        let positive: Vec<bool> = (0..scores.len()).map(|i| i < positives.len()).collect();
        let auc = roc_auc(&scores, &positive, 0.95).unwrap();
        let [low, high]: [f64; 2] = read(&row["interval"]);
        assert_near(auc.value, row["auc"].as_f64().unwrap(), 1e-12);
        assert_near(auc.low, low, 1e-9);
        assert_near(auc.high, high, 1e-9);
        // The other class as the positive one, and any rising change of the scores.
        let (turned, other): (Vec<f64>, Vec<bool>) =
            scores.iter().zip(&positive).map(|(score, is)| (-score.exp(), !is)).unzip();
        assert_near(roc_auc(&turned, &other, 0.95).unwrap().value, auc.value, 1e-12);
    }
}

#[test]
fn a_perfect_ranking_keeps_the_width_of_its_interval() {
    for row in fixture("separated").as_array().unwrap() {
        let (m, n): (usize, usize) = (read(&row["m"]), read(&row["n"]));
        let scores: Vec<f64> = (0..m + n).map(|i| if i < m { 2.0 + i as f64 } else { -(i as f64) }).collect();
        let positive: Vec<bool> = (0..m + n).map(|i| i < m).collect();
        let auc = roc_auc(&scores, &positive, 0.95).unwrap();
        assert_eq!((auc.value, auc.high), (1.0, 1.0));
        assert_near(auc.low, row["low"].as_f64().unwrap(), 1e-9);
    }
    // One score for every image ranks nothing; one class leaves nothing to rank.
    let constant = roc_auc(&[0.3; 8], &[true, false, true, false, true, false, true, false], 0.95).unwrap();
    assert!(constant.value == 0.5 && constant.low < 0.3 && constant.high > 0.7, "{constant:?}");
    let one_class = Measured::of(roc_auc(&[0.1, 0.2], &[true, true], 0.95)).unwrap();
    assert_eq!(one_class.reason(), Some("every image is of one class"));
}

#[test]
fn differences_of_independent_proportions_are_newcombe_s() {
    for row in fixture("differences").as_array().unwrap() {
        let difference = proportion_difference(read(&row["first"]), read(&row["second"]), 0.95).unwrap();
        let [low, high]: [f64; 2] = read(&row["interval"]);
        assert_near(difference.value, row["difference"].as_f64().unwrap(), 1e-12);
        assert_near(difference.low, low, 1e-12);
        assert_near(difference.high, high, 1e-12);
    }
}

#[test]
fn the_interval_of_a_worst_class_holds_for_all_classes_at_once() {
    let alone = wilson_of_family(7, 20, 0.95, 1).unwrap();
    assert_eq!(alone, wilson(7, 20, 0.95).unwrap());
    let of_five = wilson_of_family(7, 20, 0.95, 5).unwrap();
    let stricter = wilson(7, 20, 0.99).unwrap();
    assert_near(of_five.low, stricter.low, 1e-12);
    assert_near(of_five.high, stricter.high, 1e-12);
    assert_eq!(of_five.level, 0.95);
    assert!(wilson_of_family(7, 20, 0.95, 0).is_err());
}

#[test]
fn balanced_accuracy_gives_every_class_the_same_weight() {
    let expected = fixture("balanced");
    let counts: Vec<(usize, usize)> = read(&expected["counts"]);
    let (labels, correct) = images(&counts);
    let balanced = balanced_accuracy(&labels, &correct, &MANY).unwrap();
    assert_near(balanced.value, expected["value"].as_f64().unwrap(), 1e-12);
    let [low, high]: [f64; 2] = read(&expected["interval"]);
    assert_near(balanced.low, low, 0.01);
    assert_near(balanced.high, high, 0.01);
    // Always one class of three: a third, however common that class is.
    let (labels, correct) = images(&[(900, 900), (50, 0), (50, 0)]);
    let constant = balanced_accuracy(&labels, &correct, &MANY).unwrap();
    assert_near(constant.value, 1.0 / 3.0, 1e-12);
    assert!(constant.low > 0.3 && constant.high < 0.37 && constant.high > constant.low, "{constant:?}");
}

#[test]
fn a_perfect_model_s_balanced_accuracy_is_not_certain() {
    let (labels, correct) = images(&[(10, 10), (40, 40)]);
    let balanced = balanced_accuracy(&labels, &correct, &MANY).unwrap();
    let below = [10, 40].map(|n| 1.0 - wilson(n, n, 0.95).unwrap().low);
    assert_eq!((balanced.value, balanced.high), (1.0, 1.0));
    assert_near(balanced.low, 1.0 - below[0].hypot(below[1]) / 2.0, 1e-12);
    let (labels, correct) = images(&[(10, 7)]);
    let one_class = Measured::of(balanced_accuracy(&labels, &correct, &MANY)).unwrap();
    assert_eq!(one_class.reason(), Some("every image is of one class"));
}

#[test]
fn shared_wrong_answers_are_held_against_independent_models_with_these_confusions() {
    for row in fixture("agreement").as_array().unwrap() {
        let [classes, first, second]: [Vec<usize>; 3] =
            ["classes", "first", "second"].map(|key| read(&row[key]));
        let found = answer_agreement(&classes, &first, &second, &MANY).unwrap();
        let (n, same): (usize, usize) = (read(&row["n"]), read(&row["same"]));
        assert_eq!((found.observed.n, found.alone), (n, 1));
        assert_near(found.observed.value, same as f64 / n as f64, 1e-12);
        assert_near(found.expected, row["expected"].as_f64().unwrap(), 1e-12);
        assert_near(found.excess.value, found.observed.value - found.expected, 1e-12);
        let p = row["p"].as_f64().unwrap();
        assert_near(found.p_value, p, 4.0 * (p * (1.0 - p) / 10_000.0).sqrt() + 2e-4);
        assert!(found.excess.low <= found.excess.value && found.excess.value <= found.excess.high);
    }
}

/// Two models that always take class 0 for 1 and class 1 for 2, nearly always: they agree on almost every error, and no more
/// than their habits say. Held against a choice among nine wrong classes they would look like twins.
#[test]
fn a_common_habit_is_no_shared_mistake() {
    let (mut called_alike, mut left_out) = (0, 0);
    for run in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(run);
        let mut habit = |usual: usize| match rng.next_u32() % 10 {
            other @ 0..2 => usual + 1 + other as usize,
            _ => usual,
        };
        let classes: Vec<usize> = (0..80).map(|i| i % 2).collect();
        let (first, second): (Vec<usize>, Vec<usize>) =
            classes.iter().map(|class| (habit(class + 1), habit(class + 1))).unzip();
        let few = Resampling { resamples: 400, ..MANY };
        let found = answer_agreement(&classes, &first, &second, &few).unwrap();
        assert!(found.observed.value > 0.4 && found.expected > 0.4, "{found:?}");
        called_alike += u32::from(found.p_value < 0.05);
        left_out += u32::from(found.excess.low > 0.0 || found.excess.high < 0.0);
    }
    println!("of 60: p below 0.05 {called_alike}, intervals without 0 {left_out}");
    assert!(called_alike <= 70, "p {called_alike}, interval {left_out} of 60");
}

#[test]
fn agreement_that_nothing_could_be_compared_with_is_undefined() {
    let reason = |classes: &[usize], first: &[usize], second: &[usize]| {
        let found = Measured::of(answer_agreement(classes, first, second, &MANY)).unwrap();
        found.reason().map(str::to_owned)
    };
    assert_eq!(reason(&[], &[], &[]).unwrap(), "there is no image that both have wrong");
    assert_eq!(reason(&[0, 1], &[1, 0], &[2, 0]).unwrap(), "no class has two images that both have wrong");
    let habit = "within each class one of the models always gives the same wrong answer";
    assert_eq!(reason(&[0, 0, 1, 1], &[1, 1, 0, 2], &[1, 2, 0, 0]).unwrap(), habit);
    assert_eq!(reason(&[0, 0], &[1, 2], &[1, 2]), None);
}

#[test]
fn the_noise_floor_pools_ties_as_the_error_does() {
    for row in fixture("noise_floor").as_array().unwrap() {
        let (levels, counts): (Vec<f64>, Vec<usize>) = (read(&row["levels"]), read(&row["counts"]));
        let confidences: Vec<f64> =
            levels.iter().zip(counts).flat_map(|(&level, count)| vec![level; count]).collect();
        let correct = vec![true; confidences.len()];
        let found = expected_calibration_error(&confidences, &correct, read(&row["bins"]), &MANY).unwrap();
        let expected = row["mean"].as_f64().unwrap();
        // 2,000 simulations, whose standard deviation is below the mean.
        assert_near(found.noise_floor, expected, 4.0 * expected / 2_000f64.sqrt());
    }
}

/// A model that says 0.8 of every image and is right in 74 of 100 is not told from a calibrated one, and one that is right in 60
/// is: a floor that took tied confidences apart would be four times as high.
#[test]
fn constant_confidences_are_judged_by_their_common_accuracy() {
    let with = |right: usize| {
        let correct: Vec<bool> = (0..100).map(|i| i < right).collect();
        expected_calibration_error(&[0.8; 100], &correct, 15, &MANY).unwrap()
    };
    assert_eq!(with(74).error.low, 0.0);
    let off = with(66).error;
    assert!(off.low > 0.0 && off.low < off.value, "{off:?}");
    let certain = expected_calibration_error(&[1.0; 50], &[true; 50], 15, &MANY).unwrap();
    assert_eq!((certain.error.value, certain.error.high, certain.noise_floor), (0.0, 0.0, 0.0));
}

#[test]
fn consistency_says_why_it_is_undefined() {
    let reason = |correct: [bool; 4]| {
        let kappa = Measured::of(error_consistency(&correct, &correct, &MANY)).unwrap();
        kappa.reason().map(str::to_owned)
    };
    assert_eq!(reason([true; 4]).unwrap(), "both models are right on every image");
    assert_eq!(reason([false; 4]).unwrap(), "both models are wrong on every image");
    assert_eq!(reason([true, false, true, false]), None);
    let one_wrong = [true, false].map(|_| vec![true, false]);
    let kappa = Measured::of(error_consistency(&one_wrong[0], &[true, true], &MANY)).unwrap();
    assert!(kappa.known().is_some_and(|kappa| kappa.value == 0.0) || kappa.reason().is_some());
}

#[test]
fn one_observation_has_a_value_and_no_interval() {
    let difference = accuracy_difference(&[true], &[false], &MANY).unwrap();
    let error = expected_calibration_error(&[0.7], &[true], 15, &MANY).unwrap().error;
    for (estimate, value) in [(mean_t(&[0.25], 0.95).unwrap(), 0.25), (difference, 1.0), (error, 0.3)] {
        assert_near(estimate.value, value, 1e-12);
        assert!(estimate.low.is_nan() && estimate.high.is_nan(), "{estimate:?}");
        let read: Estimate = serde_json::from_str(&serde_json::to_string(&estimate).unwrap()).unwrap();
        assert!(read.low.is_nan() && read.value == estimate.value);
    }
}

/// The interval is the normal one of the values −1, 0 and 1 after half an image of each pattern is added, written out; and it covers what
/// it says, by summing over all outcomes of few images.
#[test]
fn differences_of_matched_proportions_cover_the_truth() {
    let of = |first: usize, second: usize, n: usize| matched_difference(first, second, n, 0.95).unwrap();
    for (first, second, n) in [(12, 5, 40), (0, 0, 30), (7, 0, 110), (3, 20, 25)] {
        let found = of(first, second, n);
        // Two of each half image, so that they can be counted: of the four patterns two have no difference.
        let both = 2 * (n - first - second) + 2;
        let values: Vec<f64> = std::iter::repeat_n(1.0, 2 * first + 1)
            .chain(std::iter::repeat_n(-1.0, 2 * second + 1))
            .chain(std::iter::repeat_n(0.0, both))
            .collect();
        let total = values.len() as f64;
        let mean = values.iter().sum::<f64>() / total;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / total;
        let half = 1.959_963_984_540_054 * (variance / (total / 2.0)).sqrt();
        assert!((found.value - (first as f64 - second as f64) / n as f64).abs() < 1e-12);
        assert!(
            (found.low - (mean - half)).abs() < 1e-9 && (found.high - (mean + half)).abs() < 1e-9,
            "{found:?}"
        );
    }
    // P(b, c) of a trinomial with 30 images.
    let n = 30usize;
    let log_factorial = |k: usize| (1..=k).map(|i| (i as f64).ln()).sum::<f64>();
    for [first, second] in [[0.1, 0.1], [0.3, 0.1], [0.02, 0.01], [0.5, 0.2]] {
        let none: f64 = 1.0 - first - second;
        let mut covered = 0.0;
        for b in 0..=n {
            for c in 0..=n - b {
                let rest = n - b - c;
                let log = log_factorial(n) - log_factorial(b) - log_factorial(c) - log_factorial(rest)
                    + b as f64 * f64::ln(first)
                    + c as f64 * f64::ln(second)
                    + rest as f64 * none.ln();
                let found = of(b, c, n);
                if found.low <= first - second && first - second <= found.high {
                    covered += log.exp();
                }
            }
        }
        assert!(covered > 0.94, "{first} {second}: {covered}");
    }
    assert!(matched_difference(3, 3, 5, 0.95).is_err());
}
