//! Losses that tell matching pairs of embeddings from all others of a batch.

use archaeo_ops::{Precision, cross_entropy, linear};
use burn::tensor::{Int, Tensor, TensorData};

/// Added to a similarity that does not count, so that its probability is 0.
const NEVER: f64 = -1e9;

/// Rows of length 1.
///
/// # Shapes
/// `[rows, width]` → `[rows, width]`
pub(super) fn unit(rows: Tensor<2>) -> Tensor<2> {
    let squared = rows.clone().powi_scalar(2).sum_dim(1);
    rows / squared.clamp_min(1e-24).sqrt()
}

/// NT-Xent (Chen et al., 2020, equation 1): the cross-entropy of finding the other view of an image among all other views of the batch,
/// by cosine similarity over a temperature; a mean over views, in nats.
///
/// # Shapes
/// `embeddings` `[2 · batch, width]`, the second views after all first → `[1]`
pub(super) fn nt_xent(embeddings: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [views, _] = embeddings.dims();
    let device = embeddings.device();
    let embeddings = unit(embeddings);
    let similarity = linear(embeddings.clone(), embeddings, None, Precision::F32) / temperature;
    let itself = Tensor::<2>::eye(views, &device) * NEVER;
    let other: Vec<i64> = (0..views).map(|view| ((view + views / 2) % views) as i64).collect();
    let other = Tensor::<1, Int>::from_data(TensorData::new(other, [views]), &device);
    cross_entropy(similarity + itself, other)
}

/// The symmetric cross-entropy of CLIP (Radford et al., 2021, figure 3): of finding the caption of an image among those of the batch, and
/// the image of a caption, by cosine similarity times `exp(scale)`; in nats.
///
/// # Shapes
/// `images` and `texts` `[batch, width]`, `scale` `[1]` → `[1]`
pub(super) fn symmetric(images: Tensor<2>, texts: Tensor<2>, scale: Tensor<1>) -> Tensor<1> {
    let [batch, _] = images.dims();
    let device = images.device();
    let similarity = linear(unit(images), unit(texts), None, Precision::F32) * scale.exp().reshape([1, 1]);
    let own: Vec<i64> = (0..batch as i64).collect();
    let own = Tensor::<1, Int>::from_data(TensorData::new(own, [batch]), &device);
    (cross_entropy(similarity.clone(), own.clone()) + cross_entropy(similarity.transpose(), own)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::reference::references;

    #[test]
    fn losses_and_gradients_are_pytorchs() {
        for case in references("nt_xent") {
            let embeddings = case.leaf("embeddings");
            case.check(&nt_xent(embeddings.clone(), case.temperature), "embeddings", &embeddings);
        }
        for case in references("clip") {
            let (images, texts, scale) = (case.leaf("image"), case.leaf("text"), case.leaf("scale"));
            let loss = || symmetric(images.clone(), texts.clone(), scale.clone());
            case.check(&loss(), "image", &images);
            case.check(&loss(), "text", &texts);
            case.check(&loss(), "scale", &scale);
        }
    }
}
