//! Why a live question has no answer.

use archaeo_analysis::AnalysisError;
use archaeo_analysis::attacks::Unavailable;
use archaeo_data::DataError;
use archaeo_plot::PlotError;
use thiserror::Error;

/// A question about one image that has no answer. [`Display`](std::fmt::Display) is the whole sentence.
#[derive(Debug, Error)]
pub enum LiveError {
    /// A model that is not on the table.
    #[error("there is no model {name:?}; there are {}", known.join(", "))]
    Model {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// An image that is not there, or not any more.
    #[error("there is no image {0:?} here, or not any more; choose or add one")]
    Image(String),
    /// A class that the model does not have.
    #[error("{model} has no output {class}; it has {classes}, numbered from 0")]
    Class {
        /// The model.
        model: String,
        /// What was asked for.
        class: usize,
        /// How many it has.
        classes: usize,
    },
    /// A question about a class, asked of a model without a head.
    #[error("{model} has no head, so that it gives no answer")]
    NoClasses {
        /// The model.
        model: String,
    },
    /// A question about attention, asked of a model without any.
    #[error("{model} has no attention; its explanations and its blocks can be looked at")]
    NoAttention {
        /// The model.
        model: String,
    },
    /// Matrices that are too large to be handed over, or of which there is more than one per layer.
    #[error("the attention of {model} is not handed over in one piece; ask for the rows of one query")]
    NotWhole {
        /// The model.
        model: String,
    },
    /// Answers that are not numbers.
    #[error("{model} gives answers that are not finite; take another checkpoint")]
    NotFinite {
        /// The model.
        model: String,
    },
    /// Something that was asked for in a way that cannot be.
    #[error("{0}")]
    Asked(String),
    /// A file that is no image that can be used.
    #[error("{name} cannot be used: {reason}")]
    Upload {
        /// What it is called.
        name: String,
        /// What is wrong, as the end of a sentence.
        reason: String,
    },
    /// The work was told to stop.
    #[error("stopped")]
    Stopped,
    /// What was chosen of an attack that does not have it.
    #[error(transparent)]
    Attack(#[from] Unavailable),
    /// A question that the model cannot answer.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// An image of the data that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A picture that cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}
