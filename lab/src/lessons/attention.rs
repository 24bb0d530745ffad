//! Lesson 1: attention from first principles.

use super::answer::Form;
use super::arithmetic::{numbers, product, softmax, transposed};
use super::judge::{Slip, Verdict, compare, counts};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(1, 1, ["images/reversal.png"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "attention", form: Form::Array(&[2, 2, QUERIES, KEYS]), judge: attention },
    Exercise { answer: "masked", form: Form::Array(&[2, 2, QUERIES, KEYS]), judge: masked },
    Exercise { answer: "multi-head", form: Form::Array(&[1, TOKENS, WIDTH]), judge: multi_head },
    Exercise { answer: "cost", form: Form::Numbers(&COSTS), judge: cost },
    Exercise { answer: "reversal", form: Form::Array(&[1, 4, LENGTH, LENGTH]), judge: reversal },
    Exercise {
        answer: "losses",
        form: Form::Numbers(&["nowhere", "queries_and_keys", "everywhere"]),
        judge: losses,
    },
];

/// Sequences and heads together, queries, keys, width of a head.
const PAIRS: usize = 4;
const QUERIES: usize = 4;
const KEYS: usize = 5;
const D: usize = 8;

/// Scores of every sequence and head, times `scale`: `[2, 2, queries, keys]`.
fn scores(scale: f64) -> Vec<f64> {
    let query = numbers(1.1, PAIRS * QUERIES * D);
    let key = numbers(1.2, PAIRS * KEYS * D);
    let of = |(query, key): (&[f64], &[f64])| product(query, &transposed(key, D), D);
    let all = query.chunks_exact(QUERIES * D).zip(key.chunks_exact(KEYS * D)).flat_map(of);
    all.map(|score| score * scale).collect()
}

fn attention(given: &[f64]) -> Verdict {
    let scale = (D as f64).powf(-0.5);
    let over_queries = |scores: &[f64]| -> Vec<f64> {
        let of = |scores: &[f64]| transposed(&softmax(&transposed(scores, KEYS), QUERIES), QUERIES);
        scores.chunks_exact(QUERIES * KEYS).flat_map(of).collect()
    };
    let slips: [Slip; 4] = [
        (softmax(&scores(1.0), KEYS), "the scores are not divided by √d: d is the width of a head, 8"),
        (softmax(&scores(1.0 / D as f64), KEYS), "the scores are divided by d; divide by its square root"),
        (
            over_queries(&scores(scale)),
            "the softmax runs over the queries: rows must sum to 1, over the last axis",
        ),
        (scores(scale), "these are the scores; the softmax over the keys is missing"),
    ];
    let scaled_late: Slip = (
        softmax(&scores(1.0), KEYS).iter().map(|weight| weight * scale).collect(),
        "the weights are scaled; scale the scores, before the softmax",
    );
    let slips = [&slips[..], &[scaled_late]].concat();
    compare(given, &softmax(&scores(scale), KEYS), 1e-4, &slips, "the weights are right")
}

/// What may be looked at: in the first sequence all but the last two keys, in the second nothing.
fn allowed(place: usize) -> bool {
    place < 2 * QUERIES * KEYS && place % KEYS < KEYS - 2
}

fn masked(given: &[f64]) -> Verdict {
    let scores = scores((D as f64).powf(-0.5));
    let with = |shift: f64| -> Vec<f64> {
        let moved = |(place, score): (usize, &f64)| if allowed(place) { *score } else { score + shift };
        softmax(&scores.iter().enumerate().map(moved).collect::<Vec<_>>(), KEYS)
    };
    let only_allowed = |weights: Vec<f64>| -> Vec<f64> {
        weights.iter().enumerate().map(|(place, weight)| if allowed(place) { *weight } else { 0.0 }).collect()
    };
    let filled: Vec<f64> =
        scores.iter().enumerate().map(|(place, score)| if allowed(place) { *score } else { -1e30 }).collect();
    let slips: [Slip; 4] = [
        (with(1e9), "the padding gets all the weight: what is added to its scores must be negative"),
        (
            with(-1e9),
            "a query without any key is to get zeros: multiply the weights by the mask after the softmax",
        ),
        (
            softmax(&filled, KEYS),
            "a query without any key gets equal weights on the padding; it is to get zeros",
        ),
        (
            only_allowed(softmax(&scores, KEYS)),
            "rows do not sum to 1: mask the scores before the softmax, not the weights after it",
        ),
    ];
    compare(
        given,
        &only_allowed(with(-1e30)),
        1e-4,
        &slips,
        "the padding has no weight, and a query without keys gets zeros",
    )
}

const TOKENS: usize = 6;
const WIDTH: usize = 12;
const HEADS: usize = 3;

/// The output of the layer, with these choices.
fn layer(heads: usize, scale: f64, transposes: bool, output: bool) -> Vec<f64> {
    let x = numbers(1.4, TOKENS * WIDTH);
    let d = WIDTH / heads;
    let projected = |k: f64| product(&x, &numbers(k, WIDTH * WIDTH), WIDTH);
    // The numbers of a head: its columns, or, without the transposition, as many in a row.
    let places = |head: usize| -> Vec<usize> {
        match transposes {
            true => (0..TOKENS * d).map(|i| i / d * WIDTH + head * d + i % d).collect(),
            false => (head * TOKENS * d..(head + 1) * TOKENS * d).collect(),
        }
    };
    let [query, key, value] = [1.5, 1.6, 1.7].map(projected);
    let mut joined = vec![0.0; TOKENS * WIDTH];
    for head in 0..heads {
        let places = places(head);
        let of = |all: &[f64]| places.iter().map(|&place| all[place]).collect::<Vec<f64>>();
        let scores: Vec<f64> =
            product(&of(&query), &transposed(&of(&key), d), d).iter().map(|score| score * scale).collect();
        let context = product(&softmax(&scores, TOKENS), &of(&value), TOKENS);
        places.iter().zip(context).for_each(|(&place, value)| joined[place] = value);
    }
    match output {
        true => product(&joined, &numbers(1.8, WIDTH * WIDTH), WIDTH),
        false => joined,
    }
}

fn multi_head(given: &[f64]) -> Verdict {
    let scale = |d: usize| (d as f64).powf(-0.5);
    let d = WIDTH / HEADS;
    let slips: [Slip; 5] = [
        (
            layer(HEADS, scale(WIDTH), true, true),
            "the scores are divided by the root of the layer's width; a head has a width of 4",
        ),
        (
            layer(HEADS, scale(d), false, true),
            "the heads are cut out of the rows: reshape to (batch, tokens, heads, d), then exchange tokens and heads",
        ),
        (
            layer(HEADS, scale(d), true, false),
            "the heads are joined but not mixed: the output projection is missing",
        ),
        (
            layer(1, scale(WIDTH), true, true),
            "this is what one head gives; split queries, keys and values into three",
        ),
        (layer(HEADS, 1.0, true, true), "the scores are not divided by √d"),
    ];
    compare(
        given,
        &layer(HEADS, scale(d), true, true),
        1e-4,
        &slips,
        "split, attention, join and output projection are right",
    )
}

const COSTS: [&str; 2] = ["one_head", "twelve_heads"];

fn cost(given: &[f64]) -> Verdict {
    let [n, width] = [197.0, 192.0];
    let (projections, products) = (4.0 * n * width * width, 2.0 * n * n * width);
    let right = projections + products;
    let slips: [Slip; 5] = [
        (
            vec![right, 12.0 * right],
            "twelve heads do not cost twelve times as much: each is a twelfth as wide",
        ),
        (
            vec![right, projections + 12.0 * products],
            "the products do not grow with the heads either: each head is a twelfth as wide",
        ),
        (vec![projections, projections], "the two products of attention are missing: 2n² times the width"),
        (vec![products, products], "the four projections are missing: 4n times the width squared"),
        (
            vec![2.0 * right, 2.0 * right],
            "these are additions and multiplications counted apart; a multiply-add is one",
        ),
    ];
    counts(given, &COSTS, &[right, right], &slips, "4nd² + 2n²d, for any number of heads")
}

const LENGTH: usize = 10;

fn reversal(given: &[f64]) -> Verdict {
    let rows = given.chunks_exact(LENGTH);
    let uneven = rows.clone().any(|row| (row.iter().sum::<f64>() - 1.0).abs() > 1e-3);
    let weight = |mirrored: bool| {
        let of = |(place, row): (usize, &[f64])| {
            let query = place % LENGTH;
            row[if mirrored { LENGTH - 1 - query } else { query }]
        };
        rows.clone().enumerate().map(of).sum::<f64>() / (given.len() / LENGTH) as f64
    };
    let mirrored = weight(true);
    let why = match mirrored {
        little if little < 0.2 => {
            "a layer without positions gives about 0.11; add positions to queries and keys"
        }
        _ => "train longer, or check that positions reach both queries and keys",
    };
    Verdict::all(
        &[
            (
                !uneven,
                "rows do not sum to 1: save the weights after the softmax, of the whole sequence".into(),
            ),
            (
                weight(false) < 0.5,
                "the weights lie on the diagonal: the target is the sequence, not its reverse".into(),
            ),
            (
                mirrored > 0.9,
                format!("the mean weight on the mirror image is {mirrored:.2}, not above 0.9: {why}"),
            ),
        ],
        &format!("every query looks at its mirror image (mean weight {mirrored:.3})"),
    )
}

fn losses(given: &[f64]) -> Verdict {
    let [nowhere, keys, everywhere] = given else { unreachable!("three numbers were read") };
    let uniform = (0.07..0.09).contains(nowhere);
    Verdict::all(
        &[
            (!uniform, "0.075 is 8/9 of 1/12: these numbers are uniform; draw them from the standard normal distribution".into()),
            (
                (0.88..1.02).contains(nowhere),
                format!("without positions nothing below 8/9 = 0.889 is possible on unseen sequences, and {nowhere:.3} is not near it"),
            ),
            (*keys < 0.01 && *keys >= 0.0, format!("positions on queries and keys reach less than 0.01 in 500 steps; {keys:.3} is too much")),
            (
                (0.05..0.3).contains(everywhere),
                format!("positions on the values too leave an error near 0.12, and {everywhere:.3} is not near it"),
            ),
        ],
        "impossible without positions, solved with them on queries and keys, and spoilt by them on the values",
    )
}

#[cfg(test)]
mod tests {
    use archaeo_models::scaled_dot_product_attention;
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;

    /// The weights of the program's own attention are the ones that are expected.
    #[test]
    fn the_models_attention_is_right() {
        let device = Device::flex();
        let tensor = |k: f64, tokens: usize| {
            let values: Vec<f32> = numbers(k, PAIRS * tokens * D).iter().map(|&value| value as f32).collect();
            Tensor::<4>::from_data(TensorData::new(values, [2, 2, tokens, D]), &device)
        };
        let (query, key) = (tensor(1.1, QUERIES), tensor(1.2, KEYS));
        let weights = |mask| -> Vec<f64> {
            let (_, weights) = scaled_dot_product_attention(query.clone(), key.clone(), key.clone(), mask);
            weights.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
        };
        assert!(matches!(attention(&weights(None)), Verdict::Right(_)));
        let mask: Vec<bool> = (0..2 * KEYS).map(|i| i < KEYS - 2).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [2, 1, 1, KEYS]), &device);
        let judged = masked(&weights(Some(mask)));
        assert!(matches!(judged, Verdict::Right(_)), "{judged:?}");
    }
}
