//! What a model says: logits and probabilities as plain numbers.

use archaeo_models::{Classifier, Pass};
use burn::tensor::Tensor;

use crate::statistics::softmax;
use crate::tensors::values;

/// Logits of a batch, `(batch, classes)` row by row.
///
/// An image's logits depend on that image alone, up to the rounding of the device's matrix product.
pub fn logits(model: &Classifier, images: Tensor<4>) -> Vec<f32> {
    values(model.logits(images, &mut Pass::evaluate(&mut ())))
}

/// Softmax of every row of `logits`, `(batch, classes)` row by row.
pub fn probabilities(logits: &[f32], classes: usize) -> Vec<f64> {
    logits.chunks_exact(classes).flat_map(softmax).collect()
}

/// The class of the largest logit of every row; the lowest class among equals.
pub fn predicted_classes(logits: &[f32], classes: usize) -> Vec<usize> {
    logits.chunks_exact(classes).map(largest).collect()
}

fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}
