//! Which places of an image speak for a model's answer.

mod grad_cam;
mod heatmap;
#[cfg(test)]
mod read_out_tests;
mod rollout;
#[cfg(test)]
mod swin_tests;

pub use grad_cam::grad_cam;
pub use heatmap::{Heatmap, rank_correlation};
pub use rollout::{HeadFusion, RolloutOptions, attention_relevance, gradient_rollout, rollout};
