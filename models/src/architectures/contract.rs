//! The contract that an architecture implements.

use burn::tensor::Device;
use serde_json::Value;

use super::NetworkSpec;
use crate::catalogue::{Published, Torchvision};
use crate::describe::{DescribeError, Found, FromConfig, Hints};
use crate::export::TimmModel;
use crate::spec::SpecError;
use crate::state::State;

/// Operations on the sizes of a model of any architecture.
pub(crate) trait Sizes {
    /// Checks that they fit together: one sentence naming those that do not.
    fn validate(&self) -> Result<(), SpecError>;

    /// Name of the architecture's models, for use in a sentence.
    fn family(&self) -> &'static str;

    /// Description of architecture and sizes.
    fn describe(&self) -> String;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Changes the number of classes.
    fn set_classes(&mut self, classes: usize);

    /// Side of the only input the model takes, in pixels; `None` where any will do.
    fn image_size(&self) -> Option<usize> {
        None
    }

    /// Changes the image size, where the model takes only one.
    fn set_image_size(&mut self, _image_size: usize) {}

    /// Sets stochastic depth and dropout for training, as far as the architecture supports them.
    fn set_rates(&mut self, _drop_path: f64, _dropout: f64) {}

    /// Number of layers with attention.
    fn attention_layers(&self) -> usize {
        0
    }

    /// Whether blocks normalise over the batch, so that recomputing one would count its moments twice.
    fn normalises_over_batch(&self) -> bool {
        self.attention_layers() == 0
    }

    /// Whether attention is confined to windows.
    fn attends_within_windows(&self) -> bool {
        false
    }

    /// Whether its classes are defined by prompts.
    fn classes_are_prompts(&self) -> bool {
        false
    }

    /// Multiply-adds for one image with sides of `image_size` pixels ([`crate::flops`]).
    fn multiply_adds(&self, image_size: usize) -> u64;

    /// The part of [`Self::multiply_adds`] that attention's two products take: queries with keys, weights with values.
    fn attention_multiply_adds(&self, _image_size: usize) -> u64 {
        0
    }

    /// Side of the patches in pixels, or the distance between the tokens that convolutions make; `None` of a network on feature maps
    /// alone.
    fn patch_size(&self) -> Option<usize> {
        None
    }

    /// Tokens of the first block, those before the first patch included; `None` without attention.
    fn tokens(&self, _image_size: usize) -> Option<usize> {
        None
    }

    /// Input values of the first block for one image; no later block has more.
    fn values_of_a_block(&self, image_size: usize) -> f64;

    /// Number of blocks with as many input values as the first.
    fn largest_blocks(&self) -> usize {
        1
    }

    /// The arrays of a checkpoint under the model's own names. Unrecognised arrays are left unchanged.
    fn canonical(&self, state: State) -> State {
        state
    }

    /// Adds to a model's arrays those that other libraries expect and the model itself computes.
    fn add_portable(&self, _state: &mut State) {}

    /// How timm builds the model that is called `name` here.
    fn timm(&self, name: &str) -> TimmModel {
        TimmModel::of_none(name)
    }

    /// Changes the sizes that the architecture's name has in timm to those of a `config.json` with these `model_args`, for
    /// images of `side` pixels. The error is the end of a sentence about the configuration.
    fn apply_timm(
        &mut self,
        _config: &Value,
        _arguments: Option<&Value>,
        _side: usize,
    ) -> Result<(), String> {
        Ok(())
    }

    /// Name for models of a non-standard size.
    fn unnamed(&self) -> String {
        self.family().to_lowercase()
    }

    /// Resets values that no array determines to their defaults, so that models with the same arrays compare equal.
    fn forget_what_no_array_shows(&mut self) {}

    /// Sets from the arrays what a model's name leaves open.
    fn as_arrays_show(&mut self, _state: &State) {}

    /// The side of the images that learned positions were made for, where the model called `name` does not state it.
    fn side_of_positions(&self, _name: &str, _state: &State) -> Option<usize> {
        None
    }
}

/// Properties of an architecture, independent of sizes.
pub(crate) trait Architecture: Sizes + Sized + Into<NetworkSpec> {
    /// The network built from the sizes.
    type Network;

    /// The architecture's entry in the list of supported models, in a sentence; empty where another entry covers it.
    const SUPPORTED: &'static str = "";

    /// What published checkpoints expect, by prefix and suffix of the name ([`crate::catalogue`]).
    const PUBLISHED: &'static [Published] = &[];

    /// What torchvision's checkpoints expect, where that differs.
    const TORCHVISION: Option<Torchvision> = None;

    /// Its `model_type`s in `transformers`.
    const MODEL_TYPES: &'static [&'static str] = &[];

    /// Whether models of it take images of any size, so that their sizes have no `image_size`.
    const ANY_IMAGE_SIZE: bool = false;

    /// A network with placeholder weights.
    fn build(&self, device: &Device) -> Result<Self::Network, SpecError>;

    /// Names of the standard sizes, without the optional `_PIXELS`.
    fn names() -> Vec<String>;

    /// The model of one of these names; the sizes need not fit.
    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self>;

    /// The model of these arrays, which have shapes but no values and no wrapper prefixes; `None` for another architecture.
    ///
    /// # Errors
    /// Arrays of an unsupported variant, which the error names.
    fn found_in(_state: &State, _hints: &Hints) -> Result<Option<Found>, DescribeError> {
        Ok(None)
    }

    /// The model of a `config.json` of `transformers` with one of the `model_type`s. The error is the end of a sentence about it.
    fn from_transformers(_config: &Value, _model_type: &str) -> Result<FromConfig, String> {
        unreachable!("it has no `model_type`")
    }

    /// Takes from `found`, which was read from the arrays of a file, the conventions of the library that wrote it.
    fn as_written(&mut self, _found: &Self) {}
}

/// An [`Architecture`] as an entry of a list.
pub(crate) struct Entry {
    /// Tag in recipes and model cards.
    pub(crate) tag: &'static str,
    pub(crate) any_image_size: bool,
    pub(crate) supported: &'static str,
    pub(crate) published: &'static [Published],
    pub(crate) torchvision: Option<Torchvision>,
    pub(crate) model_types: &'static [&'static str],
    pub(crate) names: fn() -> Vec<String>,
    pub(crate) named: fn(&str, usize, usize) -> Option<NetworkSpec>,
    pub(crate) found_in: fn(&State, &Hints) -> Result<Option<Found>, DescribeError>,
    pub(crate) from_transformers: fn(&Value, &str) -> Result<FromConfig, String>,
}

impl Entry {
    pub(crate) const fn of<A: Architecture>(tag: &'static str) -> Self {
        Self {
            tag,
            any_image_size: A::ANY_IMAGE_SIZE,
            supported: A::SUPPORTED,
            published: A::PUBLISHED,
            torchvision: A::TORCHVISION,
            model_types: A::MODEL_TYPES,
            names: A::names,
            named: |name, classes, image_size| A::named(name, classes, image_size).map(Into::into),
            found_in: A::found_in,
            from_transformers: A::from_transformers,
        }
    }
}
