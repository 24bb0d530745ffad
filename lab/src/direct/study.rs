//! Studies of models in memory.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use archaeo_data::{Dataset, NO_OUTPUT};
use archaeo_experiments::classes::{DataClasses, Matching, match_classes};
use archaeo_experiments::findings::{DataFindings, Investigation, ModelFindings, Provenance};
use archaeo_experiments::options::StudyOptions;
use archaeo_experiments::report::{chapter_html, told};
use archaeo_experiments::scene::Scene;
use archaeo_experiments::studies::STUDIES;
use archaeo_experiments::study::{AnyStudy, Applicability};
use archaeo_experiments::subjects::{ModelName, Subject};
use archaeo_random::stratified;
use archaeo_store::StoreError;
use serde_json::Value;

use super::{DirectError, DirectModel};
use crate::error::LabError;
use crate::listener::Followed;
use crate::session::Session;

/// Which study, of what.
#[derive(Clone, Debug)]
pub struct StudyAsked<'a> {
    /// Its ID, such as `heads`.
    pub id: String,
    /// Options as a recipe has them: `studies.heads.images=200`, `studies.resamples=2000`.
    pub set: Vec<String>,
    /// Whether options that are not stated have their values of `--quick`.
    pub quick: bool,
    /// The split that is asked about; by default the one that final numbers are measured on.
    pub split: Option<String>,
    /// How many of its images, each class with its share; all when not given.
    pub limit: Option<NonZeroUsize>,
    /// Folder for pictures and for what models answer; nothing that was left there by another question is taken over if it is empty.
    pub folder: &'a Path,
}

/// What a study found.
#[derive(Clone, Debug)]
pub struct StudyFound {
    /// Its ID.
    pub id: &'static str,
    /// Title of its chapter.
    pub title: &'static str,
    /// The split that was asked about.
    pub split: String,
    /// Findings, as `findings/ID.json` of an investigation has them.
    pub findings: Value,
    /// What they allow to be said.
    pub claims: Vec<String>,
    /// Its chapter as a page of its own.
    pub page: String,
}

/// ID, title and question of every study.
pub fn studies() -> impl Iterator<Item = [&'static str; 3]> {
    STUDIES.iter().map(|study| [study.id(), study.title(), study.question()])
}

/// The study of an ID.
fn study(id: &str) -> Result<&'static dyn AnyStudy, DirectError> {
    STUDIES.iter().find(|study| study.id() == id).copied().ok_or_else(|| DirectError::Study {
        id: id.into(),
        known: STUDIES.iter().map(|study| study.id()).collect(),
    })
}

impl Session {
    /// Asks models, each under its name, one study on data whose images were verified ([`Session::verify`]).
    ///
    /// # Errors
    /// A study that does not exist or does not apply, options that it does not have, names that cannot be, classes that cannot be
    /// matched or are not those of the first model, what the study itself cannot do, an interruption.
    pub fn study_directly(
        &self,
        asked: &StudyAsked,
        models: &[(String, &DirectModel)],
        dataset: &Dataset,
    ) -> Result<StudyFound, DirectError> {
        let study = study(&asked.id)?;
        let options = StudyOptions::changed(&asked.set, asked.quick).map_err(LabError::from)?;
        check_names(models)?;
        let mut models: Vec<&(String, &DirectModel)> = models.iter().collect();
        // As in an investigation, whatever order they were given in.
        models.sort_by_key(|(_, model)| !model.classifier.has_attention());
        let split = asked.split.clone().unwrap_or_else(|| dataset.evaluation_split().to_owned());
        let matching = self.matched_with(&models, dataset)?;
        let mut dataset = dataset.clone();
        dataset.relabel(&matching.output_of, matching.outputs.names.clone());
        let labels = dataset.split(&split).map_err(LabError::from)?.labels();
        let subset = asked.limit.map(|limit| {
            let usable: Vec<usize> = (0..labels.len()).filter(|&index| labels[index] != NO_OUTPUT).collect();
            let own: Vec<usize> = usable.iter().map(|&index| labels[index]).collect();
            let mut sample: Vec<usize> = stratified(self.seed(), "limit", &own, limit.get())
                .into_iter()
                .map(|position| usable[position])
                .collect();
            sample.sort_unstable();
            sample
        });
        for name in ["findings", "pictures"] {
            let folder = asked.folder.join(name);
            std::fs::create_dir_all(&folder)
                .map_err(StoreError::io("make the folder", &folder))
                .map_err(LabError::from)?;
        }
        let subjects: Vec<Subject> = models
            .iter()
            .map(|(name, model)| Subject::new(ModelName::new(name), &model.classifier))
            .collect();
        let followed = Followed(self.listener());
        let scene = Scene {
            folder: asked.folder,
            dataset: &dataset,
            main_split: &split,
            subset: subset.as_deref(),
            subjects: &subjects,
            device: &models[0].1.device,
            options: &options,
            seed: self.seed(),
            progress: &followed,
            shared: None,
        };
        if let Applicability::No(reason) = study.applies(&scene)? {
            return Err(DirectError::DoesNotApply { study: asked.id.clone(), reason });
        }
        let findings = study.run(&scene, None)?;
        let images = subset.as_ref().map_or(labels.len(), Vec::len);
        let investigation = self.told_of(&models, &matching, &dataset, (&split, images), (study, &findings));
        let found = told(&investigation).map_err(LabError::from)?;
        let claims = found.opening.into_iter().chain(found.summary);
        let claims = claims.map(|claim| format!("{} {}", claim.statement, claim.evidence)).collect();
        let picture = |path: &str| archaeo_store::read(&asked.folder.join(path)).ok();
        let page = chapter_html(&investigation, study.id(), &picture).map_err(LabError::from)?;
        Ok(StudyFound {
            id: study.id(),
            title: study.title(),
            split,
            findings,
            claims,
            page: page.expect("it has just run"),
        })
    }

    /// Which class of the data is which output: the same for all models.
    fn matched_with(
        &self,
        models: &[&(String, &DirectModel)],
        dataset: &Dataset,
    ) -> Result<Matching, DirectError> {
        let classes = DataClasses::all(dataset);
        let mut first: Option<Matching> = None;
        for (name, model) in models {
            model.require_classes()?;
            let outputs = model.outputs.as_ref().expect("it has classes");
            let matching = match_classes(&classes, outputs, None).map_err(|unmatched| {
                DirectError::Asked(format!(
                    "the classes of {} cannot be told among those of `{name}`: {unmatched}; name its outputs in their order with \
                     --class-names",
                    dataset.name
                ))
            })?;
            match &first {
                None => {
                    for note in &matching.notes {
                        match matching.uncertain {
                            true => self.warning(note),
                            false => self.note(note),
                        }
                    }
                    first = Some(matching);
                }
                Some(known) => {
                    let same = known.output_of == matching.output_of
                        && known.outputs.names.len() == matching.outputs.names.len();
                    if !same {
                        return Err(DirectError::Asked(format!(
                            "the outputs of `{}` and `{name}` have another order or number, so that their answers cannot be compared here; \
                             save both and investigate them with `excavate`, which puts them in one order",
                            models[0].0
                        )));
                    }
                }
            }
        }
        first.ok_or_else(|| DirectError::Asked("there is no model to ask; give at least one".into()))
    }

    /// What the report reads, of one study.
    fn told_of(
        &self,
        models: &[&(String, &DirectModel)],
        matching: &Matching,
        dataset: &Dataset,
        (split, images): (&str, usize),
        (study, findings): (&dyn AnyStudy, &Value),
    ) -> Investigation {
        let environment = self.environment();
        let counts = dataset.splits().iter().map(|(name, split)| {
            let mut counts = vec![0; dataset.classes.len()];
            split.labels().iter().filter(|&&label| label != NO_OUTPUT).for_each(|&label| counts[label] += 1);
            (name.clone(), counts)
        });
        let of_model = |(name, model): &&(String, &DirectModel)| ModelFindings {
            name: ModelName::new(name),
            card: model.card().clone(),
            parameters: model.parameter_count(),
            seed: None,
            weights: model.source.weights.display().to_string(),
            weights_sha256: String::new(),
            started_from: None,
            classes_matched_by: Some(matching.by),
            class_notes: matching.notes.clone(),
            history: Vec::new(),
            training_end: None,
            more_runs: Vec::new(),
        };
        Investigation {
            title: None,
            provenance: Provenance {
                version: environment.version,
                commit: environment.commit,
                earlier_builds: Vec::new(),
                taken_over: Vec::new(),
                command: environment.command,
                config: String::new(),
                seed: self.seed(),
                threads: environment.threads,
                device: environment.device,
                processor: environment.processor,
                started: environment.started,
                seconds: Vec::new(),
            },
            data: DataFindings {
                source: dataset.name.clone(),
                name: dataset.name.clone(),
                classes: dataset.classes.clone(),
                counts: counts.collect(),
                fingerprint: String::new(),
                skipped: Vec::new(),
                notes: dataset.notes.clone(),
                shown: Vec::new(),
            },
            main_split: Some((split.to_owned(), images)),
            models: models.iter().map(of_model).collect(),
            not_applicable: BTreeMap::new(),
            studies: BTreeMap::from([(study.id().to_owned(), findings.clone())]),
        }
    }
}

/// Names of models are names of files.
fn check_names(models: &[(String, &DirectModel)]) -> Result<(), DirectError> {
    let allowed = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    let twice = |place: usize| models[..place].iter().any(|(name, _)| *name == models[place].0);
    match (0..models.len()).find(|&place| !allowed(&models[place].0) || twice(place)) {
        None => Ok(()),
        Some(place) => Err(DirectError::Asked(format!(
            "`{}` cannot name a model: names are of small letters, digits and hyphens, begin with a letter, and each is there once",
            models[place].0
        ))),
    }
}
