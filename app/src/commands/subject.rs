//! The model and the images that a question is about.

use anyhow::{Context, Result};
use archaeo_experiments::data::{self, Dataset, OpenOptions, Split};
use archaeo_models::{Classifier, IMAGENET_MOMENTS, ModelCard, NetworkSpec, Preprocessing, load};
use burn::tensor::Device;

use super::verify;
use crate::cli::{Global, Subject};
use crate::device;
use crate::printer::Printer;

/// A loaded model, an opened data set, and the images of it that are asked about.
pub struct Opened {
    /// The model, frozen.
    pub model: Classifier,
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
/// One sentence for data or weights that cannot be used, or that do not fit each other.
pub fn open(subject: &Subject, global: &Global, printer: &Printer) -> Result<Opened> {
    let device = device::by_name(&global.device)?;
    let options = OpenOptions { strict: subject.strict, ..OpenOptions::default() };
    let mut dataset = data::open(&subject.data, &options)?;
    // A source without splits is asked about as a whole.
    let split = match dataset.splits().contains_key(&subject.split) {
        false if subject.split == "test" => dataset.evaluation_split().to_owned(),
        _ => subject.split.clone(),
    };
    verify(&mut dataset, &[&split], printer)?;
    let n = dataset.split(&split)?.len();
    let count = subject.limit.map_or(n, |limit| n.min(limit.get()));
    let indices = (0..count).map(|i| i * n / count).collect();

    let model = load(&subject.weights, card(subject, &dataset)?, &device)?;
    let classes = model.card().classes.len();
    anyhow::ensure!(
        dataset.classes.len() <= classes,
        "{} tells {classes} classes apart, but {} has {}; use the data it was trained on",
        subject.weights.display(),
        subject.data,
        dataset.classes.len()
    );
    Ok(Opened { model, dataset, split, indices, device })
}

/// The card of a model that is named on the command line; `None` leaves it to the file.
fn card(subject: &Subject, dataset: &Dataset) -> Result<Option<ModelCard>> {
    let Some(name) = &subject.model else { return Ok(None) };
    let (state, _) = archaeo_models::read_arrays(&subject.weights)?;
    // The head's height is the number of classes, whatever the data has.
    let head = ["head.weight", "fc.weight", "linear.weight"].iter().find_map(|name| state.get(*name));
    let classes = head.map_or(dataset.classes.len(), |array| array.shape[0]);
    let image_size = if name.ends_with("_cifar") || name.ends_with("_micro") { 32 } else { 224 };
    let network = NetworkSpec::named(name, classes, image_size).context("--model")?;
    let class_names = match dataset.classes.len() == classes {
        true => dataset.classes.clone(),
        false => (0..classes).map(|class| class.to_string()).collect(),
    };
    let preprocessing = preprocessing_of(&network, image_size);
    Ok(Some(ModelCard { name: name.clone(), network, preprocessing, classes: class_names }))
}

/// What the checkpoints of an architecture were commonly trained with: timm's augreg ViTs with mean and deviation 0.5 and
/// a crop of 0.9, torchvision's ResNets with ImageNet's moments and a crop of 0.875, CIFAR ResNets with ImageNet's moments
/// on whole images.
fn preprocessing_of(network: &NetworkSpec, image_size: usize) -> Preprocessing {
    let plain = Preprocessing::plain(image_size);
    let (mean, std) = IMAGENET_MOMENTS;
    match network {
        NetworkSpec::Vit(config) if config.image_size > 64 => {
            Preprocessing { image_size: config.image_size, crop: 0.9, ..plain }
        }
        NetworkSpec::Vit(config) => Preprocessing::plain(config.image_size),
        NetworkSpec::Swin(config) => {
            Preprocessing { image_size: config.image_size, crop: 0.9, mean, std, ..plain }
        }
        NetworkSpec::Beit(config) => Preprocessing { image_size: config.image_size, crop: 0.9, ..plain },
        NetworkSpec::Resnet(_) if image_size > 64 => Preprocessing {
            crop: 0.875,
            interpolation: archaeo_models::Interpolation::Bilinear,
            mean,
            std,
            ..plain
        },
        NetworkSpec::Resnet(_) | NetworkSpec::CifarResnet(_) => Preprocessing { mean, std, ..plain },
    }
}
