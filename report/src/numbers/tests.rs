//! How numbers are written.

use super::*;

fn estimate(value: f64, half_width: f64, n: usize) -> Estimate {
    let (low, high) = (value - half_width, value + half_width);
    Estimate { value, low, high, level: 0.95, n, method: "made up".into() }
}

#[test]
fn numbers_have_true_minus_signs_no_negative_zero_and_a_word_for_nothing() {
    assert_eq!(decimal(-1.26, 1), "−1.3");
    assert_eq!(decimal(-0.04, 1), "0.0");
    assert_eq!(decimal(f64::NAN, 1), "n/a");
    assert_eq!(decimal(f64::NEG_INFINITY, 1), "n/a");
    assert_eq!(percent(f64::NAN), "n/a");
    assert_eq!(percent(0.9305), "93.0\u{a0}%");
    assert_eq!((short(0.5), short(8.0), short(1.0 / 3.0)), ("0.5".into(), "8".into(), "0.333".into()));
    assert_eq!(epsilon(2.0), "2/255");
}

#[test]
fn counts_are_grouped_and_agree_with_their_noun() {
    assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!(counted(1, "image"), "1\u{a0}image");
    assert_eq!(counted(0, "image"), "0\u{a0}images");
    assert_eq!(counted(12, "class"), "12\u{a0}classes");
}

#[test]
fn small_p_values_are_bounded_not_rounded_to_zero() {
    assert_eq!(p_value(0.0), "p\u{a0}<\u{a0}0.001");
    assert_eq!(p_value(0.0344), "p\u{a0}=\u{a0}0.034");
    assert_eq!(p_value(f64::NAN), "p\u{a0}n/a");
}

#[test]
fn durations_take_the_unit_that_suits_them() {
    assert_eq!(duration(0.42), "0.4\u{a0}s");
    assert_eq!(duration(59.7), "1\u{a0}min 0\u{a0}s");
    assert_eq!(duration(3725.0), "1\u{a0}h 2\u{a0}min");
    assert_eq!(duration(f64::NAN), "n/a");
}

#[test]
fn estimates_carry_their_interval() {
    let found = estimate(0.089, 0.018, 100);
    assert_eq!(Unit::Points.sentence(&found), "8.9\u{a0}points (95\u{a0}% interval 7.1 to 10.7)");
    assert_eq!(Unit::Percent.cell(&found), Text::from("8.9\u{a0}%").interval("[7.1, 10.7]"));
    let one_sided = Estimate { high: f64::INFINITY, ..found };
    assert_eq!(Unit::Percent.cell(&one_sided), Text::from("8.9\u{a0}%"));
}
