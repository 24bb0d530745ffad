//! A model under investigation, trained here or brought along.

use std::path::Path;

use archaeo_models::{Classifier, LoadOptions, ModelCard, ModelRequest, checkpoint};
use burn::tensor::Device;

use super::{Given, InvestigationError, Request, Watcher};
use crate::data::Dataset;
use crate::findings::{ModelFindings, Role};
use crate::images::{Augmented, ImageSource, Preprocessed, Subset};
use crate::random::sample;
use crate::run_folder::{DataIdentity, RunFolder, sha256_checkpoint};
use crate::studies::StudyError;
use crate::train::{Job, Outcome, RecipeError, train};

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
    /// The model that was brought along for a role; `None` if it is to be trained here. A recipe that cannot be trained
    /// is refused now, not after the other model's training.
    pub(super) fn given(
        role: Role,
        request: &Request,
        dataset: &Dataset,
    ) -> Result<Option<Self>, InvestigationError> {
        let given = match role {
            Role::Vit => request.vit,
            Role::Cnn => request.cnn,
        };
        if let Some(given) = given {
            return Self::load(role, given, dataset, request.device).map(Some);
        }
        let card = request.config.recipe(role)?.card_within_memory(&dataset.classes)?;
        if let Some((_, needed)) = wrong_kind(&card, role) {
            let reason = format!("[models.{role}] must describe {needed}, but {} is none", card.name);
            return Err(RecipeError::Value(reason).into());
        }
        Ok(None)
    }

    /// Loads a model that is brought along.
    fn load(
        role: Role,
        given: Given,
        dataset: &Dataset,
        device: &Device,
    ) -> Result<Self, InvestigationError> {
        let Given { path, model } = given;
        let checkpoint = checkpoint::read(path)?;
        let model = model.map(str::to_owned);
        let request = ModelRequest { model, class_names: dataset.classes.clone(), ..ModelRequest::default() };
        let card = checkpoint.describe(&request)?.card;
        let model = checkpoint.into_model(Some(card), &LoadOptions::default(), device)?;
        if let Some((found, needed)) = wrong_kind(model.card(), role) {
            return Err(InvestigationError::WrongKind { path: path.into(), role, found, needed });
        }
        if !agree(&model.card().classes, &dataset.classes) {
            return Err(InvestigationError::OtherClasses {
                path: path.into(),
                model: shortened(&model.card().classes),
                data: shortened(&dataset.classes),
            });
        }
        Self::new(role, model, path, path.display().to_string(), Vec::new())
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
        let images = Augmented {
            split: dataset.split("train")?,
            augment: &recipe.augment,
            image_size: recipe.image_size,
            seed: recipe.seed,
        };
        let count = request.config.studies.training_images.unwrap_or(usize::MAX);
        let indices = sample(recipe.seed, "training subset", images.len(), count);
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
        history: Vec<crate::findings::EpochRecord>,
    ) -> Result<Self, InvestigationError> {
        let findings = ModelFindings {
            role,
            card: model.card().clone(),
            parameters: model.parameter_count(),
            weights: name,
            weights_sha256: sha256_checkpoint(path)?,
            history,
        };
        Ok(Self { model, findings })
    }

    /// Seconds that its training took.
    pub(super) fn seconds(&self) -> f64 {
        self.findings.history.iter().map(|epoch| epoch.seconds).sum()
    }
}

/// Whether the labels of data with the classes `data` are indices into the classes `model`: they are where the names are
/// the same, or one side has none but numbers.
fn agree(model: &[String], data: &[String]) -> bool {
    let numbers = |names: &[String]| names.iter().enumerate().all(|(index, name)| *name == index.to_string());
    model == data || (data.len() <= model.len() && (numbers(model) || numbers(data)))
}

fn shortened(classes: &[String]) -> String {
    let shown = classes.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if classes.len() > 5 { format!("{shown}, … ({} in all)", classes.len()) } else { shown }
}
