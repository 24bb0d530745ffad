//! The whole investigation.

use std::collections::BTreeMap;
use std::path::PathBuf;

use archaeo_experiments::findings::{Investigation, ModelFindings};
use archaeo_experiments::investigation::{
    Given, InvestigationConfig, Kind, Request, Watcher, excavate, train_models,
};
use archaeo_experiments::report::{Claim, told};
use archaeo_experiments::subjects::ModelName;
use archaeo_models::read_card;
use archaeo_training::TrainingRecord;
use serde::{Deserialize, Serialize};

use crate::classes::read_names;
use crate::data::require_sherds_classes;
use crate::error::LabError;
use crate::listener::{Followed, Kept, Watched};
use crate::scale::known_study;
use crate::session::Session;

/// A trained model under the name that it has in an investigation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedModel {
    /// What it is called.
    pub name: String,
    /// What it has to be, where the way it is given says so.
    pub kind: Option<Kind>,
    /// Its weights: a file, a folder with one, or `hf:OWNER/NAME@REVISION`.
    pub weights: PathBuf,
    /// The model's name, if the checkpoint does not tell.
    pub model: Option<String>,
    /// File of the names of its outputs, where the weights do not say them.
    pub class_names: Option<PathBuf>,
}

/// What is to be investigated.
#[derive(Clone, Debug)]
pub struct Excavation {
    /// The images; by default Sherds, unless one of the given models was trained on other data.
    pub data: Option<String>,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
    /// Recipes and options of the studies, as [`Session::configuration`] reads them.
    pub config: InvestigationConfig,
    /// Trained models.
    pub models: Vec<NamedModel>,
    /// Models of the configuration to train; all of them where this and `models` are empty.
    pub train: Vec<String>,
    /// Folder for the results; the same folder resumes an interrupted run.
    pub out: PathBuf,
    /// Title of the report; by default the names of the models and of the data.
    pub title: Option<String>,
}

/// What an investigation tells.
#[derive(Clone, Debug, Serialize)]
pub struct Excavated {
    /// The report.
    pub report: String,
    /// The folder of the findings.
    pub findings: String,
    /// Whether the models can be trusted, a paragraph per model.
    pub trust: Vec<String>,
    /// What was found, a paragraph each.
    pub headlines: Vec<String>,
    /// All of it.
    #[serde(skip)]
    pub investigation: Investigation,
}

/// A trained model whose files are there.
struct Trained {
    name: ModelName,
    kind: Option<Kind>,
    path: PathBuf,
    model: Option<String>,
    class_names: Option<Vec<String>>,
}

impl Session {
    /// Investigates: loads or trains the models, asks every question, writes the report.
    ///
    /// # Errors
    /// One sentence; what was found until then is kept, and the same request goes on from there.
    pub fn excavate(&self, excavation: &Excavation) -> Result<Excavated, LabError> {
        self.excavated(excavation, None, |request, watcher| Ok(excavate(request, watcher)?))
    }

    /// Asks one question of all, by its name ([`studies`](crate::studies)); what other studies found in the same folder before stays in
    /// the report.
    ///
    /// # Errors
    /// As [`Session::excavate`]; a question that there is not, or that does not apply.
    pub fn study(&self, name: &str, excavation: &Excavation) -> Result<Excavated, LabError> {
        self.excavated(excavation, Some(known_study(name)?), |request, watcher| {
            Ok(excavate(request, watcher)?)
        })
    }

    /// Loads or trains the models of an investigation and asks nothing yet.
    ///
    /// # Errors
    /// As [`Session::excavate`].
    pub fn train_models(&self, excavation: &Excavation) -> Result<Vec<ModelFindings>, LabError> {
        self.asking(excavation, None, |request, watcher| Ok(train_models(request, watcher)?))
    }

    /// What an investigation, or a part of one, tells once `conclude` has found it.
    pub(crate) fn excavated(
        &self,
        excavation: &Excavation,
        only: Option<&str>,
        conclude: impl FnOnce(&Request, &dyn Watcher) -> Result<Investigation, LabError>,
    ) -> Result<Excavated, LabError> {
        let investigation = self.asking(excavation, only, conclude)?;
        self.say_skipped(&investigation.data.skipped);
        investigation.data.notes.iter().for_each(|note| self.note(note));

        let path = |name: &str| excavation.out.join(name).display().to_string();
        let told = told(&investigation)?;
        let sentences = |claims: Vec<Claim>| -> Vec<String> {
            claims.into_iter().map(|claim| format!("{} {}", claim.statement, claim.evidence)).collect()
        };
        Ok(Excavated {
            report: path("report.html"),
            findings: path("findings"),
            trust: sentences(told.opening),
            headlines: sentences(told.summary),
            investigation,
        })
    }

    /// Calls `work` with the request of an investigation, whose models and weights are looked for.
    pub(crate) fn asking<T>(
        &self,
        excavation: &Excavation,
        only: Option<&str>,
        work: impl FnOnce(&Request, &dyn Watcher) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        let Excavation { strict, config, out, title, .. } = excavation;
        let device = self.device_for(&config.precisions()?)?;
        config.notes()?.into_iter().for_each(|note| self.note(note));
        let trained = excavation.models.iter().map(|model| self.trained(model));
        let trained = trained.collect::<Result<Vec<_>, _>>()?;
        let train = to_train(excavation)?;
        let given: Vec<Given> = trained.iter().map(Trained::given).collect();
        let mut weights = BTreeMap::new();
        for name in &train {
            weights.extend(self.weights_of(&config.recipe(*name)?)?);
        }
        if trained.len() + train.len() > 1 {
            trained.iter().for_each(|model| weights.extend(self.started_from(model)));
        }
        let source = source(excavation, &trained)?;
        let copies = self.copies(source)?;
        self.listener().keeps(Kept::Findings(out));
        let request = Request {
            source,
            copies: copies.as_ref(),
            strict: *strict,
            config: config.clone(),
            given: &given,
            train: &train,
            weights: &weights,
            out,
            device: &device,
            environment: self.environment(),
            title: title.as_deref(),
            only,
        };
        work(&request, &Watched { followed: Followed(self.listener()), offline: self.is_offline() })
    }

    fn trained(&self, model: &NamedModel) -> Result<Trained, LabError> {
        Ok(Trained {
            name: ModelName::new(&model.name),
            kind: model.kind,
            path: self.resolve(&model.weights)?,
            model: model.model.clone(),
            class_names: model.class_names.as_deref().map(read_names).transpose()?,
        })
    }

    /// The weights that a given model started from, where its run folder names some. Without them, less is known of its training.
    fn started_from(&self, Trained { name, path, .. }: &Trained) -> Option<(String, PathBuf)> {
        let init = TrainingRecord::of(path)?.recipe.init?;
        match self.resolve(init.as_ref()) {
            Ok(file) => Some((init, file)),
            Err(error) => {
                self.note(format!(
                    "{name}: what training did to its attention is left out, since the weights that it started from are not there: {error}"
                ));
                None
            }
        }
    }
}

impl Trained {
    fn given(&self) -> Given<'_> {
        Given {
            name: self.name,
            kind: self.kind,
            path: &self.path,
            model: self.model.as_deref(),
            class_names: self.class_names.as_deref(),
        }
    }
}

/// The models of the configuration that are to be trained: those that were asked for, and all where no model was.
fn to_train(Excavation { train, models, config, .. }: &Excavation) -> Result<Vec<ModelName>, LabError> {
    if train.is_empty() && models.is_empty() {
        return Ok(config.models().to_vec());
    }
    let names: Vec<ModelName> = train.iter().map(|name| ModelName::new(name)).collect();
    names.iter().try_for_each(|name| config.recipe(*name).map(drop))?;
    Ok(names)
}

/// The data, or Sherds where none are given and no model is that was trained on others.
fn source<'a>(excavation: &'a Excavation, trained: &[Trained]) -> Result<&'a str, LabError> {
    if let Some(source) = &excavation.data {
        return Ok(source);
    }
    for Trained { path, .. } in trained {
        let card = read_card(path)?;
        require_sherds_classes(path, &card.map(|card| card.classes).unwrap_or_default())?;
    }
    Ok("sherds")
}
