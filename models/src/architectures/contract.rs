//! What an architecture says of itself.

use burn::tensor::Device;
use serde_json::Value;

use super::NetworkSpec;
use crate::catalogue::{Published, Torchvision};
use crate::describe::{DescribeError, Found, FromConfig, Hints};
use crate::export::TimmModel;
use crate::spec::SpecError;
use crate::state::State;

/// What is asked of the sizes of a model, whatever its architecture.
pub(crate) trait Sizes {
    /// Checks that they fit together: one sentence naming those that do not.
    fn validate(&self) -> Result<(), SpecError>;

    /// Name of the architecture's models, for use in a sentence.
    fn family(&self) -> &'static str;

    /// Description of architecture and sizes.
    fn describe(&self) -> String;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Another number of classes.
    fn set_classes(&mut self, classes: usize);

    /// Side of the only input the model takes, in pixels; `None` where any will do.
    fn image_size(&self) -> Option<usize> {
        None
    }

    /// Images of another size, where only one is taken.
    fn set_image_size(&mut self, _image_size: usize) {}

    /// Stochastic depth and dropout at training, as far as the architecture has them.
    fn set_rates(&mut self, _drop_path: f64, _dropout: f64) {}

    /// Number of layers with attention.
    fn attention_layers(&self) -> usize {
        0
    }

    /// Whether attention is confined to windows.
    fn attends_within_windows(&self) -> bool {
        false
    }

    /// Whether its classes are what prompts say.
    fn classes_are_prompts(&self) -> bool {
        false
    }

    /// Multiply-adds for one image of `image_size` pixels a side ([`crate::flops`]).
    fn multiply_adds(&self, image_size: usize) -> u64;

    /// Values that the first block, whose are the most, is given for one image.
    fn values_of_a_block(&self, image_size: usize) -> f64;

    /// Blocks that work on as many values as the first.
    fn largest_blocks(&self) -> usize {
        1
    }

    /// The arrays of a checkpoint under the model's own names. Those that are not recognised stay as they are.
    fn canonical(&self, state: State) -> State {
        state
    }

    /// Adds to a model's arrays those that other libraries expect and the model itself computes.
    fn add_portable(&self, _state: &mut State) {}

    /// How timm builds the model; `name` is what it is called here.
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

    /// What a model of no standard size is called.
    fn unnamed(&self) -> String {
        self.family().to_lowercase()
    }

    /// Puts usual values where no array shows any, so that two models of the same arrays are equal.
    fn forget_what_no_array_shows(&mut self) {}

    /// Takes over from the arrays what a model's name leaves open.
    fn as_arrays_show(&mut self, _state: &State) {}

    /// The side of the images that learned positions were made for, where the model called `name` does not state it.
    fn side_of_positions(&self, _name: &str, _state: &State) -> Option<usize> {
        None
    }
}

/// What an architecture knows before there are sizes.
pub(crate) trait Architecture: Sizes + Sized + Into<NetworkSpec> {
    /// What is built of the sizes.
    type Network;

    /// The beginning of what is supported, as a list in a sentence has it; nothing where another's words cover it.
    const SUPPORTED: &'static str = "";

    /// What published checkpoints expect, by beginning and end of the name ([`crate::catalogue`]).
    const PUBLISHED: &'static [Published] = &[];

    /// What torchvision's do, where that is something else.
    const TORCHVISION: Option<Torchvision> = None;

    /// Its `model_type`s in `transformers`.
    const MODEL_TYPES: &'static [&'static str] = &[];

    /// Whether models of it take images of any size, so that their sizes have no `image_size`.
    const ANY_IMAGE_SIZE: bool = false;

    /// A network of neutral values.
    fn build(&self, device: &Device) -> Result<Self::Network, SpecError>;

    /// Names of the standard sizes, without the optional `_PIXELS`.
    fn names() -> Vec<String>;

    /// The model of one of these names; the sizes need not fit.
    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self>;

    /// The model whose arrays these are, which are bare of wrappers and hollow; `None` for those of another architecture.
    ///
    /// # Errors
    /// Arrays of a variant that is not here, said as what it is.
    fn found_in(_state: &State, _hints: &Hints) -> Result<Option<Found>, DescribeError> {
        Ok(None)
    }

    /// The model of a `config.json` of `transformers` with one of the `model_type`s. The error is the end of a sentence about it.
    fn from_transformers(_config: &Value, _model_type: &str) -> Result<FromConfig, String> {
        unreachable!("it has no `model_type`")
    }

    /// Takes over from `found`, read off the arrays of a file, what the library that wrote it does in its own way.
    fn as_written(&mut self, _found: &Self) {}
}

/// An [`Architecture`] as an entry of a list.
pub(crate) struct Entry {
    /// What recipes and model cards call it.
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
