//! Against SciPy, statsmodels and scikit-learn (`tests/fixtures/make_statistics.py`), closed forms and bad input.

use archaeo_random::keyed_rng;
use rand::RngExt;
use serde_json::Value;

use super::special::*;
use super::*;

fn fixture(section: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../../tests/fixtures/statistics.json")).unwrap();
    all[section].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn flags(value: &Value) -> Vec<bool> {
    numbers(value).into_iter().map(|v| v != 0.0).collect()
}

#[track_caller]
fn assert_close(actual: f64, expected: f64, relative: f64) {
    let allowed = relative * expected.abs().max(1e-300);
    assert!((actual - expected).abs() <= allowed, "{actual} is not within {relative} of {expected}");
}

/// A hundred pairs of which each model alone gets some right: 50 both, 20 only first, 10 only second, 20 none.
fn hundred_pairs() -> (Vec<bool>, Vec<bool>) {
    ((0..100).map(|i| i < 70).collect(), (0..100).map(|i| i < 50 || (70..80).contains(&i)).collect())
}

const FEW: Resampling = Resampling { resamples: 4_000, level: 0.95, seed: 3 };

#[test]
fn special_functions_match_scipy() {
    let special = fixture("special");
    for row in rows(&special["incomplete_beta"]) {
        let row = numbers(row);
        assert_close(regularised_incomplete_beta(row[0], row[1], row[2]), row[3], 1e-9);
    }
    for row in rows(&special["normal_cdf"]) {
        let row = numbers(row);
        assert_close(normal_cdf(row[0]), row[1], 1e-12);
    }
    for row in rows(&special["normal_quantile"]) {
        let row = numbers(row);
        assert!((normal_quantile(row[0]) - row[1]).abs() < 1e-11);
    }
    for row in rows(&special["student_t"]) {
        let row = numbers(row);
        assert_close(student_t_two_sided(row[0], row[1]), row[2], 1e-9);
    }
}

#[test]
fn proportion_intervals_match_statsmodels() {
    for row in rows(&fixture("proportions")) {
        let (successes, n, level) = (count(&row["successes"]), count(&row["n"]), number(&row["level"]));
        let estimate = wilson(successes, n, level).unwrap();
        let expected = numbers(&row["wilson"]);
        assert!((estimate.low - expected[0]).abs() < 1e-10, "{row}: {estimate:?}");
        assert!((estimate.high - expected[1]).abs() < 1e-10, "{row}: {estimate:?}");
        assert_eq!(estimate.n, n);
    }
}

#[test]
fn mcnemar_matches_statsmodels_exactly() {
    for row in rows(&fixture("mcnemar")) {
        let (b, c) = (count(&row["b"]), count(&row["c"]));
        let first: Vec<bool> = (0..b + c + 9).map(|i| i < b || i >= b + c + 2).collect();
        let second: Vec<bool> = (0..b + c + 9).map(|i| i >= b && (i < b + c || i >= b + c + 2)).collect();
        let test = mcnemar(&first, &second).unwrap();
        assert_eq!(
            (test.only_first_correct, test.only_second_correct, test.both_correct, test.both_wrong),
            (b, c, 7, 2)
        );
        assert_close(test.p_value, number(&row["p"]), 1e-9);
        assert_close(test.mid_p_value, number(&row["mid_p"]), 1e-9);
    }
}

#[test]
fn means_and_their_intervals_match_scipy() {
    let expected = fixture("bootstrap");
    let values = numbers(&expected["values"]);
    let t = mean_t(&values, 0.95).unwrap();
    assert_close(t.value, number(&expected["mean"]), 1e-13);
    for (end, expected) in [t.low, t.high].iter().zip(numbers(&expected["t"])) {
        assert_close(*end, expected, 1e-11);
    }
    // The squares of the deviations from 5 add up to 32.
    let deviation = standard_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    assert_close(deviation, (32.0f64 / 7.0).sqrt(), 1e-15);
    // Two different random generators: 10,000 and 200,000 resamples agree to their Monte Carlo error.
    let estimate = mean_bootstrap(&values, &Resampling::new(1)).unwrap();
    for (end, expected) in [estimate.low, estimate.high].iter().zip(numbers(&expected["percentile"])) {
        assert!((end - expected).abs() < 0.015, "{end} against {expected}");
    }
    assert!(estimate.method.contains("10000 resamples"), "{}", estimate.method);
}

#[test]
fn bootstrap_of_a_proportion_is_the_binomial_distribution() {
    // Resampling 30 ones and 20 zeros gives Binomial(50, 0.6) / 50, whose 2.5 % and 97.5 % quantiles are 23 and 37.
    let values: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i % 5 < 3))).collect();
    let estimate = mean_bootstrap(&values, &Resampling::new(11)).unwrap();
    assert_eq!((estimate.value, estimate.low, estimate.high), (0.6, 0.46, 0.74));
}

#[test]
fn paired_difference_resamples_images_not_models() {
    let (first, second) = hundred_pairs();
    let estimate = accuracy_difference(&first, &second, &Resampling::new(5)).unwrap();
    assert_close(estimate.value, 0.1, 1e-12);
    // Standard error of the mean of 20 ones, 10 minus ones and 70 zeros; unpaired it would be 0.067.
    let standard_error = ((0.30 - 0.01) / 100f64).sqrt();
    assert!((estimate.low - (0.1 - 1.96 * standard_error)).abs() < 0.012, "{estimate:?}");
    assert!((estimate.high - (0.1 + 1.96 * standard_error)).abs() < 0.012, "{estimate:?}");
    let same = accuracy_difference(&first, &first, &FEW).unwrap();
    assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0));
}

#[test]
fn resampling_is_a_function_of_its_seed() {
    let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
    let run = |seed| mean_bootstrap(&values, &Resampling { seed, ..FEW }).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!((run(1).low, run(1).high), (run(2).low, run(2).high));
    let on_another_thread = std::thread::scope(|scope| scope.spawn(|| run(1)).join().unwrap());
    assert_eq!(on_another_thread, run(1));
}

#[test]
fn error_consistency_is_cohens_kappa_of_correctness() {
    let expected = fixture("kappa");
    let (first, second) = (flags(&expected["first"]), flags(&expected["second"]));
    let estimate = error_consistency(&first, &second, &FEW).unwrap();
    assert_close(estimate.value, number(&expected["kappa"]), 1e-12);
    assert!(estimate.low < estimate.value && estimate.value < estimate.high && estimate.high <= 1.0);
    assert_eq!(error_consistency(&first, &first, &FEW).unwrap().low, 1.0);
    let opposite: Vec<bool> = (0..10).map(|i| i < 5).collect();
    let other: Vec<bool> = opposite.iter().map(|c| !c).collect();
    assert_close(error_consistency(&opposite, &other, &FEW).unwrap().value, -1.0, 1e-12);
    let always = vec![true; 9];
    assert!(matches!(error_consistency(&always, &always, &FEW), Err(StatisticsError::Undefined { .. })));
    // With one wrong image about a third of the resamples hold no error at all: left out, and said so.
    let almost: Vec<bool> = (0..9).map(|i| i > 0).collect();
    let estimate = error_consistency(&almost, &almost, &FEW).unwrap();
    assert!(estimate.method.contains("undefined and left out"), "{}", estimate.method);
}

#[test]
fn benjamini_hochberg_matches_statsmodels() {
    let expected = fixture("benjamini_hochberg");
    let adjusted = benjamini_hochberg(&numbers(&expected["p"])).unwrap();
    for (actual, expected) in adjusted.iter().zip(numbers(&expected["adjusted"])) {
        assert_close(*actual, expected, 1e-12);
    }
    assert!(benjamini_hochberg(&[]).unwrap().is_empty());
    assert!(benjamini_hochberg(&[0.5, f64::NAN]).is_err());
}

#[test]
fn spearman_matches_scipy() {
    for row in rows(&fixture("spearman")) {
        let (x, y) = (numbers(&row["x"]), numbers(&row["y"]));
        let result = spearman(&x, &y, &FEW).unwrap();
        assert_close(result.correlation.value, number(&row["rho"]), 1e-12);
        let (p, expected) = (result.p_value, number(&row["p"]));
        let monte_carlo = 4.0 * (expected * (1.0 - expected) / FEW.resamples as f64).sqrt();
        assert!((p - expected).abs() < monte_carlo + 0.01 * expected + 1e-3, "{p} against {expected}");
        assert!(
            result.correlation.low < result.correlation.value
                && result.correlation.value < result.correlation.high
        );
    }
    let rising = [1.0, 2.0, 3.0, 4.0, 5.0];
    let result = spearman(&rising, &[1.0, 8.0, 27.0, 64.0, 125.0], &FEW).unwrap();
    assert_close(result.correlation.value, 1.0, 1e-12);
    // Two of the 120 orders (forward and backward) are as extreme.
    assert!((result.p_value - 2.0 / 120.0).abs() < 0.008, "{}", result.p_value);
    assert!(matches!(spearman(&rising, &[2.0; 5], &FEW), Err(StatisticsError::Undefined { .. })));
    assert_eq!(average_ranks(&[3.0, 0.0, 3.0, -0.0, 9.0]), [3.5, 1.5, 3.5, 1.5, 5.0]);
}

#[test]
fn predictions_match_scikit_learn() {
    let expected = fixture("predictions");
    let logits: Vec<f32> = numbers(&expected["logits"]).into_iter().map(|v| v as f32).collect();
    let labels: Vec<usize> = rows(&expected["labels"]).iter().map(count).collect();
    let predictions = Predictions::new(&logits, count(&expected["classes"]), &labels).unwrap();
    assert_close(predictions.top_k_accuracy(1).unwrap().value, number(&expected["top1"]), 1e-12);
    assert_close(predictions.top_k_accuracy(3).unwrap().value, number(&expected["top3"]), 1e-12);
    assert_close(mean(&predictions.nll()), number(&expected["nll"]), 1e-9);
    let calibration =
        expected_calibration_error(&predictions.confidences(), &predictions.correct(1), 15, &FEW).unwrap();
    assert_close(calibration.error.value, number(&expected["ece"]), 1e-9);
    assert_eq!(calibration.bins.iter().map(|bin| bin.count).sum::<usize>(), labels.len());
    let confusion: Vec<usize> = rows(&expected["confusion"]).iter().map(count).collect();
    assert_eq!(predictions.confusion_matrix().counts, confusion);
}

#[test]
fn ties_and_extreme_logits() {
    // Equal logits count in class order: only class 0 is "predicted" by a constant output.
    let constant = [1.0f32; 9];
    let predictions = Predictions::new(&constant, 3, &[0, 1, 2]).unwrap();
    assert_eq!(predictions.predicted(), [0, 0, 0]);
    assert_eq!(predictions.correct(1), [true, false, false]);
    assert_eq!(predictions.correct(2), [true, true, false]);
    assert_eq!(predictions.correct(9), [true, true, true]);
    let far = [1e30f32, -1e30];
    let predictions = Predictions::new(&far, 2, &[1]).unwrap();
    assert_eq!(predictions.nll()[0], 2e30f32 as f64);
}

#[test]
fn confusions_are_sorted_and_have_intervals() {
    let logits = [0.0f32, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    let matrix = Predictions::new(&logits, 2, &[0, 0, 0, 1]).unwrap().confusion_matrix();
    assert_eq!(matrix.counts, [1, 2, 0, 1]);
    assert_eq!(matrix.confusions(), [(0, 1, 2)]);
    assert_close(matrix.recall(0).unwrap().value, 1.0 / 3.0, 1e-15);
    assert_close(matrix.precision(1).unwrap().value, 1.0 / 3.0, 1e-15);
    let never = ConfusionMatrix { classes: 2, counts: vec![1, 0, 0, 0] };
    assert!(never.recall(1).is_err() && never.precision(1).is_err());
}

#[test]
fn calibration_error_closed_forms() {
    // Always 90 % sure and right in 80 of 100: one gap of 0.1 in every bin, whatever the order of the images.
    let confidences = vec![0.9; 100];
    let correct: Vec<bool> = (0..100).map(|i| i < 80).collect();
    let reversed: Vec<bool> = correct.iter().rev().copied().collect();
    let calibration = expected_calibration_error(&confidences, &correct, 15, &FEW).unwrap();
    assert_close(calibration.error.value, 0.1, 1e-12);
    let other_order = expected_calibration_error(&confidences, &reversed, 15, &FEW).unwrap();
    assert_eq!((other_order.error.value, other_order.bins), (calibration.error.value, calibration.bins));
    // Two groups, each off by a quarter in the other direction: bins keep them apart, one bin would cancel them.
    let confidences = [0.5, 0.5, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75];
    let correct = [true, true, true, false, true, true, false, false];
    let two = expected_calibration_error(&confidences, &correct, 2, &FEW).unwrap();
    assert_close(two.error.value, 0.25, 1e-12);
    assert_close(expected_calibration_error(&confidences, &correct, 1, &FEW).unwrap().error.value, 0.0, 1e-9);
    // More bins than images: every image is a bin of its own.
    assert_eq!(expected_calibration_error(&[0.5, 1.0], &[true, true], 15, &FEW).unwrap().bins.len(), 2);
}

/// Coverage of the interval by simulation, and that it does not buy it by always starting at 0.
///
/// 1,000 images with confidences from 0.5 to 1 whose true accuracy is lower by `gap` everywhere, so that the true error is
/// `gap`. By chance alone a calibrated model would show an error of 0.036 here: a true error of 0.02 cannot be told from none,
/// and one of 0.08 must be.
#[test]
fn calibration_interval_covers_the_truth() {
    let few = Resampling { resamples: 200, ..FEW };
    let confidences: Vec<f64> = (0..1000).map(|i| 0.5 + 0.0005 * f64::from(i)).collect();
    for (gap, least_detected, most_detected) in [(0.0, 0, 6), (0.02, 0, 40), (0.04, 10, 60), (0.08, 57, 60)] {
        let (mut covered, mut detected) = (0, 0);
        for seed in 0..60u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
            let mut uniform = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as f64 / 2f64.powi(31)
            };
            let correct: Vec<bool> = confidences.iter().map(|c| uniform() < c - gap).collect();
            let error = expected_calibration_error(&confidences, &correct, 15, &few).unwrap().error;
            covered += u32::from(error.low <= gap && gap <= error.high);
            detected += u32::from(error.low > 0.0);
        }
        println!("gap {gap}: covers {covered} of 60, detects {detected}");
        assert!(covered >= 52, "gap {gap}: the 95 % interval covers {covered} of 60");
        assert!(
            (least_detected..=most_detected).contains(&detected),
            "gap {gap}: {detected} of 60 intervals leave out 0"
        );
    }
}

#[test]
fn noise_floor_is_what_calibrated_labels_show() {
    // All confidences ½ in one bin of 100: E|X/100 − ½| for X ~ Binomial(100, ½) is C(100, 50)·50/2¹⁰⁰/100 = 0.0397946.
    let correct: Vec<bool> = (0..100).map(|i| i % 2 == 0).collect();
    let calibration = expected_calibration_error(&[0.5; 100], &correct, 1, &FEW).unwrap();
    assert!((calibration.noise_floor - 0.039_794_6).abs() < 2.7e-3, "{}", calibration.noise_floor);
    assert_eq!(calibration.error.low, 0.0);
}

#[test]
fn bad_input_is_refused_with_a_sentence() {
    let message = |result: Result<Estimate>| result.unwrap_err().to_string();
    assert_eq!(message(wilson(0, 0, 0.95)), "a proportion needs at least 1 observation(s), but there are 0");
    assert_eq!(
        message(wilson(3, 2, 0.95)),
        "the number of successes is 3, outside 0 to the number of trials"
    );
    assert!(wilson(1, 2, 1.0).is_err() && wilson(1, 2, f64::NAN).is_err());
    assert_eq!(
        message(mean_t(&[1.0, f64::NAN], 0.95)),
        "a sample holds the value NaN at position 1; every entry must be finite"
    );
    assert!(standard_deviation(&[1.0]).is_err());
    assert!(mean_t(&[], 0.95).is_err() && mean_bootstrap(&[], &FEW).is_err());
    let refused = message(mean_within(&[0.5, 1.5], SHARE, 0.95));
    assert!(refused.contains("1.5, outside its possible range"), "{refused}");
    assert_eq!(
        message(accuracy_difference(&[true], &[true, false], &FEW)),
        "a paired difference needs inputs of one length, but they have 1 and 2 entries"
    );
    assert!(mean_bootstrap(&[1.0], &Resampling { resamples: 1, ..FEW }).is_err());
    assert!(mcnemar(&[], &[]).is_err() && mcnemar(&[true], &[]).is_err());
    assert!(Predictions::new(&[0.0, f32::NAN], 2, &[0]).is_err());
    assert!(Predictions::new(&[0.0, 1.0], 2, &[2]).is_err());
    assert!(Predictions::new(&[0.0, 1.0, 2.0], 2, &[0]).is_err());
    assert!(Predictions::new(&[], 2, &[]).is_err());
    assert!(expected_calibration_error(&[1.5], &[true], 15, &FEW).is_err());
    assert!(expected_calibration_error(&[0.5], &[true], 0, &FEW).is_err());
}

#[test]
fn estimates_survive_json() {
    let estimate = wilson(3, 7, 0.95).unwrap();
    let json = serde_json::to_string(&estimate).unwrap();
    assert_eq!(serde_json::from_str::<Estimate>(&json).unwrap(), estimate);
}

/// An interval for the mean of values in [−1, 1], in which it holds the mean as often as Student's own.
#[test]
fn the_interval_of_a_mean_ends_where_its_range_does() {
    let few = [0.9, 0.2, 1.0, -0.7];
    let (open, closed) = (mean_t(&few, 0.95).unwrap(), mean_within(&few, CORRELATION, 0.95).unwrap());
    assert!(open.high > 1.0 && open.low < -0.5);
    assert_eq!((closed.low, closed.high, closed.value), (open.low, 1.0, open.value));
    let many: Vec<f64> = (0..100).map(|i| f64::from(i % 10) / 10.0).collect();
    assert_eq!(mean_within(&many, SHARE, 0.95), mean_t(&many, 0.95));
    assert!(mean_within(&[0.5], SHARE, 0.95).unwrap().low.is_nan(), "one value has no interval");

    let (mut held, mut cut) = (0, 0);
    for draw in 0..2000 {
        let mut rng = keyed_rng(3, "bounded means", draw, 0);
        // 0.8 of ones, the rest minus ones: mean 0.6.
        let values: Vec<f64> = (0..4).map(|_| if rng.random::<f64>() < 0.8 { 1.0 } else { -1.0 }).collect();
        let (open, closed) =
            (mean_t(&values, 0.95).unwrap(), mean_within(&values, CORRELATION, 0.95).unwrap());
        let holds = |of: &Estimate| of.low <= 0.6 && 0.6 <= of.high;
        assert_eq!(holds(&open), holds(&closed));
        held += usize::from(holds(&closed));
        cut += usize::from(open.high > 1.0);
    }
    assert!(held > 1000 && cut > 500, "{held} {cut}");
}
