//! `prompts`: how far a zero-shot classifier depends on its prompts.

use std::path::PathBuf;

use clap::Args;

use super::{SOURCES, Subject};

/// Arguments of `prompts`.
#[derive(Debug, Args)]
#[command(mut_arg("prompts", |argument| argument.hide_short_help(false)))]
#[command(mut_arg("export", |argument| argument.hide(true)))]
#[command(after_help = "`archaeo prompts --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Each template of --prompts is scored alone, in the ensemble of all, and left out of
it; alone it is held against the ensemble on the same images (exact McNemar test,
adjusted for all templates).

DIR has similarity.png and .svg, the mean cosine of the images of each class with
the texts of each, and prompts.json, which is what --json prints.

Examples:
  archaeo prompts --weights clip/ --prompts cifar --data ../cifar10
  archaeo prompts --weights clip/ --prompts mine.txt --data scans/ --out prompts"))]
pub struct PromptSensitivity {
    /// Folder for pictures; none are drawn without it
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}
