//! Which places of an image speak for a model's answer.
//!
//! Every method is an [`Attribution`] and stands in one list, [`methods`], baselines included: studies, commands and help
//! texts take theirs from it. What methods look at is [`Evidence`], which makes each pass over a batch once.

mod attention_flow;
mod attention_map;
mod attention_x_gradient;
mod baselines;
mod channels;
mod chefer_lrp;
mod eigen_cam;
mod evidence;
mod grad_cam;
mod grad_cam_plus_plus;
mod heatmap;
mod hires_cam;
mod input_x_gradient;
mod integrated_gradients;
mod layer_cam;
mod legrad;
mod logit_lens;
mod lrp;
mod method;
mod occlusion;
#[cfg(test)]
mod oracle_tests;
mod own_passes;
mod pixels;
#[cfg(test)]
mod read_out_tests;
pub(crate) mod rollout;
mod saliency;
mod score_cam;
mod smooth_grad;
#[cfg(test)]
mod swin_tests;
#[cfg(test)]
mod tests;

use crate::AnalysisError;
use archaeo_models::Classifier;

pub use attention_flow::AttentionFlow;
pub use attention_map::{AttentionMap, Query};
pub use attention_x_gradient::AttentionXGradient;
pub use baselines::{Centre, Edges, Random};
pub use chefer_lrp::CheferLrp;
pub use eigen_cam::EigenCam;
pub use evidence::{Evidence, Stream};
pub use grad_cam::GradCam;
pub use grad_cam_plus_plus::GradCamPlusPlus;
pub use heatmap::{Heatmap, rank_correlation};
pub use hires_cam::HiResCam;
pub use input_x_gradient::InputXGradient;
pub use integrated_gradients::{Integrated, IntegratedGradients};
pub use layer_cam::LayerCam;
pub use legrad::LeGrad;
pub use logit_lens::{LayerLens, LayerReadOut, LogitLens, lens_by_layer, read_outs};
pub use lrp::{Lrp, LrpRule};
pub use method::{Applicability, Attribution, Capability, Cost, Kind, LARGEST_FLOW, MethodInfo, Resolution};
pub use occlusion::Occlusion;
pub use pixels::Fill;
pub(crate) use rollout::rollout_to;
pub use rollout::{AttentionRelevance, GradientRollout, HeadFusion, Rollout, RolloutOptions};
pub use saliency::Saliency;
pub use score_cam::ScoreCam;
pub use smooth_grad::SmoothGrad;

/// Every method: explanations first, the one that a model is usually shown by before others, then baselines.
static METHODS: &[&dyn Attribution] = &[
    &Rollout::USUAL,
    &GradientRollout,
    &AttentionRelevance,
    &GradCam,
    &AttentionMap::USUAL,
    &AttentionXGradient,
    &CheferLrp,
    &LeGrad::USUAL,
    &AttentionFlow,
    &LogitLens::USUAL,
    &GradCamPlusPlus,
    &HiResCam,
    &LayerCam,
    &EigenCam,
    &ScoreCam,
    &Saliency,
    &InputXGradient,
    &SmoothGrad::USUAL,
    &IntegratedGradients::USUAL,
    &Lrp::USUAL,
    &Occlusion::USUAL,
    // Baselines.
    &Random,
    &Centre,
    &Edges,
];

/// Every method.
pub fn methods() -> &'static [&'static dyn Attribution] {
    METHODS
}

/// IDs that methods had before, and those that they have.
pub const EARLIER_IDS: [(&str, &str); 1] = [("relevance", "chefer")];

/// The method of that ID, or of that earlier one.
pub fn method(id: &str) -> Option<&'static dyn Attribution> {
    let id = EARLIER_IDS.iter().find(|(earlier, _)| *earlier == id).map_or(id, |(_, id)| *id);
    methods().iter().copied().find(|method| method.info().id == id)
}

/// The explanations, or the baselines, that apply to a model, in the order of [`methods`].
pub fn methods_for(model: &Classifier, kind: Kind) -> Vec<&'static dyn Attribution> {
    let fits = |method: &&dyn Attribution| method.info().kind == kind && method.applies(model).holds();
    methods().iter().copied().filter(fits).collect()
}

/// Heatmaps of each of `methods`, `[method][image]`. One pass with gradients serves the methods that need the attention alone, and
/// those that need gradients at the pixels, as well.
///
/// # Errors
/// A method that does not apply to the model.
///
/// # Panics
/// If `targets` does not name a class for each image.
pub fn explain_all(
    methods: &[&dyn Attribution],
    evidence: &Evidence,
    targets: &[usize],
) -> Result<Vec<Vec<Heatmap>>, AnalysisError> {
    let both = [Capability::Attention, Capability::Gradients];
    if methods.iter().any(|method| both.iter().all(|need| method.info().needs.contains(need))) {
        evidence.attention_gradients(targets)?;
    }
    methods.iter().map(|method| method.explain(evidence, targets)).collect()
}
