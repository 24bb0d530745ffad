//! A model that is asked directly: images in memory in, plain numbers out, as a notebook or a program of one's own asks.
//!
//! [`Session::direct`] opens the model of a checkpoint, [`Session::direct_of_arrays`] that of an object of another library. Questions
//! take [`Pixels`], which somebody else may hold, and give one answer per image in their order. Images go through the model in small
//! batches, between which the session's listener is asked whether to stop; no answer depends on them.
//!
//! Layers, heads and blocks are counted from 0 here, as places in arrays are.

mod ablation;
mod answers;
mod attack;
mod error;
mod explanation;
mod opening;
mod pixels;
mod study;

use archaeo_analysis::attribution::methods;
use archaeo_experiments::classes::Outputs;
use archaeo_models::{Classifier, ModelCard, SourcedPreprocessing, save};
use burn::tensor::Device;

pub use self::ablation::{Removed, RemovedBy};
pub use self::answers::{Rows, WholeAttention};
pub use self::attack::{DirectAttack, DirectOutcome};
pub use self::error::DirectError;
pub use self::explanation::{DirectExplanation, overlay_png, picture_png};
pub use self::opening::ModelInMemory;
pub use self::pixels::{Pixels, read_picture};
pub use self::study::{StudyAsked, StudyFound, studies};
use crate::error::LabError;
use crate::session::Session;
use crate::subject::ModelSource;

/// Images at once where nothing about them is kept.
const AT_ONCE: usize = 32;

/// Images at once where the attention of all layers is looked at, or gradients are.
const FEW_AT_ONCE: usize = 8;

/// A model in memory.
#[derive(Debug)]
pub struct DirectModel {
    source: ModelSource,
    classifier: Classifier,
    preprocessing: SourcedPreprocessing,
    outputs: Option<Outputs>,
    device: Device,
}

impl DirectModel {
    /// Everything about the model except its weights.
    pub fn card(&self) -> &ModelCard {
        self.classifier.card()
    }

    /// How its images are prepared, and who said so.
    pub fn preprocessing(&self) -> &SourcedPreprocessing {
        &self.preprocessing
    }

    /// Names of its outputs; none without a head.
    pub fn classes(&self) -> &[String] {
        self.outputs.as_ref().map_or(&[], |outputs| &outputs.names)
    }

    /// Trained parameters.
    pub fn parameter_count(&self) -> usize {
        self.classifier.parameter_count()
    }

    /// Features that a head would read.
    pub fn feature_dim(&self) -> usize {
        self.classifier.feature_dim()
    }

    /// Number of heads of each layer with attention; none of a model without.
    pub fn heads(&self) -> Vec<usize> {
        let network = self.classifier.network.transformer();
        network
            .map_or_else(Vec::new, |network| (0..network.depth()).map(|layer| network.heads(layer)).collect())
    }

    /// Number of residual blocks; 0 of a transformer.
    pub fn blocks(&self) -> usize {
        self.classifier.network.residual().map_or(0, |network| network.depth())
    }

    /// IDs of the methods of explanation that apply to the model, in the order of the registry.
    pub fn methods(&self) -> Vec<&'static str> {
        let applies = methods().iter().filter(|method| method.applies(&self.classifier).holds());
        applies.map(|method| method.info().id).collect()
    }

    /// Writes the model with its card, as safetensors.
    ///
    /// # Errors
    /// A file that cannot be written, or that the model was read from.
    pub fn save(&self, session: &Session, file: &std::path::Path) -> Result<(), DirectError> {
        crate::destination::check_destination(file, &[self.source.weights.as_path()])?;
        let _stage = session.stage("writing the model");
        Ok(save(file, &self.classifier, &[]).map_err(LabError::from)?)
    }

    /// Refuses a question about classes where there are none.
    fn require_classes(&self) -> Result<usize, DirectError> {
        match self.classes().len() {
            0 => Err(DirectError::NoClasses { model: self.card().name.clone() }),
            classes => Ok(classes),
        }
    }

    /// Refuses a question about attention where there is none.
    fn require_attention(&self) -> Result<(), DirectError> {
        match self.classifier.has_attention() {
            true => Ok(()),
            false => Err(DirectError::NoAttention { model: self.card().name.clone() }),
        }
    }

    /// One class for each image, checked.
    fn check_labels(&self, what: &'static str, labels: &[usize], images: usize) -> Result<(), DirectError> {
        let classes = self.require_classes()?;
        if labels.len() != images {
            return Err(DirectError::Labels { what, given: labels.len(), images });
        }
        match labels.iter().find(|label| **label >= classes) {
            None => Ok(()),
            Some(&class) => Err(DirectError::Class { model: self.card().name.clone(), class, classes }),
        }
    }
}
