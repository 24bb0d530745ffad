//! Helpers shared by both test files.
#![allow(dead_code)] // each of them uses some of it

mod devices;

use burn::tensor::Device;
pub use devices::other_devices;
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// An input: its shape and values.
#[derive(Clone)]
pub struct Input {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Input {
    /// The values in single precision.
    pub fn singles(&self) -> Vec<f32> {
        self.values.iter().map(|value| *value as f32).collect()
    }
}

/// Values uniform in (−`range`, `range`), exact in single precision.
pub fn input(shape: &[usize], seed: u64, range: f64) -> Input {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || f64::from(((2.0 * rng.random::<f64>() - 1.0) * range) as f32);
    Input { shape: shape.to_vec(), values: (0..shape.iter().product()).map(|_| draw()).collect() }
}

/// Every device of this build.
pub fn devices() -> Vec<Device> {
    [vec![Device::flex()], other_devices()].concat()
}
