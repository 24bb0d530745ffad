//! What can be typed after `archaeo`.

mod programs;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use archaeo_store::memory::{LEAST_MEMORY, bytes_in_words, parse_bytes};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use programs::{Completions, Configs, Init, Man, PROGRAM, WRONG_COMMAND_LINE, colour};

use crate::choices;
use crate::talk::Loudness;

/// A forensic laboratory for vision models
///
/// Trains a Vision Transformer and a convolutional network side by side (or takes yours), and finds out what they
/// attend to, which heads matter, where their explanations are true, what breaks them and where each of them errs.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, propagate_version = true, max_term_width = 100)]
#[command(disable_help_flag = true, disable_version_flag = true)]
#[command(after_help = "`archaeo COMMAND --help` shows all that a command takes, with examples.")]
#[command(after_long_help = programs::AFTER_HELP)]
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
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print the result as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what is decided, such as which arrays are read, and how long each step takes
    #[arg(short, long, global = true, hide_short_help = true)]
    pub verbose: bool,
    /// Whether stderr and help are coloured; auto does so on a terminal where NO_COLOR is not set
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "WHEN",
        default_value_t = clap::ColorChoice::Auto
    )]
    pub color: clap::ColorChoice,
    /// Where to compute: cpu, or what this program was built with (vulkan, wgpu, metal, cuda, rocm)
    #[arg(long, global = true, hide_short_help = true, default_value = "cpu")]
    pub device: String,
    /// How matrix products and convolutions are computed on the CPU; the recipe's, or f32, when not given
    #[arg(long, global = true, hide_short_help = true, value_enum)]
    pub precision: Option<Precision>,
    /// Ask no network: of hf:OWNER/NAME, take what is in the cache (as HF_HUB_OFFLINE=1 does)
    #[arg(long, global = true, hide_short_help = true)]
    pub offline: bool,
    /// Memory that what is read may take in all, such as 8GiB; a file may then take as much of it as it needs. When not given, 2GiB,
    /// and no file more than 64 times its length
    #[arg(long, global = true, value_name = "SIZE", value_parser = memory_size, hide_short_help = true)]
    pub memory: Option<u64>,
    /// Seed of every random choice; the configuration's, or 0, when not given
    #[arg(long, global = true, hide_short_help = true)]
    pub seed: Option<u64>,
    /// Threads to compute with; all processors when not given. Results do not depend on it
    #[arg(long, global = true, hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print help: a summary with -h, all of it with --help
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, global = true, hide_short_help = true, action = ArgAction::Version)]
    version: Option<bool>,
}

fn memory_size(text: &str) -> Result<u64, String> {
    let bytes = parse_bytes(text)?;
    if bytes < LEAST_MEMORY {
        return Err(format!("it must be {} or more", bytes_in_words(LEAST_MEMORY)));
    }
    Ok(bytes)
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

    /// How much is said.
    pub fn loudness(&self) -> Loudness {
        match (self.quiet, self.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            (false, false) => Loudness::Usual,
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
    /// Investigate models, and write a report
    Excavate(Excavate),
    /// Train one model
    Train(Train),
    /// Score a model on a data set
    Evaluate(Evaluate),
    /// What a transformer's heads attend to
    Attention(Attention),
    /// Accuracy of a model under attack
    Attack(Attack),
    /// What each attention head of a transformer is worth
    Ablate(Ablate),
    /// Look at a data set: classes, counts, sizes, what is wrong with it
    Data(Data),
    /// The models that are known by name
    Models(Models),
    /// The recipes and configurations that are in the program
    Configs(Configs),
    /// Write one of them to a file, to start from
    Init(Init),
    /// Write a model as timm or torchvision loads it
    Export(Export),
    /// Write the report of an investigation again
    Report(Report),
    /// What a shell needs to complete command lines
    Completions(Completions),
    /// Manual pages
    Man(Man),
}

const SOURCES: &str = "\
SOURCE is recognised by looking at it:
  sherds                     the built-in data set
  sherds:size=64,noise=0.1   the same with other parameters
  a folder                   of class folders, with or without train/ val/ test/
                             under their usual names; or of images with a list:
                             labels.csv, metadata.csv or .jsonl, train.csv and
                             test.csv
  a .tar or .zip             of one of these
  CIFAR-10 and CIFAR-100     batches, binary or Python
  MNIST                      idx files
  a .parquet                 of Hugging Face, or a folder of them
  Tiny ImageNet              in its own layout
  MedMNIST                   .npz";

/// `NAME=VALUE`.
fn named<T: std::str::FromStr>(text: &str) -> Result<(String, T), String>
where
    T::Err: std::fmt::Display,
{
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or("must be of the form NAME=VALUE, such as swin=swin.safetensors")?;
    Ok((name.into(), value.parse().map_err(|error: T::Err| error.to_string())?))
}

/// Arguments of `excavate`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo excavate --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo excavate                          the built-in data set
  archaeo excavate --data scans/ --quick    your own images, a first look
  archaeo excavate --data scans/ --vit a.safetensors --cnn b.safetensors
  archaeo excavate --data scans/ --vit a.safetensors --add swin=c.safetensors
  archaeo excavate --out runs/first         again, to resume an interrupted one"))]
pub struct Excavate {
    /// Images; sherds when not given
    #[arg(
        long,
        value_name = "SOURCE",
        long_help = "Images to investigate on; sherds when not given, unless a model is given that was not trained on them."
    )]
    pub data: Option<String>,
    /// Folder for what is found; the same again resumes
    #[arg(long, value_name = "DIR", default_value = "archaeo-out")]
    pub out: PathBuf,
    /// Short training, small samples: a first look
    #[arg(long, long_help = "A short training and small samples: a first look, not a result.")]
    pub quick: bool,
    /// Title of the report; the names of the models and of the data when not given
    #[arg(long, value_name = "TEXT", value_parser = title, hide_short_help = true)]
    pub title: Option<String>,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
    /// Trained vision transformer
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Models",
        long_help = "A trained ViT, or another vision transformer, under the name `vit`. Where any model is given, those alone are \
            investigated; where none is, those of the configuration are trained first."
    )]
    pub vit: Option<PathBuf>,
    /// Its name, where the checkpoint and its config.json do not say it
    #[arg(long, value_name = "NAME", requires = "vit", hide_short_help = true, help_heading = "Models")]
    pub vit_model: Option<String>,
    /// Names of its outputs in their order, one a line, where the checkpoint does not say them
    #[arg(long, value_name = "FILE", requires = "vit", hide_short_help = true, help_heading = "Models")]
    pub vit_class_names: Option<PathBuf>,
    /// Trained CNN
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Models",
        long_help = "A trained CNN, under the name `cnn`."
    )]
    pub cnn: Option<PathBuf>,
    /// Its name, where the checkpoint and its config.json do not say it
    #[arg(long, value_name = "NAME", requires = "cnn", hide_short_help = true, help_heading = "Models")]
    pub cnn_model: Option<String>,
    /// Names of its outputs in their order, one a line, where the checkpoint does not say them
    #[arg(long, value_name = "FILE", requires = "cnn", hide_short_help = true, help_heading = "Models")]
    pub cnn_class_names: Option<PathBuf>,
    /// One more trained model, under a name of its own
    #[arg(
        long,
        value_name = "NAME=FILE",
        value_parser = named::<PathBuf>,
        help_heading = "Models",
        long_help = "One more trained model of any kind, under a name of its own: --add swin=swin.safetensors. May be given again."
    )]
    pub add: Vec<(String, PathBuf)>,
    /// What the model of a name is, where its checkpoint and config.json do not say it
    #[arg(
        long = "model",
        value_name = "NAME=MODEL",
        value_parser = named::<String>,
        hide_short_help = true,
        help_heading = "Models"
    )]
    pub model: Vec<(String, String)>,
    /// Names of the outputs of the model of a name in their order, one a line, where its checkpoint does not say them
    #[arg(
        long = "class-names",
        value_name = "NAME=FILE",
        value_parser = named::<PathBuf>,
        hide_short_help = true,
        help_heading = "Models"
    )]
    pub class_names: Vec<(String, PathBuf)>,
    /// Train this model of the configuration
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Models",
        long_help = "Train this model of the configuration, and investigate it with those that are given; may be given again. Where \
            neither this nor a trained model is given, all of the configuration are trained."
    )]
    pub train: Vec<String>,
    /// Recipe for training, and study sizes
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Configuration",
        long_help = "A TOML file, or a name that `archaeo configs` lists: how to train, and how much each study looks at."
    )]
    pub config: Option<PathBuf>,
    /// Change one entry of it, such as epochs=5
    #[arg(
        long = "set",
        value_name = "KEY=VALUE",
        help_heading = "Configuration",
        long_help = "Change one entry of the configuration, such as epochs=5, models.vit.learning_rate=0.0005 or \
            studies.attacks.images=500."
    )]
    pub set: Vec<String>,
}

/// Arguments of `train`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo train --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo train --config sherds-vit --out runs/vit
  archaeo train --config my.toml --data ../cifar10 --out runs/resnet
  archaeo train --config my.toml --set epochs=10 --out runs/longer"))]
pub struct Train {
    /// Recipe: a TOML file, or a name from `archaeo configs`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Images; the recipe's when not given, else sherds
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Change one entry of the recipe, such as epochs=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Run folder; the same again resumes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
}

/// Which model, and on which data.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model and data")]
pub struct Subject {
    /// Trained weights: a file, a folder, hf:OWNER/NAME
    #[arg(
        long,
        value_name = "FILE",
        long_help = "Trained weights: safetensors, PyTorch's .pth, .pt or .bin, .npz, a folder of one, or \
            hf:OWNER/NAME@REVISION."
    )]
    pub weights: PathBuf,
    /// Its name, where the weights do not say it
    #[arg(
        long,
        value_name = "NAME",
        long_help = "Name of the model (see `archaeo models`); not needed where the checkpoint or its config.json says \
            it."
    )]
    pub model: Option<String>,
    /// Images; sherds when not given
    #[arg(
        long,
        value_name = "SOURCE",
        long_help = "Images to use; sherds when not given, for models that were trained on them."
    )]
    pub data: Option<String>,
    /// Which split of them
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Use so many of them, drawn by --seed
    #[arg(
        long,
        value_name = "N",
        long_help = "Use only so many images: a sample drawn by --seed in which each class has its share of the split, \
            and at least one image where N allows it."
    )]
    pub limit: Option<NonZeroUsize>,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
    /// Names of the outputs, one a line
    #[arg(
        long,
        hide_short_help = true,
        value_name = "FILE",
        long_help = "Names of the model's outputs in their order, one a line, where the checkpoint does not say them; \
            with --prompts, what the classes are called there (the data's own names when not given)."
    )]
    pub class_names: Option<PathBuf>,
    /// Which class of the data is which output
    #[arg(
        long,
        hide_short_help = true,
        value_name = "FILE",
        long_help = "Which class of the data is which output: a line for each, the data's class, a comma, and the model's \
            by name, WordNet identifier or number (from 0), or nothing to leave it out. Classes without a line \
            are matched by name."
    )]
    pub class_map: Option<PathBuf>,
    /// Zero-shot classes of a CLIP
    #[arg(
        long,
        hide_short_help = true,
        value_name = "FILE",
        conflicts_with_all = ["allow_missing", "replace_head"],
        long_help = "Zero-shot classes of CLIP: a file of templates such as `a photo of a {}.`, one a line, or imagenet \
            or cifar for those that CLIP was published with."
    )]
    pub prompts: Option<String>,
    /// Write what is behind the numbers
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        long_help = "Write what is behind the numbers, with names of images and labels, in the data set's own order: \
            arrays to .safetensors or .npz, a table to .csv or .parquet."
    )]
    pub export: Option<PathBuf>,
    /// Images computed at once; results do not depend on it
    #[arg(
        long,
        value_name = "N",
        hide_short_help = true,
        help_heading = "Output",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub batch_size: u16,
    /// How the checkpoint is read, and its images prepared.
    #[command(flatten)]
    pub reading: Reading,
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
#[command(next_help_heading = "Checkpoint")]
pub struct Reading {
    /// Where in the checkpoint the model is, if it holds several, such as teacher or state_dict
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub entry: Option<String>,
    /// Attention heads per layer of a Vision Transformer, which no array shows
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub heads: Option<NonZeroUsize>,
    /// What the head of a Vision Transformer reads
    #[arg(long, hide_short_help = true, value_enum)]
    pub pooling: Option<ReadOut>,
    /// Patches along each side of the image, such as 14
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub grid: Option<String>,
    /// Any field of the model's specification, such as epsilon=1e-5 (see `network` of `archaeo models show NAME --json`)
    #[arg(long, hide_short_help = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub spec: Vec<(String, String)>,
    /// Let the checkpoint lack these arrays, which are then initialised anew (a name, or a module such as head)
    #[arg(long, hide_short_help = true, value_name = "NAME", value_delimiter = ',')]
    pub allow_missing: Vec<String>,
    /// Initialise the head anew where the checkpoint's has another number of classes than the data
    #[arg(long, hide_short_help = true)]
    pub replace_head: bool,
    /// Side of the model's input in pixels; learned positions are resampled to it
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// Share of the resized image that the centre crop keeps
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "SHARE")]
    pub crop: Option<f64>,
    /// Filter of the resize
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_enum)]
    pub interpolation: Option<Filter>,
    /// Whether images are cropped to a square or squashed to it
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_enum)]
    pub fit: Option<Shape>,
    /// Means of the channels of values in [0, 1], such as 0.485,0.456,0.406
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "R,G,B", value_parser = three_numbers)]
    pub mean: Option<[f32; 3]>,
    /// Standard deviations of the channels
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "R,G,B", value_parser = three_numbers)]
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
#[command(after_help = "`archaeo evaluate --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Classes of the data are matched with the model's outputs by name, WordNet
identifier or number; ImageNet-1k's are known.

JSON holds top1, top5, n, nll, ece, top1_interval and how classes were matched.
Arrays: logits (n, outputs) float32; labels, predicted and top_k int64 (numbers
of outputs, from 0). A table has a row for each image.

Examples:
  archaeo evaluate --weights vit.safetensors --split conflict --json
  archaeo evaluate --weights vit.safetensors --data scans/ --export answers.csv
  archaeo evaluate --weights clip/ --prompts cifar --data ../cifar10"))]
pub struct Evaluate {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Arguments of `attention`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo attention --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Layers and heads are numbered from 1, from the input. In JSON, `layers` holds
the numbers of the layers, and each statistic holds an array for each of them,
with a value for each head in order.

Arrays: a heatmap (n, rows, columns) of each method, such as rollout, on the
method's own grid; labels, and the statistics (layers, heads), such as attention_distance and attention_entropy; their first row is that of
the first layer shown. Where layers have different numbers of heads, as in a
Swin Transformer, those with fewer end in NaN. A table has a row for each head.

The model needs no head that classifies.

Examples:
  archaeo attention --weights vit.safetensors --limit 128
  archaeo attention --weights vit.safetensors --layer 1,2
  archaeo attention --weights vit.safetensors --data scans/ --export heads.npz"))]
pub struct Attention {
    /// Layers to show, from 1; all when not given
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        value_parser = from_one,
        allow_hyphen_values = true,
        help_heading = "Attention",
        long_help = "Layers to show, numbered from 1; all when not given. Rollout goes through all of them in any case."
    )]
    pub layer: Vec<usize>,
    /// Heatmaps in the export
    #[arg(
        long = "method",
        value_name = "NAME,NAME",
        value_delimiter = ',',
        default_value = "rollout",
        value_parser = choices::methods(),
        hide_short_help = true,
        help_heading = "Attention",
        long_help = "Heatmaps in the export; those that depend on a class explain the predicted one."
    )]
    pub methods: Vec<String>,
    /// How heads are fused in the rollout
    #[arg(long, value_enum, default_value_t = Fusion::Mean, help_heading = "Attention")]
    pub fusion: Fusion,
    /// Share of the smallest weights of each row left out of the rollout
    #[arg(
        long,
        hide_short_help = true,
        value_name = "RATIO",
        default_value_t = 0.0,
        help_heading = "Attention"
    )]
    pub discard: f64,
    /// Keep the class token's column in the attention distance, without renormalising the rows
    #[arg(long, hide_short_help = true, help_heading = "Attention")]
    pub raw: bool,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// The number of a layer.
fn from_one(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(0) => Err("layers are numbered from 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("it is not the number of a layer, such as 1".into()),
    }
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
#[command(after_help = "`archaeo attack --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
The export holds labels and, for each ε, the predicted class of every image
(numbers of outputs, from 0). JSON says for each ε how often the model was asked
(queries, mean over images), and how much the images were changed whose answer
became wrong (fooled, means: linf, l2 and l1 of values from 0 to 1; l0, how many
values changed; steps).

Examples:
  archaeo attack --weights cnn.safetensors --epsilon 1,2,4,8 --limit 200
  archaeo attack --weights cnn.safetensors --attack fgsm --epsilon 8/255
  archaeo attack --weights cnn.safetensors --attack pgd-l2 --epsilon 0.5"))]
pub struct Attack {
    /// Which attack, in which norm
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = choices::attacks(), help_heading = "Attack")]
    pub attack: String,
    /// Sizes of the perturbation, such as 2,8 or 8/255
    #[arg(
        long,
        value_name = "ε,ε",
        value_delimiter = ',',
        allow_hyphen_values = true,
        help_heading = "Attack",
        long_help = choices::attack_sizes()
    )]
    pub epsilon: Vec<String>,
    /// Steps of pgd and pgd-l2
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Attack"
    )]
    pub steps: u16,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Arguments of `ablate`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo ablate --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Layers and heads are numbered from 1, from the input, in text, JSON and tables.

Arrays: labels and predicted of the images, and for each kind of replacement
loss_increase_KIND with its interval (layers, heads); their first row is that of
layer 1. Where layers have different numbers of heads, those with fewer end in
NaN. A table has a row for each head.

Examples:
  archaeo ablate --weights vit.safetensors --limit 500
  archaeo ablate --weights vit.safetensors --limit 500 --export heads.csv"))]
pub struct Ablate {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Arguments of `data`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo data --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo data scans/
  archaeo data scans/ --sheet sheet.png --per-class 5
  archaeo data sherds:correlation=0.9 --split train --sheet sherds.png"))]
pub struct Data {
    /// Data to look at
    #[arg(value_name = "SOURCE", default_value = "sherds")]
    pub source: String,
    /// Draw a contact sheet: a row for each class
    #[arg(
        long,
        value_name = "FILE.png",
        long_help = "Draw a contact sheet and write it there: a row of images for each class."
    )]
    pub sheet: Option<PathBuf>,
    /// Split to show on it
    #[arg(
        long,
        requires = "sheet",
        long_help = "Split to show on the contact sheet; the first of test, val, all when not given."
    )]
    pub split: Option<String>,
    /// Images of each class on it
    #[arg(
        long,
        value_name = "N",
        requires = "sheet",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=100)
    )]
    pub per_class: u16,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo models
  archaeo models show resnet50

`archaeo models --help` shows all options.")]
pub struct Models {
    /// What about them; without it, all names are listed
    #[command(subcommand)]
    pub action: Option<ModelsAction>,
}

/// What to ask about models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// Layers, shapes, parameters, multiply-adds and preprocessing of one model
    #[command(after_help = "`archaeo models show --help` shows all options.")]
    Show {
        /// A name such as vit_micro, a checkpoint, or a folder with one
        model: String,
    },
}

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo export --help` shows all options, with examples.")]
#[command(after_long_help = "\
Writes model.safetensors and config.json. In Python then:
  timm.create_model('local-dir:FOLDER', pretrained=True)

Example:
  archaeo export --weights vit.safetensors --out exported/")]
pub struct Export {
    /// Trained weights, in any form that is read
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Its name, where the weights do not say it
    #[arg(
        long,
        value_name = "NAME",
        long_help = "Name of the model, where the checkpoint and its config.json do not say it."
    )]
    pub model: Option<String>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How the checkpoint is read, and its images prepared.
    #[command(flatten)]
    pub reading: Reading,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  archaeo report archaeo-out

`archaeo report --help` shows all options.")]
pub struct Report {
    /// Folder of an investigation
    #[arg(value_name = "DIR", default_value = "archaeo-out")]
    pub folder: PathBuf,
    /// Title of the report; that of the investigation, or the names of its models and data, when not given
    #[arg(long, value_name = "TEXT", value_parser = title)]
    pub title: Option<String>,
}

/// A title is one line with something on it.
fn title(text: &str) -> Result<String, String> {
    let title = text.trim();
    match title {
        "" => Err("a title needs a letter or two; leave --title away for the usual one".into()),
        _ if title.chars().any(char::is_control) => {
            Err("a title is one line of text, without tabs, line breaks or other control characters".into())
        }
        _ => Ok(title.into()),
    }
}
