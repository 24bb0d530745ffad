//! A model under investigation, trained here or brought along.

use std::path::Path;

use archaeo_models::{Classifier, LoadOptions, ModelCard, ModelRequest, checkpoint};
use burn::tensor::Device;

use super::classes::arrange;
use super::{Given, InvestigationError, Kind, Request, Watcher};
use crate::classes::Outputs;
use crate::findings::ModelFindings;
use crate::scene::StudyError;
use crate::subjects::ModelName;
use archaeo_data::Dataset;
use archaeo_random::stratified;
use archaeo_store::run_folder::{DataIdentity, RunFolder, sha256_checkpoint};
use archaeo_training::images::{Augmented, Preprocessed, Subset};
use archaeo_training::{Job, Outcome, train};

/// What a model is and what it has to be, where these differ.
fn wrong_kind(card: &ModelCard, kind: Option<Kind>) -> Option<(&'static str, &'static str)> {
    const TRANSFORMER: &str = "a vision transformer";
    const CNN: &str = "a convolutional network";
    match (card.network.attention_layers() > 0, kind?) {
        (false, Kind::Transformer) => Some((CNN, TRANSFORMER)),
        (true, Kind::ConvolutionalNetwork) => Some((TRANSFORMER, CNN)),
        (true, Kind::Transformer) | (false, Kind::ConvolutionalNetwork) => None,
    }
}

/// A frozen model and what is known of it.
pub(super) struct Examined {
    pub(super) model: Classifier,
    pub(super) findings: ModelFindings,
}

impl Examined {
    /// The models that were brought along. A recipe that cannot be trained is refused now, not after another model's training.
    pub(super) fn given(request: &Request, dataset: &Dataset) -> Result<Vec<Self>, InvestigationError> {
        for name in request.train {
            request.config.recipe(*name)?.card_within_memory(&dataset.classes)?;
        }
        let loaded: Vec<(Classifier, Outputs)> =
            request.given.iter().map(|given| load(*given, request.device)).collect::<Result<_, _>>()?;
        let outputs: Vec<_> = (request.given.iter().zip(&loaded))
            .map(|(given, (_, outputs))| (given.name, given.path.to_owned(), outputs.clone()))
            .collect();
        let mut examined = Vec::new();
        for ((given, (model, _)), arranged) in
            request.given.iter().zip(loaded).zip(arrange(dataset, &outputs)?)
        {
            let model = model
                .with_outputs(&arranged.order, arranged.names)
                .in_precision(request.config.studies.precision);
            let path = given.path;
            let mut one = Self::new(given.name, model, path, path.display().to_string(), Vec::new())?;
            one.findings.classes_matched_by = Some(arranged.by);
            one.findings.class_notes = arranged.notes;
            examined.push(one);
        }
        Ok(examined)
    }

    /// Trains a model, or goes on with its training, in a folder of its own.
    pub(super) fn train(
        name: ModelName,
        request: &Request,
        dataset: &Dataset,
        identity: &DataIdentity,
        folder: &RunFolder,
        watcher: &dyn Watcher,
    ) -> Result<Self, InvestigationError> {
        let recipe = request.config.recipe(name)?;
        let split = dataset.split("train")?;
        let images =
            Augmented { split, augment: &recipe.augment, image_size: recipe.image_size, seed: recipe.seed };
        let count = request.config.studies.training_images.unwrap_or(usize::MAX);
        let indices = stratified(recipe.seed, "training subset", &split.labels(), count);
        let images = Subset { images, indices };
        let validation_split = dataset.selection_split().unwrap_or_else(|| dataset.evaluation_split());
        let blank = recipe.build(&dataset.classes, request.device)?;
        let validation = Preprocessed {
            split: dataset.split(validation_split)?,
            preprocessing: &blank.card().preprocessing,
        };
        let own_folder =
            RunFolder::open(&folder.file(name.as_str()), &recipe.to_toml(), identity, &request.environment)?;
        let job = Job {
            recipe: &recipe,
            classes: &dataset.classes,
            images: &images,
            validation: &validation,
            folder: &own_folder,
            device: request.device,
        };
        match train(&job, &mut *watcher.training(&blank.card().name))? {
            Outcome::Stopped { .. } => Err(StudyError::Interrupted.into()),
            Outcome::Finished(trained) => {
                let weights = format!("{name}/model.safetensors");
                let model = trained.model.in_precision(request.config.studies.precision);
                Self::new(name, model, &trained.weights, weights, trained.history)
            }
        }
    }

    fn new(
        name: ModelName,
        model: Classifier,
        path: &Path,
        weights: String,
        history: Vec<archaeo_training::EpochRecord>,
    ) -> Result<Self, InvestigationError> {
        let findings = ModelFindings {
            name,
            card: model.card().clone(),
            parameters: model.parameter_count(),
            weights,
            weights_sha256: sha256_checkpoint(path)?,
            classes_matched_by: None,
            class_notes: Vec::new(),
            history,
        };
        Ok(Self { model, findings })
    }

    /// Seconds that its training took.
    pub(super) fn seconds(&self) -> f64 {
        self.findings.history.iter().map(|epoch| epoch.seconds).sum()
    }
}

/// Loads a model that is brought along, and says what its outputs are called.
fn load(given: Given, device: &Device) -> Result<(Classifier, Outputs), InvestigationError> {
    let Given { name, kind, path, model, class_names } = given;
    let checkpoint = checkpoint::read(path)?;
    let own = model.is_none() && matches!(checkpoint.card(), Ok(Some(_)));
    let request = ModelRequest { model: model.map(str::to_owned), ..ModelRequest::default() };
    let described = checkpoint.describe(&request)?;
    described.decided(path)?;
    let model = checkpoint.into_model(Some(described.card), &LoadOptions::default(), device)?;
    if let Some((found, needed)) = wrong_kind(model.card(), kind) {
        return Err(InvestigationError::WrongKind { path: path.into(), name, found, needed });
    }
    let outputs = match class_names {
        Some(names) if names.len() == model.card().classes.len() => Outputs::named(names.to_vec()),
        Some(names) => {
            let reason =
                format!("{} names are given for its {} outputs", names.len(), model.card().classes.len());
            return Err(InvestigationError::Classes { path: path.into(), name, reason });
        }
        None => Outputs::of(model.card(), own),
    };
    Ok((model, outputs))
}
