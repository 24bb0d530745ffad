//! Does an explanation tell the truth: heatmaps held against what the model does, and against what is known to be true.
//!
//! Every metric is a [`Metric`] and stands in one list, [`metrics`]: study, commands, help texts and documentation take theirs from it.
//! A metric scores many heatmaps of one image together. What is random is keyed by (seed, image), so that no score depends on its batch.
//! [`gains`] says whether a method is better than a baseline.

mod causal;
mod contrastivity;
mod counterfactual;
mod deletion;
mod insertion;
mod localisation;
mod masks;
mod metric;
mod negative;
#[cfg(test)]
mod oracle_tests;
mod perturbation;
mod positive;
mod randomisation;
mod road;
mod sensitivity;
mod standing;
#[cfg(test)]
mod tests;
mod token_dropping;

pub use causal::{CausalTruth, NEGLIGIBLE, causal_map, important, masses};
pub use contrastivity::Contrastivity;
pub use counterfactual::{Counterfactual, CounterfactualShare};
pub use deletion::Deletion;
pub use insertion::Insertion;
pub use localisation::{MaskScores, auroc, average_precision, mass_in_mask, object_share, pointing_score};
pub use masks::AgainstMask;
pub use metric::{Asked, Metric, MetricInfo, Score};
pub use negative::NegativePerturbation;
pub use positive::PositivePerturbation;
pub use randomisation::{HeadRandomisation, Randomisation};
pub use road::Road;
pub use sensitivity::MaxSensitivity;
pub use standing::{Comparison, FEWEST_IMAGES, Gain, gains, mean_score};
pub use token_dropping::TokenDropping;

/// Every metric: first the one by which a heatmap is judged where only one is shown.
static METRICS: &[&dyn Metric] = &[
    &Deletion,
    &Insertion,
    &PositivePerturbation,
    &NegativePerturbation,
    &Road,
    &TokenDropping,
    &CounterfactualShare,
    &MaxSensitivity,
    &Randomisation,
    &HeadRandomisation,
    &Contrastivity,
    // Against a mask.
    &masks::POINTING,
    &masks::MASS,
    &masks::AUROC,
    &masks::AVERAGE_PRECISION,
];

/// Every metric.
pub fn metrics() -> &'static [&'static dyn Metric] {
    METRICS
}

/// The metric of that ID.
pub fn metric(id: &str) -> Option<&'static dyn Metric> {
    metrics().iter().copied().find(|metric| metric.info().id == id)
}
