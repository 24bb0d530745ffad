//! Rollout normalised along the wrong axis.

use super::layers::{Matrix, rolled_out};
use super::maps::{LOSS, MapDeparture};
use super::{Bench, DepartureInfo, without_global_attention};
use crate::AnalysisError;
use crate::attention::{AttentionMaps, LayerMaps};
use crate::attribution::{Attribution, Heatmap, Rollout, RolloutOptions};

/// The share that the popular code discards where nothing is said.
pub(super) const DISCARD: f64 = 0.9;

pub(super) static ROLLOUT_AXIS: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "rollout-axis",
        title: "the axis along which rollout normalises",
        paper: "after discarding the smallest 90 % of each row, each row of A + I is divided by its own sum",
        source: "Abnar and Zuidema, 2020, equation 1 and its normalisation",
        popular: "each column is divided by the sum of the row of the same number, so that rows no longer sum to one; nothing \
                  changes where nothing is discarded",
        project: "jacobgil/vit-explain, issue 16, and what copies it",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: row_wise,
    popular: |bench| Ok(wrong_axis(bench.evidence.attention()?)),
};

/// Rollout that discards row by row.
pub(super) fn row_wise(bench: &Bench) -> Result<Vec<Heatmap>, AnalysisError> {
    let options = RolloutOptions { discard: DISCARD, ..RolloutOptions::USUAL };
    Rollout { options }.explain(&bench.evidence, &[])
}

fn wrong_axis(maps: &AttentionMaps) -> Vec<Heatmap> {
    rolled_out(maps, |image, layer| matrix(&maps.layers[layer], image, DISCARD))
}

pub(super) fn matrix(layer: &LayerMaps, image: usize, discard: f64) -> Matrix {
    let mut matrix = Matrix::attention(layer, image);
    matrix.discard_in_rows(discard);
    matrix.add_identity();
    matrix.normalise_columns_by_row_sums();
    matrix
}
