//! The models under investigation: any number of them, each under its own name.
//!
//! Nothing is decided by a name. What can be asked of a model is what it can do (`Classifier::has_attention`), and findings are
//! kept by name ([`ByModel`]); statistics of two models are kept by the pair.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Index;
use std::path::PathBuf;
use std::sync::Mutex;

use archaeo_models::Classifier;
use archaeo_training::TrainingRecord;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Every name met so far: an investigation has a handful, and copies of them are everywhere.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// What a model is called in an investigation: `vit`, `cnn`, `swin`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(&'static str);

impl ModelName {
    /// The name `text`.
    pub fn new(text: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(&name) = names.get(text) {
            return Self(name);
        }
        let name: &'static str = String::from(text).leak();
        names.insert(name);
        Self(name)
    }

    /// The name as text.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::new(&name))
    }
}

/// One value for each of some models, in the order of the investigation; an object in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByModel<T>(Vec<(ModelName, T)>);

impl<T> Default for ByModel<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByModel<T> {
    /// The value of a model, where it has one.
    pub fn get(&self, model: ModelName) -> Option<&T> {
        self.0.iter().find(|(name, _)| *name == model).map(|(_, value)| value)
    }

    /// Sets the value of a model; a model that has none yet comes last.
    pub fn insert(&mut self, model: ModelName, value: T) {
        match self.0.iter_mut().find(|(name, _)| *name == model) {
            Some((_, old)) => *old = value,
            None => self.0.push((model, value)),
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ModelName, &T)> + ExactSizeIterator {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// The names.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = ModelName> + ExactSizeIterator {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Number of models with a value.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no model has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Index<ModelName> for ByModel<T> {
    type Output = T;

    fn index(&self, model: ModelName) -> &T {
        self.get(model).unwrap_or_else(|| panic!("{model} has no value"))
    }
}

impl<T> FromIterator<(ModelName, T)> for ByModel<T> {
    fn from_iter<I: IntoIterator<Item = (ModelName, T)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T, const N: usize> From<[(ModelName, T); N]> for ByModel<T> {
    fn from(values: [(ModelName, T); N]) -> Self {
        Self(values.into())
    }
}

impl<T: Serialize> Serialize for ByModel<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByModel<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = ByModel<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one value for each model")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByModel<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    values.push(entry);
                }
                Ok(ByModel(values))
            }
        }

        deserializer.deserialize_map(InOrder(std::marker::PhantomData))
    }
}

/// One run of a model: frozen weights, and the seed that they were trained with, where that is known.
#[derive(Clone, Debug)]
pub struct Run {
    /// The seed.
    pub seed: Option<u64>,
    /// The weights, in the model's network.
    pub model: Classifier,
}

/// How a model was trained on the data of the investigation, as its run folder says.
#[derive(Clone, Debug)]
pub struct Training {
    /// Recipe and course.
    pub record: TrainingRecord,
    /// The file of the weights that it started from: what the recipe's `init` means.
    pub init: Option<PathBuf>,
}

/// A model under investigation and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name in the investigation.
    pub name: ModelName,
    /// The model; of several runs the first.
    pub model: &'a Classifier,
    /// Seed of the first run, where it is known.
    pub first_seed: Option<u64>,
    /// Further runs of the same network, trained from other seeds.
    pub more_runs: &'a [Run],
    /// How the first run was trained, where that is known.
    pub training: Option<&'a Training>,
}

impl<'a> Subject<'a> {
    /// A model with a single run.
    pub fn new(name: ModelName, model: &'a Classifier) -> Self {
        Self { name, model, first_seed: None, more_runs: &[], training: None }
    }

    /// Number of runs, at least one.
    pub fn runs(&self) -> usize {
        1 + self.more_runs.len()
    }

    /// The weights of a run, counted from 0.
    ///
    /// # Panics
    /// A run that is not there.
    pub fn run(&self, run: usize) -> &'a Classifier {
        match run {
            0 => self.model,
            _ => &self.more_runs[run - 1].model,
        }
    }

    /// The seed of a run, where it is known.
    ///
    /// # Panics
    /// A run that is not there.
    pub fn seed(&self, run: usize) -> Option<u64> {
        match run {
            0 => self.first_seed,
            _ => self.more_runs[run - 1].seed,
        }
    }
}

/// Every pair of some items, in their order.
pub fn pairs<T: Copy>(items: &[T]) -> Vec<[T; 2]> {
    let from = |(place, &first): (usize, &T)| {
        items[place + 1..].iter().map(|&second| [first, second]).collect::<Vec<_>>()
    };
    items.iter().enumerate().flat_map(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_the_order_of_the_models_through_json() {
        let values: ByModel<u8> =
            ["vit", "cnn", "a"].iter().zip(1..).map(|(name, value)| (ModelName::new(name), value)).collect();
        let text = serde_json::to_string(&values).unwrap();
        assert_eq!(text, r#"{"vit":1,"cnn":2,"a":3}"#);
        assert_eq!(serde_json::from_str::<ByModel<u8>>(&text).unwrap(), values);
        assert_eq!(values[ModelName::new("cnn")], 2);
    }

    #[test]
    fn a_name_is_the_same_wherever_it_comes_from() {
        assert_eq!(ModelName::new("vit"), ModelName::new(&String::from("vit")));
        assert_ne!(ModelName::new("vit"), ModelName::new("vit-2"));
    }

    #[test]
    fn pairs_are_each_with_each_later_one() {
        assert_eq!(pairs(&[1, 2, 3]), [[1, 2], [1, 3], [2, 3]]);
        assert!(pairs(&[1]).is_empty());
    }
}
