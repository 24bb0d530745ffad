//! What can be typed after `archaeo`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Look at a data set: classes, counts, sizes, a contact sheet
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
  a folder of class folders     with or without train/ val/ test/
  a .tar or .zip                of such a folder, or of images/ and labels.csv
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
    /// Data to investigate on
    #[arg(long, value_name = "SOURCE", default_value = "sherds")]
    pub data: String,
    /// Recipe for training and study sizes (TOML; see configs/)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change one entry of the configuration, such as training.epochs=5
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
    /// A trained CNN to investigate instead of training one
    #[arg(long, value_name = "FILE")]
    pub cnn: Option<PathBuf>,
    /// Its name, where the checkpoint and its config.json do not say it
    #[arg(long, value_name = "NAME", requires = "cnn")]
    pub cnn_model: Option<String>,
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
    /// What the classes are called in the prompts, one a line; the data's own names when not given
    #[arg(long, value_name = "FILE", requires = "prompts")]
    pub class_names: Option<PathBuf>,
    /// Data to use
    #[arg(long, value_name = "SOURCE", default_value = "sherds")]
    pub data: String,
    /// Which split of it
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Use only so many images, spread evenly over the split
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// Images computed at once; results do not depend on it
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch_size: u16,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long)]
    pub strict: bool,
    /// Write the arrays behind the numbers, in the data set's own order
    #[arg(long, value_name = "FILE.safetensors")]
    pub export: Option<PathBuf>,
}

/// How a checkpoint is read, and how images are prepared for its model.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Checkpoint and preprocessing")]
pub struct Reading {
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
JSON holds top1, top5, n, nll, ece and top1_interval; the export holds logits (n, classes) float32 and labels int64.

Example:
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
The export holds rollout (n, grid_h, grid_w), attention_distance and attention_entropy (layers, heads); where layers
have different numbers of heads, as in a Swin Transformer, those with fewer end in NaN.

Example:
  archaeo attention --weights archaeo-out/vit/model.safetensors --limit 128 --export attention.safetensors"))]
pub struct Attention {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Keep the class token's column in the attention distance, without renormalising the rows
    #[arg(long)]
    pub raw: bool,
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
Example:
  archaeo attack --weights archaeo-out/cnn/model.safetensors --attack pgd --epsilon 1,2,4,8 --limit 200"))]
pub struct Attack {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Which attack
    #[arg(long, value_enum, default_value_t = AttackKind::Pgd)]
    pub attack: AttackKind,
    /// Sizes of the perturbation: of a channel value in units of 1/255 (fgsm, pgd), or the L2 norm in units of 1 (pgd-l2)
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, default_values_t = [1.0, 2.0, 4.0, 8.0])]
    pub epsilon: Vec<f64>,
    /// Steps of the iterated attacks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
}

/// Which attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttackKind {
    /// One step along the gradient's sign (Goodfellow et al., 2015)
    Fgsm,
    /// Iterated steps inside the L∞ ball from a random start (Madry et al., 2018)
    Pgd,
    /// Iterated steps inside the L2 ball
    PgdL2,
}

/// Arguments of `ablate`.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{SOURCES}\n
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
    /// Where to write the contact sheet
    #[arg(long, value_name = "FILE.png", default_value = "contact-sheet.png")]
    pub sheet: PathBuf,
    /// Split to show on it; the first of test, val, train when not given
    #[arg(long)]
    pub split: Option<String>,
    /// Images of each class on the contact sheet
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
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
