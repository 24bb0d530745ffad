//! Which model a checkpoint holds, from, in this order: its own card, the request, its `config.json`, or its arrays if they are
//! unambiguous.

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

/// A checkpoint whose model cannot be determined.
#[derive(Debug, Error)]
pub enum DescribeError {
    /// Nothing identifies the model.
    #[error("does not say which model it holds; name it with --model (see `archaeo models`)")]
    Unknown,
    /// The architecture is not supported.
    #[error("holds {what}, which is not supported; {supported}", supported = foreign::supported())]
    Foreign {
        /// Name of the architecture, with its article.
        what: String,
    },
    /// The architecture is supported, but not this variant.
    #[error("{0}")]
    Unusable(String),
    /// The request cannot be met.
    #[error("cannot be read as asked for: {0}")]
    Specification(String),
    /// Nothing identifies the model, and several models have its arrays.
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

/// What the caller specifies about a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct ModelRequest {
    /// Name of the model; overrides the checkpoint's own.
    pub model: Option<String>,
    /// Preprocessing values; override the checkpoint's.
    pub preprocessing: PreprocessingChoice,
    /// Names of the classes, used where the checkpoint has none and their number matches.
    pub class_names: Vec<String>,
    /// Fields of the specification, each with its value as JSON or a plain word: `heads` and `6`. They override all other
    /// sources.
    pub specification: Vec<(String, String)>,
}

impl ModelRequest {
    /// The requested number of heads.
    fn heads(&self) -> Option<usize> {
        let said = self.specification.iter().rev().find(|(key, _)| key == "heads");
        said.and_then(|(_, value)| value.parse().ok())
    }
}

/// A model card and its sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Everything about the model except its weights.
    pub card: ModelCard,
    /// Source of the preprocessing.
    pub preprocessing: SourcedPreprocessing,
    /// What was inferred from names and shapes alone, for the user to check.
    pub inferred: Option<String>,
    /// Other decisions: ends of sentences about the checkpoint.
    pub notes: Vec<String>,
    /// What no array shows and published models disagree on, as the end of a sentence about the checkpoint; it should be settled
    /// before anything is measured.
    pub doubt: Option<String>,
}

impl Described {
    /// Refuses a model with an assumed value on which published models with the same arrays disagree.
    ///
    /// # Errors
    /// Such a model, with the option that settles it.
    pub fn decided(&self, path: &Path) -> Result<(), WeightsError> {
        match &self.doubt {
            None => Ok(()),
            Some(doubt) => Err(WeightsError::Model { path: path.to_owned(), reason: doubt.clone() }),
        }
    }
}

/// Contents of a library's configuration.
struct Configured {
    name: String,
    /// Name in the catalogue, for what the configuration leaves out.
    catalogue_name: String,
    network: NetworkSpec,
    preprocessing: PreprocessingChoice,
    class_names: Option<Vec<String>>,
}

/// A model described by a configuration.
pub(crate) struct FromConfig {
    pub(crate) network: NetworkSpec,
    /// The name of the model, if it follows from its sizes and not from the file.
    pub(crate) known_as: Option<String>,
    /// The side of its images, if the configuration keeps it in an unusual place.
    pub(crate) image_size: Option<usize>,
}

impl FromConfig {
    /// A model of sizes that the configuration lists.
    pub(crate) fn of(network: impl Into<NetworkSpec>) -> Self {
        Self { network: network.into(), known_as: None, image_size: None }
    }
}

/// The card of a checkpoint: its own, or what a name, the `config.json` (with a `preprocessor_config.json` under the key
/// `preprocessor`) or the arrays.
///
/// # Errors
/// The end of a sentence about the checkpoint: its model cannot be determined, or its description cannot be used.
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
        // The rest of the configuration of another architecture does not matter here.
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

/// A model before the request is applied.
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

/// The model inferred from arrays, with its notes.
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

/// Applies the checkpoint's normaliser and the request, and names the classes.
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

/// The unsupported architecture that a configuration names.
fn foreign_in(config: &Value) -> Option<&'static str> {
    let name = ["architecture", "model_type"].iter().find_map(|key| config.get(key)?.as_str());
    name.and_then(foreign::by_name)
}

/// Outputs of the last layer, under any library's name for it.
fn head_outputs(state: &State) -> Option<usize> {
    const HEADS: [&str; 12] = [
        "head.weight",
        "head.fc.weight",
        "head.linear.weight",
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
