//! HiResCAM (Draelos & Carin, 2021): Grad-CAM without the mean over places.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, channels};
use crate::{AnalysisError, Paper};

/// The sum over channels of `gradient ⊙ activation` of the last spatial representation (equation 3), cut at zero. Where the head is
/// linear in the mean of that representation, it is what each place adds to the class's logit.
#[derive(Clone, Copy, Debug)]
pub struct HiResCam;

static HIRES_CAM: MethodInfo = MethodInfo {
    id: "hirescam",
    title: "HiResCAM",
    summary: "the last feature map times the gradient of the class's logit, place by place",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Draelos and Carin, 2021", url: "https://arxiv.org/abs/2011.08891" }),
    needs: &[Capability::FeatureMaps, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::FeatureMap,
    cost: Cost::Shared,
};

impl Attribution for HiResCam {
    fn info(&self) -> &'static MethodInfo {
        &HIRES_CAM
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        channels::summed(evidence, targets, |channel, slopes, sum| {
            for ((sum, &value), &slope) in sum.iter_mut().zip(channel).zip(slopes) {
                *sum += f64::from(slope) * f64::from(value);
            }
        })
    }
}
