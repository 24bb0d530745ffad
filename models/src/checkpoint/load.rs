//! From checkpoints to models and back.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::Device;

use super::error::{WeightsError, printable};
use super::source::{self, Format};
use super::{Checkpoint, read, safetensors, write_arrays};
use crate::architectures::clip::{self, Clip, ClipConfig};
use crate::classifier::{Classifier, ModelCard};
use crate::describe::{CARD_KEY, Described, ModelRequest, describe};
use crate::memory::check_memory;
use crate::names;
use crate::state::{Array, State, shapes_of, state_of, with_state};

/// Names of classifiers in the models: timm's and torchvision's names.
const HEADS: [&str; 4] = ["head", "head_dist", "fc", "linear"];

/// Arrays that a checkpoint may lack. By default none: a model is loaded completely or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Names of arrays, or of the modules that hold them, which the checkpoint may lack: `head` stands for `head.weight` and
    /// `head.bias`. They get the values of a freshly initialised model of seed 0.
    pub allow_missing: Vec<String>,
    /// Reinitialise the classifier, as above, where the checkpoint's has a different number of classes.
    pub replace_head: bool,
}

impl LoadOptions {
    fn allows(&self, name: &str) -> bool {
        self.allow_missing.iter().any(|allowed| is_below(name, allowed))
    }
}

/// Whether `name` is `module` or lies inside it.
fn is_below(name: &str, module: &str) -> bool {
    name.strip_prefix(module.trim_end_matches('.'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Checkpoint {
    /// The card that the file carries, as those written by [`save`] do.
    ///
    /// # Errors
    /// A card that does not parse.
    pub fn card(&self) -> Result<Option<ModelCard>, WeightsError> {
        parse_card(&self.path, &self.metadata)
    }

    /// Which model this is and how its images are prepared, from what the file says itself, what is asked for, its
    /// `config.json`, or its arrays alone.
    ///
    /// # Errors
    /// The model cannot be determined, or its description cannot be used.
    pub fn describe(&self, request: &ModelRequest) -> Result<Described, WeightsError> {
        let described = describe(self, request);
        described.map_err(|source| WeightsError::Description { path: self.path.clone(), source })
    }

    /// The model. `card` describes the model; without it the file must contain a card. Names of other libraries are translated
    /// and wrapper prefixes removed.
    ///
    /// # Errors
    /// A file that names no model, holds other arrays than the model needs (all of them listed), or a value that is not
    /// finite.
    pub fn into_model(
        self,
        card: Option<ModelCard>,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Classifier, WeightsError> {
        let card = match card {
            Some(card) => card,
            None => self.card()?.ok_or_else(|| WeightsError::NoCard(self.path.clone()))?,
        };
        let spec_error = |source| WeightsError::Spec { path: self.path.clone(), source };
        card.network.validate().map_err(spec_error)?;
        let side = card.preprocessing.image_size;
        check_memory(card.network.least_bytes_per_image(side)).map_err(|source| WeightsError::TooLarge {
            path: self.path.clone(),
            image_size: side,
            source,
        })?;
        self.check_finite()?;
        let Self { path, state, .. } = self;
        let mut state = names::canonical(state, &card.network);
        let spec_error = |source| WeightsError::Spec { path: path.clone(), source };
        let blank = Classifier::blank(card.clone(), device).map_err(spec_error)?;
        if *options != LoadOptions::default() {
            let fresh = || Classifier::new(card.clone(), 0, device).map(|model| state_of(&model));
            complete(&mut state, &blank, options, fresh).map_err(spec_error)?;
        }
        with_state(blank, state).map_err(|mismatch| WeightsError::Mismatch {
            path: path.clone(),
            model: card.name,
            mismatch,
        })
    }

    /// Both towers of a CLIP, which `name` calls it in messages.
    ///
    /// # Errors
    /// As [`Checkpoint::into_model`].
    pub fn into_clip(self, name: &str, config: &ClipConfig, device: &Device) -> Result<Clip, WeightsError> {
        self.check_finite()?;
        let Self { path, state, .. } = self;
        let state = clip::names::canonical(names::unwrapped(state), &config.image);
        let spec_error = |source| WeightsError::Spec { path: path.clone(), source };
        let blank = Clip::new(config, device).map_err(spec_error)?;
        let model = name.to_owned();
        with_state(blank, state).map_err(|mismatch| WeightsError::Mismatch { path, model, mismatch })
    }

    fn check_finite(&self) -> Result<(), WeightsError> {
        let diverged = |array: &Array| array.values.iter().any(|value| !value.is_finite());
        match self.state.iter().find(|(_, array)| diverged(array)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(WeightsError::NotFinite { path: self.path.clone(), name: printable(name) })
            }
        }
    }
}

/// Completes `state` with the arrays of `blank` that it may lack, taken from a `fresh` model.
fn complete<E>(
    state: &mut State,
    blank: &Classifier,
    options: &LoadOptions,
    fresh: impl FnOnce() -> Result<State, E>,
) -> Result<(), E> {
    let is_replaced = |name: &str, shape: &[usize]| {
        options.replace_head
            && HEADS.iter().any(|head| is_below(name, head))
            && state.get(name).is_none_or(|array| array.shape != shape)
    };
    let is_allowed = |name: &str| !state.contains_key(name) && options.allows(name);
    let shapes = shapes_of(blank);
    let names: Vec<String> = shapes
        .into_iter()
        .filter(|(name, shape)| is_allowed(name) || is_replaced(name, shape))
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut fresh = fresh()?;
    state.extend(names.into_iter().filter_map(|name| fresh.remove_entry(&name)));
    Ok(())
}

/// Reads a complete model. `card` describes the model; without it the file must contain a card, as those written by [`save`] do.
///
/// # Errors
/// As [`read`] and [`Checkpoint::into_model`].
pub fn load(path: &Path, card: Option<ModelCard>, device: &Device) -> Result<Classifier, WeightsError> {
    read(path)?.into_model(card, &LoadOptions::default(), device)
}

/// The card that a checkpoint carries, without reading its arrays. Formats other than safetensors have none.
///
/// # Errors
/// A file that cannot be read or is malformed.
pub fn read_card(path: &Path) -> Result<Option<ModelCard>, WeightsError> {
    let file = source::locate(path)?;
    let (opened, format) = source::open(&file)?;
    if format != Format::Safetensors {
        return Ok(None);
    }
    let (header, _) = safetensors::header(&opened).map_err(|fault| fault.of(&file, format.name()))?;
    parse_card(&file, &safetensors::metadata(&header))
}

fn parse_card(path: &Path, metadata: &BTreeMap<String, String>) -> Result<Option<ModelCard>, WeightsError> {
    let Some(json) = metadata.get(CARD_KEY) else { return Ok(None) };
    serde_json::from_str(json).map(Some).map_err(|error| WeightsError::Malformed {
        path: path.to_owned(),
        format: "archaeo checkpoint",
        reason: format!("its model card does not parse: {error}"),
    })
}

/// The arrays that other libraries expect. Includes the fixed positions of a Vision Transformer, which timm loads as learned
/// ones.
fn portable_state(model: &Classifier) -> State {
    let mut state = state_of(model);
    model.card().network.sizes().add_portable(&mut state);
    state
}

/// Writes a model with its card; `notes` are further metadata entries (the training behind it).
///
/// # Errors
/// An I/O error, with the path.
pub fn save(path: &Path, model: &Classifier, notes: &[(&str, &str)]) -> Result<(), WeightsError> {
    let mut metadata: HashMap<String, String> =
        notes.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    metadata.insert(CARD_KEY.into(), serde_json::to_string(model.card()).expect("a card is plain data"));
    metadata.insert("format".into(), "pt".into());
    write_arrays(path, &portable_state(model), metadata)
}
