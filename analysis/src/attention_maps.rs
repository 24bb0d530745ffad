//! The attention weights of a whole forward pass, and their gradients, as plain arrays.

use archaeo_models::{AttentionSite, Classifier, Pass};
use burn::tensor::Tensor;

use crate::AnalysisError;
use crate::heatmap::Heatmap;
use crate::predict::predicted_classes;
use crate::probes::{AttentionRecorder, GradientTap};
use crate::tensors::{class_indices, values};

/// One array a layer over the attention of a batch of images: the weights, or their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMaps {
    /// Number of images.
    pub images: usize,
    /// Heads a layer.
    pub heads: usize,
    /// Tokens: prefix tokens and then patches in reading order.
    pub tokens: usize,
    /// Patch tokens as rows and columns.
    pub grid: [usize; 2],
    /// Tokens before the first patch token: class, distillation, registers. The first one, if any, is the class token.
    pub prefix_tokens: usize,
    /// Height and width of the input, in pixels.
    pub image_size: [usize; 2],
    /// From the input to the output, each `(images, heads, tokens, tokens)`, last axis (the keys) fastest.
    pub layers: Vec<Vec<f32>>,
}

impl AttentionMaps {
    /// The weights after softmax, of every layer.
    ///
    /// # Errors
    /// A model without attention.
    pub fn record(model: &Classifier, images: Tensor<4>) -> Result<Self, AnalysisError> {
        let [_, _, height, width] = images.dims();
        let mut recorder = AttentionRecorder::default();
        model.logits(images, &mut Pass::evaluate(&mut recorder));
        Self::gathered(model, [height, width], recorder.layers)
    }

    /// The weights of every layer, and the gradients at them of each image's logit of its target class (the predicted
    /// class where `targets` is `None`).
    ///
    /// # Errors
    /// A model without attention.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image.
    pub fn record_with_gradients(
        model: &Classifier,
        images: Tensor<4>,
        targets: Option<&[usize]>,
    ) -> Result<(Self, Self), AnalysisError> {
        let [_, _, height, width] = images.dims();
        let mut tap = GradientTap::default();
        let logits = model.logits(images, &mut Pass::evaluate(&mut tap));
        if tap.layers.is_empty() {
            return Err(AnalysisError::NoAttention { model: model.card().name.clone() });
        }
        let gradients = target_score(logits, targets).backward();
        let weights = tap.layers.iter().map(|(site, layer)| (*site, layer.value())).collect();
        let slopes = tap.layers.iter().map(|(site, layer)| (*site, layer.gradient(&gradients))).collect();
        let gather = |layers| Self::gathered(model, [height, width], layers);
        Ok((gather(weights)?, gather(slopes)?))
    }

    fn gathered(
        model: &Classifier,
        image_size: [usize; 2],
        layers: Vec<(AttentionSite, Tensor<4>)>,
    ) -> Result<Self, AnalysisError> {
        let Some((site, first)) = layers.first() else {
            return Err(AnalysisError::NoAttention { model: model.card().name.clone() });
        };
        let AttentionSite { grid, prefix_tokens, .. } = *site;
        let [images, heads, tokens, _] = first.dims();
        let layers = layers.into_iter().map(|(_, layer)| values(layer)).collect();
        Ok(Self { images, heads, tokens, grid, prefix_tokens, image_size, layers })
    }

    /// One head's `(tokens, tokens)` matrix for one image: rows are queries, columns keys.
    pub fn head(&self, layer: usize, image: usize, head: usize) -> &[f32] {
        let size = self.tokens * self.tokens;
        &self.layers[layer][(image * self.heads + head) * size..][..size]
    }

    /// What one head sends from the patches to the class token; without a class token, to all tokens on average.
    pub fn readout_map(&self, layer: usize, image: usize, head: usize) -> Heatmap {
        let matrix = self.head(layer, image, head);
        let readers = if self.prefix_tokens > 0 { 1 } else { self.tokens };
        let mean = |key: usize| {
            let sum: f64 = (0..readers).map(|query| f64::from(matrix[query * self.tokens + key])).sum();
            (sum / readers as f64) as f32
        };
        Heatmap::new(self.grid[0], self.grid[1], (self.prefix_tokens..self.tokens).map(mean).collect())
    }
}

/// Sum over images of the logit of each one's target class, `[batch, classes]` → `[1]`. Images do not influence each other
/// in a frozen model, so that the gradient of the sum holds every image's own.
pub(crate) fn target_score(logits: Tensor<2>, targets: Option<&[usize]>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let predicted;
    let targets = match targets {
        Some(targets) => targets,
        None => {
            predicted = predicted_classes(&values(logits.clone()), classes);
            &predicted
        }
    };
    let indices = class_indices(targets, &logits).reshape([batch, 1]);
    logits.gather(1, indices).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, assert_close};

    #[test]
    fn weights_and_gradients_are_pytorchs() {
        let fixture = Fixture::load();
        let targets = fixture.targets();
        let vit = fixture.vit();
        let (weights, gradients) =
            AttentionMaps::record_with_gradients(&vit, fixture.images(), Some(&targets)).unwrap();
        for (found, name) in [(&weights, "attention"), (&gradients, "attention_gradient")] {
            let expected = fixture.attention(name);
            assert_eq!((found.grid, found.prefix_tokens, found.image_size), ([4, 4], 1, [32, 32]));
            assert_eq!(found.layers.len(), expected.layers.len());
            for (found, expected) in found.layers.iter().zip(&expected.layers) {
                assert_close(found, expected, 3e-5);
            }
        }
        // With gradients the device may round otherwise.
        for (plain, tapped) in
            AttentionMaps::record(&vit, fixture.images()).unwrap().layers.iter().zip(&weights.layers)
        {
            assert_close(plain, tapped, 1e-6);
        }
        let class_row = &weights.head(1, 2, 3)[1..17];
        assert_eq!(weights.readout_map(1, 2, 3).values, class_row);
    }

    #[test]
    fn the_target_is_the_predicted_class_by_default() {
        let fixture = Fixture::load();
        let vit = fixture.vit();
        let predicted = predicted_classes(fixture.values("vit_logits"), 5);
        let named = AttentionMaps::record_with_gradients(&vit, fixture.images(), Some(&predicted)).unwrap();
        assert_eq!(AttentionMaps::record_with_gradients(&vit, fixture.images(), None).unwrap(), named);
    }

    #[test]
    fn a_residual_network_has_no_attention() {
        let fixture = Fixture::load();
        let refused = AttentionMaps::record(&fixture.resnet(), fixture.images()).unwrap_err();
        assert_eq!(refused.to_string(), "tiny has no attention heads; this study needs a vision transformer");
    }
}
