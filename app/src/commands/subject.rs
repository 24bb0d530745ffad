//! The model and the images that a question is about.

use anyhow::Result;
use archaeo_experiments::data::{self, Dataset, OpenOptions, Split};
use archaeo_models::{Classifier, NetworkSpec, SourcedPreprocessing, check_memory};
use burn::tensor::Device;

use super::checkpoint::{Found, find, options};
use super::zero_shot::zero_shot;
use super::{check_destination, verify};
use crate::cli::{Global, Subject};
use crate::device;
use crate::printer::Printer;

/// A loaded model, an opened data set, and the images of it that are asked about.
pub struct Opened {
    /// The model, frozen.
    pub model: Classifier,
    /// How its images are prepared, and who said so.
    pub preprocessing: SourcedPreprocessing,
    /// The data.
    pub dataset: Dataset,
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
        anyhow::ensure!(
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
}

/// Opens what a command line names.
///
/// # Errors
/// One sentence for an export that could not be written, for data or weights that cannot be used, or that do not fit
/// each other.
pub fn open(subject: &Subject, global: &Global, printer: &Printer) -> Result<Opened> {
    if let Some(file) = &subject.export {
        check_destination(file, &subject.inputs())?;
    }
    let device = device::by_name(&global.device, &[global.precision()])?;
    let open_options = OpenOptions { strict: subject.strict, ..OpenOptions::default() };
    let mut dataset = data::open(&subject.data, &open_options)?;
    // A source without splits is asked about as a whole.
    let split = match dataset.splits().contains_key(&subject.split) {
        false if subject.split == "test" => dataset.evaluation_split().to_owned(),
        _ => subject.split.clone(),
    };
    verify(&mut dataset, &[&split], printer)?;
    let n = dataset.split(&split)?.len();
    let count = subject.limit.map_or(n, |limit| n.min(limit.get()));
    let indices = (0..count).map(|i| i * n / count).collect();

    let found =
        find(&subject.weights, subject.model.as_deref(), &subject.reading, &dataset.classes, printer)?;
    let preprocessing = found.described.preprocessing.clone();
    let model = match &subject.prompts {
        Some(prompts) => zero_shot(subject, prompts, found, &dataset.classes, &device)?,
        None => load(subject, found, &device)?,
    };
    let side = model.card().preprocessing.image_size;
    let batch = usize::from(subject.batch_size).min(count) as f64;
    check_memory(batch * model.card().network.least_bytes_per_image(side))
        .map_err(|error| anyhow::anyhow!("a batch of images of {side} px {error}; lower --batch-size"))?;
    let classes = model.card().classes.len();
    anyhow::ensure!(
        classes > 0,
        "{} has no head: it gives features, not answers; give one to it with --replace-head and train it",
        subject.weights.display()
    );
    anyhow::ensure!(
        dataset.classes.len() <= classes,
        "{} tells {classes} classes apart, but {} has {}; use the data it was trained on",
        subject.weights.display(),
        subject.data,
        dataset.classes.len()
    );
    Ok(Opened { model, preprocessing, dataset, split, indices, device })
}

fn load(subject: &Subject, Found { checkpoint, described }: Found, device: &Device) -> Result<Classifier> {
    let network = &described.card.network;
    anyhow::ensure!(
        !matches!(network, NetworkSpec::ZeroShot(_)) || network.classes() > 0,
        "{} holds {}, whose classes are what prompts say; give them with --prompts, such as a file or cifar",
        subject.weights.display(),
        described.card.name
    );
    Ok(checkpoint.into_model(Some(described.card), &options(&subject.reading), device)?)
}
