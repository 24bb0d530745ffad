//! The whole investigation: data, two models, every study, the report.
//!
//! [`excavate`] reads from top to bottom. What a part found is written as soon as it is done, under `findings/` in the run
//! folder; a part whose findings are there is not done again, so that an interrupted run goes on where it stopped.

mod classes;
mod config;
mod record;
mod subject;

use std::path::{Path, PathBuf};

use archaeo_models::{SpecError, WeightsError};
use archaeo_plot::{Cell, Picture, PlotError, SheetLayout};
use archaeo_store::{StoreError, read_bytes};
use burn::tensor::Device;
use thiserror::Error;

use crate::data::{self, DataError, Dataset, OpenOptions, SheetSize};
use crate::findings::{DataFindings, Investigation, ModelFindings, Provenance, Role};
use crate::report::{self, ReportError};
use crate::run_folder::{Build, DataIdentity, Environment, LONGEST, RunFolder, RunFolderError};
use crate::studies::{self, Laboratory, Progress, StudyError};
use crate::train::{Observer, RecipeError, TrainError};

pub use config::InvestigationConfig;
use record::Record;
use subject::Subject;

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
    /// A study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A picture.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A checkpoint of the wrong kind for its role.
    #[error("{path} holds {found}, but --{role} needs {needed}")]
    WrongKind {
        /// Which file.
        path: PathBuf,
        /// For which role.
        role: Role,
        /// What it holds.
        found: &'static str,
        /// What is needed.
        needed: &'static str,
    },
    /// A checkpoint whose classes cannot be matched with the data's.
    #[error(
        "the classes of the data cannot be told among those of {path}: {reason}; use the data it was trained on, or name its outputs \
         in order with --{role}-class-names FILE"
    )]
    Classes {
        /// Which file.
        path: PathBuf,
        /// For which role.
        role: Role,
        /// What cannot be told.
        reason: String,
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

/// A trained model that is brought along.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
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
    /// Whether a bad image is an error.
    pub strict: bool,
    /// Recipes and study sizes.
    pub config: InvestigationConfig,
    /// A trained ViT, instead of training one.
    pub vit: Option<Given<'a>>,
    /// A trained CNN, instead of training one.
    pub cnn: Option<Given<'a>>,
    /// Run folder.
    pub out: &'a Path,
    /// Where to compute.
    pub device: &'a Device,
    /// What runs this.
    pub environment: Environment,
}

/// Follows an investigation, and may end it.
pub trait Watcher {
    /// Follows a training.
    fn training(&self, title: &str) -> Box<dyn Observer + '_>;
    /// Follows the studies.
    fn progress(&self) -> &dyn Progress;
    /// Told what the user should know, a sentence at a time.
    fn note(&self, _text: &str) {}
    /// Told once of every part, as it ends; `seconds` is `None` where earlier findings were taken over.
    fn finished(&self, part: &str, seconds: Option<f64>);
}

/// Investigates: trains or loads both models, asks every question, writes the report.
///
/// # Errors
/// See [`InvestigationError`]; what was found until then is kept, and the same request goes on from there.
pub fn excavate(request: &Request, watcher: &dyn Watcher) -> Result<Investigation, InvestigationError> {
    let config = &request.config;
    let options = OpenOptions {
        split_seed: config.split_seed(),
        strict: request.strict,
        validation: Some(config.validation()),
        ..OpenOptions::default()
    };
    let mut dataset = data::open(request.source, &options)?;
    let skipped = dataset.verify(&[])?;
    let identity = DataIdentity {
        source: request.source.into(),
        fingerprint: dataset.fingerprint(),
        classes: dataset.classes.clone(),
        counts: dataset.splits().iter().map(|(name, split)| (name.clone(), split.len())).collect(),
    };
    let [vit, cnn] = Subject::given(request, &dataset)?;
    for note in [&vit, &cnn].into_iter().flatten().flat_map(|subject| &subject.findings.class_notes) {
        watcher.note(note);
    }
    let config_text = config.to_toml(request.vit, request.cnn)?;
    let folder = RunFolder::open(request.out, &config_text, &identity, &request.environment)?;
    for name in ["findings", "pictures"] {
        make_folder(&folder.file(name))?;
    }
    let build = request.environment.build();
    let mut record = Record::new(&folder, watcher, build, &[&config_text, &identity.fingerprint]);

    let data = record.part("data", || {
        let skipped = skipped.into_iter().map(|skipped| (skipped.identifier, skipped.reason)).collect();
        data_findings(request, &dataset, identity.fingerprint.clone(), skipped, &folder)
    })?;
    let train = |role| Subject::train(role, request, &dataset, &identity, &folder, watcher);
    let vit = vit.map_or_else(|| train(Role::Vit), Ok)?;
    let cnn = cnn.map_or_else(|| train(Role::Cnn), Ok)?;
    for subject in [&vit, &cnn] {
        record.weights.push((subject.findings.card.name.clone(), subject.findings.weights.clone()));
        record.seconds.push((format!("training {}", subject.findings.role), subject.seconds()));
    }
    // Labels may be indices into the classes of models that know more of them than the data shows.
    let known = [&vit, &cnn].map(|subject| subject.model.card().classes.clone());
    let more = known.iter().max_by_key(|classes| classes.len()).expect("there are two");
    dataset.classes.extend(more.iter().skip(dataset.classes.len()).cloned());

    record.depends_on(&[&vit, &cnn].map(|subject| subject.findings.weights_sha256.as_str()));
    record.clear_predictions()?;
    let models = record.part("models", || Ok(vec![vit.findings.clone(), cnn.findings.clone()]))?;

    let lab = Laboratory {
        folder: folder.path(),
        dataset: &dataset,
        main_split: dataset.evaluation_split(),
        subset: None,
        vit: &vit.model,
        cnn: &cnn.model,
        device: request.device,
        sizes: &config.studies,
        seed: config.seed(),
        progress: watcher.progress(),
    };
    let trust = record.study("trust", &lab, studies::trust)?;
    let accuracy = record.study("accuracy", &lab, studies::accuracy)?;
    let attention = record.study("attention", &lab, studies::attention)?;
    let comparisons = record.study("comparisons", &lab, studies::comparisons)?;
    // Another image's output takes a second image; of one, nothing can be said of heads.
    let enough = lab.split()?.len() >= studies::FEWEST_ABLATED;
    let heads = enough.then(|| record.study("heads", &lab, studies::heads)).transpose()?;
    let attacks = record.study("attacks", &lab, studies::attacks)?;
    let errors = record.study("errors", &lab, studies::errors)?;
    let localisation = record.study("localisation", &lab, studies::localisation)?;
    let shape_bias = record.study("shape_bias", &lab, studies::shape_bias)?;

    let investigation = Investigation {
        provenance: provenance(request, config_text, record.earlier_builds()?, record.seconds),
        data,
        models,
        trust: Some(trust),
        accuracy: Some(accuracy),
        attention: Some(attention),
        comparisons: Some(comparisons),
        heads,
        attacks: Some(attacks),
        errors: Some(errors),
        localisation,
        shape_bias,
    };
    folder.write_json("investigation.json", &investigation)?;
    report::render(&investigation, folder.path())?;
    Ok(investigation)
}

/// Reads a finished investigation and writes its report anew.
///
/// # Errors
/// A folder without one, or findings that do not parse.
pub fn report_again(folder: &Path) -> Result<Investigation, InvestigationError> {
    let path = folder.join("investigation.json");
    let bytes = read_bytes(&path, LONGEST).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => InvestigationError::Nothing(folder.to_owned()),
        _ => StudyError::Io { action: "read", path: path.clone(), source }.into(),
    })?;
    let investigation = serde_json::from_slice(&bytes)
        .map_err(|error| StudyError::Damaged { path, reason: error.to_string() })?;
    report::render(&investigation, folder)?;
    Ok(investigation)
}

fn make_folder(path: &Path) -> Result<(), StudyError> {
    std::fs::create_dir_all(path).map_err(|source| StudyError::Io {
        action: "make the folder",
        path: path.to_owned(),
        source,
    })
}

fn provenance(
    request: &Request,
    config: String,
    earlier_builds: Vec<Build>,
    seconds: Vec<(String, f64)>,
) -> Provenance {
    let environment = &request.environment;
    Provenance {
        version: environment.version.clone(),
        commit: environment.commit.clone(),
        earlier_builds,
        command: environment.command.clone(),
        config,
        seed: request.config.seed(),
        threads: environment.threads,
        device: environment.device.clone(),
        processor: environment.processor.clone(),
        started: environment.started.clone(),
        seconds,
    }
}

/// Images of each class on the contact sheet, and the most classes that it shows.
const SHEET_SIZE: [usize; 2] = [8, 24];

fn data_findings(
    request: &Request,
    dataset: &Dataset,
    fingerprint: String,
    skipped: Vec<(String, String)>,
    folder: &RunFolder,
) -> Result<DataFindings, InvestigationError> {
    let [per_class, most_classes] = SHEET_SIZE;
    let (sheet, _) = contact_sheet(dataset, dataset.evaluation_split(), per_class, most_classes)?;
    sheet.save_png(&folder.file("pictures/data.png"))?;
    let counts = dataset.splits().iter().map(|(name, split)| {
        let mut counts = vec![0; dataset.classes.len()];
        split.labels().into_iter().for_each(|label| counts[label] += 1);
        (name.clone(), counts)
    });
    Ok(DataFindings {
        source: request.source.into(),
        name: dataset.name.clone(),
        classes: dataset.classes.clone(),
        counts: counts.collect(),
        fingerprint,
        skipped,
        notes: dataset.notes.clone(),
        contact_sheet: "pictures/data.png".into(),
    })
}

/// A row of images for each class of a split that has any, the first `most_classes` of them or as many as fit on a sheet, and how
/// many these are.
///
/// # Errors
/// A split that does not exist, or one without any image.
pub fn contact_sheet(
    dataset: &Dataset,
    split: &str,
    per_class: usize,
    most_classes: usize,
) -> Result<(Picture, usize), InvestigationError> {
    let layout = SheetLayout { columns: per_class, cell: 72, ..SheetLayout::default() };
    let most = SheetSize { per_class, classes: most_classes, images: layout.most_cells(1) };
    let rows = data::contact_sheet(dataset, split, most, |image| {
        layout.shrunk(Picture::from_rgb(image.width, image.height, image.pixels)?)
    })?;
    let (mut cells, mut shown) = (Vec::new(), 0);
    // Labels may be indices into many classes of which the data shows few.
    for (class, pictures) in rows.into_iter().filter(|(_, pictures)| !pictures.is_empty()) {
        shown += 1;
        for picture in pictures {
            cells.push(Cell { picture: picture?, caption: class.clone() });
        }
    }
    Ok((archaeo_plot::contact_sheet(&cells, &layout)?, shown))
}

/// Headline of an investigation's models, for whoever lists them.
impl ModelFindings {
    /// Name and size, such as `vit_micro (0.8 M parameters)`.
    pub fn title(&self) -> String {
        format!("{} ({:.1} M parameters)", self.card.name, self.parameters as f64 / 1e6)
    }
}
