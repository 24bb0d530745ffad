//! Against SciPy's Mann-Whitney statistic and enumeration (`tests/fixtures/make_enrichment.py`), and planted differences.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    values: Vec<f64>,
    errors: Vec<bool>,
    classes: Vec<usize>,
    superiority: f64,
    mean_of_errors: f64,
    mean_of_right: f64,
    p_value: Option<f64>,
}

fn resampling(resamples: usize) -> Resampling {
    Resampling { resamples, ..Resampling::new(3) }
}

#[test]
fn effects_and_p_values_are_those_of_scipy_and_of_enumeration() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/fixtures/enrichment.json")).unwrap();
    for case in cases {
        let resamples = if case.p_value.is_some() { 20_000 } else { 500 };
        let found = enrichment(&case.values, &case.errors, &case.classes, &resampling(resamples)).unwrap();
        assert!((found.superiority.value - case.superiority).abs() < 1e-12, "{found:?}");
        assert!((found.mean_of_errors - case.mean_of_errors).abs() < 1e-12, "{found:?}");
        assert!((found.mean_of_right - case.mean_of_right).abs() < 1e-12, "{found:?}");
        if let Some(exact) = case.p_value {
            // Four standard errors of a share of 20,000.
            let near = 4.0 * (exact * (1.0 - exact) / 20_000.0).sqrt() + 1e-4;
            assert!((found.p_value - exact).abs() < near, "{} against {exact}", found.p_value);
        }
    }
}

/// Images of ten classes; every fifth is wrong, and in class c every value is larger by c.
fn images(n: usize) -> (Vec<usize>, Vec<bool>) {
    ((0..n).map(|image| image % 10).collect(), (0..n).map(|image| image / 10 % 5 == 0).collect())
}

/// Between 0 and 1, unlike for every image and stream.
fn noise(image: usize, stream: u64) -> f64 {
    let mut state =
        (image as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
    state = (state ^ (state >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((state ^ (state >> 29)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A class that is hard and has large values is no reason to err.
#[test]
fn the_mix_of_classes_explains_nothing() {
    let classes: Vec<usize> = (0..400).map(|image| image % 2).collect();
    // Class 1 errs on half of its images and class 0 on a tenth, and the values of class 1 are larger.
    let errors: Vec<bool> =
        (0..400).map(|image| noise(image, 1) < if image % 2 == 1 { 0.5 } else { 0.1 }).collect();
    let values: Vec<f64> = (0..400).map(|image| noise(image, 2) + 3.0 * (image % 2) as f64).collect();
    let found = enrichment(&values, &errors, &classes, &resampling(2000)).unwrap();
    assert!(found.p_value > 0.1 && (found.superiority.value - 0.5).abs() < 0.08, "{found:?}");
    let ignoring = enrichment(&values, &errors, &[0; 400], &resampling(2000)).unwrap();
    assert!(ignoring.p_value < 0.001 && ignoring.superiority.value > 0.6, "{ignoring:?}");
}

#[test]
fn what_is_planted_is_found_on_its_side() {
    let (classes, errors) = images(500);
    let planted = |sign: f64| -> Vec<f64> {
        (0..500).map(|image| noise(image, 3) + sign * 0.25 * f64::from(errors[image])).collect()
    };
    for sign in [1.0, -1.0] {
        let found = enrichment(&planted(sign), &errors, &classes, &resampling(2000)).unwrap();
        assert!(found.p_value < 0.001 && sign * (found.superiority.value - 0.5) > 0.1, "{found:?}");
        let end = if sign > 0.0 { found.superiority.low } else { found.superiority.high };
        assert!(sign * (end - 0.5) > 0.0, "{found:?}");
    }
}

#[test]
fn differences_between_models_change_their_sign_with_the_models() {
    let (classes, errors) = images(500);
    let other: Vec<bool> = (0..500).map(|image| noise(image, 4) < 0.2).collect();
    let values: Vec<f64> = (0..500).map(|image| noise(image, 3) + 0.3 * f64::from(errors[image])).collect();
    // The second model measures the same on another scale.
    let scaled: Vec<f64> = values.iter().map(|value| (4.0 * value).exp()).collect();
    let [first, second] = [(&values[..], &errors[..]), (&scaled[..], &other[..])];
    let found = enrichment_difference(first, second, &classes, &resampling(2000)).unwrap();
    let each = [first, second].map(|(values, errors)| {
        enrichment(values, errors, &classes, &resampling(200)).unwrap().superiority.value
    });
    assert!((found.difference.value - (each[0] - each[1])).abs() < 1e-12);
    assert!(found.p_value < 0.001 && found.difference.low > 0.0, "{found:?}");
    let back = enrichment_difference(second, first, &classes, &resampling(2000)).unwrap();
    assert_eq!(back.difference.value, -found.difference.value);
    assert!(back.p_value < 0.001 && back.difference.high < 0.0);
    let none = enrichment_difference(first, first, &classes, &resampling(2000)).unwrap();
    assert_eq!((none.difference.value, none.p_value), (0.0, 1.0));
}

#[test]
fn too_little_has_a_reason() {
    let (classes, errors) = images(100);
    let values: Vec<f64> = (0..100).map(|image| noise(image, 5)).collect();
    let asked = |values: &[f64], errors: &[bool], classes: &[usize]| {
        enrichment(values, errors, classes, &resampling(200)).unwrap_err()
    };
    let constant = asked(&[0.5; 100], &errors, &classes);
    assert!(matches!(constant, StatisticsError::Undefined { .. }), "{constant}");
    let few: Vec<bool> = (0..100).map(|image| image < 4).collect();
    assert!(matches!(asked(&values, &few, &classes), StatisticsError::TooFew { found: 4, .. }));
    // Every class wholly right or wholly wrong: there is nothing to compare.
    let apart: Vec<bool> = classes.iter().map(|class| class % 2 == 0).collect();
    assert!(matches!(asked(&values, &apart, &classes), StatisticsError::TooFew { found: 0, .. }));
    assert!(matches!(asked(&values[1..], &errors, &classes), StatisticsError::LengthMismatch { .. }));
    assert!(matches!(asked(&[f64::NAN; 100], &errors, &classes), StatisticsError::NotFinite { .. }));
}
