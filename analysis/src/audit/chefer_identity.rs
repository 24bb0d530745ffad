//! Attention relevance without the identity.

use super::layers::{Matrix, rolled_out};
use super::maps::{LOSS, MapDeparture};
use super::{DepartureInfo, without_global_attention};
use crate::attention::AttentionMaps;
use crate::attribution::{AttentionRelevance, Attribution, Heatmap};

pub(super) static CHEFER_IDENTITY: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "chefer-identity",
        title: "the identity in attention relevance",
        paper: "relevance begins as the identity, and each layer adds to it: R ← R + Ā·R",
        source: "Chefer et al., 2021, arXiv 2103.15679, equations 2 and 6",
        popular: "each layer replaces it, R ← Ā·R, so that the residual path is left out",
        project: "reimplementations that multiply the matrices of all layers",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: |bench| AttentionRelevance.explain(&bench.evidence, bench.targets()),
    popular: |bench| {
        let gradients = bench.evidence.attention_gradients(bench.targets())?;
        Ok(without_identity(bench.evidence.attention()?, &gradients))
    },
};

pub(super) fn without_identity(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    rolled_out(weights, |image, layer| {
        let of = [&weights.layers[layer], &gradients.layers[layer]];
        let mut matrix = Matrix::mean_over_heads(of[0], |head, at| {
            let [weight, slope] = of.map(|maps| f64::from(maps.head(image, 0, head)[at]));
            (weight * slope).max(0.0)
        });
        // A product of a dozen small matrices leaves the range of 32 bits; a common factor changes no order.
        let largest = matrix.values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        matrix.values.iter_mut().for_each(|entry| *entry /= largest);
        matrix
    })
}
