//! `audit`: what popular implementations would say in place of the papers.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{SOURCES, Subject};
use crate::choices;

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(mut_arg("batch_size", |argument| argument.default_value("16")))]
#[command(mut_arg("limit", |argument| argument.hide(true)))]
#[command(mut_arg("export", |argument| argument.hide(true)))]
#[command(after_help = "`archaeo audit --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Both sides of every departure are computed on the same images: what the paper
defines, and what widespread code does. Where it changes what a reader would
conclude, such as the most important head, that is said; docs/audit.md explains
each. DIR gets audit.json, which is what --json prints, and audit.md. Layers and
heads are numbered from 1.

Without labels the model's own answers are taken for right.

Examples:
  archaeo audit --weights vit.safetensors --images 40
  archaeo audit --weights vit.safetensors --images 40 --departures raw-distance
  archaeo audit --weights vit.safetensors --data scans/ --out audit"))]
pub struct Audit {
    /// Use so many images, drawn by --seed
    #[arg(
        long,
        value_name = "N",
        default_value = "64",
        help_heading = "Audit",
        long_help = "Use so many images: a sample drawn by --seed in which each class has its share, and all where there are fewer."
    )]
    pub images: NonZeroUsize,
    /// Departures to measure; all when not given
    #[arg(
        long,
        value_name = "ID,ID",
        value_delimiter = ',',
        value_parser = choices::departures(),
        hide_short_help = true,
        help_heading = "Audit"
    )]
    pub departures: Vec<String>,
    /// Folder for audit.json and audit.md
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}
