//! Gradient rollout that pairs layers with the gradients of other layers.

use super::layers::{Matrix, rolled_out};
use super::maps::{LOSS, MapDeparture};
use super::{DepartureInfo, without_global_attention};
use crate::attention::AttentionMaps;
use crate::attribution::{Attribution, GradientRollout, Heatmap};

pub(super) static GRADIENT_ROLLOUT_ORDER: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "gradient-rollout-order",
        title: "the order of gradients in gradient rollout",
        paper: "the attention of each layer is weighted by the gradient at that layer's own attention",
        source: "Chefer et al., 2021, arXiv 2103.15679, equation 5",
        popular: "gradients are kept in the order of the backward pass, so that the first layer's attention meets the last layer's \
                  gradient",
        project: "jacobgil/vit-explain, issue 6",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: |bench| GradientRollout.explain(&bench.evidence, bench.targets()),
    popular: |bench| {
        let gradients = bench.evidence.attention_gradients(bench.targets())?;
        Ok(reversed(bench.evidence.attention()?, &gradients))
    },
};

pub(super) fn reversed(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    let last = weights.layers.len() - 1;
    rolled_out(weights, |image, layer| {
        let (weights, gradients) = (&weights.layers[layer], &gradients.layers[last - layer]);
        let mut matrix = Matrix::mean_over_heads(weights, |head, at| {
            let [weight, slope] = [weights, gradients].map(|of| f64::from(of.head(image, 0, head)[at]));
            (weight * slope).max(0.0)
        });
        matrix.add_identity();
        matrix.normalise_rows();
        matrix
    })
}
