//! Lesson 4: windows, Swin against ViT.

use super::answer::Form;
use super::arithmetic::numbers;
use super::judge::{Slip, Verdict, compare, counts};
use super::{Exercise, Lesson, texts};

pub static LESSON: Lesson = texts!(4, 2, ["images/windows.png", "files/windows.toml"], EXERCISES);

const EXERCISES: &[Exercise] = &[
    Exercise { answer: "windows", form: Form::Array(&[6, 4, 2]), judge: windows },
    Exercise { answer: "shift-mask", form: Form::Array(&[4, M * M, M * M]), judge: shift_mask },
    Exercise { answer: "cost", form: Form::Numbers(&["global", "windows"]), judge: cost },
    Exercise { answer: "relative", form: Form::Array(&[M * M, M * M]), judge: relative },
    Exercise { answer: "reach", form: Form::Numbers(&REACH), judge: reach },
    Exercise { answer: "trained", form: Form::Numbers(&["vit", "swin"]), judge: trained },
];

fn windows(given: &[f64]) -> Verdict {
    const COLUMNS: usize = 6;
    const CHANNELS: usize = 2;
    const SIDE: usize = 2;
    let map = numbers(1.2, 4 * COLUMNS * CHANNELS);
    let cut = |by_rows: bool| -> Vec<f64> {
        let (down, across) = (4 / SIDE, COLUMNS / SIDE);
        let corner = |window: usize| {
            if by_rows { (window / across, window % across) } else { (window % down, window / down) }
        };
        let token = |window: usize, place: usize| {
            let (row, column) = corner(window);
            (row * SIDE + place / SIDE) * COLUMNS + column * SIDE + place % SIDE
        };
        let places = (0..down * across).flat_map(|window| (0..SIDE * SIDE).map(move |place| (window, place)));
        places
            .flat_map(|(window, place)| map[token(window, place) * CHANNELS..][..CHANNELS].to_vec())
            .collect()
    };
    let slips: [Slip; 2] = [
        (
            map.clone(),
            "a reshape alone gives strips of rows; exchange rows within a window and columns of windows",
        ),
        (cut(false), "the windows run column by column; row by row is asked for"),
    ];
    compare(given, &cut(true), 1e-6, &slips, "six windows, row by row")
}

/// Side of a window of two exercises.
const M: usize = 3;

/// Which pairs may attend, with the regions that `region` gives a row or column of the rolled map.
fn allowed(side: usize, region: impl Fn(usize) -> usize) -> Vec<f64> {
    let across = side / M;
    let place =
        |window: usize, place: usize| (window / across * M + place / M, window % across * M + place % M);
    let of = |(row, column): (usize, usize)| (region(row), region(column));
    let windows = 0..across * across;
    let pairs =
        windows.flat_map(|window| (0..M * M).flat_map(move |i| (0..M * M).map(move |j| (window, i, j))));
    pairs.map(|(window, i, j)| f64::from(u8::from(of(place(window, i)) == of(place(window, j))))).collect()
}

fn shift_mask(given: &[f64]) -> Verdict {
    const SIDE: usize = 6;
    let moved = |shift: usize| {
        move |place: usize| {
            if place < SIDE - M {
                0
            } else if place < SIDE - shift {
                1
            } else {
                2
            }
        }
    };
    let right = allowed(SIDE, moved(1));
    let slips: [Slip; 3] = [
        (vec![1.0; right.len()], "nothing is masked: the last windows hold tokens of opposite edges"),
        (
            right.iter().map(|pair| 1.0 - pair).collect(),
            "this marks what is forbidden; 1 is for what is allowed",
        ),
        (
            allowed(SIDE, moved(2)),
            "the windows moved by 1, so that the last row and column came around, not the last two",
        ),
    ];
    compare(given, &right, 1e-6, &slips, "opposite edges do not meet")
}

fn cost(given: &[f64]) -> Verdict {
    let [n, width, window] = [4096.0, 128.0, 64.0];
    let right = [2.0 * n * n * width, 2.0 * n * window * width];
    let slips: [Slip; 3] = [
        (
            right.iter().map(|count| count / 2.0).collect(),
            "there are two products: scores, and weights times values",
        ),
        (vec![right[0], 2.0 * window * window * width], "this is one window; there are 64"),
        (vec![right[0], 2.0 * n * 8.0 * width], "a window of 8 × 8 has 64 tokens"),
    ];
    counts(given, &["global", "windows"], &right, &slips, "64 times less in windows")
}

fn relative(given: &[f64]) -> Verdict {
    let index = |sign: f64, stride: f64| -> Vec<f64> {
        let apart = |i: usize, j: usize| sign * (i as f64 - j as f64);
        let of = |(i, j): (usize, usize)| (apart(i / M, j / M) + 2.0) * stride + apart(i % M, j % M) + 2.0;
        (0..M * M).flat_map(|i| (0..M * M).map(move |j| (i, j))).map(of).collect()
    };
    let slips: [Slip; 2] = [
        (index(-1.0, 5.0), "the differences are key minus query; query minus key is asked for"),
        (index(1.0, 3.0), "there are 5 differences along an axis, from −2 to 2: rows count by 5"),
    ];
    compare(given, &index(1.0, 5.0), 1e-6, &slips, "25 entries for 81 pairs")
}

const REACH: [&str; 3] = ["one", "two", "three"];

fn reach(given: &[f64]) -> Verdict {
    let slips: [Slip; 3] = [
        (
            vec![16.0, 16.0, 16.0],
            "the second layer moves its windows: its window of the token touches four windows of the first",
        ),
        (vec![16.0, 32.0, 48.0], "each layer adds whole windows: count the places, not layers times 16"),
        (
            vec![16.0, 64.0, 64.0],
            "the third layer's window touches four windows of the second, which reach farther than those of the token alone",
        ),
    ];
    counts(given, &REACH, &[16.0, 64.0, 144.0], &slips, "four, eight, twelve tokens along each side")
}

fn trained(given: &[f64]) -> Verdict {
    let [vit, swin] = given else { unreachable!("two numbers were read") };
    let check = |name: &str, value: f64, right: f64| {
        (
            (value - right).abs() < 0.06,
            format!("`{name}` is {value:.3}, and {right:.3} ± 0.06 is expected of this recipe"),
        )
    };
    Verdict::all(&[check("vit", *vit, 0.370), check("swin", *swin, 0.401)], "no difference is established")
}

#[cfg(test)]
mod tests {
    use archaeo_models::{Window, WindowPadding};

    use super::*;

    /// The regions of the program's Swin Transformers keep apart what the exercise keeps apart.
    #[test]
    fn the_models_windows_are_right() {
        let window = Window { size: [M, M], shift: [1, 1], padding: WindowPadding::BeforeShift };
        let regions = window.regions([6, 6]);
        let pairs = regions
            .chunks_exact(M * M)
            .flat_map(|of| of.iter().flat_map(move |i| of.iter().map(move |j| i == j)));
        let pairs: Vec<f64> = pairs.map(|same| f64::from(u8::from(same))).collect();
        let judged = shift_mask(&pairs);
        assert!(matches!(judged, Verdict::Right(_)), "{judged:?}");
    }
}
