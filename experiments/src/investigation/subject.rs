//! A model under investigation, trained here or brought along.

use std::path::Path;

use archaeo_models::{Classifier, LoadOptions, ModelCard, ModelRequest, checkpoint};
use burn::tensor::Device;

use super::classes::arrange;
use super::{Given, InvestigationError, Request, Watcher};
use crate::classes::Outputs;
use archaeo_data::Dataset;
use crate::findings::{ModelFindings, Role};
use archaeo_training::images::{Augmented, Preprocessed, Subset};
use archaeo_random::stratified;
use archaeo_store::run_folder::{DataIdentity, RunFolder, sha256_checkpoint};
use crate::studies::StudyError;
use archaeo_training::{Job, Outcome, RecipeError, train};

/// What was given and what is needed, where a model cannot play a role.
fn wrong_kind(card: &ModelCard, role: Role) -> Option<(&'static str, &'static str)> {
    const TRANSFORMER: &str = "a vision transformer";
    const CNN: &str = "a convolutional network";
    match (card.network.attention_layers() > 0, role) {
        (false, Role::Vit) => Some((CNN, TRANSFORMER)),
        (true, Role::Cnn) => Some((TRANSFORMER, CNN)),
        (true, Role::Vit) | (false, Role::Cnn) => None,
    }
}

/// A frozen model and what is known of it.
pub(super) struct Subject {
    pub(super) model: Classifier,
    pub(super) findings: ModelFindings,
}

impl Subject {
    /// The models that were brought along for each role; `None` for one that is to be trained here. A recipe that cannot be
    /// trained is refused now, not after the other model's training.
    pub(super) fn given(
        request: &Request,
        dataset: &Dataset,
    ) -> Result<[Option<Self>; 2], InvestigationError> {
        let roles = [(Role::Vit, request.vit), (Role::Cnn, request.cnn)];
        let mut loaded = Vec::new();
        for (role, given) in roles {
            match given {
                Some(given) => loaded.push((role, given, load(role, given, request.device)?)),
                None => check_recipe(role, request, dataset)?,
            }
        }
        let outputs: Vec<_> = loaded
            .iter()
            .map(|(role, given, (_, outputs))| (*role, given.path.to_owned(), outputs.clone()))
            .collect();
        let mut subjects = [None, None];
        for ((role, given, (model, _)), arranged) in loaded.into_iter().zip(arrange(dataset, &outputs)?) {
            let model = model.with_outputs(&arranged.order, arranged.names);
            let path = given.path;
            let mut subject = Self::new(role, model, path, path.display().to_string(), Vec::new())?;
            subject.findings.classes_matched_by = Some(arranged.by);
            subject.findings.class_notes = arranged.notes;
            subjects[usize::from(role == Role::Cnn)] = Some(subject);
        }
        Ok(subjects)
    }

    /// Trains a model, or goes on with its training, in a folder of its own.
    pub(super) fn train(
        role: Role,
        request: &Request,
        dataset: &Dataset,
        identity: &DataIdentity,
        folder: &RunFolder,
        watcher: &dyn Watcher,
    ) -> Result<Self, InvestigationError> {
        let recipe = request.config.recipe(role)?;
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
        let own_folder = RunFolder::open(
            &folder.file(&role.to_string()),
            &recipe.to_toml(),
            identity,
            &request.environment,
        )?;
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
                let name = format!("{role}/model.safetensors");
                Self::new(role, trained.model, &trained.weights, name, trained.history)
            }
        }
    }

    fn new(
        role: Role,
        model: Classifier,
        path: &Path,
        name: String,
        history: Vec<archaeo_training::EpochRecord>,
    ) -> Result<Self, InvestigationError> {
        let findings = ModelFindings {
            role,
            card: model.card().clone(),
            parameters: model.parameter_count(),
            weights: name,
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
fn load(role: Role, given: Given, device: &Device) -> Result<(Classifier, Outputs), InvestigationError> {
    let Given { path, model, class_names } = given;
    let checkpoint = checkpoint::read(path)?;
    let own = model.is_none() && matches!(checkpoint.card(), Ok(Some(_)));
    let request = ModelRequest { model: model.map(str::to_owned), ..ModelRequest::default() };
    let described = checkpoint.describe(&request)?;
    described.decided(path)?;
    let model = checkpoint.into_model(Some(described.card), &LoadOptions::default(), device)?;
    if let Some((found, needed)) = wrong_kind(model.card(), role) {
        return Err(InvestigationError::WrongKind { path: path.into(), role, found, needed });
    }
    let outputs = match class_names {
        Some(names) if names.len() == model.card().classes.len() => Outputs::named(names.to_vec()),
        Some(names) => {
            let reason =
                format!("{} names are given for its {} outputs", names.len(), model.card().classes.len());
            return Err(InvestigationError::Classes { path: path.into(), role, reason });
        }
        None => Outputs::of(model.card(), own),
    };
    Ok((model, outputs))
}

/// Refuses a recipe that describes no model of the role.
fn check_recipe(role: Role, request: &Request, dataset: &Dataset) -> Result<(), InvestigationError> {
    let card = request.config.recipe(role)?.card_within_memory(&dataset.classes)?;
    match wrong_kind(&card, role) {
        None => Ok(()),
        Some((_, needed)) => {
            let reason = format!("[models.{role}] must describe {needed}, but {} is none", card.name);
            Err(RecipeError::Value(reason).into())
        }
    }
}
