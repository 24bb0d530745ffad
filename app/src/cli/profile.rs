//! `profile`: what models cost.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

/// Arguments of `profile`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo profile --help` shows all options and examples.")]
#[command(after_long_help = "\
Models are names (`archaeo models` lists them), which get random weights, and
checkpoints. All are timed in turns on this machine, at their usual size of image
and at each of --image-sizes; a size that a model does not take is named.
Numbers are medians with 95 % intervals; growth is the exponent of a power law in
the number of pixels. DIR gets report.html, report.md and profile.json.

Examples:
  archaeo profile vit_small_patch16_224 swin_tiny_patch4_window7_224 --out cost
  archaeo profile vit_tiny_patch16_224 vit_micro --image-sizes 96,192,384
  archaeo profile a.safetensors b.safetensors --data scans/")]
pub struct Profile {
    /// Names of models, or checkpoints
    #[arg(value_name = "MODEL", required = true, help_heading = "Profile")]
    pub models: Vec<String>,
    /// Sides of images to time, pixels
    #[arg(
        long,
        value_name = "PX,PX",
        value_delimiter = ',',
        default_value = "96,128,160,192,224,256,320,384,448,512",
        value_parser = clap::value_parser!(u16).range(1..=4096),
        help_heading = "Profile"
    )]
    pub image_sizes: Vec<u16>,
    /// Timed passes of each model at each size
    #[arg(long, value_name = "N", default_value = "11", help_heading = "Profile")]
    pub rounds: NonZeroUsize,
    /// Images per pass of throughput
    #[arg(long, value_name = "N", default_value = "32", help_heading = "Profile")]
    pub batch_size: NonZeroUsize,
    /// Images to score checkpoints on, in any supported format
    #[arg(long, value_name = "SOURCE", help_heading = "Profile")]
    pub data: Option<String>,
    /// Folder for a page with charts
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
}
