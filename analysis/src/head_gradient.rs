//! What each attention head is worth to the loss, by gradient (Michel et al., 2019, equation 2).

use archaeo_models::{Classifier, Pass};
use archaeo_ops as ops;
use burn::tensor::Tensor;

use crate::AnalysisError;
use crate::probes::HeadGate;
use crate::tensors::{class_indices, values};

/// |∂L/∂ξ| of each image's cross-entropy L at a gate ξ = 1 on the output of each head: `[layer][head][image]`. The
/// importance of a head is the mean over images, to first order what the loss changes when the head is taken away.
///
/// Every image has gates of its own, so that one backward pass serves all images, heads and layers.
///
/// # Errors
/// A model without attention.
///
/// # Panics
/// If there is not one label an image.
pub fn gradient_importance(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
) -> Result<Vec<Vec<Vec<f64>>>, AnalysisError> {
    let batch = images.dims()[0];
    assert_eq!(labels.len(), batch, "one label an image is needed");
    let mut probe = HeadGate::default();
    let logits = model.logits(images, &mut Pass::evaluate(&mut probe));
    if probe.gates.is_empty() {
        return Err(AnalysisError::NoAttention { model: model.card().name.clone() });
    }
    let targets = class_indices(labels, &logits.device());
    let gradients = ops::per_image_cross_entropy(logits, targets).sum().backward();
    let per_layer = |gate: Tensor<4>| {
        let heads = gate.dims()[1];
        let slopes = gate.grad(&gradients).map_or_else(|| vec![0.0; batch * heads], values);
        (0..heads)
            .map(|head| (0..batch).map(|image| f64::from(slopes[image * heads + head].abs())).collect())
            .collect()
    };
    Ok(probe.gates.into_iter().map(per_layer).collect())
}
