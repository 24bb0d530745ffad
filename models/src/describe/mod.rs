//! Which model a checkpoint holds: what it says itself, what was asked for, what its `config.json` says, or what its arrays
//! allow no doubt about, in this order.

mod adapt;
mod foreign;
pub(crate) mod hugging_face;
mod infer;
pub(crate) mod json;
mod open_clip;
mod processor;
mod specification;
mod timm;

use std::path::Path;

use serde_json::Value;
use thiserror::Error;

pub(crate) use self::infer::{Doubt, Found, Hints, check_channels, count, outputs, shape, square};
use crate::architectures::NetworkSpec;
use crate::catalogue::{usual, usual_of};
use crate::checkpoint::{Checkpoint, WeightsError, printable};
use crate::classifier::ModelCard;
use crate::preprocessing::{Origin, PreprocessingChoice, SourcedPreprocessing};
use crate::spec::SpecError;
use crate::state::State;

/// Key of the metadata entry that holds a [`ModelCard`] as JSON.
pub(crate) const CARD_KEY: &str = "archaeo.model";

/// A checkpoint whose model cannot be told.
#[derive(Debug, Error)]
pub enum DescribeError {
    /// Nothing says what it is.
    #[error("does not say which model it holds; name it with --model (see `archaeo models`)")]
    Unknown,
    /// It is of an architecture that is not here.
    #[error("holds {what}, which is not supported; {supported}", supported = foreign::supported())]
    Foreign {
        /// What it is, with its article.
        what: String,
    },
    /// It is of a known architecture, but of a variant that is not here.
    #[error("{0}")]
    Unusable(String),
    /// What was asked for cannot be.
    #[error("cannot be read as asked for: {0}")]
    Specification(String),
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
    /// Fields of the specification that are said, each with its value as JSON or a plain word: `heads` and `6`. They come
    /// before what anything else says.
    pub specification: Vec<(String, String)>,
}

impl ModelRequest {
    /// The number of heads that is asked for.
    fn heads(&self) -> Option<usize> {
        let said = self.specification.iter().rev().find(|(key, _)| key == "heads");
        said.and_then(|(_, value)| value.parse().ok())
    }
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
    /// What else was decided: ends of sentences about the checkpoint.
    pub notes: Vec<String>,
    /// What no array shows and published models do not agree on, as the end of a sentence about the checkpoint: nothing
    /// should be measured before it is said.
    pub doubt: Option<String>,
}

impl Described {
    /// Refuses a model of which something was only assumed that other published models of the same arrays have otherwise.
    ///
    /// # Errors
    /// Such a model, with what to say.
    pub fn decided(&self, path: &Path) -> Result<(), WeightsError> {
        match &self.doubt {
            None => Ok(()),
            Some(doubt) => Err(WeightsError::Model { path: path.to_owned(), reason: doubt.clone() }),
        }
    }
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

/// A model in the words of a configuration.
pub(crate) struct FromConfig {
    pub(crate) network: NetworkSpec,
    /// The name of a model of these sizes, where it goes by that and not by the file's word.
    pub(crate) known_as: Option<String>,
    /// The side of its images, where the configuration has it elsewhere than the others do.
    pub(crate) image_size: Option<usize>,
}

impl FromConfig {
    /// A model of sizes that the configuration lists.
    pub(crate) fn of(network: impl Into<NetworkSpec>) -> Self {
        Self { network: network.into(), known_as: None, image_size: None }
    }
}

/// The card of a checkpoint: its own, or what a name, the `config.json` (with a `preprocessor_config.json` under the key
/// `preprocessor`) or the arrays say.
///
/// # Errors
/// The end of a sentence about the checkpoint: nothing says what it is, or what does cannot be used.
pub(crate) fn describe(checkpoint: &Checkpoint, request: &ModelRequest) -> Result<Described, DescribeError> {
    let state = &checkpoint.state;
    let own = checkpoint.metadata.get(CARD_KEY).map(|json| serde_json::from_str::<ModelCard>(json));
    if let (Some(card), None) = (own, &request.model) {
        let card = card.map_err(DescribeError::Card)?;
        let sourced = SourcedPreprocessing::new(card.preprocessing.clone(), Origin::Card);
        let basis = Basis::new(card.name, card.network, sourced);
        return finished(Basis { class_names: Some(card.classes), ..basis }, checkpoint, request);
    }
    let configured = checkpoint.config.as_ref().map(|config| configured(config, state)).transpose();
    if let Some(name) = &request.model {
        // What else the configuration says of another architecture does not matter here.
        let choice = configured.ok().flatten().map(|configured| configured.preprocessing).unwrap_or_default();
        return finished(adapt::named(name, choice, state, request)?, checkpoint, request);
    }
    if let Some(Configured { name, catalogue_name, network, preprocessing, class_names }) = configured? {
        let sourced = SourcedPreprocessing::new(usual(&catalogue_name).preprocessing, Origin::Catalogue)
            .with(&preprocessing, Origin::Config);
        let basis = Basis::new(name, network, sourced);
        return finished(Basis { class_names, ..basis }, checkpoint, request);
    }
    let file = checkpoint.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let hints = Hints { heads: request.heads(), code: checkpoint.code, file };
    let inferred = infer::network(state, &hints)?;
    finished(from_arrays(inferred, state), checkpoint, request)
}

/// What is known of a model before the request's word on it.
struct Basis {
    name: String,
    network: NetworkSpec,
    sourced: SourcedPreprocessing,
    class_names: Option<Vec<String>>,
    inferred: Option<String>,
    doubt: Option<String>,
}

impl Basis {
    fn new(name: String, network: NetworkSpec, sourced: SourcedPreprocessing) -> Self {
        Self { name, network, sourced, class_names: None, inferred: None, doubt: None }
    }
}

/// The model that arrays show, and what is said of it.
fn from_arrays(inferred: infer::Inferred, state: &State) -> Basis {
    let infer::Inferred { names, network, by_file_name, assumed, doubt } = inferred;
    let name = names[0].clone();
    let base = usual_of(&name, state).preprocessing;
    let file = if by_file_name { "its file's name, and by " } else { "" };
    let mut said = format!("taken for {name} ({}) by {file}its names and shapes", network.describe());
    if !assumed.is_empty() {
        said += &format!("; assumed: {}", assumed.join(", and "));
    }
    let others: Vec<&str> = names
        .iter()
        .filter(|other| usual_of(other, state).preprocessing != base)
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        said += &format!(
            "; {} has the same arrays but other preprocessing, so say with --model which it is",
            others.join(" or ")
        );
    }
    let side = network.image_size();
    let sourced = SourcedPreprocessing::new(base, Origin::Catalogue)
        .with(&PreprocessingChoice { image_size: side, ..PreprocessingChoice::default() }, Origin::Catalogue);
    Basis { inferred: Some(said), doubt, ..Basis::new(name, network, sourced) }
}

/// Puts the checkpoint's normaliser and the request before the rest, and names the classes.
fn finished(
    basis: Basis,
    checkpoint: &Checkpoint,
    request: &ModelRequest,
) -> Result<Described, DescribeError> {
    let Basis { name, network, mut sourced, class_names, inferred, mut doubt } = basis;
    let mut notes = checkpoint.notes.clone();
    if let Some((mean, std)) = checkpoint.normalisation {
        let choice =
            PreprocessingChoice { mean: Some(mean), std: Some(std), ..PreprocessingChoice::default() };
        sourced = sourced.with(&choice, Origin::Checkpoint);
    }
    let before = network.image_size();
    let mut network = specification::changed(network, &request.specification, &checkpoint.state)?;
    if request.heads().is_some() {
        doubt = None;
    }
    if let Some(side) = network.image_size().filter(|side| Some(*side) != before) {
        let choice = PreprocessingChoice { image_size: Some(side), ..PreprocessingChoice::default() };
        sourced = sourced.with(&choice, Origin::Request);
    }
    let preprocessing = sourced.with(&request.preprocessing, Origin::Request);
    network = network.for_image_size(preprocessing.values.image_size)?;
    let single = network.classes() == 1;
    if single {
        network = network.with_classes(2);
    }
    let count = network.classes();
    let right_number = |names: &Vec<String>| names.len() == count;
    let classes = class_names
        .filter(right_number)
        .or_else(|| Some(request.class_names.clone()).filter(right_number))
        .unwrap_or_else(|| (0..count).map(|class| class.to_string()).collect());
    if single {
        notes.push(format!(
            "has one output, which is taken for a sigmoid's logit of class 1 (`{}`) against class 0 (`{}`)",
            printable(&classes[1]),
            printable(&classes[0])
        ));
    }
    let card = ModelCard { name, network, preprocessing: preprocessing.values.clone(), classes };
    Ok(Described { card, preprocessing, inferred, notes, doubt })
}

fn configured(config: &Value, state: &State) -> Result<Configured, DescribeError> {
    let configured = if config.get("model_cfg").is_some() {
        open_clip::read(config)
    } else if config.get("architecture").is_some() || config.get("pretrained_cfg").is_some() {
        timm::read(config, head_outputs(state))
    } else {
        hugging_face::read(config)
    };
    configured.map_err(|reason| match foreign_in(config) {
        Some(what) => DescribeError::Foreign { what: what.into() },
        None => DescribeError::Config(reason),
    })
}

/// The architecture that is not here which a configuration names.
fn foreign_in(config: &Value) -> Option<&'static str> {
    let name = ["architecture", "model_type"].iter().find_map(|key| config.get(key)?.as_str());
    name.and_then(foreign::by_name)
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
