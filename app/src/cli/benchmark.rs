//! `benchmark`: which explanations say what a model's answers depend on.

use std::num::NonZeroUsize;

use clap::Args;

use super::Subject;
use crate::choices;

/// Arguments of `benchmark`.
#[derive(Debug, Args)]
#[command(mut_arg("data", |argument| argument.hide(true).conflicts_with("benchmark")))]
#[command(mut_arg("export", |argument| argument.hide(true).conflicts_with("benchmark")))]
#[command(mut_arg("limit", |argument| argument.hide(true).conflicts_with("benchmark")))]
#[command(after_help = "`archaeo benchmark --help` shows all options and examples.")]
#[command(after_long_help = "Sherds draws each image again without one of its parts (object's boundary and
interior, each piece of clutter, background) and with all else the same. What
the margin between the class that the model names and its runner-up loses is
the model's own truth; docs/sherds.md defines the scores:
  causal      Spearman's correlation of a heatmap's mass and that loss, over the
              parts of an image (single deletion); it decides what is better
  strength    the same with the size of the loss, whatever its sign
  contrast    causal, of the difference of the maps of class and runner-up
  AUROC       against the object's mask
  deletion    mean probability of the class while the hottest pixels are
              deleted: smaller is better

Classes are matched with the model's outputs by name, as by `evaluate`. JSON has
all scores with 95 % intervals, and what was measured of every image.

Examples:
  archaeo benchmark sherds --weights vit.safetensors
  archaeo benchmark sherds --weights vit.safetensors --methods rollout,chefer
  archaeo benchmark sherds:noise=0.1 --weights vit.safetensors --images 50")]
pub struct Benchmark {
    /// Images: sherds, or sherds with other parameters
    #[arg(value_name = "BENCHMARK", help_heading = "Benchmark")]
    pub benchmark: String,
    /// Heatmaps to score
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        value_parser = choices::methods(),
        hide_possible_values = true,
        help_heading = "Benchmark",
        long_help = "Explanations to score; all that apply to the model and take few passes when not given."
    )]
    pub methods: Vec<String>,
    /// Images to draw again, drawn by --seed
    #[arg(long, value_name = "N", default_value = "200", help_heading = "Benchmark")]
    pub images: NonZeroUsize,
    /// The model.
    #[command(flatten)]
    pub subject: Subject,
}
