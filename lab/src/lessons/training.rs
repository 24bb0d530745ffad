//! Lesson 3: training, transfer, distillation.

use std::f64::consts::PI;

use super::answer::Form;
use super::arithmetic::{numbers, softmax};
use super::judge::{Slip, Verdict, compare, counts};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(3, 3, ["images/regimes.png", "files/regimes.toml"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "schedule", form: Form::Array(&[STEPS.len()]), judge: schedule },
    Exercise {
        answer: "distillation",
        form: Form::Numbers(&["labels", "teacher", "loss"]),
        judge: distillation,
    },
    Exercise { answer: "smoothing", form: Form::Array(&[LABELS.len(), 4]), judge: smoothing },
    Exercise { answer: "trained", form: Form::Numbers(&["frozen", "head"]), judge: trained },
    Exercise {
        answer: "regimes",
        form: Form::Numbers(&["scratch", "frozen", "full", "distilled"]),
        judge: regimes,
    },
];

const STEPS: [f64; 6] = [0.0, 5.0, 10.0, 55.0, 77.0, 100.0];

/// Rates of a training of 100 steps at [`STEPS`].
fn rates(warmup: f64, last: f64, cosine_begins: f64, linear: bool) -> Vec<f64> {
    const TOTAL: f64 = 100.0;
    const PEAK: f64 = 1e-3;
    let rate = |step: &f64| {
        let progress = (step - cosine_begins) / (TOTAL - cosine_begins);
        let fall = if linear { 1.0 - progress } else { 0.5 * (1.0 + (PI * progress).cos()) };
        if *step < warmup { PEAK * step / warmup } else { last + (PEAK - last) * fall }
    };
    STEPS.iter().map(rate).collect()
}

fn schedule(given: &[f64]) -> Verdict {
    let slips: [Slip; 4] = [
        (rates(0.0, 1e-5, 0.0, false), "the warm-up is missing: the rate rises from 0 in 10 steps"),
        (
            rates(10.0, 1e-5, 0.0, false),
            "the cosine begins after the warm-up, at step 10, with the full rate",
        ),
        (rates(10.0, 0.0, 10.0, false), "the rate falls to 0.00001, not to 0"),
        (rates(10.0, 1e-5, 10.0, true), "the rate falls along a cosine, not in a straight line"),
    ];
    compare(given, &rates(10.0, 1e-5, 10.0, false), 1e-7, &slips, "up in a line, down along half a cosine")
}

/// Means over four images: cross-entropy with the labels, and τ² times the divergence of student and teacher.
fn terms(temperature: f64, factor: f64, reversed: bool) -> [f64; 2] {
    const CLASSES: usize = 5;
    let logits = |k: f64, temperature: f64| -> Vec<f64> {
        softmax(
            &numbers(k, 4 * CLASSES).iter().map(|value| 3.0 * value / temperature).collect::<Vec<_>>(),
            CLASSES,
        )
    };
    let answers = logits(1.1, 1.0);
    let labels = (0..4).map(|image| -answers[image * CLASSES + image].ln()).sum::<f64>() / 4.0;
    let (mut student, mut teacher) = (logits(1.1, temperature), logits(1.2, temperature));
    if reversed {
        std::mem::swap(&mut student, &mut teacher);
    }
    let divergence = teacher.iter().zip(&student).map(|(t, s)| t * (t / s).ln()).sum::<f64>() / 4.0;
    [labels, factor * divergence]
}

fn distillation(given: &[f64]) -> Verdict {
    let with = |[labels, teacher]: [f64; 2], alpha: f64| {
        vec![labels, teacher, (1.0 - alpha) * labels + alpha * teacher]
    };
    let slips: [Slip; 5] = [
        (with(terms(3.0, 1.0, false), 0.7), "the factor τ² is missing in the teacher's term"),
        (with(terms(3.0, 9.0, true), 0.7), "the divergence is taken the wrong way: KL(teacher ‖ student)"),
        (with(terms(1.0, 1.0, false), 0.7), "divide both logits by τ before the softmax"),
        (with(terms(3.0, 9.0, false), 0.3), "α is the teacher's share; the labels get 1 − α"),
        (
            with(terms(3.0, 9.0, false).map(|term| 4.0 * term), 0.7),
            "these are sums over the images; take means",
        ),
    ];
    compare(
        given,
        &with(terms(3.0, 9.0, false), 0.7),
        1e-4,
        &slips,
        "labels and teacher, each with its share",
    )
}

const LABELS: [usize; 3] = [2, 0, 3];

fn smoothing(given: &[f64]) -> Verdict {
    let targets = |right: f64, wrong: f64| -> Vec<f64> {
        LABELS
            .iter()
            .flat_map(|label| (0..4).map(move |class| if class == *label { right } else { wrong }))
            .collect()
    };
    let slips: [Slip; 2] = [
        (targets(0.9, 0.1 / 3.0), "0.1 is spread over all four classes, the right one included"),
        (targets(0.9, 0.1), "rows must sum to 1: 0.1 is shared among the classes"),
    ];
    compare(
        given,
        &targets(0.925, 0.025),
        1e-6,
        &slips,
        "0.925 for the label, and 0.025 for each other class",
    )
}

fn trained(given: &[f64]) -> Verdict {
    let slips: [Slip; 2] = [
        (vec![1920.0, 1920.0], "the head has a bias for each class, which learns too"),
        (vec![1930.0, 1930.0], "a bias is an addition: it takes no multiply-add"),
    ];
    counts(given, &["frozen", "head"], &[1930.0, 1920.0], &slips, "192 · 10 weights, and 10 biases")
}

/// Accuracies with 2,000 training images, give or take what another machine or seed may change.
const SCRATCH: [f64; 2] = [0.23, 0.36];
const FROZEN: [f64; 2] = [0.60, 0.70];
const FULL: [f64; 2] = [0.65, 0.76];
const DISTILLED: [f64; 2] = [0.25, 0.40];

fn regimes(given: &[f64]) -> Verdict {
    let [scratch, frozen, full, distilled] = given else { unreachable!("four numbers were read") };
    let within = |value: &f64, [low, high]: [f64; 2]| (low..high).contains(value);
    let far = |name: &str, value: &f64, [low, high]: [f64; 2]| {
        format!("`{name}` is {value:.3}; this recipe gives {low:.2} to {high:.2}")
    };
    let expected = [
        ("scratch", scratch, SCRATCH),
        ("frozen", frozen, FROZEN),
        ("full", full, FULL),
        ("distilled", distilled, DISTILLED),
    ];
    let mut checks = vec![(
        given.iter().all(|share| (0.0..=1.0).contains(share)),
        "accuracies are shares, such as 0.5".to_owned(),
    )];
    checks.extend(expected.map(|(name, value, range)| (within(value, range), far(name, value, range))));
    Verdict::all(&checks, "old weights are worth more than 2,000 images")
}
