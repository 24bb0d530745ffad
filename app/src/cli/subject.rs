//! The model and the data that a question is about.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

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
    /// What is said of the model, and its data.
    #[command(flatten)]
    pub about: About,
}

/// What is said of a model, and on which data it is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model and data")]
pub struct About {
    /// Model name, if the checkpoint does not tell
    #[arg(
        long,
        value_name = "NAME",
        long_help = "Name of the model (see `archaeo models`); not needed where the checkpoint or its config.json says \
            it."
    )]
    pub model: Option<String>,
    /// Images [default: sherds]
    #[arg(
        long,
        value_name = "SOURCE",
        long_help = "Images to use; by default sherds, for models trained on it."
    )]
    pub data: Option<String>,
    /// Which split of them
    #[arg(long, default_value = "test")]
    pub split: String,
    /// Use only N of them, sampled with --seed
    #[arg(
        long,
        value_name = "N",
        long_help = "Use only N images: a stratified sample drawn with --seed, with the classes' shares of the split \
            and at least one image where N allows it."
    )]
    pub limit: Option<NonZeroUsize>,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
    /// File with the names of the outputs, one per line
    #[arg(
        long,
        hide_short_help = true,
        value_name = "FILE",
        long_help = "File with the names of the model's outputs in order, one per line, if the checkpoint does not have them; \
            with --prompts, the class names to insert into them (by default those of the data)."
    )]
    pub class_names: Option<PathBuf>,
    /// Map from the data's classes to the model's outputs
    #[arg(
        long,
        hide_short_help = true,
        value_name = "FILE",
        long_help = "Map from the data's classes to the model's outputs: one line per class with the data's class, a comma, and the model's \
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
        long_help = "Zero-shot classes of CLIP: a file of templates such as `a photo of a {}.`, one per line, or imagenet \
            or cifar for those that CLIP was published with."
    )]
    pub prompts: Option<String>,
    /// Write per-image results
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        long_help = "Write per-image results, with image names and labels, in the order of the data set: \
            arrays to .safetensors or .npz, a table to .csv or .parquet."
    )]
    pub export: Option<PathBuf>,
    /// Images per batch; results do not depend on it
    #[arg(
        long,
        value_name = "N",
        hide_short_help = true,
        help_heading = "Output",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub batch_size: u16,
    /// How the checkpoint is read and images are preprocessed.
    #[command(flatten)]
    pub reading: Reading,
}

impl Subject {
    /// As the library takes it.
    pub fn asked(&self) -> archaeo_lab::Subject {
        self.about.asked(&self.weights)
    }
}

impl About {
    /// With these weights, as the library takes it.
    pub fn asked(&self, weights: &Path) -> archaeo_lab::Subject {
        let model = self.source(weights);
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

    /// A checkpoint of which the same is said.
    pub fn source(&self, weights: &Path) -> ModelSource {
        ModelSource {
            weights: weights.to_owned(),
            name: self.model.clone(),
            class_names: self.class_names.clone(),
            prompts: self.prompts.clone(),
            reading: self.reading.asked(),
        }
    }
}
