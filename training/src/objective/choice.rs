//! The objective of a recipe, and its options.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archaeo_models::Classifier;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::cross_entropy::CROSS_ENTROPY;
use super::{Begun, ObjectiveKind, all, by_id};
use crate::recipe_file::{from_table, unknown_choice, unknown_key};
use crate::{Job, RecipeError};

/// Key of the section that names the objective.
const KIND: &str = "kind";

/// Name of the section.
const SECTION: &str = "objective";

/// An objective with its options: in a recipe its id, or a section of `kind` and options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct ObjectiveChoice {
    id: String,
    options: Table,
    /// Where the weights of a name on the hub are.
    found: BTreeMap<String, PathBuf>,
}

impl Default for ObjectiveChoice {
    fn default() -> Self {
        Self::new("cross-entropy", Table::new())
    }
}

impl TryFrom<Value> for ObjectiveChoice {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(id) => Ok(Self::new(&id, Table::new())),
            Value::Table(mut options) => match options.remove(KIND) {
                Some(Value::String(id)) => Ok(Self::new(&id, options)),
                _ => Err("its section must name the objective, such as kind = \"cross-entropy\""),
            },
            _ => Err("it must be a name, such as \"cross-entropy\", or a section [objective] with a `kind`"),
        }
    }
}

impl From<ObjectiveChoice> for Value {
    fn from(ObjectiveChoice { id, mut options, .. }: ObjectiveChoice) -> Self {
        if options.is_empty() {
            return Self::String(id);
        }
        options.insert(KIND.into(), Self::String(id));
        Self::Table(options)
    }
}

impl ObjectiveChoice {
    /// The objective of that id with these options.
    pub fn new(id: &str, options: Table) -> Self {
        Self { id: id.to_owned(), options, found: BTreeMap::new() }
    }

    /// The objective's entry in the list.
    ///
    /// # Errors
    /// An unknown id, with the known ones.
    pub fn kind(&self) -> Result<&'static ObjectiveKind, RecipeError> {
        let known = || all().iter().map(|kind| kind.id).collect::<Vec<_>>();
        by_id(&self.id).ok_or_else(|| unknown_choice(SECTION, &self.id, &known()))
    }

    /// Refuses an objective that does not exist, and options that it does not have or that are out of range.
    ///
    /// # Errors
    /// The first of these.
    pub fn check(&self) -> Result<(), RecipeError> {
        (self.kind()?.check)(&self.options)
    }

    /// Asks `find` for the files of all weights that the options name. They do not become part of the recipe, so that a run can be
    /// resumed where they are in another place.
    ///
    /// # Errors
    /// Those of `find`.
    pub fn find_weights<E>(&mut self, mut find: impl FnMut(&Path) -> Result<PathBuf, E>) -> Result<(), E> {
        for key in self.kind().map(|kind| kind.weights).unwrap_or_default() {
            if let Some(Value::String(name)) = self.options.get(*key) {
                self.found.insert(name.clone(), find(Path::new(name))?);
            }
        }
        Ok(())
    }

    /// The file of the weights that an option calls `name`: what [`ObjectiveChoice::find_weights`] found, or else the path itself.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.found.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// Whether a step needs the features and targets of its images and nothing else of them, so that a frozen backbone need not see
    /// them again.
    pub(crate) fn needs_targets_alone(&self) -> bool {
        self.id == CROSS_ENTROPY.id
    }

    /// The objective of a training of `model`.
    ///
    /// # Errors
    /// As [`ObjectiveChoice::check`], and what the objective needs and cannot have, such as a teacher's weights.
    pub(crate) fn begin(&self, job: &Job, model: &Classifier) -> Begun {
        (self.kind()?.begin)(&self.options, job, model)
    }
}

/// The options of an objective; a key that `T` does not have is refused with those that it has.
///
/// # Errors
/// Such a key, and a value of the wrong type.
pub fn options<T: Default + Serialize + DeserializeOwned>(table: &Table) -> Result<T, RecipeError> {
    let full = Table::try_from(T::default()).expect("options are plain data");
    let known: Vec<String> =
        full.keys().map(String::as_str).chain([KIND]).map(|key| format!("{SECTION}.{key}")).collect();
    match table.keys().find(|key| !full.contains_key(*key)) {
        Some(key) => Err(unknown_key(&format!("{SECTION}.{key}"), &known)),
        None => from_table(table.clone(), SECTION),
    }
}

/// No options.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeFile;

    /// Options as an objective would have them.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Softened {
        temperature: f64,
    }

    impl Default for Softened {
        fn default() -> Self {
            Self { temperature: 1.0 }
        }
    }

    const SMALL: &str =
        "model = \"vit_micro\"\nimage_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n";

    fn chosen(lines: &str) -> Result<ObjectiveChoice, String> {
        let file = RecipeFile::parse(&format!("{SMALL}{lines}"), &[]).map_err(|error| error.to_string())?;
        Ok(file.recipe(None).unwrap().objective)
    }

    #[test]
    fn a_name_and_a_section_without_options_say_the_same() {
        let usual = ObjectiveChoice::default();
        for lines in ["", "objective = \"cross-entropy\"", "[objective]\nkind = \"cross-entropy\""] {
            assert_eq!(chosen(lines).unwrap(), usual, "{lines}");
        }
        let recipe = RecipeFile::parse(SMALL, &[]).unwrap().recipe(None).unwrap();
        assert!(!recipe.to_toml().contains("objective"), "recipes of earlier runs are still the same");
    }

    #[test]
    fn slips_get_a_sentence_with_what_there_is() {
        let cases = [
            (
                "objective = \"cross-entropi\"",
                "`objective` cannot be `cross-entropi`; did you mean `cross-entropy`?",
            ),
            ("objective = \"xyzzy\"", "`objective` cannot be `xyzzy` (choices: cross-entropy, distillation"),
            ("objective = 3", "`objective` does not fit: it must be a name"),
            (
                "[objective]\ntemperature = 2.0",
                "`objective` does not fit: its section must name the objective",
            ),
            (
                "[objective]\nkind = \"cross-entropy\"\ntemperature = 2.0",
                "no recipe has a key `objective.temperature`",
            ),
            ("objectiv = \"cross-entropy\"", "did you mean `objective`"),
        ];
        for (lines, expected) in cases {
            let sentence = chosen(lines).unwrap_err();
            assert!(sentence.contains(expected), "{lines}: {sentence}");
        }
    }

    #[test]
    fn options_are_read_as_strictly_as_a_recipe() {
        let read = |text: &str| {
            options::<Softened>(&toml::from_str(text).unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(read(""), Ok(Softened { temperature: 1.0 }));
        assert_eq!(read("temperature = 2.5"), Ok(Softened { temperature: 2.5 }));
        let slip = read("temprature = 2.5").unwrap_err();
        assert!(slip.contains("`objective.temprature`; did you mean `objective.temperature`"), "{slip}");
        let wrong = read("temperature = \"hot\"").unwrap_err();
        assert!(wrong.starts_with("`objective.temperature` does not fit"), "{wrong}");
    }

    #[test]
    fn options_are_written_with_the_kind_they_belong_to() {
        let options = Table::from_iter([("temperature".to_owned(), Value::Float(2.0))]);
        let choice = ObjectiveChoice::new("softened", options);
        let text =
            toml::to_string(&Table::from_iter([("objective".to_owned(), Value::from(choice.clone()))]));
        let mut table: Table = toml::from_str(&text.unwrap()).unwrap();
        assert_eq!(ObjectiveChoice::try_from(table.remove("objective").unwrap()), Ok(choice));
    }
}
