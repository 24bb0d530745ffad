//! What a user may choose of the studies: `[studies]`, with a section `[studies.ID]` for what concerns one study alone.

use archaeo_ops::Precision;
use archaeo_training::{RecipeError, assign_text, from_table, merge, precision_name, unknown_key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::studies::STUDIES;
use crate::study::{AnyStudy, Study};

/// What a user may choose of one study: its section `[studies.ID]`.
pub trait Options: Default + Serialize + DeserializeOwned {
    /// With `--quick`: enough to see the study work, not enough for a result.
    fn quick() -> Self {
        Self::default()
    }

    /// Whether anything can be found with these values. Keys are named in full: `studies.attacks.images`.
    ///
    /// # Errors
    /// [`RecipeError::Range`] with the first that is out of range.
    fn check(&self) -> Result<(), RecipeError> {
        Ok(())
    }
}

/// Of a study that leaves nothing to choose.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

impl Options for NoOptions {}

/// Refuses a count below `least`; `allowed` says so in words.
///
/// # Errors
/// [`RecipeError::Range`].
pub(crate) fn at_least(
    key: &'static str,
    least: usize,
    allowed: &'static str,
    found: usize,
) -> Result<(), RecipeError> {
    match found < least {
        false => Ok(()),
        true => Err(RecipeError::Range { key, allowed, found: found.to_string() }),
    }
}

/// The section `[studies]`: what all studies share, and each one's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudyOptions {
    /// Most images to learn from, drawn at random from the training split; all when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_images: Option<usize>,
    /// Images computed at once; no result depends on it.
    pub batch_size: usize,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// How the models' matrix products and convolutions are computed.
    #[serde(with = "precision_name")]
    pub precision: Precision,
    /// Each study's own, by its ID; checked.
    #[serde(skip)]
    own: Table,
}

impl Default for StudyOptions {
    fn default() -> Self {
        Self {
            training_images: None,
            batch_size: 64,
            resamples: 10_000,
            precision: Precision::F32,
            own: sections(false),
        }
    }
}

/// Every study's section, where it has one.
fn sections(quick: bool) -> Table {
    let options = STUDIES.iter().map(|study| (study.id().to_owned(), study.options(quick)));
    options.filter(|(_, own)| !own.is_empty()).map(|(id, own)| (id, Value::Table(own))).collect()
}

/// Keys that options of a study had before studies had sections; they are still understood: the earlier key, the study, and the key
/// in its section.
const EARLIER: [(&str, &str, &str); 7] = [
    ("studies.attention_images", "attention", "images"),
    ("studies.comparisons", "comparisons", "images"),
    ("studies.ablation_images", "heads", "images"),
    ("studies.attack_images", "attacks", "images"),
    ("studies.epsilons", "attacks", "epsilons"),
    ("studies.pgd_steps", "attacks", "pgd_steps"),
    ("studies.localisation_images", "localisation", "images"),
];

impl StudyOptions {
    /// Enough to see every study work, not enough for a result.
    pub fn quick() -> Self {
        Self { training_images: Some(6_000), resamples: 2_000, own: sections(true), ..Self::default() }
    }

    /// The values in force where what is stated is laid over the defaults, or over those of `--quick`, one layer over the other.
    ///
    /// # Errors
    /// A key that does not exist, a value of the wrong type or out of range, each under the name that was stated.
    pub fn read(layers: &[Table], quick: bool) -> Result<Self, RecipeError> {
        let base = if quick { Self::quick() } else { Self::default() };
        let (mut table, mut earlier) = (base.to_table(), Vec::new());
        for (key, value) in layers.iter().flatten() {
            let full = format!("studies.{key}");
            let renamed = EARLIER.iter().find(|(name, ..)| *name == full && !value.is_table());
            let (key, value) = match renamed {
                None => (key.clone(), value.clone()),
                Some((name, study, own)) => {
                    earlier.push((format!("studies.{study}.{own}"), *name));
                    (study.to_string(), Value::Table(Table::from_iter([(own.to_string(), value.clone())])))
                }
            };
            merge(&mut table, &Table::from_iter([(key, value)]));
        }
        let stated_as =
            |key: &str| earlier.iter().find(|(new, _)| key.starts_with(new)).map(|(_, name)| *name);
        Self::of_table(table).map_err(|error| match error {
            RecipeError::Range { key, allowed, found } => {
                RecipeError::Range { key: stated_as(key).unwrap_or(key), allowed, found }
            }
            RecipeError::Type { key, reason } => {
                RecipeError::Type { key: stated_as(&key).map_or(key, str::to_owned), reason }
            }
            other => other,
        })
    }

    /// The values in force where `changes`, each as `studies.ID.key=value`, are laid over the defaults, or over those of `--quick`.
    ///
    /// # Errors
    /// As [`StudyOptions::read`], or a change that is none.
    pub fn changed(changes: &[String], quick: bool) -> Result<Self, RecipeError> {
        let mut table = Table::new();
        changes.iter().try_for_each(|change| assign_text(&mut table, change))?;
        let layers: Vec<Table> = match table.remove("studies") {
            Some(Value::Table(stated)) => vec![stated],
            _ => Vec::new(),
        };
        Self::read(&layers, quick)
    }

    fn of_table(mut table: Table) -> Result<Self, RecipeError> {
        let mut own = Table::new();
        for study in STUDIES {
            match table.remove(study.id()) {
                None => {}
                Some(Value::Table(section)) => {
                    let checked = study.checked_options(section)?;
                    own.extend((!checked.is_empty()).then(|| (study.id().to_owned(), Value::Table(checked))));
                }
                Some(_) => {
                    let key = format!("studies.{}", study.id());
                    let reason = format!("it is a section, [{key}]");
                    return Err(RecipeError::Type { key, reason });
                }
            }
        }
        let common = Self { training_images: Some(1), ..Self::default() }.to_table();
        if let Some(unknown) = table.keys().find(|key| !common.contains_key(*key)) {
            return Err(unknown_key(&format!("studies.{unknown}"), &keys_of(&common)));
        }
        let found: Self = from_table(table, "studies")?;
        at_least("studies.training_images", 1, "at least 1", found.training_images.unwrap_or(usize::MAX))?;
        at_least("studies.batch_size", 1, "at least 1", found.batch_size)?;
        at_least("studies.resamples", 100, "at least 100", found.resamples)?;
        Ok(Self { own, ..found })
    }

    /// The section as TOML.
    pub fn to_table(&self) -> Table {
        let mut table = self.shared();
        table.extend(self.own.clone());
        table
    }

    /// What all studies share.
    pub(crate) fn shared(&self) -> Table {
        Table::try_from(self).expect("plain data")
    }

    /// The options of a study.
    pub fn of<S: Study>(&self) -> S::Options {
        let own = self.own.get(S::ID).cloned().unwrap_or_else(|| Value::Table(Table::new()));
        own.try_into().expect("they were checked")
    }

    /// The same with these options of a study.
    #[must_use]
    pub fn with<S: Study>(mut self, options: &S::Options) -> Self {
        self.own.insert(S::ID.into(), Value::try_from(options).expect("plain data"));
        self
    }

    /// The options of a study, as text that two runs share exactly when they chose the same.
    pub(crate) fn text_of(&self, study: &dyn AnyStudy) -> String {
        self.own.get(study.id()).map(ToString::to_string).unwrap_or_default()
    }
}

fn keys_of(section: &Table) -> Vec<String> {
    let keys = |(key, value): (&String, &Value)| match value {
        Value::Table(own) => own.keys().map(|inner| format!("studies.{key}.{inner}")).collect(),
        _ => vec![format!("studies.{key}")],
    };
    section.iter().flat_map(keys).collect()
}
