//! Model cards (Mitchell et al., 2019) in the layout of the Hugging Face hub: what a model is, how it was trained, and what was
//! measured of it. Every number comes from findings or from the record of a training, and what was not measured is not said.

mod body;
mod front;

use std::path::Path;

use archaeo_models::ModelCard;
use archaeo_store::run_folder::Environment;
use archaeo_training::TrainingRecord;

use crate::findings::Investigation;
use crate::report::ReportError;
use crate::subjects::ModelName;

/// First words of every card, by which a later one knows that it may replace it.
const MARK: &str = "<!-- Written by `archaeo card` -->";

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The model.
    pub card: &'a ModelCard,
    /// Trained parameters.
    pub parameters: usize,
    /// SHA-256 of its weights, where they are a file.
    pub weights_sha256: Option<&'a str>,
    /// How it was trained.
    pub training: Option<&'a TrainingRecord>,
    /// What ran that training.
    pub environment: Option<&'a Environment>,
    /// The investigation that measured it, and under which name.
    pub investigation: Option<(&'a Investigation, ModelName)>,
    /// Its licence, as the hub names it, such as `mit`.
    pub license: Option<&'a str>,
}

/// The card of a model, as `README.md` holds it.
///
/// # Errors
/// Findings of another version.
pub fn model_card(known: &Known) -> Result<String, ReportError> {
    let measured = body::Measured::of(known)?;
    let text = archaeo_report::markdown::page(&body::document(known, &measured)).text;
    Ok(format!("---\n{}---\n\n{MARK}\n\n{text}", front::matter(known, &measured)))
}

/// Whether a file may be replaced by a card: it is not there, or it is one.
pub fn is_ours(path: &Path) -> bool {
    !path.exists()
        || archaeo_store::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(MARK))
}

#[cfg(test)]
mod tests;
