//! Saliency (Simonyan et al., 2014): how much each pixel's smallest change moves the class's logit.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, pixels};
use crate::{AnalysisError, Paper};

/// The largest magnitude over channels of the gradient of the class's logit at each pixel (section 3.1), in logits for each unit of
/// the channel's range of [0, 1].
#[derive(Clone, Copy, Debug)]
pub struct Saliency;

static SALIENCY: MethodInfo = MethodInfo {
    id: "saliency",
    title: "saliency",
    summary: "magnitude of the gradient of the class's logit at each pixel",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Simonyan et al., 2014", url: "https://arxiv.org/abs/1312.6034" }),
    needs: &[Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::Pixels,
    cost: Cost::Shared,
};

impl Attribution for Saliency {
    fn info(&self) -> &'static MethodInfo {
        &SALIENCY
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let gradients = evidence.pixel_gradients(targets)?;
        Ok(pixels::over_channels(gradients.as_ref().clone(), pixels::largest))
    }
}
