//! Gradient rollout that lets heads cancel each other.

use super::layers::{Matrix, rolled_out};
use super::maps::{LOSS, MapDeparture};
use super::{DepartureInfo, without_global_attention};
use crate::attention::AttentionMaps;
use crate::attribution::{Attribution, GradientRollout, Heatmap};

pub(super) static GRADIENT_ROLLOUT_FUSION: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "gradient-rollout-fusion",
        title: "where gradient rollout cuts negative values",
        paper: "attention times gradient is cut at zero in each head, then averaged over heads",
        source: "Chefer et al., 2021, arXiv 2103.15679, equation 5",
        popular: "it is averaged over heads first and cut afterwards, so that heads cancel each other",
        project: "jacobgil/vit-explain",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: |bench| GradientRollout.explain(&bench.evidence, bench.targets()),
    popular: |bench| {
        let gradients = bench.evidence.attention_gradients(bench.targets())?;
        Ok(cut_after_mean(bench.evidence.attention()?, &gradients))
    },
};

fn cut_after_mean(weights: &AttentionMaps, gradients: &AttentionMaps) -> Vec<Heatmap> {
    rolled_out(weights, |image, layer| {
        let of = [&weights.layers[layer], &gradients.layers[layer]];
        let mut matrix = Matrix::mean_over_heads(of[0], |head, at| {
            let [weight, slope] = of.map(|maps| f64::from(maps.head(image, 0, head)[at]));
            weight * slope
        });
        matrix.values.iter_mut().for_each(|entry| *entry = entry.max(0.0));
        matrix.add_identity();
        matrix.normalise_rows();
        matrix
    })
}
