//! What a model consists of, and which are known by name.

use std::path::Path;

use archaeo_models::{
    Described, ModelCard, NetworkSpec, Origin, Preprocessing, SourcedPreprocessing, Usual, usual,
};
use serde::Serialize;

use crate::checkpoint::sourced;
use crate::error::LabError;
use crate::reference::is_reference;
use crate::session::Session;
use crate::subject::ModelSource;

/// A model that is known by name, as its published checkpoints have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnownModel {
    /// Its name.
    pub name: String,
    /// Its family, such as `ViT`.
    pub family: &'static str,
    /// Side of its images, pixels.
    pub image_size: usize,
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
}

/// Every model that is known by name, family by family.
///
/// # Errors
/// Sizes that do not fit together.
pub fn known_models() -> Result<Vec<KnownModel>, LabError> {
    let known = |name: String| {
        let Usual { classes, preprocessing: Preprocessing { image_size, .. } } = usual(&name);
        let network = NetworkSpec::named(&name, classes, image_size)?;
        Ok(KnownModel {
            family: network.family(),
            image_size,
            parameters: network.parameter_count()?,
            multiply_adds: network.multiply_adds(image_size),
            name,
        })
    };
    NetworkSpec::names().into_iter().map(known).collect()
}

/// What a model consists of.
#[derive(Clone, Debug, Serialize)]
pub struct ModelDescription {
    /// Its name.
    pub name: String,
    /// Its architecture in words.
    pub description: String,
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
    /// Its sizes.
    pub network: NetworkSpec,
    /// How its images are prepared, and who said so.
    #[serde(serialize_with = "sourced")]
    pub preprocessing: SourcedPreprocessing,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Every array and its shape.
    pub arrays: Vec<(String, Vec<usize>)>,
}

impl Session {
    /// Describes the model of a checkpoint, or of a name with what its published checkpoints expect.
    ///
    /// # Errors
    /// A name that is not known, or a checkpoint that cannot be read or does not say what it is.
    pub fn describe_model(&self, name: &str) -> Result<ModelDescription, LabError> {
        let Described { card, preprocessing, .. } = self.described(name)?;
        let ModelCard { name, network, classes, .. } = card;
        Ok(ModelDescription {
            name,
            description: network.describe(),
            parameters: network.parameter_count()?,
            multiply_adds: network.multiply_adds(preprocessing.values.image_size),
            preprocessing,
            classes,
            arrays: network.arrays()?,
            network,
        })
    }

    pub(crate) fn described(&self, name: &str) -> Result<Described, LabError> {
        if Path::new(name).exists() || is_reference(Path::new(name)) {
            return Ok(self.find(&ModelSource::new(name))?.described);
        }
        let Usual { classes, preprocessing } = usual(name);
        let network = NetworkSpec::named(name, classes, preprocessing.image_size)?;
        let classes = (0..classes).map(|class| class.to_string()).collect();
        let card = ModelCard { name: name.into(), network, preprocessing: preprocessing.clone(), classes };
        let preprocessing = SourcedPreprocessing::new(preprocessing, Origin::Catalogue);
        Ok(Described { card, preprocessing, inferred: None, notes: Vec::new(), doubt: None })
    }
}
