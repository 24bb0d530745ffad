//! Why a question to a model in memory has no answer.

use archaeo_analysis::AnalysisError;
use archaeo_analysis::attacks::Unavailable;
use archaeo_experiments::scene::StudyError;
use archaeo_models::TooLarge;
use archaeo_plot::PlotError;
use thiserror::Error;

use crate::error::LabError;

/// A question to a model in memory that has no answer. [`Display`](std::fmt::Display) is the whole sentence.
#[derive(Debug, Error)]
pub enum DirectError {
    /// An array that is no batch of images.
    #[error(
        "images must have the shape [n, 3, {side}, {side}], as {model} takes them, not {shape:?}; uint8 pictures of any size are \
         resized and cropped for it"
    )]
    Shape {
        /// The model.
        model: String,
        /// Side of its input.
        side: usize,
        /// What was given.
        shape: Vec<usize>,
    },
    /// Values that are no shares of brightness.
    #[error(
        "images must have values from 0 to 1, but image {image} has {value}; divide bytes by 255, and leave out the \
         normalisation, which the model does itself"
    )]
    Range {
        /// Which image, from 0.
        image: usize,
        /// What it has.
        value: f32,
    },
    /// Not one label or target for each image.
    #[error("there must be one {what} for each image: {given} are given for {images} images")]
    Labels {
        /// `label` or `target`.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// How many images there are.
        images: usize,
    },
    /// No image at all.
    #[error("there is no image to ask about; give at least one")]
    NoImage,
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
    /// Names of classes of another number.
    #[error(
        "{names} names of classes are given, but {model} has {classes} outputs; name all, in their order"
    )]
    ClassNames {
        /// The model.
        model: String,
        /// How many were given.
        names: usize,
        /// How many it has.
        classes: usize,
    },
    /// A question about a class, asked of a model without a head.
    #[error("{model} has no head, so that it gives features and no answers; ask it for features")]
    NoClasses {
        /// The model.
        model: String,
    },
    /// A question about attention, asked of a model without any.
    #[error("{model} has no attention heads; ask a vision transformer")]
    NoAttention {
        /// The model.
        model: String,
    },
    /// Attention that is not one array.
    #[error(
        "{model} attends within windows or has another number of heads or tokens in some layer, so that its attention is not one array; \
         ask for it layer by layer"
    )]
    NotWhole {
        /// The model.
        model: String,
    },
    /// Answers that would not fit into memory.
    #[error("the attention of {images} images {reason}; ask for fewer at once")]
    Attention {
        /// Images.
        images: usize,
        /// What is needed, and what there is.
        reason: TooLarge,
    },
    /// Answers that are not numbers.
    #[error("{model} gives answers that are not finite for image {image}; take another checkpoint")]
    NotFinite {
        /// The model.
        model: String,
        /// Which image, from 0.
        image: usize,
    },
    /// A method of explanation that does not exist or does not apply.
    #[error("the method `{id}` cannot be used: {reason}")]
    Method {
        /// Its ID.
        id: String,
        /// Why not.
        reason: String,
    },
    /// A study that does not apply.
    #[error("the study `{study}` does not apply: {reason}")]
    DoesNotApply {
        /// Its ID.
        study: String,
        /// Why not.
        reason: String,
    },
    /// A study that does not exist.
    #[error("there is no study `{id}`; there are {}", known.join(", "))]
    Study {
        /// What was asked for.
        id: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// Something that was asked for in a way that cannot be.
    #[error("{0}")]
    Asked(String),
    /// The work was told to stop.
    #[error("interrupted")]
    Interrupted,
    /// What was chosen of an attack that does not have it.
    #[error(transparent)]
    Attack(#[from] Unavailable),
    /// A question that the model cannot answer.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A picture that cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// What other questions say as well.
    #[error(transparent)]
    Lab(Box<LabError>),
}

impl From<LabError> for DirectError {
    fn from(error: LabError) -> Self {
        match error {
            LabError::Interrupted => Self::Interrupted,
            other => Self::Lab(Box::new(other)),
        }
    }
}

impl From<StudyError> for DirectError {
    fn from(error: StudyError) -> Self {
        match error {
            StudyError::Interrupted => Self::Interrupted,
            other => LabError::from(other).into(),
        }
    }
}
