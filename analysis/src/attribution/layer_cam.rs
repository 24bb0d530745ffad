//! LayerCAM (Jiang et al., 2021): every place of every channel weighted by its own positive gradient.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, channels};
use crate::{AnalysisError, Paper};

/// The sum over channels of `max(gradient, 0) ⊙ activation` of the last spatial representation, cut at zero (equations 4 to 6).
#[derive(Clone, Copy, Debug)]
pub struct LayerCam;

static LAYER_CAM: MethodInfo = MethodInfo {
    id: "layercam",
    title: "LayerCAM",
    summary: "the last feature map times the positive gradient of the class's logit, place by place",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Jiang et al., 2021", url: "https://doi.org/10.1109/TIP.2021.3089943" }),
    needs: &[Capability::FeatureMaps, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::FeatureMap,
    cost: Cost::Shared,
};

impl Attribution for LayerCam {
    fn info(&self) -> &'static MethodInfo {
        &LAYER_CAM
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        channels::summed(evidence, targets, |channel, slopes, sum| {
            for ((sum, &value), &slope) in sum.iter_mut().zip(channel).zip(slopes) {
                *sum += f64::from(slope.max(0.0)) * f64::from(value);
            }
        })
    }
}
