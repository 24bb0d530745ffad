//! Which model a checkpoint holds: what it says itself, what was asked for, what its `config.json` says, or what its arrays
//! allow no doubt about, in this order.

mod hugging_face;
mod infer;
mod json;
mod processor;
mod timm;

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use crate::catalogue::{usual, usual_of};
use crate::classifier::ModelCard;
use crate::preprocessing::{Origin, PreprocessingChoice, SourcedPreprocessing};
use crate::spec::{NetworkSpec, SpecError};
use crate::state::State;

/// Key of the metadata entry that holds a [`ModelCard`] as JSON.
pub(crate) const CARD_KEY: &str = "archaeo.model";

/// A checkpoint whose model cannot be told.
#[derive(Debug, Error)]
pub enum DescribeError {
    /// Nothing says what it is.
    #[error("does not say which model it holds; name it with --model (see `archaeo models`)")]
    Unknown,
    /// Nothing says what it is, and several models have its arrays.
    #[error("does not say which model it holds, and its arrays are those of {}; name it with --model", .0.join(" and of "))]
    Ambiguous(Vec<String>),
    /// Its card does not parse.
    #[error("holds a model card that does not parse ({0}); write it again, or name its model with --model")]
    Card(serde_json::Error),
    /// Its `config.json` describes something else.
    #[error("has a config.json that cannot be used: {0}")]
    Config(String),
    /// A model that cannot be built.
    #[error("cannot become a model: {0}")]
    Spec(#[from] SpecError),
}

/// What the one who loads a checkpoint says of it.
#[derive(Clone, Debug, Default)]
pub struct ModelRequest {
    /// Name of the model, if not the checkpoint's own word.
    pub model: Option<String>,
    /// How images are prepared, before what the checkpoint says.
    pub preprocessing: PreprocessingChoice,
    /// Names of the classes, used where the checkpoint has none and their number is right.
    pub class_names: Vec<String>,
}

/// A model card and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Everything about the model but its numbers.
    pub card: ModelCard,
    /// Who said how images are prepared.
    pub preprocessing: SourcedPreprocessing,
    /// What was concluded from names and shapes alone, for the user to check.
    pub inferred: Option<String>,
}

/// What a library's configuration says.
struct Configured {
    name: String,
    /// Under which name the catalogue says what the configuration does not.
    catalogue_name: String,
    network: NetworkSpec,
    preprocessing: PreprocessingChoice,
    class_names: Option<Vec<String>>,
}

/// The card of a checkpoint with these arrays, this metadata, and the `config.json` (with a `preprocessor_config.json` under
/// the key `preprocessor`) beside it.
///
/// # Errors
/// The end of a sentence about the checkpoint: nothing says what it is, or what does cannot be used.
pub(crate) fn describe(
    state: &State,
    metadata: &BTreeMap<String, String>,
    config: Option<&Value>,
    request: &ModelRequest,
) -> Result<Described, DescribeError> {
    let own = metadata.get(CARD_KEY).map(|json| serde_json::from_str::<ModelCard>(json));
    if let (Some(card), None) = (own, &request.model) {
        let card = card.map_err(DescribeError::Card)?;
        let sourced = SourcedPreprocessing::new(card.preprocessing.clone(), Origin::Card);
        return finished(card.name, card.network, sourced, Some(card.classes), None, request);
    }
    let configured = config.map(|config| configured(config, state)).transpose();
    if let Some(name) = &request.model {
        let base = usual_of(name, state);
        // What else the configuration says of another architecture does not matter here.
        let choice = configured.ok().flatten().map(|configured| configured.preprocessing).unwrap_or_default();
        let mut sourced =
            SourcedPreprocessing::new(base.preprocessing, Origin::Catalogue).with(&choice, Origin::Config);
        let side = request.preprocessing.image_size.unwrap_or(sourced.values.image_size);
        let classes = head_outputs(state).unwrap_or(0);
        let network = NetworkSpec::named(name, classes, side)?;
        if let Some(built_for) = network.image_size()
            && built_for != sourced.values.image_size
        {
            sourced.values.image_size = built_for;
        }
        return finished(name.clone(), network, sourced, None, None, request);
    }
    if let Some(Configured { name, catalogue_name, network, preprocessing, class_names }) = configured? {
        let sourced = SourcedPreprocessing::new(usual(&catalogue_name).preprocessing, Origin::Catalogue)
            .with(&preprocessing, Origin::Config);
        return finished(name, network, sourced, class_names, None, request);
    }
    let (names, network) = match infer::network(state).ok_or(DescribeError::Unknown)? {
        infer::Inference::One(names, network) => (names, network),
        infer::Inference::Several(names) => return Err(DescribeError::Ambiguous(names)),
    };
    let name = names[0].clone();
    let base = usual_of(&name, state).preprocessing;
    let mut inferred = format!("taken for {name} ({}) by its names and shapes", network.describe());
    let others: Vec<&str> = names
        .iter()
        .filter(|other| usual_of(other, state).preprocessing != base)
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        inferred += &format!(
            "; {} has the same arrays but other preprocessing, so say with --model which it is",
            others.join(" or ")
        );
    }
    let side = network.image_size();
    let sourced = SourcedPreprocessing::new(base, Origin::Catalogue)
        .with(&PreprocessingChoice { image_size: side, ..PreprocessingChoice::default() }, Origin::Catalogue);
    finished(name, network, sourced, None, Some(inferred), request)
}

/// Puts the request's preprocessing before the rest, and names the classes.
fn finished(
    name: String,
    network: NetworkSpec,
    sourced: SourcedPreprocessing,
    class_names: Option<Vec<String>>,
    inferred: Option<String>,
    request: &ModelRequest,
) -> Result<Described, DescribeError> {
    let preprocessing = sourced.with(&request.preprocessing, Origin::Request);
    let network = network.for_image_size(preprocessing.values.image_size)?;
    let count = network.classes();
    let right_number = |names: &Vec<String>| names.len() == count;
    let classes = class_names
        .filter(right_number)
        .or_else(|| Some(request.class_names.clone()).filter(right_number))
        .unwrap_or_else(|| (0..count).map(|class| class.to_string()).collect());
    let card = ModelCard { name, network, preprocessing: preprocessing.values.clone(), classes };
    Ok(Described { card, preprocessing, inferred })
}

fn configured(config: &Value, state: &State) -> Result<Configured, DescribeError> {
    let configured = if config.get("architecture").is_some() || config.get("pretrained_cfg").is_some() {
        timm::read(config, head_outputs(state))
    } else {
        hugging_face::read(config)
    };
    configured.map_err(DescribeError::Config)
}

/// Height of the last layer, under whatever name libraries give it.
fn head_outputs(state: &State) -> Option<usize> {
    const HEADS: [&str; 11] = [
        "head.weight",
        "head.fc.weight",
        "heads.head.weight",
        "fc.weight",
        "linear.weight",
        "linear_head.weight",
        "classifier.weight",
        "classifier.1.weight",
        "cls_classifier.weight",
        "head/bias",
        "prototypes",
    ];
    let named = |head: &&str| {
        state.iter().find(|(name, _)| {
            *name == *head || name.ends_with(&format!(".{head}")) || name.ends_with(&format!("/{head}"))
        })
    };
    HEADS.iter().find_map(named).and_then(|(_, array)| array.shape.first().copied())
}
