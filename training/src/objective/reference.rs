//! Losses and gradients that `tests/fixtures/make_objectives.py` computed with PyTorch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;

/// One case of a loss.
#[derive(Deserialize)]
pub(super) struct Reference {
    loss: f64,
    inputs: BTreeMap<String, Vec<f32>>,
    shapes: BTreeMap<String, Vec<usize>>,
    gradients: BTreeMap<String, Vec<f32>>,
    #[serde(default)]
    pub temperature: f64,
    #[serde(default)]
    pub hidden: Vec<Vec<usize>>,
    #[serde(default)]
    pub patch: usize,
    #[serde(default)]
    pub beta: f64,
    /// Radius, length of a step and number of steps of an attack.
    #[serde(default)]
    pub attack: (f64, f64, usize),
}

/// The cases of a loss.
pub(super) fn references(name: &str) -> Vec<Reference> {
    let text = include_str!("../../tests/fixtures/objectives.json");
    let mut all: BTreeMap<String, Vec<Reference>> = serde_json::from_str(text).unwrap();
    all.remove(name).unwrap_or_else(|| panic!("no reference is called {name}"))
}

impl Reference {
    /// An input, a leaf with autodiff.
    pub fn leaf<const D: usize>(&self, name: &str) -> Tensor<D> {
        let data = TensorData::new(self.inputs[name].clone(), self.shapes[name].clone());
        Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
    }

    /// The values of an input.
    pub fn values(&self, name: &str) -> &[f32] {
        &self.inputs[name]
    }

    /// Compares a loss with the reference, and its gradient with respect to `leaf`, an input called `name`.
    #[track_caller]
    pub fn check<const D: usize>(&self, loss: &Tensor<1>, name: &str, leaf: &Tensor<D>) {
        let found = f64::from(loss.clone().into_scalar::<f32>());
        assert!((found - self.loss).abs() < 1e-5 * (1.0 + self.loss.abs()), "{found} {}", self.loss);
        let gradient = leaf.grad(&loss.backward()).expect("the loss depends on it");
        let gradient = gradient.into_data().try_into_vec::<f32>().unwrap();
        let expected = &self.gradients[name];
        assert_eq!(gradient.len(), expected.len());
        assert!(expected.iter().any(|value| value.abs() > 1e-3), "the gradient of {name} is nothing");
        for (found, expected) in gradient.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{name}: {found} {expected}");
        }
    }
}
