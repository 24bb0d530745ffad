//! A model under investigation, trained here or brought along.

use std::path::Path;

use archaeo_models::{Classifier, LoadOptions, ModelCard, ModelRequest, checkpoint};
use burn::tensor::Device;

use super::classes::arrange;
use super::{Given, InvestigationError, Kind, Request, Watcher};
use crate::classes::Outputs;
use crate::findings::{ModelFindings, RunFindings, StartedFrom};
use crate::painter::Painter;
use crate::scene::StudyError;
use crate::subjects::{ModelName, Run, Subject, Training};
use archaeo_data::Dataset;
use archaeo_random::stratified;
use archaeo_store::run_folder::{DataIdentity, RunFolder, sha256_checkpoint};
use archaeo_training::{DataTraining, Outcome, Portion, TrainingEnd, TrainingRecord, Transfer, open_runs};

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
    /// Runs after the first.
    pub(super) more_runs: Vec<Run>,
    /// How the first run was trained.
    training: Option<Training>,
}

impl Examined {
    /// The models that were brought along. A recipe that cannot be trained is refused now, not after another model's training.
    pub(super) fn given(
        request: &Request,
        dataset: &Dataset,
        identity: &DataIdentity,
    ) -> Result<Vec<Self>, InvestigationError> {
        for name in request.train {
            let recipe = request.recipe(*name)?;
            // What weights hold was checked when they were read.
            if recipe.init.is_none() {
                recipe.card_within_memory(&dataset.classes)?;
            }
        }
        let loaded: Vec<(Classifier, Outputs)> =
            request.given.iter().map(|given| load(*given, request.device)).collect::<Result<_, _>>()?;
        let outputs: Vec<_> = (request.given.iter().zip(&loaded))
            .map(|(given, (_, outputs))| (given.name, given.path.to_owned(), outputs.clone()))
            .collect();
        let mut examined: Vec<Self> = Vec::new();
        for ((given, (model, _)), arranged) in
            request.given.iter().zip(loaded).zip(arrange(dataset, &outputs)?)
        {
            let model = model
                .with_outputs(&arranged.order, arranged.names)
                .in_precision(request.config.studies.precision);
            let path = given.path;
            let mut one = Self::new(given.name, model, None, path, path.display().to_string(), Vec::new())?;
            one.findings.classes_matched_by = Some(arranged.by);
            one.findings.class_notes = arranged.notes;
            one.training = training(path, request).filter(|training| {
                training.record.data.as_ref().is_some_and(|data| data.fingerprint == identity.fingerprint)
            });
            match examined.iter_mut().find(|known| known.findings.name == given.name) {
                None => examined.push(one),
                Some(first) if first.findings.card == one.findings.card => first.add_run(one),
                Some(_) => {
                    return Err(InvestigationError::OtherNetwork { path: path.into(), name: given.name });
                }
            }
        }
        Ok(examined)
    }

    /// Trains every run of a model, or goes on with their training, in a folder of its own. All runs learn from the same images.
    pub(super) fn train(
        name: ModelName,
        request: &Request,
        transfer: Option<&Transfer>,
        dataset: &Dataset,
        identity: &DataIdentity,
        folder: &RunFolder,
        watcher: &dyn Watcher,
    ) -> Result<Self, InvestigationError> {
        let recipe = match transfer {
            Some(transfer) => transfer.recipe().clone(),
            None => request.recipe(name)?,
        };
        let count = request.config.studies.training_images.unwrap_or(usize::MAX);
        let indices = stratified(recipe.seed, "training subset", &dataset.split("train")?.labels(), count);
        let portion = Portion { indices, times: 1 };
        let (own_folder, runs) = (folder.file(name.as_str()), recipe.runs());
        let _several = match runs.len() {
            1 => None,
            _ => Some(open_runs(&recipe, &own_folder, identity, &request.environment)?),
        };
        let mut examined: Option<Self> = None;
        for run in &runs {
            let run_folder = run.open(&own_folder, identity, &request.environment)?;
            let job = DataTraining {
                recipe: &run.recipe,
                transfer,
                dataset,
                portion: Some(&portion),
                folder: &run_folder,
                device: request.device,
                artist: Some(&Painter),
            };
            let title = job.card()?.name;
            let Outcome::Finished(trained) = job.train(&mut *watcher.training(&title))? else {
                return Err(StudyError::Interrupted.into());
            };
            let place = run.folder.as_ref().map_or_else(|| name.to_string(), |run| format!("{name}/{run}"));
            let weights = format!("{place}/model.safetensors");
            let seed = Some(run.recipe.seed);
            let model = trained.model.in_precision(request.config.studies.precision);
            let mut one = Self::new(name, model, seed, &trained.weights, weights, trained.history)?;
            one.findings.started_from = StartedFrom::of(&recipe);
            one.training = training(&trained.weights, request);
            match &mut examined {
                None => examined = Some(one),
                Some(first) => first.add_run(one),
            }
        }
        Ok(examined.expect("a recipe has a run"))
    }

    /// A model that was trained in an earlier call, at `path`, with what was found of it then.
    pub(super) fn finished(
        model: Classifier,
        findings: ModelFindings,
        more_runs: Vec<Run>,
        path: &Path,
        request: &Request,
    ) -> Self {
        Self { model, findings, more_runs, training: training(path, request) }
    }

    fn add_run(&mut self, run: Self) {
        let ModelFindings { seed, weights, weights_sha256, history, .. } = run.findings;
        self.findings.more_runs.push(RunFindings { seed, weights, weights_sha256, history });
        self.more_runs.push(Run { seed, model: run.model });
    }

    fn new(
        name: ModelName,
        model: Classifier,
        seed: Option<u64>,
        path: &Path,
        weights: String,
        history: Vec<archaeo_training::EpochRecord>,
    ) -> Result<Self, InvestigationError> {
        let findings = ModelFindings {
            name,
            card: model.card().clone(),
            parameters: model.parameter_count(),
            seed,
            weights,
            weights_sha256: sha256_checkpoint(path)?,
            started_from: None,
            classes_matched_by: None,
            class_notes: Vec::new(),
            training_end: TrainingEnd::of(&history),
            history,
            more_runs: Vec::new(),
        };
        Ok(Self { model, findings, more_runs: Vec::new(), training: None })
    }

    /// It and its runs, as studies see them.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            name: self.findings.name,
            model: &self.model,
            first_seed: self.findings.seed,
            more_runs: &self.more_runs,
            training: self.training.as_ref(),
        }
    }

    /// Hashes of the weights of every run.
    pub(super) fn hashes(&self) -> impl Iterator<Item = &str> {
        let more = self.findings.more_runs.iter().map(|run| run.weights_sha256.as_str());
        std::iter::once(self.findings.weights_sha256.as_str()).chain(more)
    }

    /// Seconds that the training of all runs took.
    pub(super) fn seconds(&self) -> f64 {
        let more = self.findings.more_runs.iter().flat_map(|run| &run.history);
        self.findings.history.iter().chain(more).map(|epoch| epoch.seconds).sum()
    }
}

/// How the model of these weights was trained.
fn training(weights: &Path, request: &Request) -> Option<Training> {
    let record = TrainingRecord::of(weights)?;
    let init = record.recipe.init.as_deref().map(|init| request.file(init));
    Some(Training { record, init })
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
