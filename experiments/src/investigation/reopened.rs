//! A finished investigation with its data and models open again, so that its numbers can be found once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archaeo_data::Dataset;
use archaeo_models::{LoadOptions, checkpoint};
use archaeo_store::run_folder::Environment;
use archaeo_training::LearningData;
use burn::tensor::Device;
use toml::Table;

use super::config::{CLASS_NAMES, GIVEN_AS, TRAINED};
use super::examined::Examined;
use super::record::inputs_with;
use super::{Given, InvestigationConfig, InvestigationError, Request};
use crate::findings::{Investigation, ModelFindings};
use crate::scene::{Progress, Scene};
use crate::subjects::{ModelName, Run, Subject};

/// Data and models of a finished investigation.
pub(crate) struct Reopened {
    dataset: Dataset,
    config: InvestigationConfig,
    examined: Vec<Examined>,
    main_split: String,
    /// What findings of data alone, and those of models, say that they were made from.
    pub(crate) inputs: [String; 2],
}

impl Reopened {
    /// Loads the models of an investigation, on data that are open already.
    ///
    /// # Errors
    /// A configuration that does not parse, weights that cannot be read or do not fit.
    pub(crate) fn open(
        folder: &Path,
        investigation: &Investigation,
        data: LearningData,
        environment: &Environment,
        device: &Device,
    ) -> Result<Self, InvestigationError> {
        let LearningData { mut dataset, identity, .. } = data;
        let (config, asked) = InvestigationConfig::in_force(&investigation.provenance.config)?;
        let described = Described::of(folder, investigation, &asked);
        let given: Vec<Given> = described.iter().map(Described::given).collect();
        let stated: Option<Vec<String>> = asked.get(TRAINED).and_then(|names| names.clone().try_into().ok());
        let trained: Vec<ModelName> = match stated {
            Some(names) => names.iter().map(|name| ModelName::new(name)).collect(),
            None if investigation.models.iter().any(is_trained) => config.models().to_vec(),
            None => Vec::new(),
        };
        let request = Request {
            source: &investigation.data.source,
            copies: None,
            strict: false,
            config: config.clone(),
            given: &given,
            train: &[],
            weights: &BTreeMap::new(),
            out: folder,
            device,
            environment: environment.clone(),
            title: None,
            only: None,
        };
        let mut examined = Examined::given(&request, &dataset, &identity)?;
        for model in investigation.models.iter().filter(|model| is_trained(model)) {
            examined.push(trained_here(folder, model, &request)?);
        }
        let place = |name: ModelName| investigation.models.iter().position(|model| model.name == name);
        examined.sort_by_key(|model| place(model.findings.name));
        let known = examined.iter().map(|model| model.model.card().classes.clone());
        let more = known.max_by_key(Vec::len).unwrap_or_default();
        dataset.classes.extend(more.into_iter().skip(dataset.classes.len()));

        let shared = config.shared_toml(&given, &trained)?;
        let of_data = inputs_with("", &[&shared, &identity.fingerprint]);
        let hashes: Vec<&str> = examined.iter().flat_map(Examined::hashes).collect();
        let of_models = inputs_with(&of_data, &hashes);
        let main_split = dataset.evaluation_split().to_owned();
        Ok(Self { dataset, config, examined, main_split, inputs: [of_data, of_models] })
    }

    /// The models, as studies see them.
    pub(crate) fn subjects(&self) -> Vec<Subject<'_>> {
        self.examined.iter().map(Examined::subject).collect()
    }

    /// A model that is another network now than the one that was investigated, of which nothing can be found once more.
    pub(crate) fn replaced(&self, investigation: &Investigation) -> Option<ModelName> {
        let replaced = |subject: &Subject| {
            let known = investigation.model(subject.name);
            known.is_some_and(|known| known.card.network != subject.model.card().network)
        };
        self.subjects().iter().find(|subject| replaced(subject)).map(|subject| subject.name)
    }

    /// What a study works with; it reads what models answered in `folder`, and draws there.
    pub(crate) fn scene<'a>(
        &'a self,
        folder: &'a Path,
        subjects: &'a [Subject<'a>],
        device: &'a Device,
        progress: &'a dyn Progress,
    ) -> Scene<'a> {
        Scene {
            folder,
            dataset: &self.dataset,
            main_split: &self.main_split,
            subset: None,
            subjects,
            device,
            options: &self.config.studies,
            seed: self.config.seed(),
            progress,
            shared: None,
        }
    }
}

/// Whether a model was trained in the investigation.
fn is_trained(model: &ModelFindings) -> bool {
    model.classes_matched_by.is_none()
}

/// A file that an investigation names: in its folder, or where it was given from.
pub fn weights_path(folder: &Path, written: &str) -> PathBuf {
    let inside = folder.join(written);
    if inside.exists() { inside } else { written.into() }
}

/// A run of a model that was brought along.
struct Described {
    name: ModelName,
    path: PathBuf,
    model: Option<String>,
    class_names: Option<Vec<String>>,
}

impl Described {
    fn of(folder: &Path, investigation: &Investigation, asked: &Table) -> Vec<Self> {
        let said = |section: &str, name: ModelName| asked.get(section)?.get(name.as_str()).cloned();
        let mut described = Vec::new();
        for model in investigation.models.iter().filter(|model| !is_trained(model)) {
            let runs = std::iter::once(&model.weights).chain(model.more_runs.iter().map(|run| &run.weights));
            described.extend(runs.map(|weights| Self {
                name: model.name,
                path: weights_path(folder, weights),
                model: said(GIVEN_AS, model.name).and_then(|model| model.as_str().map(str::to_owned)),
                class_names: said(CLASS_NAMES, model.name).and_then(|names| names.try_into().ok()),
            }));
        }
        described
    }

    fn given(&self) -> Given<'_> {
        Given {
            name: self.name,
            kind: None,
            path: &self.path,
            model: self.model.as_deref(),
            class_names: self.class_names.as_deref(),
        }
    }
}

/// A model that was trained in the investigation, and its further runs.
fn trained_here(
    folder: &Path,
    model: &ModelFindings,
    request: &Request,
) -> Result<Examined, InvestigationError> {
    let load = |weights: &str| {
        let card = Some(model.card.clone());
        let model = checkpoint::read(&folder.join(weights))?.into_model(
            card,
            &LoadOptions::default(),
            request.device,
        )?;
        Ok::<_, InvestigationError>(model.in_precision(request.config.studies.precision))
    };
    let path = folder.join(&model.weights);
    let first = load(&model.weights)?;
    let mut more_runs = Vec::new();
    for run in &model.more_runs {
        more_runs.push(Run { seed: run.seed, model: load(&run.weights)? });
    }
    Ok(Examined::finished(first, model.clone(), more_runs, &path, request))
}
