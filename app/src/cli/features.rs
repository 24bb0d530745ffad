//! `features`: what the features of models hold.

use std::path::PathBuf;

use clap::Args;

use super::SOURCES;
use super::subject::About;

/// Arguments of `features`.
#[derive(Debug, Args)]
#[command(mut_arg("export", |argument| argument.long_help(EXPORT)))]
#[command(mut_arg("class_map", |argument| argument.hide(true)))]
#[command(after_help = "`archaeo features --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Features are what a model's head reads; a model without a head has them too, and a
CLIP needs no prompts. Neighbours and probes learn from the training split, choose
by the validation split (or a fifth of what is learned from), and are scored on
--split; without a training split, half of the images are learned from. Images
without labels give pictures and similarity alone.

DIR has
  clouds.png, .svg     t-SNE and principal components of every model on one page,
                       each with its trustworthiness and continuity
  cka.png, .svg        similarity of every two layers, within and across models
  layers.svg           a linear probe of each layer
  few-shot.svg         a linear probe of 1 to 16 images per class
  similar-N.png, .svg  images that the N-th model takes for alike
and features.json, which is what --json prints.

Arrays: features (n, width) of the first model, features_2 of the second and so on;
labels; the names of images and classes in the metadata. A table has a row for each
image.

Examples:
  archaeo features --weights vit.safetensors --data scans/ --out features
  archaeo features --weights a.safetensors --weights b.safetensors --data scans/
  archaeo features --weights vit.safetensors --random --export features.npz"))]
pub struct Features {
    /// Trained weights: a file, a folder, hf:OWNER/NAME; given again, a further model
    #[arg(
        long,
        required = true,
        value_name = "FILE",
        help_heading = "Model and data",
        long_help = "Trained weights: safetensors, PyTorch's .pth, .pt or .bin, .npz, a folder of one, or hf:OWNER/NAME@REVISION. Given \
            several times, the models are compared on the same images; what other options say of the model holds for each."
    )]
    pub weights: Vec<PathBuf>,
    /// Compare the first model with one of the same sizes and random weights
    #[arg(long, help_heading = "Features")]
    pub random: bool,
    /// Images to learn from, at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5000,
        help_heading = "Features",
        long_help = "Images that neighbours come from and probes are fitted to, at most: a stratified sample drawn with --seed."
    )]
    pub training: usize,
    /// Draws of a few images per class
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        hide_short_help = true,
        help_heading = "Features"
    )]
    pub draws: u16,
    /// Points of a picture, at most
    #[arg(long, value_name = "N", default_value_t = 2000, hide_short_help = true, help_heading = "Features")]
    pub points: usize,
    /// Images on which layers are compared, at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(4..=8192),
        hide_short_help = true,
        help_heading = "Features"
    )]
    pub compared: u16,
    /// Folder for pictures; none are drawn without it
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// What is said of the models, and their data.
    #[command(flatten)]
    pub about: About,
}

const EXPORT: &str = "Write the features of every image, with image names and labels, in the order of the data set: arrays to .safetensors or \
    .npz, a table to .csv or .parquet.";
