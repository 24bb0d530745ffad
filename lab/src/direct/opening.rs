//! Where a model in memory comes from: a checkpoint, or an object of another library.

use std::collections::BTreeMap;

use archaeo_models::{ArrayView, Checkpoint};
use serde_json::Value;

use super::{DirectError, DirectModel};
use crate::checkpoint::{Found, require_decided};
use crate::classes::outputs;
use crate::session::Session;
use crate::subject::{ModelSource, Subject};

/// A model of another library, as an object has it.
#[derive(Debug)]
pub struct ModelInMemory<'a> {
    /// Its arrays, under that library's names.
    pub arrays: BTreeMap<String, ArrayView<'a>>,
    /// Its configuration, in the form of the `config.json` of `transformers` or timm; `None` where its arrays say what it is.
    pub config: Option<Value>,
    /// What else is said of it. In place of a file, [`ModelSource::weights`] is what messages call it.
    pub source: ModelSource,
}

impl Session {
    /// Opens the model of a checkpoint for direct questions; `classes` are the names of its outputs, where they are not its own.
    ///
    /// # Errors
    /// As [`Session::open_model`]; a model of which published ones have something otherwise that no array shows; names of classes of
    /// another number.
    pub fn direct(
        &self,
        source: ModelSource,
        classes: Option<&[String]>,
    ) -> Result<DirectModel, DirectError> {
        let found = self.find(&source)?;
        self.direct_of(source, found, classes)
    }

    /// Opens an object of another library for direct questions. Its arrays are copied once, into the model.
    ///
    /// # Errors
    /// As [`Session::direct`].
    pub fn direct_of_arrays(
        &self,
        model: ModelInMemory,
        classes: Option<&[String]>,
    ) -> Result<DirectModel, DirectError> {
        let ModelInMemory { arrays, config, source } = model;
        let called = source.weights.display().to_string();
        let checkpoint = Checkpoint::of_arrays(&called, &arrays, source.reading.entry.as_deref(), config)
            .map_err(crate::LabError::from)?;
        let found = self.understood(&source, checkpoint)?;
        self.direct_of(source, found, classes)
    }

    fn direct_of(
        &self,
        source: ModelSource,
        mut found: Found,
        classes: Option<&[String]>,
    ) -> Result<DirectModel, DirectError> {
        let device = self.device().map_err(crate::LabError::from)?;
        let own = source.name.is_none() && matches!(found.checkpoint.card(), Ok(Some(_)));
        let card = &mut found.described.card;
        if let Some(names) = classes.filter(|_| source.prompts.is_none()) {
            let (model, classes) = (card.name.clone(), card.classes.len());
            if names.len() != classes {
                return Err(DirectError::ClassNames { model, names: names.len(), classes });
            }
            card.classes = names.to_vec();
        }
        let described = found.described.clone();
        let classifier = self.load(&source, found, classes.unwrap_or_default(), &device)?;
        require_decided(&source.weights, &described, &classifier, &device)?;
        let outputs = match classifier.card().classes.is_empty() {
            true => None,
            false => {
                Some(outputs(&Subject::new(source.clone(), None), &classifier, own || classes.is_some())?)
            }
        };
        Ok(DirectModel { source, classifier, preprocessing: described.preprocessing, outputs, device })
    }
}
