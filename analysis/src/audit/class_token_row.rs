//! The first token's row in a model that reads the patches.

use archaeo_models::{Classifier, ReadOut};

use super::layers::{Matrix, rolled_out_from};
use super::maps::{LOSS, MapDeparture};
use super::{DepartureInfo, without_global_attention};
use crate::attention::AttentionMaps;
use crate::attribution::{Attribution, Heatmap, Rollout};

pub(super) static CLASS_TOKEN_ROW: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "class-token-row",
        title: "the row that rollout takes",
        paper: "the rows of the tokens that the model's head reads, each by its share",
        source: "Abnar and Zuidema, 2020, section 3, for the representation that is used",
        popular: "row 0, whatever stands there",
        project: "jacobgil/vit-explain and code made for class tokens, used with models that average the patches",
        measure: LOSS,
    },
    lacking,
    paper: |bench| Rollout::USUAL.explain(&bench.evidence, &[]),
    popular: |bench| Ok(first_row(bench.evidence.attention()?)),
};

fn lacking(model: &Classifier) -> Option<String> {
    without_global_attention(model).or_else(|| {
        let read_out = model.network.transformer()?.read_out();
        let name = &model.card().name;
        (read_out == ReadOut::ClassToken)
            .then(|| format!("{name} reads its class token, which stands in row 0"))
    })
}

pub(super) fn first_row(maps: &AttentionMaps) -> Vec<Heatmap> {
    let mut start = vec![0.0; maps.layers[0].tokens()];
    start[0] = 1.0;
    rolled_out_from(&start, maps, |image, layer| {
        let mut matrix = Matrix::attention(&maps.layers[layer], image);
        matrix.add_identity();
        matrix.normalise_rows();
        matrix
    })
}
