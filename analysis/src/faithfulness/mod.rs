//! Does an explanation tell the truth: heatmaps held against what is known to be true.

mod causal;
mod localisation;

pub use causal::{CausalTruth, NEGLIGIBLE, causal_map, important, masses};
pub use localisation::{auroc, average_precision, mass_in_mask, object_share, pointing_score};
