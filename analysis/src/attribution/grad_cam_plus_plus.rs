//! Grad-CAM++ (Chattopadhay et al., 2018): Grad-CAM that weights the places of a channel by how they bend the class's score.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, channels};
use crate::{AnalysisError, Paper};

/// Keeps a channel without any slope from dividing by zero.
const EPSILON: f64 = 1e-6;

/// Each channel of the last spatial representation is weighted by `Σ α · max(g, 0)` over its places, with
/// `α = g² / (2 g² + ΣA · g³ + 1e-6)`, g the gradient of the class's logit and ΣA the channel's sum (equations 10 and 19, the score
/// taken as the exponential of the logit); the weighted sum is cut at zero.
#[derive(Clone, Copy, Debug)]
pub struct GradCamPlusPlus;

static GRAD_CAM_PLUS_PLUS: MethodInfo = MethodInfo {
    id: "grad-cam-plus-plus",
    title: "Grad-CAM++",
    summary: "channels of the last feature map, weighted by positive gradients and their curvature",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Chattopadhay et al., 2018", url: "https://arxiv.org/abs/1710.11063" }),
    needs: &[Capability::FeatureMaps, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::FeatureMap,
    cost: Cost::Shared,
};

impl Attribution for GradCamPlusPlus {
    fn info(&self) -> &'static MethodInfo {
        &GRAD_CAM_PLUS_PLUS
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        channels::summed(evidence, targets, |channel, slopes, sum| {
            let total: f64 = channel.iter().map(|&value| f64::from(value)).sum();
            let share = |&slope: &f32| {
                let slope = f64::from(slope);
                let alpha = slope.powi(2) / (2.0 * slope.powi(2) + total * slope.powi(3) + EPSILON);
                alpha * slope.max(0.0)
            };
            let weight: f64 = slopes.iter().map(share).sum();
            sum.iter_mut().zip(channel).for_each(|(sum, &value)| *sum += weight * f64::from(value));
        })
    }
}
