//! The model and the images that a question is about.

use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use archaeo_data::{Dataset, Labels, NO_OUTPUT, OpenOptions, Split, sherds};
use archaeo_experiments::classes::{Matching, Naming, Outputs};
use archaeo_models::{Classifier, SourcedPreprocessing, check_memory};
use archaeo_random::stratified;
use archaeo_store::arrays::Format;
use archaeo_training::finite::{AnswersError, NotFinite};
use burn::tensor::Device;

use super::checkpoint::{Found, find, options, require_decided};
use super::zero_shot::zero_shot;
use super::{check_destination, classes, reading_data, verify};
use crate::cli::{Global, Precision, Subject};
use crate::device;
use crate::printer::Printer;
use crate::progress::stage;

/// What a command wants of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Answers that are held against the labels.
    Score,
    /// The same, or the logits alone where classes cannot be matched and an export is asked for.
    ScoreOrExport,
    /// What happens inside; labels and head do not matter.
    Look,
}

/// A loaded model, an opened data set, and the images of it that are asked about.
pub struct Opened {
    /// The model, frozen.
    pub model: Classifier,
    /// How its images are prepared, and who said so.
    pub preprocessing: SourcedPreprocessing,
    /// The data; where answers are scored, labels and classes are the model's outputs.
    pub dataset: Dataset,
    /// Which class is which output, or why that cannot be told; `None` where nothing is scored.
    pub matching: Option<Result<Matching, String>>,
    /// Name of the split.
    pub split: String,
    /// Images of the split to use, ascending.
    pub indices: Vec<usize>,
    /// Where to compute.
    pub device: Device,
}

impl Opened {
    /// Refuses a model that has no attention heads to ask about.
    ///
    /// # Errors
    /// Such a model.
    pub fn require_attention(&self, subject: &Subject) -> Result<()> {
        ensure!(
            self.model.has_attention(),
            "{} holds {}, which has no attention heads; give a vision transformer",
            subject.weights.display(),
            self.model.card().name
        );
        Ok(())
    }

    /// The split asked about.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn split(&self) -> Result<&Split> {
        Ok(self.dataset.split(&self.split)?)
    }

    /// Names of the images asked about.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn images(&self) -> Result<Vec<String>> {
        let split = self.split()?;
        Ok(self.indices.iter().map(|&index| split.identifier(index)).collect())
    }

    /// Their labels.
    ///
    /// # Errors
    /// A split that does not exist.
    pub fn labels(&self) -> Result<Vec<usize>> {
        let split = self.split()?;
        Ok(self.indices.iter().map(|&index| split.label(index)).collect())
    }

    /// How classes were matched, as JSON.
    pub fn described_classes(&self) -> serde_json::Value {
        match &self.matching {
            Some(Ok(matching)) => classes::described(matching),
            Some(Err(_)) | None => serde_json::Value::Null,
        }
    }
}

/// Answers that are not finite, about the file that gives them.
pub fn not_finite(error: NotFinite, subject: &Subject, global: &Global) -> anyhow::Error {
    let mut error = error.of(subject.weights.display().to_string());
    if global.precision == Some(Precision::Bf16) {
        error.remedy = "try --precision f32, or take another checkpoint";
    }
    error.into()
}

/// As [`not_finite`], where it may be the data that went wrong.
pub fn answers_error(error: AnswersError, subject: &Subject, global: &Global) -> anyhow::Error {
    match error {
        AnswersError::NotFinite(error) => not_finite(error, subject, global),
        AnswersError::Data(error) => error.into(),
    }
}

/// Opens what a command line names.
///
/// # Errors
/// One sentence for an export that could not be written, for data or weights that cannot be used, or that do not fit
/// each other.
pub fn open(subject: &Subject, global: &Global, purpose: Purpose, printer: &Printer) -> Result<Opened> {
    if let Some(file) = &subject.export {
        check_destination(file, &subject.inputs())?;
        Format::of(file)?;
    }
    if purpose != Purpose::Look {
        refuse_random_head(subject)?;
    }
    let device = device::by_name(&global.device, &[global.precision()])?;
    let labels = if purpose == Purpose::Look { Labels::Optional } else { Labels::Required };
    let dataset = subject.data.as_deref().map(|source| open_data(source, subject, labels)).transpose()?;
    let found = find(&subject.weights, subject.model.as_deref(), &subject.reading, &[], printer)?;
    let mut dataset = match dataset {
        Some(dataset) => dataset,
        None => default_data(&found, subject)?,
    };
    // A source without splits is asked about as a whole.
    let split = match dataset.splits().contains_key(&subject.split) {
        false if subject.split == "test" => dataset.evaluation_split().to_owned(),
        _ => subject.split.clone(),
    };
    verify(&mut dataset, &[&split], printer)?;

    let own = subject.model.is_none() && matches!(found.checkpoint.card(), Ok(Some(_)));
    let described = found.described.clone();
    let preprocessing = described.preprocessing.clone();
    let model = match &subject.prompts {
        Some(prompts) => zero_shot(subject, prompts, found, &dataset.classes, global.precision(), &device)?,
        None => {
            let _stage = stage("loading the model");
            load(subject, found, &device)?.in_precision(global.precision())
        }
    };
    let matching = match purpose {
        Purpose::Look => None,
        Purpose::Score | Purpose::ScoreOrExport => {
            let outputs = outputs(subject, &model, own)?;
            require_decided(&subject.weights, &described, &model, &device)?;
            let matching = classes::matched(subject, &dataset, &split, &outputs)?;
            let logits_alone = purpose == Purpose::ScoreOrExport && subject.export.is_some();
            match matching {
                Err(sentence) if !logits_alone => bail!(sentence),
                Err(sentence) => Some(Err(sentence)),
                Ok(matching) => {
                    apply(&matching, &mut dataset, &split, printer)?;
                    Some(Ok(matching))
                }
            }
        }
    };
    let indices = chosen(dataset.split(&split)?, subject, global);
    printer.detail(format!("{} of the images of {}/{split} are used", indices.len(), dataset.name));
    ensure!(!indices.is_empty(), "no image of {} is left to ask about; correct the class map", dataset.name);
    let side = model.card().preprocessing.image_size;
    let batch = usize::from(subject.batch_size).min(indices.len()) as f64;
    check_memory(batch * model.card().network.least_bytes_per_image(side))
        .map_err(|error| anyhow!("a batch of images of {side} px {error}; lower --batch-size"))?;
    Ok(Opened { model, preprocessing, dataset, matching, split, indices, device })
}

/// Whether an array, or a module, is a classifier's or in it, by the names that libraries give them.
pub fn is_head(name: &str) -> bool {
    const HEADS: [&str; 7] = ["head", "heads", "head_dist", "fc", "linear", "classifier", "cls_classifier"];
    HEADS.contains(&name.split('.').next().unwrap_or(""))
}

fn refuse_random_head(subject: &Subject) -> Result<()> {
    let anew = "a head that is drawn anew answers at random, so there is nothing to score";
    let reading = &subject.reading;
    ensure!(
        !reading.replace_head,
        "--replace-head: {anew}; give the checkpoint that was trained on these classes, or, for part of its classes or for others \
         of the same kind, --class-map FILE (`archaeo attention` needs no head)"
    );
    let head = reading.allow_missing.iter().find(|name| is_head(name));
    match head {
        None => Ok(()),
        Some(name) => bail!(
            "--allow-missing {name}: {anew}; give a checkpoint with its head (`archaeo attention` needs none)"
        ),
    }
}

fn open_data(source: &str, subject: &Subject, labels: Labels) -> Result<Dataset> {
    let options = OpenOptions { strict: subject.strict, labels, ..OpenOptions::default() };
    Ok(reading_data(|| archaeo_data::open(source, &options))?)
}

/// Sherds, for a model that was trained on them.
fn default_data(found: &Found, subject: &Subject) -> Result<Dataset> {
    require_sherds_classes(&subject.weights, &found.described.card.classes)?;
    open_data("sherds", subject, Labels::Required)
}

/// Refuses to take Sherds for the data of a model with other classes.
///
/// # Errors
/// One sentence that asks for the data.
pub fn require_sherds_classes(weights: &Path, classes: &[String]) -> Result<()> {
    ensure!(
        *classes == sherds::class_names(),
        "{} was not trained on Sherds, which are the data when none are given; say which images to use with --data SOURCE",
        weights.display()
    );
    Ok(())
}

fn load(subject: &Subject, Found { checkpoint, described }: Found, device: &Device) -> Result<Classifier> {
    let network = &described.card.network;
    ensure!(
        !network.classes_are_prompts() || network.classes() > 0,
        "{} holds {}, whose classes are what prompts say; give them with --prompts, such as a file or cifar",
        subject.weights.display(),
        described.card.name
    );
    Ok(checkpoint.into_model(Some(described.card), &options(&subject.reading), device)?)
}

/// What the model's outputs are called.
fn outputs(subject: &Subject, model: &Classifier, own: bool) -> Result<Outputs> {
    let count = model.card().classes.len();
    ensure!(
        count > 0,
        "{} has no head: it gives features, not answers; give the checkpoint of a classifier (`archaeo attention` needs no head)",
        subject.weights.display()
    );
    if subject.prompts.is_some() {
        return Ok(Outputs { names: model.card().classes.clone(), naming: Naming::Prompts });
    }
    match &subject.class_names {
        Some(path) => Ok(Outputs::named(classes::output_names(path, count, &subject.weights)?)),
        None => Ok(Outputs::of(model.card(), own)),
    }
}

/// Makes the labels outputs of the model, and says how that was done.
fn apply(matching: &Matching, dataset: &mut Dataset, split: &str, printer: &Printer) -> Result<()> {
    for note in &matching.notes {
        match matching.uncertain {
            true => printer.warning(note),
            false => printer.note(note),
        }
    }
    if matching.uncertain {
        printer.hint(
            "if that is wrong, name its outputs in order with --class-names FILE, or say which class is which with --class-map FILE",
        );
    }
    let left_out: Vec<String> =
        matching.left_out.iter().map(|&class| dataset.classes[class].clone()).collect();
    dataset.relabel(&matching.output_of, matching.outputs.names.clone());
    if !left_out.is_empty() {
        let labels = dataset.split(split)?.labels();
        let images = labels.iter().filter(|&&label| label == NO_OUTPUT).count();
        printer.note(format!(
            "the class map leaves out {} of the data's classes ({}), with {images} of {} images",
            left_out.len(),
            archaeo_experiments::classes::shortened(&left_out),
            labels.len()
        ));
    }
    Ok(())
}

/// The images to use: those with a label, or a sample of them.
fn chosen(split: &Split, subject: &Subject, global: &Global) -> Vec<usize> {
    let labels = split.labels();
    let usable: Vec<usize> = (0..labels.len()).filter(|&index| labels[index] != NO_OUTPUT).collect();
    let labels: Vec<usize> = usable.iter().map(|&index| labels[index]).collect();
    let count = subject.limit.map_or(usize::MAX, usize::from);
    let sample = stratified(global.seed.unwrap_or(0), "limit", &labels, count);
    sample.into_iter().map(|position| usable[position]).collect()
}

/// The sentence of an [`Opened::matching`] that failed, as an error after the export.
pub fn unscored(sentence: &str, export: &Path) -> anyhow::Error {
    anyhow!("{} holds the logits, but nothing was scored: {sentence}", export.display())
}
