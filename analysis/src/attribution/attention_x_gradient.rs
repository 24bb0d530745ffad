//! Attention × gradient: the attention of one layer, as far as it raises the class's logit.

use super::rollout::{positive_relevance, pull_back};
use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution};
use crate::AnalysisError;

/// Of the last layer, the mean over heads of `max(weights ⊙ gradients, 0)`, in the rows of the tokens that are read. The layers
/// before it are not looked at: [`AttentionRelevance`](super::AttentionRelevance) adds those.
#[derive(Clone, Copy, Debug)]
pub struct AttentionXGradient;

static ATTENTION_X_GRADIENT: MethodInfo = MethodInfo {
    id: "attention-x-gradient",
    title: "attention × gradient",
    summary: "the last layer's attention that raises the class's logit",
    kind: Kind::Explanation,
    paper: None,
    needs: &[Capability::Attention, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::LastLayer,
    cost: Cost::Shared,
};

impl Attribution for AttentionXGradient {
    fn info(&self) -> &'static MethodInfo {
        &ATTENTION_X_GRADIENT
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let gradients = evidence.attention_gradients(targets)?;
        let weights = evidence.attention()?;
        let last = weights.layers.len() - 1;
        Ok(pull_back(weights, last, |place| positive_relevance(weights, &gradients, &place)))
    }
}
