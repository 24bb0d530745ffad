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
    /// A question about every block's tokens under the head, asked of a model whose tokens change their width.
    #[error(
        "{model} changes the width of its tokens between stages, so that its head reads those of the last stage alone"
    )]
    SeveralWidths {
        /// Name of the model.
        model: String,
    },
    /// Attention multiplied through the layers of a model whose tokens exchange information by other ways as well.
    #[error(
        "{model} mixes neighbouring tokens by convolutions between its attention layers, so that their attention multiplied does \
         not say what reached which token"
    )]
    Convolutions {
        /// Name of the model.
        model: String,
    },
    /// A flow through more patches than can be waited for.
    #[error("{model} has more than {most} patches; attention flow is for smaller grids")]
    LargeGrid {
        /// Name of the model.
        model: String,
        /// The most that are allowed.
        most: usize,
    },
    /// Rules for the layers of a Vision Transformer, asked of another model.
    #[error("{model} is not a plain Vision Transformer, for whose layers alone this method has rules")]
    NotPlainTransformer {
        /// Name of the model.
        model: String,
    },
    /// Rules for the layers of a residual network, asked of another model.
    #[error("{model} is not a residual network, for whose layers alone this method has rules")]
    NotResidual {
        /// Name of the model.
        model: String,
    },
    /// Blocks to be taken away, of a network that has none.
    #[error("{model} is neither a transformer nor a residual network, so that it has no blocks to take away")]
    NoBlocks {
        /// Name of the model.
        model: String,
    },
    /// A part to be replaced that a model does not have.
    #[error("{model} does not have {part}")]
    NoPart {
        /// Name of the model.
        model: String,
        /// The part, counted from 1.
        part: String,
    },
    /// Another image's output of something else than a head.
    #[error("only a head can take its output from another image, not {part}")]
    NotAHead {
        /// The part, counted from 1.
        part: String,
    },
    /// A program made for one class token, of another model.
    #[error("{model} does not read one class token alone, which vit-explain takes for granted")]
    NotClassTokenAlone {
        /// Name of the model.
        model: String,
    },
    /// Tokens dropped from a model whose layers need all of them.
    #[error("{model} needs all of its tokens, so that none can be dropped")]
    NoFreeSequence {
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
