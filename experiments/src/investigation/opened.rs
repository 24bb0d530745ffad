//! What an investigation works with: data and models, opened once, and the stamp of what is made from them.

use std::collections::BTreeMap;
use std::path::Path;

use archaeo_data::{Dataset, OpenOptions};
use archaeo_store::run_folder::{DataIdentity, RunFolder, RunFolderError};
use archaeo_training::{LearningData, Transfer, open_to_learn};

use super::examined::Examined;
use super::record::Record;
use super::{InvestigationConfig, InvestigationError, Request, Watcher, data_findings, make_folder};
use crate::findings::{DataFindings, ModelFindings};
use crate::scene::{Scene, opened};
use crate::shard::Shared;
use crate::studies::STUDIES;
use crate::subjects::{ModelName, Subject};

/// Data and models of an investigation; those that are to be trained are there once [`Opened::models`] has been called.
pub(super) struct Opened<'a> {
    request: &'a Request<'a>,
    watcher: &'a dyn Watcher,
    /// The configuration, with the hashes of what recipes start from.
    config: InvestigationConfig,
    /// The configuration in force as TOML; the same without what was chosen of one study alone.
    pub(super) config_text: String,
    shared_text: String,
    dataset: Dataset,
    pub(super) identity: DataIdentity,
    skipped: Vec<(String, String)>,
    transfers: BTreeMap<ModelName, Transfer>,
    pub(super) examined: Vec<Examined>,
}

impl<'a> Opened<'a> {
    /// Opens the data, loads the models that were brought along and the weights that trainings start from.
    pub(super) fn open(request: &'a Request, watcher: &'a dyn Watcher) -> Result<Self, InvestigationError> {
        let mut config = request.config.clone();
        let options =
            OpenOptions { copies: request.copies.cloned(), ..config.data().options(request.strict) };
        let progress = watcher.progress();
        let LearningData { dataset, identity, skipped } =
            open_to_learn(request.source, &options, &|opening| opened(progress, opening))?;
        super::check_names(request)?;
        progress.stage("reading the models");
        let transfers = super::transfers(request, &mut config, &dataset)?;
        for (name, transfer) in &transfers {
            transfer
                .notes()
                .iter()
                .for_each(|note| watcher.note(&format!("{name}: the checkpoint that it starts from {note}")));
        }
        let examined = Examined::given(request, &dataset, &identity)?;
        for given in &examined {
            let name = given.findings.name;
            given.findings.class_notes.iter().for_each(|note| watcher.note(&format!("{name}: {note}")));
        }
        let config_text = config.to_toml(request.given, request.train)?;
        let shared_text = config.shared_toml(request.given, request.train)?;
        Ok(Self {
            request,
            watcher,
            config,
            config_text,
            shared_text,
            dataset,
            identity,
            skipped,
            transfers,
            examined,
        })
    }

    /// The run folder at `path`, with what an investigation keeps in it.
    pub(super) fn folder(&self, path: &Path) -> Result<RunFolder, RunFolderError> {
        // A study's own options may change: it alone is done again. So may trackers.
        let own = STUDIES.iter().map(|study| format!("studies.{}.", study.id()));
        let own: Vec<String> = own.chain(self.config.free_keys()).collect();
        let environment = &self.request.environment;
        let folder = RunFolder::open_changing(path, &self.config_text, &own, &self.identity, environment)?;
        for name in ["findings", "pictures"] {
            make_folder(&folder.file(name))?;
        }
        Ok(folder)
    }

    /// The record of what is found in `folder` of the data alone.
    pub(super) fn record<'f>(&self, folder: &'f RunFolder) -> Record<'f>
    where
        'a: 'f,
    {
        let inputs = [self.shared_text.as_str(), &self.identity.fingerprint];
        Record::new(folder, self.watcher, self.request.environment.build(), &inputs)
    }

    /// Trains the models that are to be trained, or goes on with their training, in folders within `folder`; says what data and models
    /// are. From here on, `record` is of what is found of the models.
    pub(super) fn models(
        &mut self,
        folder: &RunFolder,
        record: &mut Record,
    ) -> Result<(DataFindings, Vec<ModelFindings>), InvestigationError> {
        let (request, watcher) = (self.request, self.watcher);
        let (fingerprint, skipped) = (self.identity.fingerprint.clone(), self.skipped.clone());
        let data = record.part("data", || data_findings(&self.dataset, fingerprint, skipped, folder))?;
        for &name in request.train {
            let transfer = self.transfers.get(&name);
            let trained =
                Examined::train(name, request, transfer, &self.dataset, &self.identity, folder, watcher)?;
            self.examined.push(trained);
        }
        // Whatever order they were asked for in, models with attention come first.
        self.examined.sort_by_key(|model| !model.model.has_attention());
        // Labels may be indices into the classes of models that know more of them than the data shows.
        let known = self.examined.iter().map(|model| model.model.card().classes.clone());
        let more = known.max_by_key(Vec::len).unwrap_or_default();
        self.dataset.classes.extend(more.into_iter().skip(self.dataset.classes.len()));
        self.of_models(record);
        let models = record.part("models", || {
            Ok(self.examined.iter().map(|model| model.findings.clone()).collect::<Vec<_>>())
        })?;
        Ok((data, models))
    }

    /// Makes a record one of what is found of the models.
    pub(super) fn of_models(&self, record: &mut Record) {
        for model in &self.examined {
            record.weights.push((model.findings.card.name.clone(), model.findings.weights.clone()));
            record.seconds.push((format!("training {}", model.findings.name), model.seconds()));
        }
        let hashes: Vec<&str> = self.examined.iter().flat_map(Examined::hashes).collect();
        record.depends_on(&hashes);
    }

    /// The models, as studies see them.
    pub(super) fn subjects(&self) -> Vec<Subject<'_>> {
        self.examined.iter().map(Examined::subject).collect()
    }

    /// What studies work with; they keep pictures in `folder`.
    pub(super) fn scene<'s>(
        &'s self,
        folder: &'s Path,
        subjects: &'s [Subject<'s>],
        shared: Option<Shared<'s>>,
    ) -> Scene<'s> {
        Scene {
            folder,
            dataset: &self.dataset,
            main_split: self.dataset.evaluation_split(),
            subset: None,
            subjects,
            device: self.request.device,
            options: &self.config.studies,
            seed: self.config.seed(),
            progress: self.watcher.progress(),
            shared,
        }
    }
}
