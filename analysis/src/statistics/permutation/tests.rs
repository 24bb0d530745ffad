//! Against SciPy (`tests/fixtures/make_permutation.py`), closed forms, and the promise that test and interval agree.

use archaeo_random::{keyed_rng, standard_normal};
use rand::RngExt;
use serde_json::Value;

use super::super::benjamini_hochberg;
use super::*;

const RESAMPLING: Resampling = Resampling { resamples: 100, level: 0.95, seed: 5 };

fn test(differences: &[f64]) -> SignFlipTest {
    sign_flip_test(differences, &vec![0.0; differences.len()], &RESAMPLING).unwrap()
}

fn fixture(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../tests/fixtures/permutation.json")).unwrap();
    all[section].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn few_pairs_are_exact_as_scipy_has_them() {
    for row in fixture("exact") {
        let found = test(&numbers(&row["differences"]));
        assert!((found.p_value - row["p"].as_f64().unwrap()).abs() < 1e-12, "{found:?}, not {row}");
        let expected = numbers(&row["interval"]);
        assert!((found.difference.low - expected[0]).abs() < 1e-9, "{found:?}, not {row}");
        assert!((found.difference.high - expected[1]).abs() < 1e-9, "{found:?}, not {row}");
        assert_eq!(found.difference.level, 0.95);
    }
}

#[test]
fn many_pairs_come_within_chance_of_scipy() {
    for row in fixture("random") {
        let (found, expected) = (test(&numbers(&row["differences"])), row["p"].as_f64().unwrap());
        let chance = 4.0 * (expected * (1.0 - expected) / 10_000.0).sqrt() + 1e-4;
        assert!((found.p_value - expected).abs() < chance, "{found:?}, not {expected}");
        assert!(
            found.difference.method.contains("10000 random flips, seed 5"),
            "{}",
            found.difference.method
        );
    }
}

#[test]
fn many_small_losses_and_few_large_gains_are_no_difference() {
    // The mean is +0.00005, and nineteen of twenty values are negative: a test of ranks finds a difference, and in the other
    // direction than the mean.
    let differences: Vec<f64> = (0..100).map(|i| if i < 95 { -0.001 } else { 0.02 }).collect();
    assert!(mean(&differences) > 0.0);
    let found = test(&differences);
    assert!(found.p_value > 0.5, "{found:?}");
    assert!(found.difference.low < 0.0 && 0.0 < found.difference.high, "{found:?}");
}

#[test]
fn closed_forms() {
    // Six alike: only the pattern found and its opposite are as extreme, and nothing but the value itself is left.
    let six = test(&[0.25; 6]);
    assert_eq!((six.p_value, six.difference.low, six.difference.high), (2.0 / 64.0, 0.25, 0.25));
    // Two pairs: four patterns, of which two are as extreme as the data. The test has the level of 50 %, and no other.
    let two = test(&[1.0, 3.0]);
    assert_eq!(
        (two.p_value, two.difference.low, two.difference.high, two.difference.level),
        (0.5, 1.0, 3.0, 0.5)
    );
    // Ones and minus ones: McNemar's binomial.
    let mixed = test(&[1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.0, 0.0]);
    assert_eq!(mixed.p_value, 2.0 * (1.0 + 6.0) / 64.0);
    let none = test(&[0.0; 40]);
    assert_eq!((none.p_value, none.difference.low, none.difference.high), (1.0, 0.0, 0.0));
    // Sums that cancel only up to rounding are ties all the same: all 64 · 2 patterns are as extreme as a mean of nothing.
    let rounding = test(&[0.1, 0.2, -0.3, 0.7, -0.6, -0.1, 0.0]);
    assert_eq!(rounding.p_value, 1.0);
}

#[test]
fn verdicts_never_contradict_intervals() {
    let mut rejected = 0;
    for trial in 0..300 {
        let mut rng = keyed_rng(1, "paired losses", trial, 0);
        let n = rng.random_range(2..60);
        let (shift, skew) = (rng.random_range(-0.6..0.6), rng.random_range(1.0..4.0));
        let mut draw = || {
            let normal = standard_normal(&mut rng);
            shift + if normal > 0.0 { skew * normal } else { normal }
        };
        // Every third is coarse, so that ties and zeros occur.
        let values: Vec<f64> = (0..n).map(|_| if trial % 3 == 0 { draw().round() } else { draw() }).collect();
        let SignFlipTest { difference, p_value } = test(&values);
        assert!(difference.low <= difference.value && difference.value <= difference.high);
        assert!((0.0..=1.0).contains(&p_value) && p_value > 0.0);
        if difference.level == 0.95 {
            let leaves_out = difference.low > 0.0 || difference.high < 0.0;
            assert_eq!(p_value <= 0.05, leaves_out, "{difference:?} and p = {p_value}");
        } else {
            assert!(n < 6 && p_value > 0.05, "{n} pairs: {difference:?}, p = {p_value}");
        }
        // Correction for many tests only ever raises p-values: what survives it has its interval beyond 0, on its side.
        let adjusted = benjamini_hochberg(&[p_value, 0.4, 0.03]).unwrap()[0];
        if adjusted < 0.05 {
            let side = if difference.value > 0.0 { difference.low > 0.0 } else { difference.high < 0.0 };
            assert!(side, "{difference:?}");
            rejected += 1;
        }
    }
    assert!(rejected > 50, "only {rejected} of 300 were rejected: the test above saw too little");
}

#[test]
fn its_interval_covers_the_mean() {
    let covered = (0..200).filter(|&trial| {
        let mut rng = keyed_rng(2, "coverage", trial, 0);
        let values: Vec<f64> = (0..14).map(|_| 0.7 + standard_normal(&mut rng)).collect();
        let found = test(&values).difference;
        found.low <= 0.7 && 0.7 <= found.high
    });
    let covered = covered.count();
    // 190 expected, with a deviation of 3.1.
    assert!((178..=199).contains(&covered), "{covered} of 200");
}

#[test]
fn flips_are_keyed_by_the_seed() {
    let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17) - 7.0).collect();
    let run = |seed| sign_flip_test(&values, &[0.0; 40], &Resampling { seed, ..RESAMPLING }).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).p_value, run(2).p_value);
}

#[test]
fn bad_input_is_refused_with_a_sentence() {
    let refused =
        |first: &[f64], second: &[f64]| sign_flip_test(first, second, &RESAMPLING).unwrap_err().to_string();
    assert_eq!(refused(&[1.0], &[2.0]), "a paired mean needs at least 2 observation(s), but there are 1");
    assert!(refused(&[1.0, 2.0], &[2.0]).contains("one length"));
    assert!(refused(&[1.0, f64::NAN], &[2.0, 0.0]).contains("NaN at position 1"));
}
