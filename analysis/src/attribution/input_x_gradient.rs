//! Input × gradient (Shrikumar et al., 2016): the first-order share of each pixel in the class's logit.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, pixels};
use crate::{AnalysisError, Paper};

/// The sum over channels of each pixel's value in [0, 1] times the gradient of the class's logit there (section 3.2). A black pixel
/// has no share, whatever it means.
#[derive(Clone, Copy, Debug)]
pub struct InputXGradient;

static INPUT_X_GRADIENT: MethodInfo = MethodInfo {
    id: "input-x-gradient",
    title: "input × gradient",
    summary: "each pixel's value times the gradient of the class's logit there",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Shrikumar et al., 2016", url: "https://arxiv.org/abs/1605.01713" }),
    needs: &[Capability::Gradients],
    depends_on_class: true,
    signed: true,
    resolution: Resolution::Pixels,
    cost: Cost::Shared,
};

impl Attribution for InputXGradient {
    fn info(&self) -> &'static MethodInfo {
        &INPUT_X_GRADIENT
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        let gradients = evidence.pixel_gradients(targets)?;
        Ok(pixels::over_channels(gradients.as_ref().clone() * evidence.images().clone(), pixels::sum))
    }
}
