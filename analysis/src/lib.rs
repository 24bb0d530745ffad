//! Questions asked of a frozen model: tensors in, plain numbers out.
//!
//! Every question takes a [`Classifier`](archaeo_models::Classifier) without gradients (`model.valid()`), a batch of
//! images in [0, 1] as `[batch, 3, height, width]`, and plain options; it gives one plain record an image, so that a
//! caller may cut a data set into batches as it likes and join the records. What is random is keyed by (seed, image).
//!
//! | question | where |
//! |---|---|
//! | what does the model say? | [`predict`] |
//! | what does each head attend to? | [`attention_maps`], [`attention_statistics`] |
//! | which patches reach the output? | [`rollout`] |
//! | which places speak for the answer? | [`grad_cam`] |
//! | does a heatmap find the object, and do two heatmaps agree? | [`heatmap`], [`localisation`] |
//! | what is each head worth? | [`head_ablation`], [`head_gradient`] |
//! | how small a change fools the model? | [`attacks`] |
//! | who errs where, and on which cue? | [`error_groups`], [`shape_bias`] |
//! | how sure is a number? | [`statistics`] |

pub mod attacks;
pub mod attention_maps;
pub mod attention_statistics;
mod error;
pub mod error_groups;
pub mod grad_cam;
pub mod head_ablation;
pub mod head_gradient;
pub mod heatmap;
pub mod localisation;
pub mod predict;
pub mod probes;
#[cfg(test)]
mod read_out_tests;
pub mod rollout;
pub mod shape_bias;
pub mod statistics;
#[cfg(test)]
mod swin_tests;
mod tensors;
#[cfg(test)]
mod testing;

pub use error::AnalysisError;
