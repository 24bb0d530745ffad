//! What can be typed after `archaeo`.

mod audit;
mod benchmark;
mod compare;
mod corrupt;
mod custody;
mod excavate;
mod explain;
mod features;
mod figure;
mod lab;
mod lesson;
mod looks;
mod profile;
mod programs;
mod questions;
mod reading;
mod rollout;
mod subject;
mod submit;
mod train;
mod zero_shot;

use archaeo_lab::SessionOptions;
use archaeo_store::memory::{LEAST_MEMORY, bytes_in_words, parse_bytes};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use audit::Audit;
pub use benchmark::Benchmark;
pub use compare::Compare;
pub use corrupt::Corrupt;
pub use custody::{Card, Verify};
pub use excavate::{Excavate, Investigated, Merge, Report, Study};
pub use explain::Explain;
pub use features::Features;
pub use figure::Figure;
pub use lab::Lab;
pub use lesson::Lesson;
pub use looks::{Data, Export, Models, ModelsAction};
pub use profile::Profile;
pub use programs::{Completions, Configs, Init, Man, PROGRAM, TRY_AGAIN, WRONG_COMMAND_LINE, colour};
pub use questions::{Ablate, Attack, Attention, Evaluate};
pub use reading::Reading;
pub use subject::Subject;
pub use submit::Submit;
pub use train::{Track, Train, tracked_by};
pub use zero_shot::PromptSensitivity;

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
    /// Precision of matrix products and convolutions on the CPU; by default the recipe's, or f32
    #[arg(long, global = true, hide_short_help = true, value_enum)]
    pub precision: Option<Precision>,
    /// Ask no network: of hf:OWNER/NAME (as HF_HUB_OFFLINE=1 does) and of data elsewhere, take what is in the cache
    #[arg(long, global = true, hide_short_help = true)]
    pub offline: bool,
    /// Memory that reading may use in all, such as 8GiB; a file may then use as much of it as it needs. By default 2GiB, and at most
    /// 64 times its length per file
    #[arg(long, global = true, value_name = "SIZE", value_parser = memory_size, hide_short_help = true)]
    pub memory: Option<u64>,
    /// Seed of every random choice; by default the configuration's, or 0
    #[arg(long, global = true, hide_short_help = true)]
    pub seed: Option<u64>,
    /// Number of threads [default: all processors]; results do not depend on it
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

impl Precision {
    /// As operations take it.
    fn of_operations(self) -> archaeo_ops::Precision {
        match self {
            Self::Bf16 => archaeo_ops::Precision::Bf16,
            Self::F32 => archaeo_ops::Precision::F32,
        }
    }
}

impl Global {
    /// How much is said.
    pub fn loudness(&self) -> Loudness {
        match (self.quiet, self.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            (false, false) => Loudness::Usual,
        }
    }

    /// What every question of this command line shares.
    // Without the hub, whose settings are left as they are, no field is left.
    #[cfg_attr(not(feature = "hub"), allow(clippy::needless_update))]
    pub fn session(&self) -> SessionOptions {
        // Names of files need not be UTF-8; for the record they are as they can be shown.
        let words: Vec<String> =
            std::env::args_os().map(|word| without_query(&word.to_string_lossy())).collect();
        SessionOptions {
            device: self.device.clone(),
            precision: self.precision.map(Precision::of_operations),
            seed: self.seed,
            threads: self.threads.map(usize::from),
            memory: self.memory,
            offline: self.offline,
            command: words.join(" "),
            ..SessionOptions::default()
        }
    }
}

/// A word of the command line as run folders and reports keep it: the query of an address may be a signature that opens a bucket.
fn without_query(word: &str) -> String {
    let address = word.find("://").and_then(|start| Some(start + word[start..].find('?')?));
    address.map_or_else(|| word.to_owned(), |end| format!("{}?…", &word[..end]))
}

/// The commands, one file each under `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Investigate models, and write a report
    Excavate(Excavate),
    /// Ask one question of an investigation
    Study(Study),
    /// Conclude from an investigation that was recorded in shards
    Merge(Merge),
    /// Record an investigation in shards with Slurm, Kubernetes or Ray
    Submit(Submit),
    /// Train one model
    Train(Train),
    /// Compare ways of training, on all images and on few
    Compare(Compare),
    /// Show a training in other programs, from its log
    Track(Track),
    /// Score a model on a data set
    Evaluate(Evaluate),
    /// What a model looks at, image by image, in pictures
    Explain(Explain),
    /// Open models on a page in the browser
    Lab(Lab),
    /// What a model's features hold: probes, neighbours, pictures
    Features(Features),
    /// How far a zero-shot classifier depends on its prompts
    Prompts(PromptSensitivity),
    /// What a transformer's heads attend to
    Attention(Attention),
    /// Accuracy of a model under attack
    Attack(Attack),
    /// Accuracy of a model on damaged images
    Corrupt(Corrupt),
    /// What each attention head and layer is worth
    Ablate(Ablate),
    /// Which explanations say what a model's answers depend on
    Benchmark(Benchmark),
    /// Where popular implementations depart from the papers
    Audit(Audit),
    /// What models cost, and how that grows with the image
    Profile(Profile),
    /// Eight lessons on Vision Transformers, with exercises
    Lesson(Lesson),
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
    /// Write a card of what was measured of each model
    Card(Card),
    /// Write the report of an investigation again
    Report(Report),
    /// Write a figure of an investigation at a journal's width
    Figure(Figure),
    /// Check that an investigation is what it was
    Verify(Verify),
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
  webdataset shards          a folder of tar archives, one, or a pattern such as
                             'train-{000..009}.tar' (of parquet files as well)
  s3://, gs://, https://     one of these files elsewhere, a pattern, or in a
                             bucket all shards below a prefix
  Tiny ImageNet              in its own layout
  MedMNIST                   .npz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_an_address_is_not_kept() {
        for (word, kept) in [
            ("https://a.org/train-{00..09}.tar?X-Amz-Signature=5f", "https://a.org/train-{00..09}.tar?…"),
            ("--data=https://a.org/x.parquet?sig=a&se=b", "--data=https://a.org/x.parquet?…"),
            ("s3://bucket/x.tar", "s3://bucket/x.tar"),
            ("what?.png", "what?.png"),
            ("a?b=s3://bucket/x.tar", "a?b=s3://bucket/x.tar"),
        ] {
            assert_eq!(without_query(word), kept);
        }
    }
}
