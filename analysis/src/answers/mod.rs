//! What does a model answer, who errs where, and which cue decides.

mod corruption;
mod error_groups;
mod label_errors;
mod predict;
mod prompts;
mod shape_bias;

pub use corruption::{CorruptionErrors, mean_corruption_error, relative_corruption_error};
pub use error_groups::{ClassErrorCounts, ErrorGroups, confusions, error_groups};
pub use label_errors::{Suspicion, suspected_labels};
pub use predict::{logits, predicted_classes, probabilities};
pub use prompts::{PromptScores, TemplateScore, prompt_scores};
pub use shape_bias::{CueDecisions, Decision, bias_difference, decisions, texture_following};
