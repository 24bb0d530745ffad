//! Rollout as vit-explain computes it, so that its heatmaps can be put next to the paper's.

use archaeo_models::{Classifier, PrefixTokens, ReadOut};

use super::layers::{Matrix, rolled_out_from};
use crate::attention::AttentionMaps;
use crate::attribution::{
    Applicability, Attribution, Capability, Cost, Evidence, HeadFusion, Heatmap, Kind, MethodInfo, Resolution,
};
use crate::{AnalysisError, Paper};

/// Rollout of jacobgil/vit-explain: the smallest entries of a layer's whole fused matrix are discarded, but not the first; the identity
/// is added; each column is divided by the sum of the row of its number; row 0 of the product is the heatmap. `archaeo audit` measures these
/// departures from the paper one by one (`rollout-discard`, `rollout-axis`).
///
/// Its own scale is left, as that program divides by the largest value at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VitExplainRollout {
    /// How the heads become one matrix.
    pub fusion: HeadFusion,
    /// Share of the entries that are discarded, in [0, 1).
    pub discard: f64,
}

impl VitExplainRollout {
    /// What that program discards where nothing is said.
    pub const DISCARD: f64 = 0.9;
}

static VIT_EXPLAIN: MethodInfo = MethodInfo {
    id: "rollout-vit-explain",
    title: "rollout of vit-explain",
    summary: "rollout with the discarding and the normalisation of vit-explain",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Gildenblat, 2020", url: "https://github.com/jacobgil/vit-explain" }),
    needs: &[Capability::Attention, Capability::OneStream],
    depends_on_class: false,
    signed: false,
    resolution: Resolution::Patches,
    cost: Cost::Shared,
};

impl Attribution for VitExplainRollout {
    fn info(&self) -> &'static MethodInfo {
        &VIT_EXPLAIN
    }

    fn applies(&self, model: &Classifier) -> Applicability {
        let Some(transformer) = model.network.transformer() else {
            return Applicability::DoesNot(AnalysisError::NoAttention { model: model.card().name.clone() });
        };
        let one =
            transformer.prefix() == PrefixTokens::CLASS && transformer.read_out() == ReadOut::ClassToken;
        match one && super::without_global_attention(model).is_none() {
            true => Applicability::Applies,
            false => {
                Applicability::DoesNot(AnalysisError::NotClassTokenAlone { model: model.card().name.clone() })
            }
        }
    }

    fn explain(&self, evidence: &Evidence, _: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        self.require(evidence)?;
        Ok(self.rolled_out(evidence.attention()?))
    }
}

impl VitExplainRollout {
    pub(super) fn rolled_out(&self, maps: &AttentionMaps) -> Vec<Heatmap> {
        let mut start = vec![0.0; maps.layers[0].tokens()];
        start[0] = 1.0;
        rolled_out_from(&start, maps, |image, layer| {
            let mut matrix = Matrix::fused(&maps.layers[layer], image, self.fusion);
            matrix.discard_in_all(self.discard, Some(0));
            matrix.add_identity();
            matrix.normalise_columns_by_row_sums();
            matrix
        })
    }
}
