//! Where popular implementations depart from the papers, and what that changes for one model and its images.
//!
//! A [`Departure`] computes both sides on the same images: what the paper defines, and what widespread code does, written from
//! its definition. It records numbers image by image, and concludes a [`Finding`] from all of them: both numbers, their difference
//! with its interval over images, and the conclusions that a reader would draw from either. Every departure is one file and one
//! line of the list here.

mod attack_success;
mod batch_mates;
mod bench;
mod chefer_identity;
mod class_token_row;
mod finding;
mod grad_cam_layer;
mod gradient_rollout_fusion;
mod gradient_rollout_order;
mod last_iterate;
mod last_layer;
mod layers;
mod maps;
mod min_max_mass;
mod pgd_trace;
mod plain_resize;
mod raw_distance;
mod rollout_axis;
mod rollout_discard;
#[cfg(test)]
mod tests;
mod unrounded_attack;
mod value_average;
mod value_similarity;
mod vit_explain;
mod zero_ablation;

use archaeo_models::Classifier;
use serde::Serialize;

use crate::AnalysisError;
use crate::statistics::{Resampling, Result as Counted};

pub use bench::{Bench, Original};
pub use finding::{Conclusion, Finding};
pub use vit_explain::VitExplainRollout;

/// What one departure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DepartureInfo {
    /// What the command line and files call it, such as `rollout-axis`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What the paper says.
    pub paper: &'static str,
    /// Where it says so.
    pub source: &'static str,
    /// What the popular code does instead.
    pub popular: &'static str,
    /// Where that is found.
    pub project: &'static str,
    /// What is measured of both.
    pub measure: &'static str,
}

/// What is known of one image; what the numbers are is the departure's own.
pub type Record = Vec<f64>;

/// A place where popular code departs from the paper.
pub trait Departure: Sync {
    /// What it is.
    fn info(&self) -> &DepartureInfo;

    /// Why it says nothing about a model, in a sentence without a full stop; `None` where it applies.
    fn lacking(&self, _model: &Classifier) -> Option<String> {
        None
    }

    /// One record for each image of a batch; it depends on that image alone, apart from the means of heads.
    ///
    /// # Errors
    /// A question that the model cannot answer.
    fn record(&self, bench: &Bench) -> Result<Vec<Record>, AnalysisError>;

    /// What follows from the records of all images.
    ///
    /// # Errors
    /// No records, or numbers that are not finite.
    fn conclude(&self, records: &[Record], resampling: &Resampling) -> Counted<Finding>;
}

/// Every departure: of explanations, of attention and heads, of attacks and images.
static DEPARTURES: &[&dyn Departure] = &[
    &rollout_axis::ROLLOUT_AXIS,
    &rollout_discard::ROLLOUT_DISCARD,
    &gradient_rollout_order::GRADIENT_ROLLOUT_ORDER,
    &gradient_rollout_fusion::GRADIENT_ROLLOUT_FUSION,
    &chefer_identity::CHEFER_IDENTITY,
    &class_token_row::CLASS_TOKEN_ROW,
    &last_layer::LAST_LAYER,
    &value_similarity::VALUE_SIMILARITY,
    &value_average::VALUE_AVERAGE,
    &grad_cam_layer::GRAD_CAM_LAYER,
    &min_max_mass::MinMaxMass,
    &raw_distance::RawDistance,
    &zero_ablation::ZeroAblation,
    &last_iterate::LAST_ITERATE,
    &unrounded_attack::UNROUNDED_ATTACK,
    &attack_success::ATTACK_SUCCESS,
    &batch_mates::BatchMates,
    &plain_resize::PlainResize,
];

/// Every departure.
pub fn departures() -> &'static [&'static dyn Departure] {
    DEPARTURES
}

/// The departure of that id.
pub fn departure(id: &str) -> Option<&'static dyn Departure> {
    departures().iter().copied().find(|departure| departure.info().id == id)
}

/// Why a model without attention over all tokens is not asked; `None` of one that has it.
fn without_global_attention(model: &Classifier) -> Option<String> {
    let name = &model.card().name;
    match &model.network {
        _ if !model.has_attention() => Some(format!("{name} has no attention")),
        archaeo_models::Network::Swin(_) | archaeo_models::Network::EfficientVit(_) => {
            Some(format!("{name} attends within windows, for which that code has no rule"))
        }
        _ => None,
    }
}
