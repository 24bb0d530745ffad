//! What can be typed after `archaeo`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::choices;

/// A forensic laboratory for vision models.
///
/// Trains a Vision Transformer and a convolutional network side by side (or takes yours), and finds out what they
/// attend to, which heads matter, where their explanations are true, what breaks them and where each of them errs.
#[derive(Debug, Parser)]
#[command(name = "archaeo", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print the result as JSON on stdout
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Where to compute: cpu, or what this program was built with (vulkan, wgpu, metal, cuda, rocm)
    #[arg(long, global = true, default_value = "cpu", help_heading = "Global options")]
    pub device: String,
    /// How matrix products and convolutions are computed on the CPU; the recipe's, or f32, when not given
    #[arg(long, global = true, value_enum, help_heading = "Global options")]
    pub precision: Option<Precision>,
    /// Ask no network: of hf:OWNER/NAME, take what is in the cache (as HF_HUB_OFFLINE=1 does)
    #[arg(long, global = true, help_heading = "Global options")]
    pub offline: bool,
    /// Seed of every random choice; the configuration's, or 0, when not given
    #[arg(long, global = true, help_heading = "Global options")]
    pub seed: Option<u64>,
    /// Threads to compute with; all processors when not given. Results do not depend on it
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Global options")]
    pub threads: Option<u16>,
}

/// What the operands of matrix products and convolutions are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// Not at all: 32-bit floats
    F32,
    /// bfloat16, with sums in 32-bit floats, on the CPU alone: faster, and off in the third digit
    Bf16,
}

impl Global {
    /// The precision asked for, as operations take it.
    pub fn precision(&self) -> archaeo_ops::Precision {
        match self.precision {
            Some(Precision::Bf16) => archaeo_ops::Precision::Bf16,
            Some(Precision::F32) | None => archaeo_ops::Precision::F32,
        }
    }

    /// What is said on the command line, as overrides of a recipe's entries.
    pub fn overrides(&self) -> Vec<String> {
        let seed = self.seed.map(|seed| format!("seed={seed}"));
        seed.into_iter().chain(self.precision_as("precision")).collect()
    }

    /// The precision asked for, as an override of the entry `key`.
    pub fn precision_as(&self, key: &str) -> Option<String> {
        self.precision.map(|_| format!("{key}=\"{}\"", self.precision_name()))
    }

    /// `f32` or `bf16`.
    pub fn precision_name(&self) -> &'static str {
        match self.precision() {
            archaeo_ops::Precision::F32 => "f32",
            archaeo_ops::Precision::Bf16 => "bf16",
        }
    }
}

/// The commands, one file each under `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole investigation: train or load a ViT and a CNN, question both, write a report
    Excavate(Excavate),
    /// Train one model
    Train(Train),
    /// Score a model on a data set
    Evaluate(Evaluate),
    /// Attention statistics and rollout of a transformer
    Attention(Attention),
    /// Accuracy of a model under attack
    Attack(Attack),
    /// What each attention head of a transformer is worth
    Ablate(Ablate),
    /// Look at a data set: classes, counts, sizes, what is wrong with it
    Data(Data),
    /// The models that are known by name
    Models(Models),
    /// Write a model as timm or torchvision loads it
    Export(Export),
    /// Write the report of a finished or interrupted investigation again
    Report(Report),
}

const SOURCES: &str = "\
SOURCE is recognised by looking at it:
  sherds                        the built-in data set (sherds:size=64,correlation=0.9 to vary it)
  a folder of class folders     with or without train/ val/ test/, under their usual names
  a folder of images and a list of them: labels.csv, metadata.csv or .jsonl,
                                train.csv and test.csv
  a .tar or .zip                of one of these
  CIFAR-10/100 batches (binary or Python), MNIST's idx files, a Hugging Face image parquet file or folder,
  Tiny ImageNet's layout, a MedMNIST .npz";

/// Arguments of `excavate`.
#[derive(Debug, Args)]
#[command(after_help = SOURCES, after_long_help = format!("{SOURCES}\n
Examples:
  archaeo excavate                                    the built-in data set, nothing to download
  archaeo excavate --data scans/ --quick              your own images, a first look
  archaeo excavate --data scans/ --vit a.safetensors --cnn b.safetensors
  archaeo excavate --out runs/first                   again, to resume an interrupted one"))]
pub struct Excavate {
    /// Data to investigate on; sherds when not given, unless a model is given that was not trained on them
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Recipe for training and study sizes (TOML; see configs/)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change one entry of the configuration, such as epochs=5, models.vit.learning_rate=0.0005 or studies.attack_images=500
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder for everything that is found; a second run with the same folder resumes
    #[arg(long, value_name = "DIR", default_value = "archaeo-out")]
    pub out: PathBuf,
    /// A short training and small samples: a first look, not a result
    #[arg(long)]
    pub quick: bool,
    /// A trained ViT, or another vision transformer, to investigate instead of training one
    #[arg(long, value_name = "FILE")]
    pub vit: Option<PathBuf>,
    /// Its name, where the checkpoint and its config.json do not say it
    #[arg(long, value_name = "NAME", requires = "vit")]
    pub vit_model: Option<String>,
    /// Names of its outputs in their order, one a line, where the checkpoint does not say them
    #[arg(long, value_name = "FILE", requires = "vit")]
    pub vit_class_names: Option<PathBuf>,
    /// A trained CNN to investigate instead of training one
    #[arg(long, value_name = "FILE")]
    pub cnn: Option<PathBuf>,
    /// Its name, where the checkpoint and its config.json do not say it
    #[arg(long, value_name = "NAME", requires = "cnn")]
    pub cnn_model: Option<String>,
    /// Names of its outputs in their order, one a line, where the checkpoint does not say them
    #[arg(long, value_name = "FILE", requires = "cnn")]
    pub cnn_class_names: Option<PathBuf>,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `train`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo train --config configs/sherds-vit.toml --out runs/vit
  archaeo train --config configs/cifar10-resnet.toml --data ../cifar10 --set epochs=10"))]
pub struct Train {
    /// Recipe (TOML; see configs/)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Data to train on; the recipe's when not given
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Change one entry of the recipe, such as learning_rate=0.0005
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Run folder; a second run with the same folder resumes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long)]
    pub strict: bool,
}

/// Which model, and on which data.
#[derive(Debug, Args)]
pub struct Subject {
    /// Name of the model (see `archaeo models`); not needed where the checkpoint or its config.json says it
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Trained weights: safetensors, PyTorch's .pth, .pt or .bin, .npz, a folder of one, or hf:OWNER/NAME@REVISION
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// How the checkpoint is read, and its images prepared.
    #[command(flatten)]
    pub reading: Reading,
    /// Zero-shot classes of CLIP: a file of templates such as `a photo of a {}.`, one a line, or imagenet or cifar for those
    /// that CLIP was published with
    #[arg(long, value_name = "FILE", conflicts_with_all = ["allow_missing", "replace_head"])]
    pub prompts: Option<String>,
    /// Names of the model's outputs in their order, one a line, where the checkpoint does not say them; with --prompts, what
    /// the classes are called there (the data's own names when not given)
    #[arg(long, value_name = "FILE")]
    pub class_names: Option<PathBuf>,
    /// Which class of the data is which output: a line for each, the data's class, a comma, and the model's by name, WordNet
    /// identifier or number (from 0), or nothing to leave it out. Classes without a line are matched by name
    #[arg(long, value_name = "FILE")]
    pub class_map: Option<PathBuf>,
    /// Data to use; sherds when not given, for models that were trained on them
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Which split of it
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Use only so many images: a sample drawn by --seed in which each class has its share of the split, and at least one
    /// image where N allows it
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// Images computed at once; results do not depend on it
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch_size: u16,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long)]
    pub strict: bool,
    /// Write what is behind the numbers, with names of images and labels, in the data set's own order: arrays to
    /// .safetensors or .npz, a table to .csv or .parquet
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
}

impl Subject {
    /// The files and folders that are read; some of them may be names of something else.
    pub fn inputs(&self) -> Vec<&Path> {
        let texts = [self.data.as_deref(), self.prompts.as_deref()].into_iter().flatten().map(Path::new);
        let files = [self.class_names.as_deref(), self.class_map.as_deref()].into_iter().flatten();
        texts.chain([self.weights.as_path()]).chain(files).collect()
    }
}

/// How a checkpoint is read, and how images are prepared for its model.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Checkpoint and preprocessing")]
pub struct Reading {
    /// Where in the checkpoint the model is, if it holds several, such as teacher or state_dict
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// Attention heads a layer of a Vision Transformer, which no array shows
    #[arg(long, value_name = "N")]
    pub heads: Option<NonZeroUsize>,
    /// What the head of a Vision Transformer reads
    #[arg(long, value_enum)]
    pub pooling: Option<ReadOut>,
    /// Patches along each side of the image, such as 14
    #[arg(long, value_name = "N")]
    pub grid: Option<String>,
    /// Any field of the model's specification, such as epsilon=1e-5 (see `network` of `archaeo models show NAME --json`)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub spec: Vec<(String, String)>,
    /// Let the checkpoint lack these arrays, which are then initialised anew (a name, or a module such as head)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub allow_missing: Vec<String>,
    /// Initialise the head anew where the checkpoint's has another number of classes than the data
    #[arg(long)]
    pub replace_head: bool,
    /// Side of the model's input in pixels; learned positions are resampled to it
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// Share of the resized image that the centre crop keeps
    #[arg(long, value_name = "SHARE")]
    pub crop: Option<f64>,
    /// Filter of the resize
    #[arg(long, value_enum)]
    pub interpolation: Option<Filter>,
    /// Whether images are cropped to a square or squashed to it
    #[arg(long, value_enum)]
    pub fit: Option<Shape>,
    /// Means of the channels of values in [0, 1], such as 0.485,0.456,0.406
    #[arg(long, value_name = "R,G,B", value_parser = three_numbers)]
    pub mean: Option<[f32; 3]>,
    /// Standard deviations of the channels
    #[arg(long, value_name = "R,G,B", value_parser = three_numbers)]
    pub std: Option<[f32; 3]>,
}

/// What the head of a Vision Transformer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadOut {
    /// The class token
    ClassToken,
    /// The mean of all patches
    Mean,
    /// The mean of all patches; there is a class token, which is not read
    MeanBesideClassToken,
    /// The class token and the mean of all patches, one after the other
    ClassTokenAndMean,
}

impl ReadOut {
    /// As a specification writes it.
    pub fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    pair.filter(|(key, _)| !key.is_empty()).ok_or_else(|| "it is not of the form key=value".into())
}

/// Filter with which images are resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    /// Triangle
    Bilinear,
    /// Cubic, as Pillow's
    Bicubic,
    /// Windowed sinc, as Pillow's
    Lanczos,
}

/// How an image that is not square becomes so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Resize the shorter side and cut out the middle
    Crop,
    /// Resize both sides, whatever becomes of the proportions
    Squash,
}

fn three_numbers(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.ok().and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
    numbers.ok_or_else(|| "three numbers with commas between them are needed".into())
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{SOURCES}\n
Classes of the data are matched with the model's outputs by name, WordNet identifier or number; ImageNet-1k's are known.

JSON holds top1, top5, n, nll, ece, top1_interval and how classes were matched. Arrays: logits (n, outputs) float32,
labels, predicted and top_k int64 (numbers of outputs); a table has a row for each image.

Examples:
  archaeo evaluate --weights runs/vit/model.safetensors --data sherds --split conflict --json
  archaeo evaluate --model clip_vit_base_patch32 --weights ViT-B-32.pt --prompts cifar --data ../cifar10"))]
pub struct Evaluate {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Arguments of `attention`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{SOURCES}\n
Arrays: a heatmap (n, rows, columns) for each method, such as rollout, on the method's own grid; labels, and the statistics
(layers, heads), such as attention_distance and attention_entropy; where layers have different numbers of heads, as in a Swin Transformer, those with fewer end in NaN.
A table has a row for each head; tables and text number layers and heads from 1, JSON from 0. No head is needed that
classifies.

Example:
  archaeo attention --weights archaeo-out/vit/model.safetensors --limit 128 --export attention.safetensors"))]
pub struct Attention {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Keep the class token's column in the attention distance, without renormalising the rows
    #[arg(long)]
    pub raw: bool,
    /// Heatmaps in the export, several separated by commas; those that depend on a class explain the predicted one
    #[arg(long = "method", value_name = "NAME", value_delimiter = ',', default_value = "rollout", value_parser = choices::methods())]
    pub methods: Vec<String>,
    /// How heads are fused in the rollout
    #[arg(long, value_enum, default_value_t = Fusion::Mean)]
    pub fusion: Fusion,
    /// Share of the smallest weights of each row left out of the rollout
    #[arg(long, value_name = "RATIO", default_value_t = 0.0)]
    pub discard: f64,
}

/// How the heads of a layer become one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fusion {
    /// Mean over heads.
    Mean,
    /// Largest over heads.
    Max,
    /// Smallest over heads.
    Min,
}

/// Arguments of `attack`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{SOURCES}\n
The export holds labels and, for each epsilon, the predicted class of every image (numbers of outputs). JSON says for each
epsilon how often the model was asked (queries, mean over images), and how much the images were changed whose answer became
wrong (fooled, means: linf, l2 and l1 of values from 0 to 1; l0, how many values changed; steps).

Examples:
  archaeo attack --weights archaeo-out/cnn/model.safetensors --attack pgd --epsilon 1,2,4,8 --limit 200
  archaeo attack --weights archaeo-out/cnn/model.safetensors --attack fgsm --epsilon 8/255
  archaeo attack --weights archaeo-out/cnn/model.safetensors --attack pgd-l2 --epsilon 0.5"))]
pub struct Attack {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Which attack
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = choices::attacks())]
    pub attack: String,
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, help = choices::attack_sizes())]
    #[allow(missing_docs)]
    pub epsilon: Vec<String>,
    /// Steps of the iterated attacks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
}

/// Arguments of `ablate`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{SOURCES}\n
Arrays: labels and predicted of the images, and for each kind of replacement loss_increase_KIND with its interval
(layers, heads); where layers have different numbers of heads, those with fewer end in NaN. A table has a row for each head;
tables and text number layers and heads from 1, JSON from 0.

Example:
  archaeo ablate --weights archaeo-out/vit/model.safetensors --limit 500 --json"))]
pub struct Ablate {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Arguments of `data`.
#[derive(Debug, Args)]
#[command(after_help = SOURCES)]
pub struct Data {
    /// Data to look at
    #[arg(value_name = "SOURCE", default_value = "sherds")]
    pub source: String,
    /// Write a contact sheet there: a row of images for each class
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
    /// Split to show on the contact sheet; the first of test, val, all when not given
    #[arg(long, requires = "sheet")]
    pub split: Option<String>,
    /// Images of each class on the contact sheet
    #[arg(long, requires = "sheet", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub per_class: u16,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct Models {
    /// What about them; without it, all names are listed
    #[command(subcommand)]
    pub action: Option<ModelsAction>,
}

/// What to ask about models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// Layers, shapes, parameters, multiply-adds and preprocessing of one model
    Show {
        /// A name such as vit_micro, a checkpoint, or a folder with one
        model: String,
    },
}

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Writes model.safetensors and config.json. In Python then:
  timm.create_model('local-dir:FOLDER', pretrained=True)

Example:
  archaeo export --weights archaeo-out/vit/model.safetensors --out exported/")]
pub struct Export {
    /// Trained weights, in any form that is read
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Name of the model, where the checkpoint and its config.json do not say it
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// How the checkpoint is read, and its images prepared.
    #[command(flatten)]
    pub reading: Reading,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// Folder of an investigation
    #[arg(value_name = "DIR", default_value = "archaeo-out")]
    pub folder: PathBuf,
}
