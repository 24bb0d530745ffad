//! `archaeo train`: a recipe and where its model goes.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::SOURCES;
use crate::choices;

/// Arguments of `train`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo train --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo train --config sherds-vit --out runs/vit
  archaeo train --config my.toml --data ../cifar10 --out runs/resnet
  archaeo train --config my.toml --set epochs=10 --out runs/longer
  archaeo train --config my.toml --seeds 3 --out runs/three
  archaeo train --config eurosat-vit-full --init a.safetensors --out a
  archaeo train --config my.toml --track csv,wandb --out runs/table"))]
pub struct Train {
    /// Recipe: a TOML file, or a name from `archaeo configs`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Images; by default the recipe's, else sherds
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<String>,
    /// Weights to start from, instead of random ones: a file, a folder, hf:OWNER/NAME
    #[arg(
        long,
        value_name = "WEIGHTS",
        long_help = "Weights to start from, instead of random ones: a checkpoint as `archaeo evaluate` takes it, a folder with one, or \
            hf:OWNER/NAME@REVISION. The same as `init` in the recipe: sizes and preprocessing are the checkpoint's, and its head is replaced \
            unless it has the classes of the data."
    )]
    pub init: Option<String>,
    /// Layers that keep the values of --init: backbone, none, a number of blocks, or modules
    #[arg(
        long,
        value_name = "LAYERS",
        long_help = "Layers that keep the values of --init: `backbone` for all but the head, `none`, a number of blocks from the first on \
            (with the embedding before them), or modules with commas, such as patch_embed,blocks.0. The same as `freeze` in the recipe."
    )]
    pub freeze: Option<String>,
    /// Override one entry of the recipe, such as epochs=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Run folder; resumes an interrupted run
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of runs with different seeds
    #[arg(
        long,
        value_name = "N",
        long_help = "Number of runs: with the seeds SEED, SEED + 1, … in the folders run-0, run-1, … of the run folder. It ends with how \
            much their results differ. The same as `seeds` in the recipe; the data is split alike for all runs."
    )]
    pub seeds: Option<NonZeroUsize>,
    /// Trackers of the training
    #[arg(
        long = "track",
        alias = "tracker",
        value_name = "NAME,NAME",
        value_delimiter = ',',
        value_parser = choices::trackers(),
        hide_short_help = true,
        long_help = "Trackers of the training [default: metrics,tensorboard]. The same as `trackers` in the recipe. One that fails does not \
            stop the training; `archaeo track` catches up."
    )]
    pub trackers: Vec<String>,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
}

impl Train {
    /// What is said on the command line, as overrides of the recipe's entries.
    pub fn overrides(&self) -> Vec<String> {
        let seeds = self.seeds.map(|seeds| format!("seeds={seeds}"));
        let init = self.init.as_ref().map(|init| format!("init={init:?}"));
        let freeze = self.freeze.as_deref().map(|freeze| match freeze {
            "backbone" | "none" => format!("freeze={freeze}"),
            number if number.parse::<u32>().is_ok() => format!("freeze={number}"),
            modules => format!("freeze={:?}", modules.split(',').collect::<Vec<_>>()),
        });
        let trackers = tracked_by(&self.trackers);
        self.set.iter().cloned().chain(init).chain(freeze).chain(seeds).chain(trackers).collect()
    }
}

/// The trackers that are named, if any are, as an override of a recipe's entry.
pub fn tracked_by(trackers: &[String]) -> Option<String> {
    (!trackers.is_empty()).then(|| format!("trackers={trackers:?}"))
}

/// Arguments of `track`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  archaeo track archaeo-out/vit --to wandb

`archaeo track --help` shows all options.")]
#[command(after_long_help = "\
wandb writes an offline run, which `wandb sync` sends. trackio delivers to the inbox in TRACKIO_DIR, mlflow to the server at \
MLFLOW_TRACKING_URI: what is not there yet, and nothing twice. docs/trackers.md describes each.

Example:
  archaeo track archaeo-out/vit --to wandb")]
pub struct Track {
    /// Run folder of a training, or of several seeds
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Trackers: what to write from events.jsonl in the run folder, and where to deliver it
    #[arg(
        long = "to",
        alias = "tracker",
        value_name = "NAME,NAME",
        value_delimiter = ',',
        required = true,
        value_parser = choices::trackers()
    )]
    pub trackers: Vec<String>,
}
