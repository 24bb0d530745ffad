//! Which places of an image speak for a model's answer.
//!
//! Every method is an [`Attribution`] and stands in one list, [`methods`], baselines included: studies, commands and help
//! texts take theirs from it. What methods look at is [`Evidence`], which makes each pass over a batch once.

mod baselines;
mod evidence;
mod grad_cam;
mod heatmap;
mod method;
#[cfg(test)]
mod read_out_tests;
mod rollout;
#[cfg(test)]
mod swin_tests;
#[cfg(test)]
mod tests;

use crate::AnalysisError;
use archaeo_models::Classifier;

pub use baselines::{Centre, Edges, Random};
pub use evidence::Evidence;
pub use grad_cam::GradCam;
pub use heatmap::{Heatmap, rank_correlation};
pub use method::{Applicability, Attribution, Capability, Kind, MethodInfo, Resolution};
pub use rollout::{AttentionRelevance, GradientRollout, HeadFusion, Rollout, RolloutOptions};

/// Every method: explanations first, the one that a model is usually shown by before others, then baselines.
static METHODS: &[&dyn Attribution] = &[
    &Rollout::USUAL,
    &GradientRollout,
    &AttentionRelevance,
    &GradCam,
    // Baselines.
    &Random,
    &Centre,
    &Edges,
];

/// Every method.
pub fn methods() -> &'static [&'static dyn Attribution] {
    METHODS
}

/// The method of that id.
pub fn method(id: &str) -> Option<&'static dyn Attribution> {
    methods().iter().copied().find(|method| method.info().id == id)
}

/// The explanations, or the baselines, that apply to a model, in the order of [`methods`].
pub fn methods_for(model: &Classifier, kind: Kind) -> Vec<&'static dyn Attribution> {
    let fits = |method: &&dyn Attribution| method.info().kind == kind && method.applies(model).holds();
    methods().iter().copied().filter(fits).collect()
}

/// Heatmaps of each of `methods`, `[method][image]`. One pass with gradients serves the methods that need the attention alone
/// as well.
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
