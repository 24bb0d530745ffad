//! Rollout that discards over the whole matrix.

use super::layers::{Matrix, rolled_out};
use super::maps::{LOSS, MapDeparture};
use super::rollout_axis::{DISCARD, row_wise};
use super::{DepartureInfo, without_global_attention};
use crate::attention::AttentionMaps;
use crate::attribution::Heatmap;

pub(super) static ROLLOUT_DISCARD: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "rollout-discard",
        title: "what rollout discards",
        paper: "nothing; where 90 % are discarded, then the smallest entries of each row, so that every token keeps a tenth",
        source: "Abnar and Zuidema, 2020, section 3, which has no discarding",
        popular: "the smallest 90 % of the entries of the whole flattened matrix go, so that some rows keep most of theirs and others \
                  none; of the class token only the entry for itself is spared",
        project: "jacobgil/vit-explain",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: row_wise,
    popular: |bench| Ok(flattened(bench.evidence.attention()?)),
};

fn flattened(maps: &AttentionMaps) -> Vec<Heatmap> {
    rolled_out(maps, |image, layer| {
        let mut matrix = Matrix::attention(&maps.layers[layer], image);
        matrix.discard_in_all(DISCARD, Some(0));
        matrix.add_identity();
        matrix.normalise_rows();
        matrix
    })
}
