//! What only looks or copies: `data`, `models`, `export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Reading;
use super::SOURCES;

/// Arguments of `data`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo data --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo data scans/
  archaeo data scans/ --sheet sheet.png --per-class 5
  archaeo data sherds:correlation=0.9 --split train --sheet sherds.png"))]
pub struct Data {
    /// Data to look at
    #[arg(value_name = "SOURCE", default_value = "sherds")]
    pub source: String,
    /// Draw a contact sheet: a row for each class
    #[arg(
        long,
        value_name = "FILE.png",
        long_help = "Draw a contact sheet and write it there: a row of images for each class."
    )]
    pub sheet: Option<PathBuf>,
    /// Split to show on it
    #[arg(
        long,
        requires = "sheet",
        long_help = "Split to show on the contact sheet; by default the first of test, val, all."
    )]
    pub split: Option<String>,
    /// Images of each class on it
    #[arg(
        long,
        value_name = "N",
        requires = "sheet",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=100)
    )]
    pub per_class: u16,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo models
  archaeo models show resnet50

`archaeo models --help` shows all options.")]
pub struct Models {
    /// What to show; without it, all names are listed
    #[command(subcommand)]
    pub action: Option<ModelsAction>,
}

/// What to ask about models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// Layers, shapes, parameters, multiply-adds and preprocessing of one model
    #[command(after_help = "`archaeo models show --help` shows all options.")]
    Show {
        /// A name such as vit_micro, a checkpoint, or a folder with one
        model: String,
    },
}

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo export --help` shows all options, with examples.")]
#[command(after_long_help = "\
Writes model.safetensors and config.json. In Python then:
  timm.create_model('local-dir:FOLDER', pretrained=True)

Example:
  archaeo export --weights vit.safetensors --out exported/")]
pub struct Export {
    /// Trained weights in any supported format
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Model name, if the checkpoint does not tell
    #[arg(
        long,
        value_name = "NAME",
        long_help = "Name of the model, if the checkpoint and its config.json do not tell."
    )]
    pub model: Option<String>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How the checkpoint is read and images are preprocessed.
    #[command(flatten)]
    pub reading: Reading,
}
