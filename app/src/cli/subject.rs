//! The model and the data that a question is about.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use archaeo_lab::ModelSource;
use clap::Args;

use super::reading::Reading;

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
    /// As the library takes it.
    pub fn asked(&self) -> archaeo_lab::Subject {
        let model = ModelSource {
            weights: self.weights.clone(),
            name: self.model.clone(),
            class_names: self.class_names.clone(),
            prompts: self.prompts.clone(),
            reading: self.reading.asked(),
        };
        archaeo_lab::Subject {
            split: self.split.clone(),
            limit: self.limit,
            strict: self.strict,
            class_map: self.class_map.clone(),
            export: self.export.clone(),
            batch_size: usize::from(self.batch_size).try_into().expect("it is at least 1"),
            ..archaeo_lab::Subject::new(model, self.data.clone())
        }
    }
}
