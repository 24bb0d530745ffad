//! Lesson 2: patches, positions, and a minimal Vision Transformer.

use super::answer::Form;
use super::arithmetic::numbers;
use super::judge::{Slip, Verdict, compare, counts};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(2, 2, ["images/patches.png", "files/patches.toml"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "patches", form: Form::Array(&[4, 48]), judge: patches },
    Exercise { answer: "tokens", form: Form::Numbers(&TOKENS), judge: tokens },
    Exercise { answer: "cost", form: Form::Numbers(&COSTS), judge: cost },
    Exercise { answer: "crossover", form: Form::Numbers(&["tokens"]), judge: crossover },
    Exercise { answer: "positions", form: Form::Array(&[GRID * GRID, WIDTH]), judge: positions },
    Exercise { answer: "accuracies", form: Form::Numbers(&ACCURACIES), judge: accuracies },
];

const SIDE: usize = 8;
const PATCH: usize = 4;
const CHANNELS: usize = 3;

/// The image in patches; `place` says where in its patch a value goes, of which channel, row and column there.
fn cut(by_rows: bool, place: impl Fn(usize, usize, usize) -> usize) -> Vec<f64> {
    let image = numbers(1.3, SIDE * SIDE * CHANNELS);
    let mut tokens = vec![0.0; image.len()];
    for (at, value) in image.into_iter().enumerate() {
        let (pixel, channel) = (at / CHANNELS, at % CHANNELS);
        let (row, column) = (pixel / SIDE, pixel % SIDE);
        let [down, across] = [row / PATCH, column / PATCH];
        let patch = if by_rows { down * (SIDE / PATCH) + across } else { across * (SIDE / PATCH) + down };
        tokens[patch * PATCH * PATCH * CHANNELS + place(channel, row % PATCH, column % PATCH)] = value;
    }
    tokens
}

fn patches(given: &[f64]) -> Verdict {
    let channels_first = |channel: usize, row: usize, column: usize| (channel * PATCH + row) * PATCH + column;
    let channels_last =
        |channel: usize, row: usize, column: usize| (row * PATCH + column) * CHANNELS + channel;
    let slips: [Slip; 3] = [
        (
            numbers(1.3, SIDE * SIDE * CHANNELS),
            "a reshape alone gives strips of rows; exchange the axes of rows within a patch and of columns of patches",
        ),
        (
            cut(true, channels_last),
            "the channels come last in each patch; move them to the front, as in a convolution's kernel",
        ),
        (cut(false, channels_first), "the patches run column by column; row by row is asked for"),
    ];
    compare(given, &cut(true, channels_first), 1e-6, &slips, "four patches, row by row, channels first")
}

const TOKENS: [&str; 3] = ["p16", "p14", "small"];

fn tokens(given: &[f64]) -> Verdict {
    let slips: [Slip; 2] = [
        (vec![196.0, 256.0, 64.0], "the class token is missing: add one to each"),
        (vec![15.0, 17.0, 9.0], "patches cover the image in two dimensions: square the patches along a side"),
    ];
    counts(given, &TOKENS, &[197.0, 257.0, 65.0], &slips, "(S / P)² + 1 in each")
}

const COSTS: [&str; 2] = ["p16", "p8"];

/// Multiply-adds of a ViT of width 192, 12 blocks, MLPs of 768 and 1000 classes, without some of its parts.
fn multiply_adds(patch: f64, class_token: f64, products: f64, embedding: f64, head: f64) -> f64 {
    const WIDTH: f64 = 192.0;
    const DEPTH: f64 = 12.0;
    const MLP: f64 = 768.0;
    let patches = (224.0 / patch) * (224.0 / patch);
    let n = patches + class_token;
    let block = 4.0 * n * WIDTH * WIDTH + 2.0 * n * WIDTH * MLP + products * n * n * WIDTH;
    embedding * patches * 3.0 * patch * patch * WIDTH + DEPTH * block + head * WIDTH * 1000.0
}

fn cost(given: &[f64]) -> Verdict {
    let both = |count: &dyn Fn(f64) -> f64| vec![count(16.0), count(8.0)];
    let right = both(&|patch| multiply_adds(patch, 1.0, 2.0, 1.0, 1.0));
    let slips: [Slip; 6] = [
        (
            both(&|patch| multiply_adds(patch, 0.0, 2.0, 1.0, 1.0)),
            "the class token is a token of the blocks, too",
        ),
        (
            both(&|patch| multiply_adds(patch, 1.0, 0.0, 1.0, 1.0)),
            "the products of attention are missing: 2n²d in each block",
        ),
        (
            both(&|patch| multiply_adds(patch, 1.0, 1.0, 1.0, 1.0)),
            "attention has two products: scores, and weights times values",
        ),
        (both(&|patch| multiply_adds(patch, 1.0, 2.0, 0.0, 1.0)), "the patch embedding is missing"),
        (both(&|patch| multiply_adds(patch, 1.0, 2.0, 1.0, 0.0)), "the head is missing: 192 · 1000"),
        (
            right.iter().map(|count| 2.0 * count).collect(),
            "multiplications and additions are counted apart; a multiply-add is one",
        ),
    ];
    counts(
        given,
        &COSTS,
        &right,
        &slips,
        "as the program counts: 5.6 times as much for four times the tokens",
    )
}

fn crossover(given: &[f64]) -> Verdict {
    let slips: [Slip; 3] = [
        (vec![1152.0], "this is where they cross for a width of 192"),
        (vec![768.0], "the MLP is missing among the dense layers: 4nd² + 2ndm"),
        (vec![4608.0], "there are two products: 2n²d"),
    ];
    counts(given, &["tokens"], &[2304.0], &slips, "n = 6d, for MLPs of four times the width")
}

const GRID: usize = 3;
const WIDTH: usize = 16;

/// Sines and cosines of the places of a grid.
fn sines(columns_first: bool, alternating: bool, base: f64) -> Vec<f64> {
    let quarter = WIDTH / 4;
    let value = |place: usize, i: usize| {
        let (row, column) = (place / GRID, place % GRID);
        let (half, i) = (i / (WIDTH / 2), i % (WIDTH / 2));
        let along = if (half == 0) != columns_first { row } else { column };
        let (wave, frequency) = if alternating { (i % 2, i / 2) } else { (i / quarter, i % quarter) };
        let angle = along as f64 * base.powf(-(frequency as f64) / quarter as f64);
        if wave == 0 { angle.sin() } else { angle.cos() }
    };
    (0..GRID * GRID)
        .flat_map(|place| (0..WIDTH).map(move |i| (place, i)))
        .map(|(place, i)| value(place, i))
        .collect()
}

fn positions(given: &[f64]) -> Verdict {
    let slips: [Slip; 3] = [
        (sines(true, false, 1e4), "the first half is of the column; it is to be of the row"),
        (
            sines(false, true, 1e4),
            "sines and cosines alternate; first all sines, then all cosines, are asked for",
        ),
        (sines(false, false, 1e-4), "the exponent is negative: frequencies fall from 1"),
    ];
    compare(
        given,
        &sines(false, false, 1e4),
        1e-6,
        &slips,
        "each place of the grid has a position of its own",
    )
}

const ACCURACIES: [&str; 4] = ["patch4", "patch8", "patch16", "no_positions"];

fn accuracies(given: &[f64]) -> Verdict {
    let [patch4, patch8, patch16, no_positions] = given else { unreachable!("four numbers were read") };
    let near = |value: f64, right: f64| (value - right).abs() < 0.06;
    let far = |name: &str, value: f64, right: f64| {
        format!("`{name}` is {value:.3}, and {right:.3} ± 0.06 is expected of this recipe")
    };
    Verdict::all(
        &[
            (
                given.iter().all(|share| (0.0..=1.0).contains(share)),
                "accuracies are shares, such as 0.5".into(),
            ),
            (near(*patch4, 0.341), far("patch4", *patch4, 0.341)),
            (near(*patch8, 0.427), far("patch8", *patch8, 0.427)),
            (near(*patch16, 0.597), far("patch16", *patch16, 0.597)),
            (near(*no_positions, 0.356), far("no_positions", *no_positions, 0.356)),
        ],
        "at this budget large patches win, and positions pay",
    )
}

#[cfg(test)]
mod tests {
    use archaeo_models::sine_positions;
    use burn::tensor::Device;

    use super::*;

    /// Positions are those of the program's models.
    #[test]
    fn the_models_positions_are_right() {
        let data = sine_positions([GRID, GRID], 0, WIDTH, &Device::flex()).into_data();
        let values: Vec<f64> = data.try_into_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
        let judged = positions(&values);
        assert!(matches!(judged, Verdict::Right(_)), "{judged:?}");
    }
}
