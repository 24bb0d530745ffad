//! Averaged outputs of attention, shown as attention.

use super::maps::{LOSS, MapDeparture};
use super::value_similarity::LayerProbe;
use super::{Bench, DepartureInfo, without_global_attention};
use crate::AnalysisError;
use crate::attribution::{AttentionMap, Attribution, Heatmap};
use crate::tensors::{per_image, values};

pub(super) static VALUE_AVERAGE: MapDeparture = MapDeparture {
    info: DepartureInfo {
        id: "value-average",
        title: "averaged outputs as attention",
        paper: "attention is softmax(Q·Kᵀ / √d), here of the last layer, mean over heads, towards the tokens that are read",
        source: "Vaswani et al., 2017, equation 1",
        popular: "what each patch gathered, softmax(Q·Kᵀ / √d)·V, averaged over heads and channels, is drawn as its attention",
        project: "notebooks that hook the attention module's output in place of its weights",
        measure: LOSS,
    },
    lacking: without_global_attention,
    paper: |bench| AttentionMap::USUAL.explain(&bench.evidence, &[]),
    popular: averaged,
};

fn averaged(bench: &Bench) -> Result<Vec<Heatmap>, AnalysisError> {
    let (site, outputs) = LayerProbe::of_last(bench).outputs.expect("the last layer was met");
    let [batch, _, tokens, _] = outputs.dims();
    let means = values(outputs.mean_dim(3).mean_dim(1).reshape([batch, tokens]));
    let [rows, columns] = site.grid;
    let heat = |image: &[f32]| Heatmap::new(rows, columns, image[site.prefix.count()..].to_vec());
    Ok(per_image(&means, batch).map(heat).collect())
}
