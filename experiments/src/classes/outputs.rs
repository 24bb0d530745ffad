//! What a model's outputs are called.

use std::collections::HashMap;

use archaeo_models::{ModelCard, NetworkSpec};

use super::imagenet;
use super::names::{key, synonyms, without_wordnet_id, wordnet_id_in};

/// Who named a model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The checkpoint, its configuration, or the user.
    Given,
    /// The user, for a CLIP's prompts: what classes are called there may be worded in another way than in the data.
    Prompts,
    /// Nobody, but the model is one of those that were trained on ImageNet-1k.
    Assumed,
    /// Nobody.
    None,
}

/// The names of a model's outputs, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// A name each; the output's number where nobody named it.
    pub names: Vec<String>,
    /// Who named them.
    pub naming: Naming,
}

impl Outputs {
    /// The outputs of the model with this card; `own` where the card was written by this program, whose names of classes are
    /// those of the data it was trained on even where they are numbers.
    pub fn of(card: &ModelCard, own: bool) -> Self {
        let names = card.classes.clone();
        if own || !are_numbers(&names) {
            return Self { names, naming: Naming::Given };
        }
        let known = NetworkSpec::named(&card.name, names.len(), card.preprocessing.image_size).is_ok();
        match names.len() == imagenet::COUNT && known {
            true => Self::imagenet(),
            false => Self {
                names: (0..names.len()).map(|class| class.to_string()).collect(),
                naming: Naming::None,
            },
        }
    }

    /// Outputs that the user names.
    pub fn named(names: Vec<String>) -> Self {
        Self { names, naming: Naming::Given }
    }

    /// ImageNet-1k's.
    pub(super) fn imagenet() -> Self {
        Self { names: imagenet::short_names(), naming: Naming::Assumed }
    }

    /// Number of outputs.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none, as in a model without a head.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Whether nobody named the classes: numbers from 0, or the `LABEL_0`, `LABEL_1` that `transformers` writes for want of names.
fn are_numbers(names: &[String]) -> bool {
    let is_own = |(index, name): (usize, &String)| {
        name.strip_prefix("LABEL_").unwrap_or(name).parse() == Ok(index) && !name.starts_with('+')
    };
    names.iter().enumerate().all(is_own)
}

/// Everything that a model's outputs can be recognised by.
pub(super) struct Catalogue<'a> {
    pub(super) outputs: &'a Outputs,
    /// Outputs that bear each name, under its key.
    bearers: HashMap<String, Vec<usize>>,
    /// What each output is called as a whole, under keys.
    whole: Vec<Vec<String>>,
    /// Index in ImageNet-1k of each output that is one of its classes.
    synsets: Vec<Option<usize>>,
    /// Outputs with each WordNet identifier in their names, and with each class of ImageNet-1k.
    by_id: HashMap<&'a str, Vec<usize>>,
    by_synset: HashMap<usize, Vec<usize>>,
    /// The first output of each name.
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Catalogue<'a> {
    pub(super) fn new(outputs: &'a Outputs) -> Self {
        let synsets = synsets(outputs);
        let mut bearers: HashMap<String, Vec<usize>> = HashMap::new();
        let mut whole = Vec::new();
        for (output, name) in outputs.names.iter().enumerate() {
            let synset = synsets[output].map(|index| imagenet::synsets()[index]);
            let mut full = vec![key(name)];
            // A name next to an identifier is shared, and says the whole only where nothing else does.
            full.push(synset.map_or_else(|| key(without_wordnet_id(name)), |synset| key(synset.names)));
            let others = synset.map_or("", |synset| synset.names);
            let parts = synonyms(without_wordnet_id(name)).chain(synonyms(others)).map(key);
            for alias in full.iter().cloned().chain(parts).filter(|alias| !alias.is_empty()) {
                let outputs = bearers.entry(alias).or_default();
                if outputs.last() != Some(&output) {
                    outputs.push(output);
                }
            }
            whole.push(full);
        }
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_synset: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut by_name = HashMap::new();
        for (output, name) in outputs.names.iter().enumerate() {
            by_name.entry(name.as_str()).or_insert(output);
            if let Some(id) = wordnet_id_in(name) {
                by_id.entry(id).or_default().push(output);
            }
            if let Some(synset) = synsets[output] {
                by_synset.entry(synset).or_default().push(output);
            }
        }
        Self { outputs, bearers, whole, synsets, by_id, by_synset, by_name }
    }

    /// The outputs that bear `name`, or one of its synonyms.
    pub(super) fn called(&self, name: &str) -> Vec<usize> {
        let bare = without_wordnet_id(name);
        let keys = [key(name), key(bare)].into_iter().chain(synonyms(bare).map(key));
        let mut found: Vec<usize> =
            keys.filter_map(|alias| self.bearers.get(&alias)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether output `output` is called `name` as a whole.
    pub(super) fn is_called(&self, output: usize, name: &str) -> bool {
        self.whole[output].contains(&key(name)) || self.whole[output].contains(&key(without_wordnet_id(name)))
    }

    /// The output with this WordNet identifier.
    pub(super) fn with_id(&self, id: &str) -> Option<usize> {
        let by_table = imagenet::index_of(id).and_then(|synset| self.by_synset.get(&synset));
        let mut found = self.by_id.get(id).into_iter().chain(by_table).flatten();
        let first = *found.next()?;
        found.all(|&other| other == first).then_some(first)
    }

    /// The first output of exactly this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whether one of the classes, other than `name`, is called as output `output` is as a whole.
    pub(super) fn is_taken(&self, output: usize, name: &str, classes: &Called) -> bool {
        self.whole[output].iter().any(|key| classes.is_by_other(key, name))
    }

    /// An output in a sentence: its number, name and WordNet identifier.
    pub(super) fn describe(&self, output: usize) -> String {
        let name = &self.outputs.names[output];
        match self.synsets[output].map(|index| imagenet::synsets()[index].id) {
            Some(id) if !name.contains(id) => format!("output {output} ({name}, {id})"),
            _ => format!("output {output} ({name})"),
        }
    }
}

/// What the classes of a data set are called, under keys.
pub(super) struct Called<'a> {
    /// Two different names for each key at most: one of them is not the class's own.
    bearers: HashMap<String, Vec<&'a str>>,
}

impl<'a> Called<'a> {
    pub(super) fn of(names: &'a [String]) -> Self {
        let mut bearers: HashMap<String, Vec<&str>> = HashMap::new();
        for name in names {
            for key in [key(name), key(without_wordnet_id(name))] {
                let bearers = bearers.entry(key).or_default();
                if bearers.len() < 2 && !bearers.contains(&name.as_str()) {
                    bearers.push(name);
                }
            }
        }
        Self { bearers }
    }

    fn is_by_other(&self, key: &str, name: &str) -> bool {
        self.bearers.get(key).is_some_and(|bearers| bearers.iter().any(|bearer| *bearer != name))
    }
}

/// The class of ImageNet-1k that each output is, as far as that can be told.
fn synsets(outputs: &Outputs) -> Vec<Option<usize>> {
    let called: Vec<Vec<usize>> = outputs
        .names
        .iter()
        .map(|name| match wordnet_id_in(name).and_then(imagenet::index_of) {
            Some(index) => vec![index],
            None => imagenet::called(name),
        })
        .collect();
    let in_place = called.iter().enumerate().filter(|(output, found)| found.contains(output)).count();
    // A few names may be spelled in another way, or shared as `crane` is.
    if outputs.len() == imagenet::COUNT && in_place * 100 >= imagenet::COUNT * 95 {
        return (0..imagenet::COUNT).map(Some).collect();
    }
    let alone: Vec<Option<usize>> =
        called.into_iter().map(|found| if let [only] = found[..] { Some(only) } else { None }).collect();
    // A class of the same name among classes of another kind is not ImageNet's.
    let known = alone.iter().flatten().count();
    if known * 2 >= outputs.len() { alone } else { vec![None; outputs.len()] }
}
