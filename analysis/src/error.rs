//! What can go wrong between a question and a model.

use thiserror::Error;

/// A question that a model cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnalysisError {
    /// A question about attention, asked of a model without any.
    #[error("{model} has no attention heads; this study needs a vision transformer")]
    NoAttention {
        /// Name of the model.
        model: String,
    },
    /// A question about a class, asked of a model without a head.
    #[error("{model} has no head, so there is no class whose score could be explained")]
    NoClasses {
        /// Name of the model.
        model: String,
    },
    /// Answers that are not numbers.
    #[error(
        "{model} gives answers that are not finite with one of its heads replaced; take another checkpoint"
    )]
    NotFinite {
        /// Name of the model.
        model: String,
    },
}
