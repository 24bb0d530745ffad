//! `corrupt`: accuracy of a model on damaged images.

use std::path::PathBuf;

use archaeo_data::corruptions::Corruption;
use clap::Args;

use super::{SOURCES, Subject};
use crate::choices;

/// Arguments of `corrupt`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo corrupt --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Images are damaged at the model's input size, with the constants of ImageNet-C,
or of CIFAR-10-C up to 64 px (docs/corruptions.md). The export holds labels and,
for each corruption and severity, the predicted class of every image.

With a baseline, both models are shown the same damaged images. mCE, the mean
corruption error, is the model's error relative to the baseline's: below 100 %
the model is better. The relative mCE counts only the errors that damage adds.

Examples:
  archaeo corrupt --weights cnn.safetensors --limit 200
  archaeo corrupt --weights cnn.safetensors --corruption fog,snow --severity 3
  archaeo corrupt --weights vit.safetensors --baseline cnn.safetensors
  archaeo corrupt --weights vit.safetensors --corruption patch-shuffle
  archaeo corrupt --weights cnn.safetensors --limit 200 --out damage"))]
pub struct Corrupt {
    /// Kinds of damage [default: the usual 15]
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        value_parser = choices::corruptions(),
        hide_possible_values = true,
        help_heading = "Damage",
        long_help = choices::corruptions_in_words()
    )]
    pub corruption: Vec<Corruption>,
    /// Severities, from 1 to 5 [default: all]
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u8).range(1..=5),
        help_heading = "Damage"
    )]
    pub severity: Vec<u8>,
    /// Weights of a model to compare with
    #[arg(long, value_name = "WEIGHTS", help_heading = "Damage")]
    pub baseline: Option<PathBuf>,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Folder for pictures
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Output",
        long_help = "Folder for pictures: accuracy by severity, a chart for each group of corruptions and one for their mean (SVG), and the \
                     first image that is right without damage under every corruption, with what the model answers (PNG)."
    )]
    pub out: Option<PathBuf>,
}
