//! Lesson 6: attention archaeology.

use super::answer::Form;
use super::arithmetic::{normalised, numbers, product, softmax, transposed};
use super::judge::{Slip, Verdict, compare};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(6, 1, ["images/heads.png"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "rollout", form: Form::Array(&[TOKENS]), judge: rollout },
    Exercise { answer: "distance", form: Form::Numbers(&["distance", "even"]), judge: distance },
    Exercise { answer: "entropy", form: Form::Numbers(&["nats", "normalised"]), judge: entropy },
    Exercise { answer: "heads", form: Form::Numbers(&["layer", "head", "loss_increase"]), judge: heads },
    Exercise { answer: "truth", form: Form::Numbers(&["rollout", "centre", "random"]), judge: truth },
];

const LAYERS: usize = 3;
const HEADS: usize = 2;
const TOKENS: usize = 5;

/// Attention of every layer, mean over heads: `[tokens, tokens]` each.
fn layers(largest: bool) -> Vec<Vec<f64>> {
    let scores: Vec<f64> =
        numbers(1.9, LAYERS * HEADS * TOKENS * TOKENS).iter().map(|score| 3.0 * score).collect();
    let fuse = |heads: &[f64]| -> Vec<f64> {
        let (one, other) = heads.split_at(TOKENS * TOKENS);
        let fused = |(a, b): (&f64, &f64)| if largest { a.max(*b) } else { (a + b) / 2.0 };
        one.iter().zip(other).map(fused).collect()
    };
    softmax(&scores, TOKENS).chunks_exact(HEADS * TOKENS * TOKENS).map(fuse).collect()
}

/// `(a + residual · I) / (1 + residual)`
fn mixed(a: &[f64], residual: f64) -> Vec<f64> {
    let diagonal = |place: usize| if place.is_multiple_of(TOKENS + 1) { residual } else { 0.0 };
    a.iter().enumerate().map(|(place, value)| (value + diagonal(place)) / (1.0 + residual)).collect()
}

/// The row vector of the class token through the layers.
fn rolled(layers: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    let start: Vec<f64> = (0..TOKENS).map(|token| f64::from(u8::from(token == 0))).collect();
    layers.fold(start, |row, layer| product(&row, &layer, TOKENS))
}

fn rollout(given: &[f64]) -> Verdict {
    let fused = layers(false);
    let backwards = |residual: f64| rolled(fused.iter().rev().map(|layer| mixed(layer, residual)));
    let right = backwards(1.0);
    let columns =
        |layer: &Vec<f64>| transposed(&normalised(&transposed(&mixed(layer, 1.0), TOKENS), TOKENS), TOKENS);
    let transposes = |layer: &Vec<f64>| transposed(&mixed(layer, 1.0), TOKENS);
    let slips: [Slip; 6] = [
        (backwards(0.0), "the residual path is missing: average each layer with the identity"),
        (
            rolled(fused.iter().map(|layer| mixed(layer, 1.0))),
            "the layers are in the wrong order: the row of the class token starts at the last one",
        ),
        (
            right.iter().map(|share| share * 2f64.powi(LAYERS as i32)).collect(),
            "the shares sum to 8: halve A + I in each layer, so that rows sum to 1",
        ),
        (
            rolled(fused.iter().map(transposes)),
            "this is the column of the class token: what it gives, not what it receives; take its row",
        ),
        (rolled(fused.iter().rev().map(columns)), "the columns are normalised; rows must sum to 1"),
        (fused[LAYERS - 1][..TOKENS].to_vec(), "this is the last layer alone; multiply through all three"),
    ];
    compare(given, &right, 1e-4, &slips, "rollout with its residual path, from the last layer to the first")
}

/// Patches along a side, and their size in pixels.
const SIDE: usize = 4;
const PATCH: usize = 16;

/// The head of the exercises, with a class token.
fn head() -> Vec<f64> {
    let tokens = 1 + SIDE * SIDE;
    softmax(&numbers(2.0, tokens * tokens).iter().map(|score| 3.0 * score).collect::<Vec<_>>(), tokens)
}

/// Mean distance of a head that patches attend with, in pixels times `scale`.
fn mean_distance(weight: impl Fn(usize, usize) -> f64, renormalise: bool, euclidean: bool) -> f64 {
    let patches = SIDE * SIDE;
    let apart = |a: usize, b: usize| {
        let [rows, columns] = [a / SIDE, a % SIDE].map(|x| x as f64);
        let [rows, columns] = [rows - (b / SIDE) as f64, columns - (b % SIDE) as f64];
        PATCH as f64 * if euclidean { rows.hypot(columns) } else { rows.abs() + columns.abs() }
    };
    let of = |query: usize| {
        let sum: f64 = (0..patches).map(|key| weight(query, key)).sum();
        let far: f64 = (0..patches).map(|key| weight(query, key) * apart(query, key)).sum();
        if renormalise { far / sum } else { far }
    };
    (0..patches).map(of).sum::<f64>() / patches as f64
}

fn distance(given: &[f64]) -> Verdict {
    let head = head();
    let weight = |query: usize, key: usize| head[(query + 1) * (SIDE * SIDE + 1) + key + 1];
    let even = mean_distance(|_, _| 1.0, true, true);
    let right = mean_distance(weight, true, true);
    let raw = mean_distance(weight, false, true);
    let manhattan = [mean_distance(weight, true, false), mean_distance(|_, _| 1.0, true, false)];
    let shifted = mean_distance(|query, key| head[query * (SIDE * SIDE + 1) + key], true, true);
    let slips: [Slip; 4] = [
        (
            vec![raw, even],
            "the weight on the class token counts as a distance of 0: drop its column and normalise the rows again",
        ),
        (
            vec![right / PATCH as f64, even / PATCH as f64],
            "these are distances in patches; a patch has 16 px",
        ),
        (
            manhattan.to_vec(),
            "these are sums of rows and columns; take the straight line between the centres",
        ),
        (
            vec![shifted, even],
            "the places are off by one: the class token is token 0, and patches begin at 1",
        ),
    ];
    compare(
        given,
        &[right, even],
        1e-2,
        &slips,
        "distance in pixels among patches, next to that of an even head",
    )
}

fn entropy(given: &[f64]) -> Verdict {
    let tokens = 1 + SIDE * SIDE;
    let head = head();
    let nats = -head.iter().map(|weight| weight * weight.ln()).sum::<f64>() / tokens as f64;
    let most = (tokens as f64).ln();
    let slips: [Slip; 4] = [
        (vec![nats / 2f64.ln(), nats / most], "these are bits; nats use the natural logarithm"),
        (vec![nats, nats], "`normalised` is divided by the largest possible entropy, ln 17"),
        (vec![nats, nats / ((SIDE * SIDE) as f64).ln()], "there are 17 tokens, not 16: divide by ln 17"),
        (
            vec![nats * tokens as f64, nats * tokens as f64 / most],
            "this is the sum over the rows; take the mean",
        ),
    ];
    compare(given, &[nats, nats / most], 1e-3, &slips, "entropy in nats, and relative to ln 17")
}

fn heads(given: &[f64]) -> Verdict {
    let [layer, head, increase] = given else { unreachable!("three numbers were read") };
    let zero = (increase - 0.2252).abs() < 0.003;
    let second = (*layer, *head) == (2.0, 3.0);
    Verdict::all(
        &[
            ((*layer, *head) != (0.0, 2.0), "layers and heads are numbered from 1 here".into()),
            (!second, "layer 2 head 3 costs most when replaced by zero or by another image's; the question is about the mean".into()),
            ((*layer, *head) == (1.0, 3.0), format!("layer {layer} head {head} is not the first of `archaeo ablate --limit 500`")),
            (!zero, "this is the increase when the head is replaced by zero; take the mean".into()),
            ((0.20..0.235).contains(increase), format!("0.217 is expected on 500 images, and not {increase:.3}")),
        ],
        "layer 1 head 3, with a loss increase of 0.217 (0.153 to 0.282)",
    )
}

fn truth(given: &[f64]) -> Verdict {
    let slips: [Slip; 1] =
        [(vec![0.365, 0.391, 0.219], "these are masses on the object; AUROC is asked for")];
    compare(
        given,
        &[0.932, 0.886, 0.500],
        0.012,
        &slips,
        "rollout is better than a centred blob, and that is better than nothing",
    )
}
