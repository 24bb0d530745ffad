//! `explain`: what a model looks at, image by image.

use std::path::PathBuf;

use clap::Args;

use super::questions::from_one;
use super::rollout::Rollout;
use super::{SOURCES, Subject};
use crate::choices;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(mut_arg("batch_size", |argument| argument.default_value("8")))]
#[command(after_help = "`archaeo explain --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
DIR has a folder for each image:
  input.png            the image as the model takes it
  methods.png, .svg    every method, each on its own scale
  method-ID.png, .svg  one method
  layers.png, .svg     attention of what the head reads, layer by layer, mean over
                       heads, on one scale
  heads-layer-N.png, .svg  the same of each head of layer N
  counterfactual.png, .svg  with --counterfactual
and explained.json, which is what --json prints. Colours from black to yellow
stand for values from the smallest to the largest; blue and red for values below
and above 0. Of 1024 values or more, a few may lie beyond the scale (≥). Layers
and heads are numbered from 1, outputs from 0.

Arrays: a heatmap (n, rows, columns) of each method, such as grad_cam, on the
method's own grid; targets and predicted (numbers of outputs). A table has a row
for each image.

From 10 images on, each method is scored on this model and these images by deletion
and insertion, and held against random and centre: every picture says what came out
(docs/faithfulness.md). Where it is known where the object is (Sherds, a folder masks/
with pictures of the images' relative names, Tiny ImageNet's boxes), each method is
held against that, too.

Examples:
  archaeo explain photo.jpg --weights vit.safetensors
  archaeo explain scans/ --weights vit.safetensors --methods rollout,grad-cam
  archaeo explain photo.jpg --weights vit.safetensors --target star --layer 1
  archaeo explain photo.jpg --weights vit.safetensors --counterfactual
  archaeo explain --weights vit.safetensors --limit 20 --export maps.npz"))]
pub struct Explain {
    /// Images: files, folders, or any SOURCE
    #[arg(
        value_name = "IMAGE",
        help_heading = "Explanation",
        long_help = "Images to explain: files, folders, or any SOURCE; by default those of --data."
    )]
    pub images: Vec<String>,
    /// Heatmaps: all, or some of them
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        default_value = "all",
        value_parser = choices::all_or_methods(),
        hide_possible_values = true,
        help_heading = "Explanation",
        long_help = choices::methods_in_words()
    )]
    pub methods: Vec<String>,
    /// Class to explain, or label
    #[arg(
        long,
        value_name = "CLASS",
        default_value = "predicted",
        help_heading = "Explanation",
        long_help = "Class to explain: the predicted one, that of the label, or one for all images by its name, its WordNet \
            identifier, or the number of its output, from 0."
    )]
    pub target: String,
    /// Layer whose heads are shown, counted from 1 [default: the last]
    #[arg(
        long,
        value_name = "N",
        value_parser = from_one,
        hide_short_help = true,
        allow_hyphen_values = true,
        help_heading = "Explanation"
    )]
    pub layer: Option<usize>,
    /// How rollout treats the layers.
    #[command(flatten)]
    pub rollout: Rollout,
    /// Images on which the methods are scored
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        hide_short_help = true,
        help_heading = "Explanation",
        long_help = "Images, at even steps through all, on which the methods are scored by deletion and insertion before any is \
            shown; each takes some dozens of passes for every method. Below 10, nothing is scored."
    )]
    pub scored: usize,
    /// Cover patches in each heatmap's order until the answer changes
    #[arg(
        long,
        hide_short_help = true,
        help_heading = "Explanation",
        long_help = "Cover patches with the mean colour, in the order of each heatmap, until the model names another class: \
            counterfactual.png shows how few it takes. Up to a pass for each patch and method."
    )]
    pub counterfactual: bool,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "archaeo-explained", help_heading = "Output")]
    pub out: PathBuf,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}
