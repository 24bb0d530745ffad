//! Does an explanation tell the truth: heatmaps held against what is known to be true.

mod localisation;

pub use localisation::{auroc, average_precision, mass_in_mask, object_share, pointing_score};
