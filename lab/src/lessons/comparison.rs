//! Lesson 7: a Vision Transformer against a CNN.

use super::answer::Form;
use super::arithmetic::{numbers, product, softmax};
use super::judge::{Slip, Verdict, compare};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(7, 2, ["images/robustness.png"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "mcnemar", form: Form::Numbers(&["p", "difference"]), judge: mcnemar },
    Exercise { answer: "kappa", form: Form::Numbers(&["observed", "expected", "kappa"]), judge: kappa },
    Exercise { answer: "fgsm", form: Form::Array(&[PIXELS]), judge: fgsm },
    Exercise { answer: "distance", form: Form::Numbers(&["l2", "linf"]), judge: distance },
    Exercise { answer: "robust", form: Form::Numbers(&["clean_accuracy", "robust_accuracy"]), judge: robust },
    Exercise {
        answer: "pair",
        form: Form::Numbers(&["vit_accuracy", "cnn_accuracy", "only_vit", "only_cnn"]),
        judge: pair,
    },
];

/// Images that both models, only A, only B, neither get right.
const TABLE: [f64; 4] = [160.0, 12.0, 25.0, 3.0];
const IMAGES: f64 = 200.0;

/// Probability of at most `few` heads among `n` fair coins.
fn at_most(few: u32, n: u32) -> f64 {
    let choose = |k: u32| (0..k).map(|i| f64::from(n - i) / f64::from(i + 1)).product::<f64>();
    (0..=few).map(choose).sum::<f64>() / 2f64.powi(n as i32)
}

fn mcnemar(given: &[f64]) -> Verdict {
    let [_, only_a, only_b, _] = TABLE;
    let difference = (only_a - only_b) / IMAGES;
    let one_sided = at_most(only_a as u32, (only_a + only_b) as u32);
    let right = [2.0 * one_sided, difference];
    // Of a chi-squared distribution with one degree of freedom: 4.568 without the correction for continuity, 3.892 with it.
    let slips: [Slip; 5] = [
        (vec![one_sided, difference], "this p is of one side; double it"),
        (
            vec![0.032_57, difference],
            "this p is of the chi-squared approximation; 37 images call for the exact test",
        ),
        (
            vec![0.048_52, difference],
            "this p is of the corrected chi-squared approximation; compute the exact one",
        ),
        (vec![right[0], -difference], "the difference is A minus B, and B is right more often"),
        (vec![right[0], 100.0 * difference], "the difference is a share, such as -0.1, not points"),
    ];
    compare(given, &right, 2e-4, &slips, "12 to 25 of 37 images: p is just below 0.05")
}

fn kappa(given: &[f64]) -> Verdict {
    let [both, only_a, only_b, neither] = TABLE;
    let [a, b] = [(both + only_a) / IMAGES, (both + only_b) / IMAGES];
    let observed = (both + neither) / IMAGES;
    let chance = |expected: f64| vec![observed, expected, (observed - expected) / (1.0 - expected)];
    let slips: [Slip; 3] = [
        (chance(a * b), "by chance both can be wrong as well: add (1 − p₁)(1 − p₂)"),
        (chance(0.5), "chance agreement is not ½: it depends on both accuracies"),
        (chance(both / IMAGES), "expected agreement follows from the two accuracies, not from the table"),
    ];
    compare(
        given,
        &chance(a * b + (1.0 - a) * (1.0 - b)),
        1e-3,
        &slips,
        "hardly more alike than independent mistakes",
    )
}

const CLASSES: usize = 3;
const PIXELS: usize = 12;
const LABEL: usize = 1;

/// The image of two exercises, in [0, 1].
fn image() -> Vec<f64> {
    numbers(2.4, PIXELS).iter().map(|value| (1.0 + value) / 2.0).collect()
}

fn fgsm(given: &[f64]) -> Verdict {
    const EPSILON: f64 = 8.0 / 255.0;
    let (w, x) = (numbers(2.1, CLASSES * PIXELS), image());
    let mut upstream = softmax(&product(&w, &x, PIXELS), CLASSES);
    upstream[LABEL] -= 1.0;
    let gradient = product(&upstream, &w, CLASSES);
    let towards = |direction: &dyn Fn(f64) -> f64, clip: bool| -> Vec<f64> {
        let moved = x.iter().zip(&gradient).map(|(x, slope)| x + direction(*slope));
        moved.map(|x| if clip { x.clamp(0.0, 1.0) } else { x }).collect()
    };
    let norm = gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
    let of_label = &w[LABEL * PIXELS..][..PIXELS];
    let along_label: Vec<f64> =
        x.iter().zip(of_label).map(|(x, slope)| (x + EPSILON * slope.signum()).clamp(0.0, 1.0)).collect();
    let slips: [Slip; 6] = [
        (
            towards(&|slope| -EPSILON * slope.signum(), true),
            "this lowers the loss: add the sign of the gradient",
        ),
        (towards(&|slope| EPSILON * slope.signum(), false), "some values leave [0, 1]: clip the result"),
        (towards(&|slope| 8.0 * slope.signum(), true), "ε is 8/255 of the range, not 8"),
        (towards(&|slope| EPSILON * slope, true), "this takes the gradient itself; FGSM takes its sign"),
        (
            towards(&|slope| EPSILON * slope / norm, true),
            "this is a step in L2; FGSM takes the sign of the gradient",
        ),
        (
            along_label,
            "this raises the logit of the label; raise the cross-entropy, whose gradient is (softmax − one-hot) @ w",
        ),
    ];
    compare(
        given,
        &towards(&|slope| EPSILON * slope.signum(), true),
        1e-5,
        &slips,
        "a signed step of 8/255, within the valid range",
    )
}

fn distance(given: &[f64]) -> Verdict {
    let w = numbers(2.3, PIXELS);
    let margin = product(&w, &image(), PIXELS)[0] + 0.5;
    let size = margin.abs();
    let l1: f64 = w.iter().map(|w| w.abs()).sum();
    let l2 = w.iter().map(|w| w * w).sum::<f64>().sqrt();
    let most = w.iter().fold(0f64, |most, w| most.max(w.abs()));
    let slips: [Slip; 3] = [
        (vec![size / l2, size / most], "the dual of L∞ is L1: divide by the sum of |w|, not by its largest"),
        (vec![size / l2, size / l2], "in L∞ all pixels move together: divide by the sum of |w|"),
        (vec![size / l1, size / l2], "the two are exchanged, or the norms are not the dual ones"),
    ];
    compare(given, &[size / l2, size / l1], 1e-4, &slips, "|margin| over the dual norm of w")
}

fn robust(given: &[f64]) -> Verdict {
    let (clean, under) = ([1, 1, 1, 0, 1, 1, 1, 0, 1, 1], [1, 0, 1, 1, 0, 1, 0, 0, 1, 0]);
    let share = |count: i32| f64::from(count) / clean.len() as f64;
    let [before, attacked] = [clean, under].map(|images| share(images.iter().sum()));
    let both = share(clean.iter().zip(under).map(|(clean, under)| clean * under).sum());
    let slips: [Slip; 2] = [
        (vec![before, attacked], "image 4 is wrong without the attack and right under it; it is not robust"),
        (
            vec![before, both / before],
            "this is the share of what was right before; robust accuracy is a share of all images",
        ),
    ];
    compare(given, &[before, both], 1e-6, &slips, "right without the attack and under it")
}

fn pair(given: &[f64]) -> Verdict {
    let [vit, cnn, only_vit, only_cnn] = given else { unreachable!("four numbers were read") };
    let near = |value: &f64, right: f64, within: f64| (value - right).abs() <= within;
    Verdict::all(
        &[
            (*vit <= 1.0 && *cnn <= 1.0, "accuracies are shares, such as 0.5".into()),
            (!near(vit, 0.9690, 0.002) || near(cnn, 0.9690, 0.002), "the two models are exchanged".into()),
            (
                near(vit, 0.8255, 0.002),
                format!("the ViT has 0.8255 on the 2,000 images of the split test, not {vit:.4}"),
            ),
            (
                near(cnn, 0.9690, 0.002),
                format!("the CNN has 0.9690 on the 2,000 images of the split test, not {cnn:.4}"),
            ),
            (near(only_vit, 19.0, 3.0), format!("only the ViT is right on 19 images, not {only_vit}")),
            (near(only_cnn, 306.0, 3.0), format!("only the CNN is right on 306 images, not {only_cnn}")),
        ],
        "82.6 and 97.0 %, and 325 images decide which is better",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_test_counts_coins() {
        assert!((at_most(0, 3) - 0.125).abs() < 1e-12);
        assert!((at_most(1, 3) - 0.5).abs() < 1e-12);
        assert!((at_most(10, 20) - 0.588_098_526).abs() < 1e-8);
    }
}
