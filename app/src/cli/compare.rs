//! `compare`: ways of training, next to one another.

use std::path::PathBuf;

use clap::Args;

use super::SOURCES;

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo compare --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
A configuration has a recipe per regime, [models.NAME], which overrides what is
above it, and [compare] with the shares of the training images that each is
trained on. \"@NAME\" as a teacher is the model of that regime on the same images.
DIR gets a run folder per training, report.html, report.md and regimes.json.
docs/training.md explains regimes.

Examples:
  archaeo compare --config regimes --init vit.safetensors --out runs/four
  archaeo compare --config patch-sizes --out runs/patch-sizes"))]
pub struct Compare {
    /// Configuration: a TOML file, or a name from `archaeo configs`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Weights that replace every `init` of the configuration
    #[arg(long, value_name = "FILE")]
    pub init: Option<String>,
    /// Name of their model, where they do not say it
    #[arg(long, value_name = "NAME", requires = "init")]
    pub model: Option<String>,
    /// Images; by default the configuration's, else sherds
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Override one entry, such as models.full.epochs=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of all trainings; resumes an interrupted comparison
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
}
