//! Questions asked of a frozen model: tensors in, plain numbers out.
//!
//! Every question takes a [`Classifier`](archaeo_models::Classifier) without gradients (`model.valid()`), a batch of
//! images in [0, 1] as `[batch, 3, height, width]`, and plain options; it gives one plain record an image, so that a
//! caller may cut a data set into batches as it likes and join the records. What is random is keyed by (seed, image).
//!
//! | question | where |
//! |---|---|
//! | what does the model answer, who errs where, on which cue? | [`answers`] |
//! | what does each head attend to? | [`attention`] |
//! | what do the features hold? | [`features`] |
//! | which places speak for the answer? | [`attribution`] |
//! | does an explanation tell the truth? | [`faithfulness`] |
//! | what is each head worth? | [`ablation`] |
//! | how small a change fools the model? | [`attacks`] |
//! | where does popular code depart from the papers, and does it matter here? | [`audit`] |
//! | do predicted masks agree with true ones? | [`masks`] |
//! | what does an answer cost? | [`cost`] |
//! | how sure is a number? | [`statistics`] |

pub mod ablation;
pub mod answers;
pub mod attacks;
pub mod attention;
pub mod attribution;
pub mod audit;
pub mod cost;
mod error;
pub mod faithfulness;
pub mod features;
mod keys;
pub mod masks;
mod paper;
pub mod probes;
pub mod statistics;
mod tensors;
#[cfg(test)]
mod testing;

pub use error::AnalysisError;
pub use keys::Keys;
pub use paper::Paper;
