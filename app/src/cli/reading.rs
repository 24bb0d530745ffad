//! How a checkpoint is read and images are preprocessed for its model.

use std::num::NonZeroUsize;

use archaeo_models::{Fit, Interpolation, PreprocessingChoice};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

/// How a checkpoint is read and images are preprocessed for its model.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Checkpoint")]
pub struct Reading {
    /// Key of the model in the checkpoint if it holds several, such as teacher or state_dict
    #[arg(long, hide_short_help = true, value_name = "NAME")]
    pub entry: Option<String>,
    /// Attention heads per layer of a vision transformer, if the arrays do not tell
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub heads: Option<NonZeroUsize>,
    /// What the head of a vision transformer reads
    #[arg(long, hide_short_help = true, value_enum)]
    pub pooling: Option<ReadOut>,
    /// Patches along each side of the image, such as 14
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub grid: Option<String>,
    /// Any field of the model's specification, such as epsilon=1e-5 (see `network` of `archaeo models show NAME --json`)
    #[arg(long, hide_short_help = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub spec: Vec<(String, String)>,
    /// Accept a checkpoint without these arrays and initialise them randomly (a name, or a module such as head)
    #[arg(long, hide_short_help = true, value_name = "NAME", value_delimiter = ',')]
    pub allow_missing: Vec<String>,
    /// Replace the head by a randomly initialised one if its number of classes differs from the data's
    #[arg(long, hide_short_help = true)]
    pub replace_head: bool,
    /// Side of the model's input in pixels; learned positions are resampled to it
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// Share of the resized image that the centre crop keeps
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "SHARE")]
    pub crop: Option<f64>,
    /// Filter of the resize
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_parser = interpolation())]
    pub interpolation: Option<Interpolation>,
    /// Whether images are cropped to a square or squashed to it
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_parser = fit())]
    pub fit: Option<Fit>,
    /// Means of the channels of values in [0, 1], such as 0.485,0.456,0.406
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "R,G,B", value_parser = three_numbers)]
    pub mean: Option<[f32; 3]>,
    /// Standard deviations of the channels
    #[arg(long, hide_short_help = true, help_heading = "Preprocessing", value_name = "R,G,B", value_parser = three_numbers)]
    pub std: Option<[f32; 3]>,
}

impl Reading {
    /// As the library takes it: fields of the specification that have options of their own come first.
    pub fn asked(&self) -> archaeo_lab::Reading {
        let heads = self.heads.map(|heads| ("heads".to_owned(), heads.to_string()));
        let pooling = self.pooling.map(|pooling| ("pooling".to_owned(), pooling.name()));
        let grid = self.grid.clone().map(|grid| ("grid".to_owned(), grid));
        let own = [heads, pooling, grid].into_iter().flatten();
        archaeo_lab::Reading {
            entry: self.entry.clone(),
            specification: own.chain(self.spec.clone()).collect(),
            allow_missing: self.allow_missing.clone(),
            replace_head: self.replace_head,
            preprocessing: PreprocessingChoice {
                image_size: self.image_size,
                crop: self.crop,
                fit: self.fit,
                interpolation: self.interpolation,
                mean: self.mean,
                std: self.std,
            },
        }
    }
}

/// What the head of a vision transformer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadOut {
    /// The class token
    ClassToken,
    /// The mean of all patches
    Mean,
    /// The mean of all patches; there is a class token, which is not read
    MeanBesideClassToken,
    /// The class token and the mean of all patches, one after the other
    ClassTokenAndMean,
}

impl ReadOut {
    /// As a specification writes it.
    pub fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    pair.filter(|(key, _)| !key.is_empty()).ok_or_else(|| "it is not of the form key=value".into())
}

/// The names of the filters.
fn interpolation() -> impl TypedValueParser<Value = Interpolation> {
    let names = Interpolation::ALL.map(|filter| {
        PossibleValue::new(filter.name()).help(match filter {
            Interpolation::Bilinear => "Triangle",
            Interpolation::Bicubic => "Cubic, as Pillow's",
            Interpolation::Lanczos => "Windowed sinc, as Pillow's",
        })
    });
    let named = |name: String| Interpolation::named(&name).expect("one of the names");
    PossibleValuesParser::new(names).map(named)
}

/// How an image that is not square becomes so.
fn fit() -> impl TypedValueParser<Value = Fit> {
    let names = [
        PossibleValue::new("crop").help("Resize the shorter side and cut out the middle"),
        PossibleValue::new("squash").help("Resize both sides to the model's size, ignoring the aspect ratio"),
    ];
    PossibleValuesParser::new(names).map(|name| if name == "crop" { Fit::Crop } else { Fit::Squash })
}

fn three_numbers(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.ok().and_then(|numbers| <[f32; 3]>::try_from(numbers).ok());
    numbers.ok_or_else(|| "three numbers with commas between them are needed".into())
}
