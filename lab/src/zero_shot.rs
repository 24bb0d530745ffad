//! Classifiers that are made of CLIP and prompts.

use std::path::Path;

use archaeo_experiments::classes::{are_wordnet_ids, shortened};
use archaeo_models::clip::{ClipConfig, Prompts};
use archaeo_models::{Classifier, ModelCard, NetworkSpec};
use burn::tensor::Device;

use crate::checkpoint::Found;
use crate::classes::{read_list, read_names};
use crate::error::LabError;
use crate::listener::{Amount, Unit, Work};
use crate::session::Session;
use crate::subject::ModelSource;

impl Session {
    /// The image tower of the CLIP that was found, with a prototype for each class; `classes` are named in the prompts where no
    /// others are given.
    ///
    /// # Errors
    /// Another model than CLIP, prompts or class names that cannot be used, or a checkpoint that does not fit.
    pub(crate) fn zero_shot(
        &self,
        source: &ModelSource,
        prompts: &str,
        Found { checkpoint, described }: Found,
        classes: &[String],
        device: &Device,
    ) -> Result<Classifier, LabError> {
        let ModelCard { name, network, preprocessing, .. } = described.card;
        if !network.classes_are_prompts() {
            return Err(LabError::NotClip(name));
        }
        let templates = templates(prompts)?;
        let classes = match &source.class_names {
            Some(path) => read_names(path)?,
            None if classes.is_empty() => return Err(LabError::NoClasses),
            None if are_wordnet_ids(classes) => return Err(LabError::Unspeakable(shortened(classes))),
            None => classes.to_vec(),
        };
        let config = ClipConfig::named(&name, preprocessing.image_size).map_err(LabError::UnknownClip)?;
        let stage = self.stage("loading the model");
        let clip = checkpoint.into_clip(&name, &config, device)?;
        drop(stage);
        let network = NetworkSpec::from(config.zero_shot(classes.len()));
        let amount = Amount { total: classes.len() as u64, unit: Unit::Classes };
        let work = Work::begin(self.listener(), "reading prompts", Some(amount));
        let card = ModelCard { name, network, preprocessing, classes };
        Ok(clip.classifier(card, &templates, self.precision(), &mut work.follow())?)
    }
}

/// Built-in templates, or those of a file.
///
/// # Errors
/// A file that cannot be read, templates that cannot be used.
pub(crate) fn templates(prompts: &str) -> Result<Prompts, LabError> {
    match Prompts::built_in(prompts) {
        Some(prompts) => Ok(prompts),
        None => Prompts::parse(&read_list(Path::new(prompts))?)
            .map_err(|reason| LabError::Prompts { prompts: prompts.into(), reason }),
    }
}
