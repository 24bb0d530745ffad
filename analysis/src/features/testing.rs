//! What the tests of this folder share.

use archaeo_random::{keyed_rng, standard_normal};
use serde_json::Value;

use super::Features;

/// A part of what `tests/fixtures/make_features.py` wrote.
pub fn fixture(part: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../../tests/fixtures/features.json")).unwrap();
    all[part].clone()
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// All numbers of nested lists, in order.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![number(value)],
    }
}

pub fn indices(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|value| value as usize).collect()
}

/// A list of rows.
pub fn matrix(value: &Value) -> Features {
    let width = value[0].as_array().unwrap().len();
    Features::new(width, numbers(value).into_iter().map(|value| value as f32).collect())
}

pub fn points(value: &Value) -> Vec<[f64; 2]> {
    numbers(value).chunks_exact(2).map(|point| [point[0], point[1]]).collect()
}

/// Standard normal features.
pub fn normal(n: usize, width: usize, seed: u64) -> Features {
    let mut rng = keyed_rng(seed, "made-up features", 0, 0);
    Features::new(width, (0..n * width).map(|_| standard_normal(&mut rng) as f32).collect())
}

/// `each` images of every class around a centre of its own, class after class; centres are `distance` deviations from the origin, each
/// along its own axis.
pub fn clusters(
    classes: usize,
    each: usize,
    width: usize,
    distance: f32,
    seed: u64,
) -> (Features, Vec<usize>) {
    let noise = normal(classes * each, width, seed);
    let labels: Vec<usize> = (0..classes * each).map(|image| image / each).collect();
    let mut values = noise.values().to_vec();
    for (row, &label) in values.chunks_exact_mut(width).zip(&labels) {
        row[label % width] += distance;
    }
    (Features::new(width, values), labels)
}
