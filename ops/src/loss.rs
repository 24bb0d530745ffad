//! Cross-entropy losses.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// Cross-entropy of each image against its class index, in nats.
///
/// # Shapes
/// `logits` `[batch, classes]`, `labels` `[batch]` → `[batch]`
pub fn per_image_cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    log_softmax(logits, 1).gather(1, labels.reshape([batch, 1])).neg().reshape([batch])
}

/// Mean cross-entropy against class indices, in nats.
///
/// # Shapes
/// `logits` `[batch, classes]`, `labels` `[batch]` → `[1]`
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    per_image_cross_entropy(logits, labels).mean()
}

/// Mean cross-entropy against a distribution over classes (smoothed or mixed labels), in nats.
///
/// # Shapes
/// `logits` and `targets` `[batch, classes]`, rows of `targets` sum to one → `[1]`
pub fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    (log_softmax(logits, 1) * targets).sum().neg() / batch as f64
}
