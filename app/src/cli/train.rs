//! `archaeo train`: a recipe and where its model goes.

use std::path::PathBuf;

use clap::Args;

use super::SOURCES;

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
