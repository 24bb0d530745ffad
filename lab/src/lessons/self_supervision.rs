//! Lesson 5: features without labels.

use super::answer::Form;
use super::arithmetic::{numbers, product, softmax, transposed};
use super::judge::{Slip, Verdict, compare};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(5, 3, ["files/captions.toml", "files/views.toml"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "infonce", form: Form::Numbers(&["loss", "everything_alike"]), judge: info_nce },
    Exercise { answer: "zero-shot", form: Form::Array(&[3, 6]), judge: zero_shot },
    Exercise { answer: "knn", form: Form::Array(&[QUERIES, CLASSES]), judge: knn },
    Exercise { answer: "views", form: Form::Array(&[8, 8]), judge: views },
    Exercise {
        answer: "neighbours",
        form: Form::Numbers(&["captions", "views", "supervised", "random"]),
        judge: neighbours,
    },
];

/// Rows of unit length.
fn unit(rows: &[f64], columns: usize) -> Vec<f64> {
    let of = |row: &[f64]| {
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        row.iter().map(|value| value / length).collect::<Vec<_>>()
    };
    rows.chunks_exact(columns).flat_map(of).collect()
}

fn info_nce(given: &[f64]) -> Verdict {
    const PAIRS: usize = 4;
    const WIDTH: usize = 6;
    let (images, texts) = (numbers(1.1, PAIRS * WIDTH), numbers(1.2, PAIRS * WIDTH));
    // The loss of finding the column of each row.
    let found = |similarity: &[f64]| -> f64 {
        let shares = softmax(similarity, PAIRS);
        -(0..PAIRS).map(|i| shares[i * PAIRS + i].ln()).sum::<f64>() / PAIRS as f64
    };
    let losses = |normalise: bool, temperature: f64| -> [f64; 2] {
        let of = |rows: &[f64]| if normalise { unit(rows, WIDTH) } else { rows.to_vec() };
        let similarity: Vec<f64> = product(&of(&images), &transposed(&of(&texts), WIDTH), WIDTH)
            .iter()
            .map(|s| s / temperature)
            .collect();
        [found(&similarity), found(&transposed(&similarity, PAIRS))]
    };
    let mean = |[a, b]: [f64; 2]| (a + b) / 2.0;
    let alike = (PAIRS as f64).ln();
    let right = losses(true, 0.07);
    let slips: [Slip; 6] = [
        (vec![mean(losses(false, 0.07)), alike], "make the embeddings of unit length first"),
        (vec![mean(losses(true, 1.0)), alike], "the similarities are not divided by the temperature"),
        (
            vec![mean(losses(true, 1.0 / 0.07)), alike],
            "the similarities are multiplied by the temperature; divide",
        ),
        (
            vec![right[0], alike],
            "this asks for the text of each image alone; ask for the image of each text, too, and take the mean",
        ),
        (
            vec![right[1], alike],
            "this asks for the image of each text alone; ask for the text of each image, too, and take the mean",
        ),
        (vec![mean(right), 0.0], "a model that embeds everything alike guesses among four: ln 4"),
    ];
    compare(
        given,
        &[mean(right), alike],
        1e-3,
        &slips,
        "both directions, and ln N for a model that cannot tell",
    )
}

fn zero_shot(given: &[f64]) -> Verdict {
    const CLASSES: usize = 3;
    const TEMPLATES: usize = 4;
    const WIDTH: usize = 6;
    let prompts = numbers(1.3, CLASSES * TEMPLATES * WIDTH);
    let means = |prompts: &[f64]| -> Vec<f64> {
        let of = |class: &[f64]| -> Vec<f64> {
            let mean =
                |i: usize| class.chunks_exact(WIDTH).map(|prompt| prompt[i]).sum::<f64>() / TEMPLATES as f64;
            (0..WIDTH).map(mean).collect()
        };
        prompts.chunks_exact(TEMPLATES * WIDTH).flat_map(of).collect()
    };
    let even = means(&unit(&prompts, WIDTH));
    let slips: [Slip; 2] = [
        (even.clone(), "make the means of unit length, too"),
        (unit(&means(&prompts), WIDTH), "make each prompt's embedding of unit length before the mean"),
    ];
    compare(given, &unit(&even, WIDTH), 1e-4, &slips, "normalised, averaged, normalised")
}

const QUERIES: usize = 5;
const CLASSES: usize = 3;

fn knn(given: &[f64]) -> Verdict {
    const MEMORY: usize = 20;
    const WIDTH: usize = 4;
    let vote = |normalise: bool, k: usize, temperature: f64| -> Vec<f64> {
        let of = |rows: Vec<f64>| if normalise { unit(&rows, WIDTH) } else { rows };
        let (queries, memory) = (of(numbers(1.4, QUERIES * WIDTH)), of(numbers(1.5, MEMORY * WIDTH)));
        let similarity = product(&queries, &transposed(&memory, WIDTH), WIDTH);
        let shares = |row: &[f64]| -> Vec<f64> {
            let mut order: Vec<usize> = (0..MEMORY).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let nearest: Vec<f64> = order[..k].iter().map(|&i| row[i] / temperature).collect();
            let mut shares = vec![0.0; CLASSES];
            order.iter().zip(softmax(&nearest, k)).for_each(|(&i, weight)| shares[i % CLASSES] += weight);
            shares
        };
        similarity.chunks_exact(MEMORY).flat_map(shares).collect()
    };
    let slips: [Slip; 4] = [
        (vote(true, 5, 1e12), "every neighbour counts alike; weight them by e^(similarity / 0.07)"),
        (vote(false, 5, 0.07), "make the features of unit length first"),
        (vote(true, 1, 0.07), "only the nearest image votes; five do"),
        (vote(true, MEMORY, 0.07), "all images vote; only the five nearest do"),
    ];
    compare(given, &vote(true, 5, 0.07), 1e-4, &slips, "five neighbours, weighted by similarity")
}

fn views(given: &[f64]) -> Verdict {
    let mask = |own: f64, pair: &dyn Fn(usize) -> usize| -> Vec<f64> {
        let of = |(row, column): (usize, usize)| match column {
            column if column == row => own,
            column if column == pair(row) => 1.0,
            _ => -1.0,
        };
        (0..8).flat_map(|row| (0..8).map(move |column| (row, column))).map(of).collect()
    };
    let next = |row: usize| row ^ 1;
    let slips: [Slip; 3] = [
        (mask(1.0, &next), "a view is not its own pair: the diagonal is not counted"),
        (mask(-1.0, &next), "a view is not a negative of itself: the diagonal is not counted"),
        (
            mask(0.0, &|row| (row + 4) % 8),
            "this pairs row i with row i + 4; here 2i and 2i + 1 belong together",
        ),
    ];
    compare(given, &mask(0.0, &next), 1e-6, &slips, "one pair, six negatives, and itself left out")
}

/// Accuracies of 20 neighbours.
const CAPTIONS: f64 = 0.228;
const VIEWS: f64 = 0.134;
const SUPERVISED: f64 = 0.840;
const RANDOM: f64 = 0.124;

fn neighbours(given: &[f64]) -> Verdict {
    let mut checks = vec![(
        given.iter().all(|share| (0.0..=1.0).contains(share)),
        "accuracies are shares, such as 0.5".to_owned(),
    )];
    let expected = [("captions", CAPTIONS), ("views", VIEWS), ("supervised", SUPERVISED), ("random", RANDOM)];
    checks.extend(given.iter().zip(expected).map(|(value, (name, right))| {
        (
            (value - right).abs() < 0.06,
            format!("`{name}` is {value:.3}, and {right:.3} ± 0.06 is expected of this run"),
        )
    }));
    Verdict::all(
        &checks,
        "labels teach most, captions something, and these views nothing that neighbours show",
    )
}
