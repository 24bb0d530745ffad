//! Recipe files: TOML, with overrides from the command line.
//!
//! A file holds one recipe, or several that share most of it: `[models.NAME]` overrides the rest of the file, so that two models
//! can be trained on the same data with the same augmentation and budget and differ only in that section. Unknown keys are
//! refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use archaeo_models::{SpecError, TooLarge};
use archaeo_ops::Precision;
use archaeo_store::read_text;
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::{Table, Value};

use super::optimizer::Algorithm;
use super::recipe::{DataChoice, ModelChoice, Recipe, missing};
use crate::objective::ObjectiveChoice;
use crate::runs::free_of_a_run;
use crate::transfer::Freeze;
use archaeo_data::augment::{AugmentConfig, AugmentError, Erasing, RandAugment, RandomResizedCrop};

/// Why a recipe cannot be used.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {}: {source}; the recipes that come with the program are in configs/", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the recipe is not valid TOML: {0}")]
    Syntax(String),
    /// An unknown key.
    #[error("no recipe has a key `{key}`{} (keys: {})", did_you_mean(near), known.join(", "))]
    UnknownKey {
        /// The key, with dots.
        key: String,
        /// Similar known keys, most similar first.
        near: Vec<String>,
        /// The keys of its section; `section.*` for a subsection.
        known: Vec<String>,
    },
    /// A file of several models, or with an investigation's sections, where one model is asked for.
    #[error(
        "the recipe describes an investigation, not one model: give it to `archaeo excavate`, or train with a recipe of \
         one model, such as configs/sherds-vit.toml"
    )]
    Investigation,
    /// A key is missing, or a value has the wrong type.
    #[error("the recipe does not fit together: {0}")]
    Value(String),
    /// A value of the wrong type, or a key that is missing in a section.
    #[error("`{key}` does not fit: {reason}")]
    Type {
        /// The key, with dots.
        key: String,
        /// What was expected, and what was found.
        reason: String,
    },
    /// An error in the file rather than in an override.
    #[error("{}: {error}", path.display())]
    In {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong, in parentheses in the sentence.
        error: Box<RecipeError>,
    },
    /// A training too large for the memory.
    #[error(
        "training this model {source}; lower image_size ({image_size}) or batch_size ({batch_size}), or name a smaller model"
    )]
    Memory {
        /// The memory it needs and the memory available.
        source: TooLarge,
        /// The recipe's.
        image_size: usize,
        /// The recipe's.
        batch_size: usize,
    },
    /// A value outside its range.
    #[error("`{key}` must be {allowed}, not {found}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its range, in words.
        allowed: &'static str,
        /// Its value.
        found: String,
    },
    /// A name that is not one of the choices.
    #[error("`{key}` cannot be `{found}`{} (choices: {})", did_you_mean(near), known.join(", "))]
    UnknownChoice {
        /// The key.
        key: &'static str,
        /// The name.
        found: String,
        /// Similar names, most similar first.
        near: Vec<String>,
        /// The known names.
        known: Vec<&'static str>,
    },
    /// An override that is not `key=value`.
    #[error("`--set {0}` is not of the form key=value, such as --set epochs=3 or --set augment.flip=false")]
    Override(String),
    /// A shared key is overridden although a model sets its own.
    #[error("`{key}` is set by [models.{model}] itself; override it with --set models.{model}.{key}=…")]
    Shadowed {
        /// The key.
        key: String,
        /// Name of that model.
        model: String,
    },
    /// A model that the file does not describe.
    #[error("the recipe describes no model `{name}`; it has {}", if known.is_empty() { "a single one without a name".to_owned() } else { known.join(", ") })]
    NoSuchModel {
        /// The name asked for.
        name: String,
        /// The known names.
        known: Vec<String>,
    },
    /// An augmentation outside its range.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The model cannot be built.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl RecipeError {
    /// What the parser says of `text`, on one line: without the quoted line of the parser's own message.
    pub fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let before = error.span().and_then(|span| text.get(..span.start));
        Self::Syntax(match before {
            None => message,
            Some(before) => {
                let (line, column) = (
                    before.matches('\n').count() + 1,
                    before.lines().last().map_or(0, |line| line.chars().count()),
                );
                let column = if before.ends_with('\n') { 1 } else { column + 1 };
                format!("line {line}, column {column}: {message}")
            }
        })
    }

    /// The error attributed to the file at `path`, if it also occurs `without_overrides`.
    pub fn in_file(self, path: &Path, without_overrides: impl FnOnce() -> Result<(), RecipeError>) -> Self {
        match without_overrides() {
            Err(error) if error.to_string() == self.to_string() => {
                Self::In { path: path.to_owned(), error: Box::new(self) }
            }
            _ => self,
        }
    }
}

/// Reads plain data, naming the key of a value that does not fit; `section` is prepended to it.
pub fn from_table<T: DeserializeOwned>(table: Table, section: &str) -> Result<T, RecipeError> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        let reason = in_words(error.inner().message());
        match (section, key.as_str()) {
            ("", "." | "") => RecipeError::Value(reason),
            ("", key) => RecipeError::Type { key: key.to_owned(), reason },
            (section, "." | "") => RecipeError::Type { key: section.to_owned(), reason },
            (section, key) => RecipeError::Type { key: format!("{section}.{key}"), reason },
        }
    })
}

/// What a deserializer expected, in words instead of Rust's types.
fn in_words(message: &str) -> String {
    [
        ("expected usize", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected f32", "expected a number"),
    ]
    .iter()
    .fold(message.trim_end().to_owned(), |text, (rust, words)| text.replace(rust, words))
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// Bytes of the longest recipe that is read.
pub const LONGEST_RECIPE: u64 = 1 << 20;

/// Sections that [`crate::investigation::InvestigationConfig`] takes out of its file before it reads the recipes.
const INVESTIGATION_SECTIONS: [&str; 2] = ["studies", "quick"];

/// A recipe file: one recipe, or several that share most of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipeFile {
    shared: Table,
    models: BTreeMap<String, Table>,
}

impl RecipeFile {
    /// Reads a recipe file and applies `--set key=value` overrides.
    ///
    /// # Errors
    /// As [`RecipeFile::parse`], or a file that cannot be read.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let text = read_text(path, LONGEST_RECIPE)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, overrides)
            .map_err(|error| error.in_file(path, || Self::parse(&text, &[]).map(drop)))
    }

    /// Parses a recipe file and applies `--set key=value` overrides; every recipe in it is checked.
    ///
    /// # Errors
    /// One sentence: bad syntax, an unknown key (with those like it), a missing key, a value of the wrong type or
    /// outside its range.
    pub fn parse(text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut shared: Table = toml::from_str(text).map_err(|error| RecipeError::syntax(text, &error))?;
        let mut models = BTreeMap::new();
        if let Some(sections) = shared.remove("models") {
            let not_tables = || RecipeError::Value("`models` must hold sections like [models.vit]".into());
            for (name, section) in sections.try_into::<Table>().map_err(|_| not_tables())? {
                models.insert(name, section.try_into::<Table>().map_err(|_| not_tables())?);
            }
        }
        let mut file = Self { shared, models };
        for text in overrides {
            file.set(text)?;
        }
        match file.models.is_empty() {
            true => drop(file.recipe(None)?),
            false => file.models.keys().try_for_each(|name| file.recipe(Some(name)).map(drop))?,
        }
        Ok(file)
    }

    /// Names of the models that the file describes; empty for a file of a single recipe.
    pub fn names(&self) -> Vec<&str> {
        self.models.keys().map(String::as_str).collect()
    }

    /// The recipe of one model, with what it shares.
    ///
    /// # Errors
    /// A name that the file does not have; a name must be given where it has several. Otherwise as
    /// [`RecipeFile::parse`].
    pub fn recipe(&self, name: Option<&str>) -> Result<Recipe, RecipeError> {
        let name = name.or(match self.models.len() {
            1 => self.models.keys().next().map(String::as_str),
            _ => None,
        });
        let mut table = self.shared.clone();
        match name {
            None if self.models.is_empty() => {}
            None => return Err(RecipeError::Investigation),
            Some(name) => {
                let own = self.models.get(name).ok_or_else(|| self.no_such_model(name))?;
                merge(&mut table, own);
            }
        }
        refuse_unknown_keys(&table, &known_keys(), "")?;
        if let Some(key) = ["model", "image_size"].into_iter().find(|key| !table.contains_key(*key))
            && !table.contains_key("init")
        {
            return Err(missing(key));
        }
        let recipe: Recipe = from_table(table, "")?;
        recipe.check()?;
        Ok(recipe)
    }

    /// The file in force, with its overrides, as TOML.
    pub fn to_toml(&self) -> String {
        let mut table = self.shared.clone();
        if !self.models.is_empty() {
            let models = self.models.iter().map(|(name, own)| (name.clone(), Value::Table(own.clone())));
            table.insert("models".into(), Value::Table(models.collect()));
        }
        toml::to_string(&table).expect("it was read from TOML")
    }

    /// The same without what does not affect results, such as trackers: two files with the same text train the same models.
    pub fn without_free_keys(&self) -> Self {
        let mut file = self.clone();
        for table in std::iter::once(&mut file.shared).chain(file.models.values_mut()) {
            free_of_a_run().for_each(|key| drop(table.remove(key)));
        }
        file
    }

    /// The keys, with dots, that may differ between calls for the same results.
    pub fn free_keys(&self) -> Vec<String> {
        let sections = self.models.keys().map(|name| format!("models.{name}."));
        let sections = std::iter::once(String::new()).chain(sections);
        sections.flat_map(|section| free_of_a_run().map(move |key| format!("{section}{key}"))).collect()
    }

    fn no_such_model(&self, name: &str) -> RecipeError {
        RecipeError::NoSuchModel { name: name.to_owned(), known: self.models.keys().cloned().collect() }
    }

    /// Applies one `key=value`; keys have dots, and text needs no quotes.
    ///
    /// # Errors
    /// Text that is no override, a model that the file does not describe, or a shared key that one model sets itself.
    pub fn set(&mut self, text: &str) -> Result<(), RecipeError> {
        let (key, value) = assignment(text)?;
        let mut parts: Vec<&str> = key.split('.').collect();
        // Keys that concern neither one model nor the studies concern training, and may have the prefix `training`.
        if parts.len() > 1 && parts[0] == "training" {
            parts.remove(0);
        }
        match parts.as_slice() {
            ["models", model, rest @ ..] if !rest.is_empty() => {
                let Some(own) = self.models.get_mut(*model) else { return Err(self.no_such_model(model)) };
                assign(own, rest, value)
            }
            parts => {
                if let Some(model) =
                    self.models.iter().find_map(|(name, own)| sets(own, parts).then_some(name))
                {
                    return Err(RecipeError::Shadowed { key: key.to_owned(), model: model.clone() });
                }
                assign(&mut self.shared, parts, value)
            }
        }
    }
}

/// Applies one `key=value` to a table; keys have dots, and text needs no quotes.
///
/// # Errors
/// [`RecipeError::Override`] for other text, and a key below one that is not a section.
pub fn assign_text(table: &mut Table, text: &str) -> Result<(), RecipeError> {
    let (key, value) = assignment(text)?;
    assign(table, &key.split('.').collect::<Vec<_>>(), value)
}

/// Key and value of `key=value`.
fn assignment(text: &str) -> Result<(&str, Value), RecipeError> {
    let malformed = || RecipeError::Override(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(malformed)?;
    let (key, value) = (key.trim(), value.trim());
    if value.is_empty() || key.split('.').any(str::is_empty) {
        return Err(malformed());
    }
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok();
    let parsed = parsed.and_then(|mut table| table.remove("value"));
    Ok((key, parsed.unwrap_or_else(|| Value::String(value.to_owned()))))
}

/// Overrides `base` by `over`, key by key. A tagged section (`name`, `architecture`, `kind`) replaces the other as a whole, since
/// the keys of another optimiser, architecture or objective do not apply to it.
pub fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over))
                if !["name", "architecture", "kind"].iter().any(|says| over.contains_key(*says)) =>
            {
                merge(base, over);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

fn sets(table: &Table, parts: &[&str]) -> bool {
    match (parts, parts.first().and_then(|first| table.get(*first))) {
        ([_], found) => found.is_some(),
        ([_, rest @ ..], Some(Value::Table(inner))) => sets(inner, rest),
        (_, found) => found.is_some(),
    }
}

fn assign(table: &mut Table, parts: &[&str], value: Value) -> Result<(), RecipeError> {
    let (first, rest) = parts.split_first().expect("a key has at least one part");
    if rest.is_empty() {
        table.insert((*first).to_owned(), value);
        return Ok(());
    }
    match table.entry(*first).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => assign(inner, rest, value),
        _ => {
            Err(RecipeError::Value(format!("`{first}` is not a section, so it has no `{}`", rest.join("."))))
        }
    }
}

/// Every key a recipe can have, with dots. The compiler ensures that the list is complete.
fn known_keys() -> Vec<String> {
    let full = Recipe {
        model: Some(ModelChoice::Named(String::new())),
        init: Some(String::new()),
        init_sha256: Some(String::new()),
        freeze: Freeze::Backbone,
        image_size: 1,
        seed: 0,
        seeds: 2,
        epochs: 1,
        batch_size: 1,
        accumulation: 1,
        shards: 2,
        gradient_checkpointing: false,
        learning_rate: 1.0,
        learning_rate_batch: Some(1),
        backbone_learning_rate: Some(1.0),
        layer_decay: Some(1.0),
        weight_decay: 0.0,
        warmup_epochs: 0.0,
        warmup_learning_rate: 0.0,
        final_learning_rate: 0.0,
        gradient_clip: Some(1.0),
        label_smoothing: 0.0,
        drop_path: 0.0,
        dropout: 0.0,
        ema_decay: Some(0.0),
        precision: Precision::F32,
        objective: ObjectiveChoice::new("", Table::new()),
        trackers: Vec::new(),
        project: Some(String::new()),
        track_images: 4,
        track_every: 2,
        keep_checkpoints: vec![1, 2],
        optimizer: Algorithm::default(),
        augment: AugmentConfig {
            random_resized_crop: Some(RandomResizedCrop::default()),
            rand_augment: Some(RandAugment::default()),
            force_color_jitter: true,
            grayscale: 1.0,
            erasing: Some(Erasing::default()),
            ..AugmentConfig::default()
        },
        data: DataChoice { source: Some(String::new()), validation: Some(0.0), split_seed: 0 },
    };
    let mut keys = Vec::new();
    let table = Table::try_from(&full).expect("a recipe is plain data");
    collect_keys(&table, "", &mut keys);
    let sgd = Table::try_from(Algorithm::Sgd { momentum: 0.0, nesterov: false }).expect("plain data");
    collect_keys(&sgd, "optimizer.", &mut keys);
    keys.push("model.".into());
    keys
}

fn collect_keys(table: &Table, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => collect_keys(inner, &format!("{prefix}{key}."), keys),
            _ => keys.push(format!("{prefix}{key}")),
        }
    }
}

fn refuse_unknown_keys(table: &Table, known: &[String], prefix: &str) -> Result<(), RecipeError> {
    if prefix.is_empty() && INVESTIGATION_SECTIONS.iter().any(|section| table.contains_key(*section)) {
        return Err(RecipeError::Investigation);
    }
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        // A model's sizes are checked by the architecture they belong to, an objective's options by the objective.
        if key == "model" || known.contains(&key) {
            continue;
        }
        let section = format!("{key}.");
        match value {
            Value::Table(inner) if known.iter().any(|known| known.starts_with(&section)) => {
                refuse_unknown_keys(inner, known, &section)?;
            }
            _ => return Err(unknown_key(&key, known)),
        }
    }
    Ok(())
}

/// The error for a key that is not among the `known` ones, all with dots.
pub fn unknown_key(key: &str, known: &[String]) -> RecipeError {
    let section = key.rsplit_once('.').map_or("", |(section, _)| section);
    let in_section = |known: &String| {
        let rest = if section.is_empty() { known } else { known.strip_prefix(section)?.strip_prefix('.')? };
        let first = match rest.split_once('.') {
            None => rest.to_owned(),
            Some((inner, _)) => format!("{inner}.*"),
        };
        Some(if section.is_empty() { first } else { format!("{section}.{first}") })
    };
    let of_section: BTreeSet<String> = known.iter().filter_map(in_section).collect();
    RecipeError::UnknownKey {
        near: near_names(key, known),
        key: key.to_owned(),
        known: of_section.into_iter().collect(),
    }
}

/// The error for a name that is not among the `known` ones.
pub(super) fn unknown_choice(key: &'static str, found: &str, known: &[&'static str]) -> RecipeError {
    let names: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
    let near = near_names(found, &names);
    RecipeError::UnknownChoice { key, found: found.to_owned(), near, known: known.to_vec() }
}

/// At most three of `known` that `key` may be a misspelling of, most similar first.
fn near_names(key: &str, known: &[String]) -> Vec<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |candidate: &String| {
        let whole = strsim::jaro_winkler(key, candidate);
        whole.max(strsim::jaro_winkler(&last(key), &last(candidate)))
    };
    let mut scored: Vec<(f64, &String)> = known.iter().map(|name| (likeness(name), name)).collect();
    scored.retain(|(score, _)| *score > 0.82);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| format!("`{name}`")).collect()
}

#[cfg(test)]
mod tests {
    use archaeo_models::NetworkSpec;

    use super::*;

    const SMALL: &str =
        "model = \"vit_micro\"\nimage_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n";
    const PAIR: &str = "image_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n\
        [optimizer]\nname = \"adamw\"\nbeta2 = 0.95\n[augment]\nflip = 0.5\n\
        [models.vit]\nmodel = \"vit_micro\"\ndrop_path = 0.1\n\
        [models.cnn]\nmodel = \"resnet_micro\"\nlearning_rate = 0.1\noptimizer = { name = \"sgd\", momentum = 0.9 }\n";

    fn parse(text: &str, overrides: &[&str]) -> Result<RecipeFile, RecipeError> {
        RecipeFile::parse(text, &overrides.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn complaint(text: &str, overrides: &[&str]) -> String {
        parse(text, overrides).unwrap_err().to_string()
    }

    #[test]
    fn models_share_what_they_do_not_set() {
        let file = parse(PAIR, &[]).unwrap();
        assert_eq!(file.names(), ["cnn", "vit"]);
        let (vit, cnn) = (file.recipe(Some("vit")).unwrap(), file.recipe(Some("cnn")).unwrap());
        assert_eq!((vit.learning_rate, cnn.learning_rate), (1e-3, 0.1));
        assert_eq!(vit.optimizer, Algorithm::Adamw { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 });
        assert_eq!(cnn.optimizer, Algorithm::Sgd { momentum: 0.9, nesterov: false });
        assert_eq!((vit.drop_path, cnn.drop_path), (0.1, 0.0));
        assert_eq!(vit.augment, cnn.augment);
        assert!(file.recipe(None).unwrap_err().to_string().contains("give it to `archaeo excavate`"));
        assert!(file.recipe(Some("mlp")).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let file = parse(PAIR, &["epochs=7"]).unwrap();
        assert_eq!(RecipeFile::parse(&file.to_toml(), &[]).unwrap(), file);
        let recipe = file.recipe(Some("vit")).unwrap();
        let again = RecipeFile::parse(&recipe.to_toml(), &[]).unwrap().recipe(None).unwrap();
        assert_eq!(again, recipe);
        assert_eq!(recipe.epochs, 7);
    }

    #[test]
    fn overrides_have_the_type_that_they_look_like() {
        let overrides = [
            "epochs=3",
            "model=resnet_micro",
            "learning_rate = 5e-4",
            "augment.flip=0.25",
            "augment.rand_augment={magnitude=7.0}",
            "optimizer={name='sgd', nesterov=true}",
        ];
        let recipe = parse(SMALL, &overrides).unwrap().recipe(None).unwrap();
        assert_eq!((recipe.epochs, recipe.learning_rate, recipe.augment.flip), (3, 5e-4, 0.25));
        assert_eq!(recipe.model, Some(ModelChoice::Named("resnet_micro".into())));
        assert_eq!(recipe.augment.rand_augment.unwrap().magnitude, 7.0);
        assert_eq!(recipe.optimizer, Algorithm::Sgd { momentum: 0.0, nesterov: true });
        let overrides =
            ["models.cnn.learning_rate=0.2", "epochs=5", "models.vit.gradient_checkpointing=true"];
        let file = parse(PAIR, &overrides).unwrap();
        let (vit, cnn) = (file.recipe(Some("vit")).unwrap(), file.recipe(Some("cnn")).unwrap());
        assert_eq!((cnn.learning_rate, cnn.epochs), (0.2, 5));
        assert_eq!((vit.gradient_checkpointing, cnn.gradient_checkpointing), (true, false));
    }

    #[test]
    fn slips_get_a_sentence_with_the_remedy() {
        let cases = [
            (SMALL, "learnin_rate=1", "no recipe has a key `learnin_rate`; did you mean `learning_rate`"),
            (SMALL, "augment.flipp=1", "no recipe has a key `augment.flipp`; did you mean `augment.flip`"),
            (SMALL, "flip=0.5", "did you mean `augment.flip`"),
            (SMALL, "augment.erasing.probabilty=1", "did you mean `augment.erasing.probability`"),
            (SMALL, "optimizer.nestorov=true", "did you mean `optimizer.nesterov`"),
            (
                SMALL,
                "xyzzy=1",
                "no recipe has a key `xyzzy` (keys: accumulation, augment.*, backbone_learning_rate, ",
            ),
            (SMALL, "epochs", "not of the form key=value"),
            (SMALL, "epochs=", "not of the form key=value"),
            (SMALL, "epochs.count=3", "`epochs` is not a section"),
            (SMALL, "epochs=0", "`epochs` must be at least 1, not 0"),
            (
                SMALL,
                "epochs=many",
                "`epochs` does not fit: invalid type: string \"many\", expected a whole number",
            ),
            (SMALL, "epochs=3.5", "`epochs` does not fit"),
            (
                SMALL,
                "augment.flip=left",
                "`augment.flip` does not fit: invalid type: string \"left\", expected a number",
            ),
            (SMALL, "optimizer.beta1=x", "`optimizer` does not fit"),
            (SMALL, "image_size=65537", "`image_size` must be from 1 to 65536, not 65537"),
            (SMALL, "batch_size=1099511627777", "`batch_size` · `accumulation` is more than"),
            (SMALL, "batch_size=9223372036854775807", "`batch_size` · `accumulation` is more than"),
            (SMALL, "keep_checkpoints=[0]", "`keep_checkpoints` has 0, but epochs are numbered from 1 to"),
            (SMALL, "keep_checkpoints=[1,99]", "`keep_checkpoints` has 99"),
            (SMALL, "keep_checkpoints=[2,1]", "must list each epoch once, in ascending order"),
            (SMALL, "track_every=0", "`track_every` must be at least 1, not 0"),
            (SMALL, "track_images=65", "`track_images` must be from 0 to 64, not 65"),
            (SMALL, "project=\"a b\"", "`project` cannot be \"a b\""),
            (SMALL, "warmup_epochs=1e18", "`warmup_epochs` is 1000000000000000000, more than"),
            (SMALL, "learning_rate=-1", "`learning_rate` must be above 0"),
            (SMALL, "learning_rate=nan", "`learning_rate` must be above 0"),
            (SMALL, "augment.flip=2.0", "flip = 2 must be from 0 to 1"),
            (SMALL, "models.vit.epochs=3", "describes no model `vit`; it has a single one without a name"),
            (PAIR, "models.cmm.epochs=3", "describes no model `cmm`; it has cnn, vit"),
            (PAIR, "models.cnn.epoch=3", "did you mean `epochs`"),
            (SMALL, "studies.heads=3", "give it to `archaeo excavate`"),
            (SMALL, "quick.epochs=3", "give it to `archaeo excavate`"),
            (PAIR, "learning_rate=1e-4", "--set models.cnn.learning_rate=…"),
            (PAIR, "drop_path=0.2", "--set models.vit.drop_path=…"),
            (PAIR, "models.cnn.drop_path=0.2", "`drop_path` and `dropout` are for transformers"),
            (
                PAIR,
                "gradient_checkpointing=true",
                "leave the key out, or set it under the [models.NAME] of a",
            ),
            (SMALL, "gradient_checkpoint=true", "did you mean `gradient_checkpointing`"),
            (SMALL, "gradient_checkpointing=1", "expected a boolean"),
        ];
        for (text, override_, expected) in cases {
            let sentence = complaint(text, &[override_]);
            assert!(sentence.contains(expected), "--set {override_}: {sentence}");
        }
        let normalising = complaint(SMALL, &["model=efficientvit_m0", "gradient_checkpointing=true"]);
        assert!(normalising.contains("normalise over the batch"), "{normalising}");
        assert!(complaint("epochs = ", &[]).contains("not valid TOML"));
        assert!(complaint("epochs = 1", &[]).contains("missing field"));
    }

    #[test]
    fn what_is_wrong_in_a_file_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let complaint = |text: &str, overrides: &[&str]| {
            std::fs::write(&path, text).unwrap();
            let overrides: Vec<String> = overrides.iter().map(|&change| change.into()).collect();
            RecipeFile::read(&path, &overrides).unwrap_err().to_string()
        };
        let wrong = SMALL.replace("epochs = 2", "epochs = \"two\"");
        assert_ne!(wrong, SMALL);
        let found = complaint(&wrong, &[]);
        assert!(
            found.ends_with(
                "mine.toml: `epochs` does not fit: invalid type: string \"two\", expected a whole number"
            ),
            "{found}"
        );
        assert!(complaint(&wrong, &["seed=3"]).contains("mine.toml: `epochs`"));
        assert!(complaint("epochs = ", &[]).contains("mine.toml: the recipe is not valid TOML"));
        // An error that the file alone does not have comes from an override.
        assert!(complaint(SMALL, &["epochs=two"]).starts_with("`epochs` does not fit"));
        assert!(
            complaint(&format!("{SMALL}\n[models.a]\nepochs = -1\n"), &[]).contains("mine.toml: `epochs`")
        );
    }

    #[test]
    fn a_model_is_built_for_its_data() {
        let classes: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let file = parse(PAIR, &[]).unwrap();
        let card = file.recipe(Some("vit")).unwrap().card(&classes).unwrap();
        let NetworkSpec::Vit(config) = &card.network else { panic!("{card:?}") };
        assert_eq!((config.classes, config.image_size, config.drop_path), (3, 32, 0.1));

        let custom = "image_size = 8\nepochs = 1\nbatch_size = 1\nlearning_rate = 1\n[model]\narchitecture = \"vit\"\n\
            patch_size = 4\nwidth = 16\ndepth = 2\nheads = 2\nmlp_width = 32\npooling = \"mean\"\nposition = \"sine\"\n";
        let card = parse(custom, &[]).unwrap().recipe(None).unwrap().card(&classes).unwrap();
        assert_eq!((card.network.classes(), card.preprocessing.image_size), (3, 8));
        let wrong = parse(custom, &["model.widht=3"]).unwrap().recipe(None).unwrap().card(&classes);
        assert!(wrong.unwrap_err().to_string().contains("widht"));
        let unknown = parse(SMALL, &["model=vit_macro"]).unwrap().recipe(None).unwrap().card(&classes);
        assert!(unknown.unwrap_err().to_string().contains("no model is called `vit_macro`"));
    }

    #[test]
    fn the_learning_rate_follows_the_batch() {
        let file = parse(SMALL, &["learning_rate_batch=64", "accumulation=2", "warmup_epochs=0.5"]).unwrap();
        let schedule = file.recipe(None).unwrap().schedule(100);
        assert_eq!((schedule.steps_per_epoch, schedule.total_steps, schedule.warmup_steps), (6, 12, 3));
        assert!((schedule.peak - 1e-3 * 16.0 / 64.0).abs() < 1e-12);
    }

    #[test]
    fn every_recipe_that_comes_with_the_program_fits_together() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs");
        let classes: Vec<String> = ["a", "b"].map(String::from).into();
        let mut recipes = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What investigations and comparisons read is tested where they are.
            if ["excavate.toml", "regimes.toml", "patch-sizes.toml"].iter().any(|name| path.ends_with(name)) {
                continue;
            }
            let file =
                RecipeFile::read(&path, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let names: Vec<Option<&str>> = match file.names() {
                names if names.is_empty() => vec![None],
                names => names.into_iter().map(Some).collect(),
            };
            for name in names {
                let recipe = file.recipe(name).unwrap();
                if !recipe.takes_model_from_init() {
                    recipe.card(&classes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                }
                recipes += 1;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in ["# Reaches:", "# Takes:", "# Run:"] {
                assert!(text.contains(word), "{} lacks `{word}`", path.display());
            }
        }
        assert!(recipes >= 6, "{recipes}");
    }
}
