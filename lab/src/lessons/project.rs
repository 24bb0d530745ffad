//! Lesson 8: the portfolio project.

use super::answer::Form;
use super::judge::{Slip, Verdict, compare};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(8, 2, [], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "wilson", form: Form::Numbers(&["low", "high"]), judge: wilson_interval },
    Exercise { answer: "adjusted", form: Form::Array(&[P.len()]), judge: adjusted },
    Exercise { answer: "claims", form: Form::Numbers(&["a", "b", "c", "d", "e", "f"]), judge: claims },
    Exercise { answer: "calibration", form: Form::Numbers(&["ece"]), judge: calibration },
    Exercise { answer: "project", form: Form::Numbers(&PROJECT), judge: project },
];

const Z: f64 = 1.959_964;

/// Wilson's 95 % interval of a share of `n`.
fn wilson(share: f64, n: f64) -> [f64; 2] {
    let (middle, whole) = (share + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(middle - half) / whole, (middle + half) / whole]
}

fn wilson_interval(given: &[f64]) -> Verdict {
    let (share, n) = (412.0 / 500.0, 500.0);
    let half = Z * f64::sqrt(share * (1.0 - share) / n);
    let right = wilson(share, n);
    let slips: [Slip; 2] = [
        (
            vec![share - half, share + half],
            "this is the normal approximation; Wilson's interval moves towards one half",
        ),
        (right.iter().map(|end| 100.0 * end).collect(), "shares are asked for, such as 0.5, not percent"),
    ];
    compare(given, &right, 4e-4, &slips, "79 to 85.5 %")
}

const P: [f64; 8] = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205];

fn adjusted(given: &[f64]) -> Verdict {
    let count = P.len() as f64;
    let raw: Vec<f64> = P.iter().enumerate().map(|(i, p)| p * count / (i + 1) as f64).collect();
    let mut right = raw.clone();
    for i in (0..P.len() - 1).rev() {
        right[i] = right[i].min(right[i + 1]);
    }
    let slips: [Slip; 3] = [
        (raw, "make the values monotone: none may be larger than the one after it"),
        (
            P.iter().map(|p| (p * count).min(1.0)).collect(),
            "this is Bonferroni's correction; multiply the i-th smallest by m / i",
        ),
        (P.to_vec(), "these are not adjusted yet"),
    ];
    compare(given, &right, 1e-4, &slips, "two findings of eight remain at 5 %")
}

fn claims(given: &[f64]) -> Verdict {
    let [a, b, c, d, e, f] = given else { unreachable!("six numbers were read") };
    let check = |holds: bool, why: &str| (holds, why.to_owned());
    Verdict::all(
        &[
            check(given.iter().all(|value| *value == 0.0 || *value == 1.0), "answer each with 1 or 0"),
            check(*a == 1.0, "a: the paired interval excludes 0, and the sentence is about these images"),
            check(*b == 0.0, "b: one training of each kind says nothing about kinds"),
            check(
                *c == 0.0,
                "c: that no difference was shown does not make them equal; the interval allows 1.7 points",
            ),
            check(*d == 1.0, "d: a paired test against the baseline is what such a sentence needs"),
            check(
                *e == 0.0,
                "e: PGD contains FGSM and cannot be weaker: the attack fails, or the gradient is masked",
            ),
            check(*f == 0.0, "f: of 144 tests about seven reach 0.05 by chance; adjust first"),
        ],
        "two of the six sentences may be written",
    )
}

fn calibration(given: &[f64]) -> Verdict {
    let slips: [Slip; 3] = [
        (vec![(0.05 + 0.05 + 0.15) / 3.0], "weight each bin by its images"),
        (vec![0.15], "this is the largest gap; ECE is the mean over images"),
        (vec![11.0], "as a share, not in percent"),
    ];
    compare(
        given,
        &[(0.05 * 100.0 + 0.05 * 100.0 + 0.15 * 300.0) / 500.0],
        1e-6,
        &slips,
        "the confident bin weighs most",
    )
}

const PROJECT: [&str; 7] = ["images", "vit", "vit_low", "vit_high", "cnn", "cnn_low", "cnn_high"];

/// An accuracy and its interval belong together, whatever the images.
fn project(given: &[f64]) -> Verdict {
    let [images, vit, vit_low, vit_high, cnn, cnn_low, cnn_high] = given else {
        unreachable!("seven numbers were read")
    };
    let mut checks = vec![
        (
            *images >= 20.0 && images.fract() == 0.0,
            "`images` is the number of test images, at least 20".to_owned(),
        ),
        (
            given[1..].iter().all(|share| (0.0..=1.0).contains(share)),
            "accuracies are shares, such as 0.5".to_owned(),
        ),
    ];
    for (name, share, low, high) in [("vit", vit, vit_low, vit_high), ("cnn", cnn, cnn_low, cnn_high)] {
        let [expected_low, expected_high] = wilson(*share, *images);
        let whole = (share * images - (share * images).round()).abs() < 0.05 + 5e-5 * images;
        let near = (low - expected_low).abs() < 2e-3 && (high - expected_high).abs() < 2e-3;
        checks.push((whole, format!("no number of {images} images is a share of {share}")));
        checks.push((
            near,
            format!("{share} of {images} images has the interval {expected_low:.3} to {expected_high:.3}, not {low:.3} to {high:.3} (`{name}`)"),
        ));
    }
    Verdict::all(&checks, "two accuracies, each with the interval that belongs to it")
}
