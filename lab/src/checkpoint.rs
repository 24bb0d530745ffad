//! The model that a path means.

use std::path::Path;

use archaeo_models::{
    Checkpoint, Classifier, Described, LoadOptions, ModelRequest, Origin, Pass, PreprocessingChoice,
    ReadOptions, SourcedPreprocessing, checkpoint,
};
use burn::tensor::{Device, Tensor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::error::LabError;
use crate::session::Session;
use crate::subject::ModelSource;

/// How a checkpoint is read and images are preprocessed for its model.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Where in the checkpoint the model is, if it holds several.
    pub entry: Option<String>,
    /// Fields of the model's specification that are said, each with its value as JSON or a plain word: `heads` and `6`.
    pub specification: Vec<(String, String)>,
    /// Arrays, or modules, that the checkpoint may lack; they are initialised randomly.
    pub allow_missing: Vec<String>,
    /// Whether a head with another number of classes is replaced by a randomly initialised one.
    pub replace_head: bool,
    /// How images are prepared, before what the checkpoint says.
    pub preprocessing: PreprocessingChoice,
}

impl Reading {
    /// What the checkpoint may lack.
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions { allow_missing: self.allow_missing.clone(), replace_head: self.replace_head }
    }
}

/// A model that was opened, and how its images are prepared.
pub struct OpenedModel {
    /// The model, frozen.
    pub model: Classifier,
    /// How its images are prepared, and who said so.
    pub preprocessing: SourcedPreprocessing,
}

/// A checkpoint that was read, and what it was found to be.
pub(crate) struct Found {
    /// The arrays.
    pub checkpoint: Checkpoint,
    /// What they are.
    pub described: Described,
}

impl Session {
    /// Opens a model on its own; the classes of CLIP with prompts are those that `class_names` lists.
    ///
    /// # Errors
    /// A file that cannot be read, that does not say what it is, or that does not hold what its model needs.
    pub fn open_model(&self, source: &ModelSource) -> Result<OpenedModel, LabError> {
        let device = self.device()?;
        let found = self.find(source)?;
        let preprocessing = found.described.preprocessing.clone();
        let model = self.load(source, found, &[], &device)?;
        Ok(OpenedModel { model, preprocessing })
    }

    /// Reads a checkpoint and finds out which model it holds.
    pub(crate) fn find(&self, source: &ModelSource) -> Result<Found, LabError> {
        let ModelSource { weights, reading, .. } = source;
        let file = self.resolve(weights)?;
        let stage = self.stage(&format!("reading {}", weights.display()));
        let checkpoint = checkpoint::read_with(&file, &ReadOptions { entry: reading.entry.clone() })?;
        drop(stage);
        self.understood(source, checkpoint)
    }

    /// Finds out which model a checkpoint holds.
    pub(crate) fn understood(&self, source: &ModelSource, checkpoint: Checkpoint) -> Result<Found, LabError> {
        let ModelSource { weights, name, reading, .. } = source;
        let request = ModelRequest {
            model: name.clone(),
            preprocessing: reading.preprocessing.clone(),
            class_names: Vec::new(),
            specification: reading.specification.clone(),
        };
        let described = checkpoint.describe(&request)?;
        for note in &described.notes {
            self.note(format!("{} {note}", weights.display()));
        }
        if let Some(inferred) = &described.inferred {
            self.note(format!("{} is {inferred}", weights.display()));
        }
        self.say_details(weights, &checkpoint, &described);
        Ok(Found { checkpoint, described })
    }

    /// The model of a checkpoint; `classes` are named in its prompts, where it has some, and nothing else names them.
    pub(crate) fn load(
        &self,
        source: &ModelSource,
        found: Found,
        classes: &[String],
        device: &Device,
    ) -> Result<Classifier, LabError> {
        if let Some(prompts) = &source.prompts {
            return self.zero_shot(source, prompts, found, classes, device);
        }
        let _stage = self.stage("loading the model");
        let Found { checkpoint, described } = found;
        let network = &described.card.network;
        if network.classes_are_prompts() && network.classes() == 0 {
            let weights = source.weights.clone();
            return Err(LabError::NoPrompts { weights, model: described.card.name });
        }
        let model = checkpoint.into_model(Some(described.card), &source.reading.load_options(), device)?;
        Ok(model.in_precision(self.precision()))
    }

    /// The model of a checkpoint whose features are all that matters. Those of an image in CLIP do not depend on prompts, so that any
    /// serve.
    pub(crate) fn load_to_represent(
        &self,
        source: &ModelSource,
        found: Found,
        device: &Device,
    ) -> Result<Classifier, LabError> {
        let network = &found.described.card.network;
        let source = ModelSource { prompts: None, class_names: None, ..source.clone() };
        if network.classes_are_prompts() && network.classes() == 0 {
            return self.zero_shot(&source, "cifar", found, &["image".to_owned()], device);
        }
        self.load(&source, found, &[], device)
    }

    /// What was decided of a checkpoint.
    fn say_details(&self, path: &Path, checkpoint: &Checkpoint, described: &Described) {
        let Described { card, preprocessing, .. } = described;
        let (file, arrays) = (path.display(), checkpoint.state.len());
        let from =
            checkpoint.entry.as_ref().map_or_else(String::new, |entry| format!(" from its entry `{entry}`"));
        self.detail(format!("{file}: {arrays} arrays are read{from}"));
        self.detail(format!("{file}: the model is {}, a {}", card.name, card.network.describe()));
        let network = serde_json::to_value(&card.network).expect("plain data");
        if let Some(pooling) = network["pooling"].as_str() {
            self.detail(format!("{file}: the pooling is {pooling}"));
        }
        let values = serde_json::to_value(&preprocessing.values).expect("plain data");
        for &(name, origin) in &preprocessing.origins {
            self.detail(format!("{file}: {name} is {}, from {}", values[name], said_by(origin)));
        }
    }
}

/// Refuses to measure a model of which published models have something otherwise that no array shows. Where its answers are
/// not finite either way, that is what has to be said.
pub(crate) fn require_decided(
    weights: &Path,
    described: &Described,
    model: &Classifier,
    device: &Device,
) -> Result<(), LabError> {
    let Some(doubt) = &described.doubt else { return Ok(()) };
    let side = described.card.preprocessing.image_size;
    let grey = Tensor::<4>::full([1, 3, side, side], 0.5, device);
    let answers = model.logits(grey, &mut Pass::evaluate(&mut ())).into_data();
    match answers.iter::<f32>().all(f32::is_finite) {
        true => Err(LabError::Undecided { weights: weights.to_owned(), doubt: doubt.clone() }),
        false => Err(LabError::Diverged(weights.to_owned())),
    }
}

/// Who said how images are prepared, as the end of "from".
pub fn said_by(origin: Origin) -> &'static str {
    match origin {
        Origin::Card => "the checkpoint's card",
        Origin::Checkpoint => "a normaliser in the checkpoint",
        Origin::Catalogue => "the published checkpoints of this name",
        Origin::Config => "config.json",
        Origin::Request => "the command line",
    }
}

/// For `#[serde(serialize_with = "sourced")]`: each value of a preprocessing, and who said it.
pub(crate) fn sourced<S: Serializer>(
    preprocessing: &SourcedPreprocessing,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let values = serde_json::to_value(&preprocessing.values).expect("plain data");
    let each = preprocessing
        .origins
        .iter()
        .map(|&(name, origin)| (name.to_owned(), json!({ "value": values[name], "from": origin })));
    Value::Object(each.collect::<Map<String, Value>>()).serialize(serializer)
}
