//! What a model is and what was measured of it, on one page.

use std::path::{Path, PathBuf};

use archaeo_experiments::card::{Known, is_ours, model_card};
use archaeo_experiments::findings::Investigation;
use archaeo_experiments::investigation::{read_investigation, weights_path};
use archaeo_experiments::subjects::ModelName;
use archaeo_models::{ModelCard, read_card};
use archaeo_store::run_folder::{Environment, LONGEST, sha256_checkpoint};
use archaeo_training::TrainingRecord;
use serde::Serialize;

use crate::custody::folder_of;
use crate::error::LabError;
use crate::session::Session;

/// Name of a card in the folder of its model.
pub(crate) const CARD: &str = "README.md";

/// Which cards, and what they say besides what is known.
#[derive(Clone, Debug, Default)]
pub struct CardOptions {
    /// One model of an investigation; by default all.
    pub model: Option<String>,
    /// The model's licence, as the hub names it.
    pub license: Option<String>,
    /// Folder to write to: one model's card as its `README.md`, those of several in a folder each.
    pub out: Option<PathBuf>,
}

/// The card of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenCard {
    /// The model.
    pub model: String,
    /// Its file, where it was written to one.
    pub file: Option<PathBuf>,
    /// What it says, in Markdown with metadata.
    pub text: String,
}

impl Session {
    /// The cards of the models of an investigation, or of a finished training.
    ///
    /// # Errors
    /// A folder that holds neither, a model that is not there, several models for one page, a file that is there and no card.
    pub fn model_cards(&self, path: &Path, options: &CardOptions) -> Result<Vec<WrittenCard>, LabError> {
        let folder = folder_of(path);
        let license = options.license.as_deref();
        let mut cards = match folder.join("investigation.json").exists() {
            true => of_investigation(&read_investigation(folder)?, folder, license)?,
            false => vec![("model".into(), of_training(path, license)?)],
        };
        if let Some(asked) = &options.model {
            let names: Vec<String> = cards.iter().map(|(name, _)| name.clone()).collect();
            cards.retain(|(name, _)| name == asked);
            if cards.is_empty() {
                return Err(LabError::NoSuchModel { name: asked.clone(), known: names.join(", ") });
            }
        }
        let several = cards.len() > 1;
        let card = |(name, (model, text)): (String, (String, String))| {
            let file = options.out.as_deref().map(|out| match several {
                true => out.join(name).join(CARD),
                false => out.join(CARD),
            });
            if let Some(file) = &file {
                write(file, &text)?;
            }
            Ok(WrittenCard { model, file, text })
        };
        cards.into_iter().map(card).collect()
    }
}

/// A model's name in the investigation, and the name of its architecture with its card.
type NamedCard = (String, (String, String));

/// The card of each model.
fn of_investigation(
    investigation: &Investigation,
    folder: &Path,
    license: Option<&str>,
) -> Result<Vec<NamedCard>, LabError> {
    let card = |name: ModelName| {
        let model = investigation.model(name).expect("it is one of them");
        let training = TrainingRecord::of(&weights_path(folder, &model.weights));
        let known = Known {
            card: &model.card,
            parameters: model.parameters,
            weights_sha256: Some(&model.weights_sha256),
            training: training.as_ref(),
            environment: None,
            investigation: Some((investigation, name)),
            license,
        };
        Ok((name.to_string(), (model.card.name.clone(), model_card(&known)?)))
    };
    investigation.models.iter().map(|model| card(model.name)).collect()
}

/// Name and card of the model of a run folder.
fn of_training(path: &Path, license: Option<&str>) -> Result<(String, String), LabError> {
    let none = || LabError::NoCard(path.to_owned());
    let training = TrainingRecord::of(path).ok_or_else(none)?;
    let card = read_card(path)?.ok_or_else(none)?;
    let text = of_weights(path, &card, Some(&training), license)?;
    Ok((card.name, text))
}

/// The card of a model whose weights are at `path`, with all that the folders around them say.
pub(crate) fn card_of(path: &Path, card: &ModelCard) -> Result<String, LabError> {
    of_weights(path, card, TrainingRecord::of(path).as_ref(), None)
}

fn of_weights(
    path: &Path,
    card: &ModelCard,
    training: Option<&TrainingRecord>,
    license: Option<&str>,
) -> Result<String, LabError> {
    let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_owned() };
    let hash = file.exists().then(|| sha256_checkpoint(&file)).transpose()?;
    let starts: Option<Vec<Environment>> = training.and_then(|_| {
        let bytes = archaeo_store::read_bytes(&file.with_file_name("environment.json"), LONGEST).ok()?;
        serde_json::from_slice(&bytes).ok()
    });
    let found = hash.as_deref().and_then(|hash| measured(&file, hash, card));
    let known = Known {
        card,
        parameters: card.network.parameter_count()?,
        weights_sha256: hash.as_deref(),
        training,
        environment: starts.as_ref().and_then(|starts| starts.last()),
        investigation: found.as_ref().map(|(investigation, name)| (investigation, *name)),
        license,
    };
    Ok(model_card(&known)?)
}

/// The investigation in whose folder these weights are, and their name there, if it measured the very same model.
fn measured(file: &Path, hash: &str, card: &ModelCard) -> Option<(Investigation, ModelName)> {
    let folder =
        file.ancestors().skip(2).take(2).find(|folder| folder.join("investigation.json").exists())?;
    let investigation = read_investigation(folder).ok()?;
    let same = investigation.models.iter().find(|model| model.weights_sha256 == hash && model.card == *card);
    let name = same?.name;
    Some((investigation, name))
}

/// Writes a card, unless a file of another kind is in its place.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), LabError> {
    if !is_ours(file) {
        return Err(LabError::NotACard(file.to_owned()));
    }
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent).map_err(archaeo_store::StoreError::io("make the folder", parent))?;
    }
    Ok(archaeo_store::write(file, text.as_bytes())?)
}
