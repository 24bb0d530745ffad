//! The whole investigation: data, models, every study, the report.
//!
//! [`excavate`] reads from top to bottom. What a part found is written as soon as it is done, under `findings/` in the run
//! folder; a part whose findings are there is not done again, so that an interrupted run goes on where it stopped.

mod classes;
mod config;
mod examined;
mod opened;
pub(crate) mod record;
mod reopened;
mod shards;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archaeo_models::{SpecError, WeightsError};
use archaeo_plot::{Cell, PlotError, SheetLayout, contact_sheet, save_png};
use archaeo_store::{StoreError, read_bytes};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::custody::{CustodyError, Manifest};
use crate::findings::{CostFindings, DataFindings, ImageShown, Investigation, ModelFindings, Provenance};
use crate::predictions::PREDICTIONS;
use crate::report::{Report, ReportError};
use crate::scene::{Progress, StudyError};
use crate::studies::STUDIES;
use crate::studies::pictures::panel;
use crate::study::{AnyStudy, Applicability};
use crate::subjects::ModelName;
use archaeo_data::{Copies, DataError, Dataset, ExampleLimits};
use archaeo_store::run_folder::{Build, Environment, LONGEST, RunFolder, RunFolderError};
use archaeo_training::{Observer, Recipe, RecipeError, TrainError, Transfer, TransferError};

pub use config::InvestigationConfig;
use opened::Opened;
use record::Record;
pub(crate) use reopened::Reopened;
pub use reopened::weights_path;
use shards::MadeFrom;
pub use shards::{RecordedShard, ShardError, Shards, merge, record_shard};

/// Why an investigation ended early.
#[derive(Debug, Error)]
pub enum InvestigationError {
    /// The configuration.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run folder.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model cannot be built.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A checkpoint.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The weights that a training starts from.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The manifest.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// Shards that do not make one investigation.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// The one study that was asked for cannot be run.
    #[error("the study {study} does not apply to these models and data: {reason}")]
    NotApplicable {
        /// Which study.
        study: &'static str,
        /// Why not.
        reason: String,
    },
    /// A checkpoint of another kind than was asked for.
    #[error(
        "{path} holds {found}, but --{name} needs {needed}; give any model under another name with --add NAME={path}"
    )]
    WrongKind {
        /// Which file.
        path: PathBuf,
        /// Under which name.
        name: ModelName,
        /// What it holds.
        found: &'static str,
        /// What is needed.
        needed: &'static str,
    },
    /// A checkpoint whose classes cannot be matched with the data's.
    #[error(
        "the classes of the data cannot be told among those of {path}: {reason}; use the data it was trained on, or name its outputs \
         in order with --class-names {name}=FILE"
    )]
    Classes {
        /// Which file.
        path: PathBuf,
        /// Under which name.
        name: ModelName,
        /// What cannot be told.
        reason: String,
    },
    /// A name that two models have, or that cannot be one.
    #[error(
        "`{0}` cannot name a model: names are of small letters, digits and hyphens, begin with a letter, and each is there once"
    )]
    Name(String),
    /// No model at all.
    #[error(
        "there is no model to investigate; give one with --vit, --cnn or --add, or train those of the configuration"
    )]
    NoModel,
    /// Runs of one model that are not runs of one recipe.
    #[error(
        "{path} holds another network, or one for other images or classes, than the first checkpoint of `{name}`; runs of a model \
         differ only in their seed: give it under another name with --add NAME={path}"
    )]
    OtherNetwork {
        /// Which file.
        path: PathBuf,
        /// Under which name.
        name: ModelName,
    },
    /// Two checkpoints whose further classes differ.
    #[error(
        "{} and {} each know classes that neither the data nor the other knows, so that their answers cannot be compared; investigate \
         them one by one",
        paths[0].display(),
        paths[1].display()
    )]
    OtherOutputs {
        /// Which files.
        paths: [PathBuf; 2],
    },
    /// The folder holds no investigation.
    #[error(
        "{0} holds no investigation that got as far as its models; run `archaeo excavate --out {0}` first"
    )]
    Nothing(PathBuf),
}

/// What a model may have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One with attention heads.
    Transformer,
    /// One without.
    ConvolutionalNetwork,
}

/// A trained model that is brought along.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// What it is called in the investigation; several of one name are runs of one model.
    pub name: ModelName,
    /// What it has to be, where the way it was given says so.
    pub kind: Option<Kind>,
    /// Its checkpoint: a file, or a folder with one.
    pub path: &'a Path,
    /// Its name, where the checkpoint does not say what it holds.
    pub model: Option<&'a str>,
    /// Names of its outputs in their order, where the checkpoint does not say them.
    pub class_names: Option<&'a [String]>,
}

/// What is to be investigated.
pub struct Request<'a> {
    /// Data, as `--data` takes it.
    pub source: &'a str,
    /// Their files, where they lie elsewhere.
    pub copies: Option<&'a Copies>,
    /// Whether a bad image is an error.
    pub strict: bool,
    /// Recipes and options of the studies.
    pub config: InvestigationConfig,
    /// Trained models.
    pub given: &'a [Given<'a>],
    /// Models of the configuration that are to be trained.
    pub train: &'a [ModelName],
    /// Files of the weights that recipes name, their `init` and teachers, by those names; any other name is a path. The recipes are those
    /// of the configuration, and those that given models were trained by.
    pub weights: &'a BTreeMap<String, PathBuf>,
    /// Run folder.
    pub out: &'a Path,
    /// Where to compute.
    pub device: &'a Device,
    /// What runs this.
    pub environment: Environment,
    /// Title of the report, instead of the models' and the data's names.
    pub title: Option<&'a str>,
    /// The one study to run; all that apply where it is `None`. What others found in the folder before stays in the report.
    pub only: Option<&'a str>,
}

impl Request<'_> {
    /// How a model of the configuration is trained; the files of its teachers are known to it.
    fn recipe(&self, name: ModelName) -> Result<Recipe, RecipeError> {
        let mut recipe = self.config.recipe(name)?;
        let found = |path: &Path| Ok::<_, RecipeError>(self.file(&path.to_string_lossy()));
        recipe.objective.find_weights(found)?;
        Ok(recipe)
    }

    /// Whether a study is not to be run.
    fn leaves_out(&self, study: &dyn AnyStudy) -> bool {
        self.only.is_some_and(|only| only != study.id())
    }

    /// The file of the weights that a recipe calls `name`.
    fn file(&self, name: &str) -> PathBuf {
        self.weights.get(name).cloned().unwrap_or_else(|| name.into())
    }
}

/// Follows an investigation, and may end it.
pub trait Watcher {
    /// Follows the training of `recipe` in the run folder `folder`.
    fn training(&self, title: &str, recipe: &Recipe, folder: &Path) -> Box<dyn Observer + '_>;
    /// Follows the studies.
    fn progress(&self) -> &dyn Progress;
    /// Told what the user should know, a sentence at a time.
    fn note(&self, _text: &str) {}
    /// Told once of every part, as it ends; `seconds` is `None` where earlier findings were taken over.
    fn finished(&self, part: &str, seconds: Option<f64>);
}

/// Investigates: loads or trains the models, asks every question, writes the report.
///
/// # Errors
/// See [`InvestigationError`]; what was found until then is kept, and the same request goes on from there.
pub fn excavate(request: &Request, watcher: &dyn Watcher) -> Result<Investigation, InvestigationError> {
    concluded(request, watcher, |_, _| Ok(()))
}

/// Loads or trains the models of an investigation, and leaves the questions for later.
///
/// # Errors
/// As [`excavate`].
pub fn train_models(
    request: &Request,
    watcher: &dyn Watcher,
) -> Result<Vec<ModelFindings>, InvestigationError> {
    let mut opened = Opened::open(request, watcher)?;
    let folder = opened.folder(request.out)?;
    let mut record = opened.record(&folder);
    Ok(opened.models(&folder, &mut record)?.1)
}

/// As [`excavate`]; `gather` may bring what was recorded elsewhere into the folder before the studies run.
fn concluded(
    request: &Request,
    watcher: &dyn Watcher,
    gather: impl FnOnce(&RunFolder, &MadeFrom) -> Result<(), InvestigationError>,
) -> Result<Investigation, InvestigationError> {
    let mut opened = Opened::open(request, watcher)?;
    let folder = opened.folder(request.out)?;
    let mut record = opened.record(&folder);
    let (data, models) = opened.models(&folder, &mut record)?;
    record.clear_predictions(&folder.file(PREDICTIONS))?;
    gather(&folder, &MadeFrom::of(request, &opened))?;

    let subjects = opened.subjects();
    let scene = opened.scene(folder.path(), &subjects, None);
    let (mut found, mut not_applicable) = (BTreeMap::new(), BTreeMap::new());
    for &study in STUDIES {
        if request.leaves_out(study) {
            found.extend(
                record.found_before(study, &scene)?.map(|findings| (study.id().to_owned(), findings)),
            );
            continue;
        }
        match study.applies(&scene)? {
            Applicability::Applies => {
                found.insert(study.id().to_owned(), record.study(study, &scene)?);
            }
            Applicability::No(reason) if request.only.is_some() => {
                return Err(InvestigationError::NotApplicable { study: study.id(), reason });
            }
            Applicability::No(reason) => {
                not_applicable.insert(study.id().to_owned(), reason);
            }
        }
    }

    let investigation = Investigation {
        title: request.title.map(str::to_owned),
        provenance: provenance(
            request,
            opened.config_text.clone(),
            record.earlier_builds(&subjects)?,
            record,
        ),
        data,
        cost: CostFindings::of(&models),
        models,
        main_split: Some((scene.main_split.to_owned(), scene.split()?.len())),
        not_applicable,
        studies: found,
    };
    watcher.progress().stage("writing the report");
    folder.write_json("investigation.json", &investigation)?;
    Report::of(&investigation)?.write(folder.path())?;
    Manifest::of(folder.path(), &investigation, request.environment.build())?.write(folder.path())?;
    Ok(investigation)
}

/// The weights that models of the configuration start from, which records their hashes.
fn transfers(
    request: &Request,
    config: &mut InvestigationConfig,
    dataset: &Dataset,
) -> Result<BTreeMap<ModelName, Transfer>, InvestigationError> {
    let mut transfers = BTreeMap::new();
    for &name in request.train {
        let recipe = request.recipe(name)?;
        let Some(init) = &recipe.init else { continue };
        let transfer = Transfer::read(&recipe, &request.file(init), &dataset.classes, request.device)?;
        let transfer = transfer.keeping_features_in(request.out.join(name.as_str()));
        config.record_init(name, transfer.recipe())?;
        transfers.insert(name, transfer);
    }
    Ok(transfers)
}

/// Reads a finished investigation and writes its report anew, under `title` where one is given; gives the report, to be written in further
/// forms. [`seal_again`] makes the manifest know of it.
///
/// # Errors
/// A folder without one, or findings that do not parse.
pub fn report_again(
    folder: &Path,
    title: Option<&str>,
) -> Result<(Investigation, Report), InvestigationError> {
    let mut investigation = read_investigation(folder)?;
    investigation.title = title.map(str::to_owned).or(investigation.title);
    let report = Report::of(&investigation)?;
    report.write(folder)?;
    Ok((investigation, report))
}

/// Seals a report that `build` has written again, in every form that is there. The manifest keeps what it says of everything else.
///
/// # Errors
/// A file that cannot be read or written.
pub fn seal_again(
    folder: &Path,
    investigation: &Investigation,
    build: Build,
) -> Result<(), InvestigationError> {
    Ok(Manifest::rendered_again(folder, investigation, build)?.write(folder)?)
}

/// What was found, from the folder of a finished investigation.
///
/// # Errors
/// A folder without one, or findings that do not parse.
pub fn read_investigation(folder: &Path) -> Result<Investigation, InvestigationError> {
    let path = folder.join("investigation.json");
    let bytes = read_bytes(&path, LONGEST).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => InvestigationError::Nothing(folder.to_owned()),
        _ => StoreError::io("read", &path)(source).into(),
    })?;
    let mut investigation: Investigation = serde_json::from_slice(&bytes)
        .map_err(|error| StudyError::Damaged { path, reason: error.to_string() })?;
    // Missing from older findings.
    investigation.cost = investigation.cost.or_else(|| CostFindings::of(&investigation.models));
    Ok(investigation)
}

/// Names of models are names of files and of flags.
fn check_names(request: &Request) -> Result<(), InvestigationError> {
    // Several of one name are runs of one model.
    let mut names: Vec<ModelName> = request.given.iter().map(|given| given.name).collect();
    names.sort();
    names.dedup();
    names.extend(request.train);
    let allowed = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    for (place, name) in names.iter().enumerate() {
        if !allowed(name.as_str()) || RESERVED.contains(&name.as_str()) || names[..place].contains(name) {
            return Err(InvestigationError::Name(name.to_string()));
        }
    }
    if names.is_empty() { Err(InvestigationError::NoModel) } else { Ok(()) }
}

/// Folders of a run folder that are not a model's.
const RESERVED: [&str; 6] = ["findings", "pictures", "predictions", "records", "charts", "shards"];

fn make_folder(path: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(path).map_err(StoreError::io("make the folder", path))
}

fn provenance(request: &Request, config: String, earlier_builds: Vec<Build>, record: Record) -> Provenance {
    let environment = &request.environment;
    Provenance {
        version: environment.version.clone(),
        commit: environment.commit.clone(),
        earlier_builds,
        taken_over: record.taken_over,
        command: environment.command.clone(),
        config,
        seed: request.config.seed(),
        threads: environment.threads,
        device: environment.device.clone(),
        processor: environment.processor.clone(),
        started: environment.started.clone(),
        seconds: record.seconds,
    }
}

/// Images of each class that are shown, and the most classes.
const SHOWN: [usize; 2] = [8, 24];

/// Side of their pictures, in pixels.
const SHOWN_SIDE: usize = 144;

/// Saves the first images of each class of a split that has any, of the first classes.
fn save_images(
    dataset: &Dataset,
    split: &str,
    per_class: usize,
    most_classes: usize,
    folder: &RunFolder,
) -> Result<Vec<ImageShown>, InvestigationError> {
    let split = dataset.split(split)?;
    let mut of_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..split.len() {
        let images = of_class.entry(split.label(index)).or_default();
        if images.len() < per_class {
            images.push(index);
        }
    }
    let mut shown = Vec::new();
    for (label, images) in of_class.into_iter().take(most_classes) {
        for (place, index) in images.into_iter().enumerate() {
            let picture = format!("pictures/data-{:03}-{}.png", label + 1, place + 1);
            let drawn = split.with_image(index, |image| panel(&image, SHOWN_SIDE))?;
            save_png(&drawn?, &folder.file(&picture))?;
            shown.push(ImageShown { index, identifier: split.identifier(index), label, picture });
        }
    }
    Ok(shown)
}

fn data_findings(
    dataset: &Dataset,
    fingerprint: String,
    skipped: Vec<(String, String)>,
    folder: &RunFolder,
) -> Result<DataFindings, InvestigationError> {
    let [per_class, most_classes] = SHOWN;
    let shown = save_images(dataset, dataset.evaluation_split(), per_class, most_classes, folder)?;
    let counts = dataset.splits().iter().map(|(name, split)| {
        let mut counts = vec![0; dataset.classes.len()];
        split.labels().into_iter().for_each(|label| counts[label] += 1);
        (name.clone(), counts)
    });
    Ok(DataFindings {
        source: dataset.name.clone(),
        name: dataset.name.clone(),
        classes: dataset.classes.clone(),
        counts: counts.collect(),
        fingerprint,
        skipped,
        notes: dataset.notes.clone(),
        shown,
    })
}

/// Writes to `file` a row of images for each class of a split that has any, of as many classes as fit on a sheet, and says how many these
/// are.
///
/// # Errors
/// A split that does not exist, one without any image, or a file that cannot be written.
pub fn save_sheet_of_classes(
    dataset: &Dataset,
    split: &str,
    per_class: usize,
    file: &Path,
) -> Result<usize, InvestigationError> {
    let layout = SheetLayout { columns: per_class, cell: 72, ..SheetLayout::default() };
    let most = ExampleLimits { per_class, images: layout.most_cells(1) };
    let rows = archaeo_data::examples(dataset, split, most, |image| layout.shrunk(image))?;
    let (mut cells, mut shown) = (Vec::new(), 0);
    // Labels may be indices into many classes of which the data shows few.
    for (class, pictures) in rows.into_iter().filter(|(_, pictures)| !pictures.is_empty()) {
        shown += 1;
        for picture in pictures {
            cells.push(Cell { picture: picture?, caption: class.clone() });
        }
    }
    save_png(&contact_sheet(&cells, &layout)?, file)?;
    Ok(shown)
}
