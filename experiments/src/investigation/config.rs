//! The configuration of an investigation: recipes that share most of it, and how much each study looks at.

use std::path::Path;

use archaeo_ops::Precision;
use archaeo_store::read_text;
use toml::{Table, Value};

use super::Given;
use crate::options::StudyOptions;
use crate::subjects::ModelName;
use archaeo_store::run_folder::{RunFolderError, sha256_checkpoint};
use archaeo_training::{DataChoice, LONGEST_RECIPE, Recipe, RecipeError, RecipeFile, assign_text, merge};

/// What decides an investigation besides its data.
#[derive(Clone, Debug)]
pub struct InvestigationConfig {
    recipes: RecipeFile,
    /// Models that it describes: those with attention first.
    models: Vec<ModelName>,
    /// What was chosen of the studies.
    pub studies: StudyOptions,
}

/// Prefix of the overrides that concern the studies.
const STUDIES: &str = "studies";

// What the configuration in force says of the models that were asked for.
const WEIGHTS: &str = "weights_sha256";
pub(super) const GIVEN_AS: &str = "models_given_as";
pub(super) const CLASS_NAMES: &str = "class_names_given";
pub(super) const TRAINED: &str = "trained";

impl InvestigationConfig {
    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// As [`InvestigationConfig::parse`], or a file that cannot be read.
    pub fn read(path: &Path, overrides: &[String], quick: bool) -> Result<Self, RecipeError> {
        let text = read_text(path, LONGEST_RECIPE)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, overrides, quick)
            .map_err(|error| error.in_file(path, || Self::parse(&text, &[], quick).map(drop)))
    }

    /// Reads a recipe file with a section `[models.NAME]` for each model and, if it likes, `[studies]`; then
    /// applies `key=value` overrides. With `quick`, options that the file does not state have their quick values, and its
    /// `[quick]` section overrides the rest of the file.
    ///
    /// # Errors
    /// As [`RecipeFile::parse`]: one sentence for a syntax error, an unknown key, or a value that does not fit.
    pub fn parse(text: &str, overrides: &[String], quick: bool) -> Result<Self, RecipeError> {
        let mut table: Table = toml::from_str(text).map_err(|error| RecipeError::syntax(text, &error))?;
        let mut quick_table = section(&mut table, "quick")?;
        let mut stated = vec![section(&mut table, STUDIES)?];
        if quick {
            stated.push(section(&mut quick_table, STUDIES)?);
            merge(&mut table, &quick_table);
        }
        let (for_studies, for_recipes): (Vec<_>, Vec<_>) =
            overrides.iter().cloned().partition(|change| change.starts_with("studies."));
        let mut changes = Table::new();
        for change in &for_studies {
            assign_text(&mut changes, change)?;
        }
        stated.push(section(&mut changes, STUDIES)?);
        let studies = StudyOptions::read(&stated, quick)?;

        let text = toml::to_string(&table).expect("it was read from TOML");
        let recipes = RecipeFile::parse(&text, &for_recipes)?;
        if recipes.names().is_empty() {
            let reason = "an investigation needs a section [models.NAME] for each model to train";
            return Err(RecipeError::Value(reason.into()));
        }
        let mut models = Vec::new();
        for name in recipes.names() {
            let recipe = recipes.recipe(Some(name))?;
            // What weights hold is known when they are read.
            let attends = recipe.takes_model_from_init()
                || recipe.image_size == 0
                || recipe.card(&["one".into(), "other".into()])?.network.attention_layers() > 0;
            models.push((!attends, ModelName::new(name)));
        }
        models.sort();
        Ok(Self { recipes, models: models.into_iter().map(|(_, name)| name).collect(), studies })
    }

    /// The models that it describes, those with attention first.
    pub fn models(&self) -> &[ModelName] {
        &self.models
    }

    /// How a model is trained.
    ///
    /// # Errors
    /// A name that the configuration does not have.
    pub fn recipe(&self, name: ModelName) -> Result<Recipe, RecipeError> {
        self.recipes.recipe(Some(name.as_str()))
    }

    /// Records the hash of the weights that a model starts from, as its completed recipe has it.
    pub(super) fn record_init(&mut self, name: ModelName, completed: &Recipe) -> Result<(), RecipeError> {
        let Some(hash) = &completed.init_sha256 else { return Ok(()) };
        self.recipes.set(&format!("models.{name}.init_sha256={hash:?}"))
    }

    /// The recipe that says what all share.
    fn first(&self) -> Option<Recipe> {
        self.recipe(*self.models.first()?).ok()
    }

    /// What of the recipes is not used because of the rest of them, in sentences.
    ///
    /// # Errors
    /// As [`Self::recipe`].
    pub fn notes(&self) -> Result<Vec<&'static str>, RecipeError> {
        let mut notes = Vec::new();
        for name in &self.models {
            notes.extend(self.recipe(*name)?.augment.note());
        }
        notes.dedup();
        Ok(notes)
    }

    /// What the trainings and the studies compute in.
    ///
    /// # Errors
    /// As [`Self::recipe`].
    pub fn precisions(&self) -> Result<Vec<Precision>, RecipeError> {
        let mut precisions = vec![self.studies.precision];
        for name in &self.models {
            precisions.push(self.recipe(*name)?.precision);
        }
        Ok(precisions)
    }

    /// Key of every random choice of the studies: the first model's.
    pub fn seed(&self) -> u64 {
        self.first().map_or(0, |recipe| recipe.seed)
    }

    /// The training data: the first model's.
    pub fn data(&self) -> DataChoice {
        self.first().map(|recipe| recipe.data).unwrap_or_default()
    }

    /// The configuration in force as TOML, with the hashes and names of models that are given: two runs with the same text
    /// and the same data find the same.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn to_toml(&self, given: &[Given], train: &[ModelName]) -> Result<String, RunFolderError> {
        self.toml_with(&self.recipes, self.studies.to_table(), given, train)
    }

    /// As [`Self::to_toml`], without what was chosen of one study alone, and without trackers and other keys that affect no result.
    pub(super) fn shared_toml(&self, given: &[Given], train: &[ModelName]) -> Result<String, RunFolderError> {
        self.toml_with(&self.recipes.without_free_keys(), self.studies.shared(), given, train)
    }

    /// The keys, with dots, that may be others when the same investigation goes on: those of trackers and the like.
    pub(super) fn free_keys(&self) -> Vec<String> {
        self.recipes.free_keys()
    }

    /// Reads what [`Self::to_toml`] wrote: the configuration, and the sections that say what else was asked for.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn in_force(text: &str) -> Result<(Self, Table), RecipeError> {
        let mut table: Table = toml::from_str(text).map_err(|error| RecipeError::syntax(text, &error))?;
        let mut asked = Table::new();
        for section in [WEIGHTS, GIVEN_AS, CLASS_NAMES, TRAINED] {
            asked.extend(table.remove(section).map(|found| (section.to_owned(), found)));
        }
        let text = toml::to_string(&table).expect("it was read from TOML");
        Ok((Self::parse(&text, &[], false)?, asked))
    }

    fn toml_with(
        &self,
        recipes: &RecipeFile,
        studies: Table,
        given: &[Given],
        train: &[ModelName],
    ) -> Result<String, RunFolderError> {
        let mut table: Table = toml::from_str(&recipes.to_toml()).expect("it was written as TOML");
        table.insert(STUDIES.into(), Value::Table(studies));
        let (mut weights, mut names, mut outputs) = (Table::new(), Table::new(), Table::new());
        for (place, Given { name, path, model, class_names, .. }) in given.iter().enumerate() {
            let key = match given[..place].iter().filter(|earlier| earlier.name == *name).count() {
                0 => name.to_string(),
                run => format!("{name}.run-{run}"),
            };
            weights.insert(key, Value::String(sha256_checkpoint(path)?));
            if let Some(class_names) = class_names {
                let class_names = class_names.iter().cloned().map(Value::String).collect();
                outputs.insert(name.to_string(), Value::Array(class_names));
            }
            names.extend(model.map(|model| (name.to_string(), Value::String(model.into()))));
        }
        for (section, entries) in [(WEIGHTS, weights), (GIVEN_AS, names), (CLASS_NAMES, outputs)] {
            if !entries.is_empty() {
                table.insert(section.into(), Value::Table(entries));
            }
        }
        if !train.is_empty() && train != self.models {
            let trained = train.iter().map(|name| Value::String(name.to_string())).collect();
            table.insert(TRAINED.into(), Value::Array(trained));
        }
        Ok(toml::to_string(&table).expect("it is a table"))
    }
}

/// Takes a section out of a file; empty where there is none.
fn section(table: &mut Table, name: &str) -> Result<Table, RecipeError> {
    match table.remove(name) {
        None => Ok(Table::new()),
        Some(Value::Table(section)) => Ok(section),
        Some(_) => Err(RecipeError::Value(format!("`{name}` must be a section, [{name}]"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studies::{AttacksStudy, ComparisonsOptions, ComparisonsStudy};

    const DEFAULT: &str = include_str!("../../../configs/excavate.toml");

    fn parse(overrides: &[&str], quick: bool) -> Result<InvestigationConfig, String> {
        let overrides: Vec<String> = overrides.iter().map(|&change| change.into()).collect();
        InvestigationConfig::parse(DEFAULT, &overrides, quick).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_gives_both_models_the_same_budget() {
        let config = parse(&[], false).unwrap();
        let [vit, cnn] = ["vit", "cnn"].map(|name| config.recipe(ModelName::new(name)).unwrap());
        assert_eq!(config.models(), ["vit", "cnn"].map(ModelName::new));
        assert_ne!(vit.model, cnn.model);
        assert_eq!((vit.epochs, vit.batch_size, &vit.augment), (cnn.epochs, cnn.batch_size, &cnn.augment));
        assert_eq!(config.studies, StudyOptions::default());
    }

    /// What is kept of an investigation is still that of it when it goes on with other trackers.
    #[test]
    fn trackers_change_neither_findings_nor_what_they_depend_on() {
        let shared = |overrides: &[&str]| parse(overrides, false).unwrap().shared_toml(&[], &[]).unwrap();
        let tracked = ["trackers=[\"wandb\"]", "models.vit.track_images=3", "project=shards"];
        assert_eq!(shared(&tracked), shared(&[]));
        assert_ne!(shared(&["epochs=7"]), shared(&[]));
        let config = parse(&tracked, false).unwrap();
        assert!(config.to_toml(&[], &[]).unwrap().contains("wandb"), "but they are in force");
        let free = config.free_keys();
        for key in ["trackers", "models.vit.track_images", "models.cnn.project", "keep_checkpoints"] {
            assert!(free.iter().any(|free| free == key), "{key}");
        }
        assert!(!free.iter().any(|free| "seeds".starts_with(free.as_str())), "more seeds are other findings");
    }

    #[test]
    fn quick_is_smaller_and_overrides_win() {
        let config =
            parse(&["studies.comparisons=7", "epochs=2", "models.cnn.learning_rate=0.5"], true).unwrap();
        assert_eq!(
            config.studies,
            StudyOptions::quick().with::<ComparisonsStudy>(&ComparisonsOptions { images: 7 })
        );
        assert_eq!(config.recipe(ModelName::new("vit")).unwrap().epochs, 2);
        assert_eq!(config.recipe(ModelName::new("cnn")).unwrap().learning_rate, 0.5);
    }

    #[test]
    fn a_model_may_have_several_seeds() {
        let config = parse(&["models.vit.seeds=2", "seed=5"], false).unwrap();
        let seeds = |name: &str| -> Vec<u64> {
            let recipe = config.recipe(ModelName::new(name)).unwrap();
            recipe.runs().iter().map(|run| run.recipe.seed).collect()
        };
        assert_eq!((seeds("vit"), seeds("cnn")), (vec![5, 6], vec![5]));
    }

    /// What configs/excavate.toml shows of the studies is what is in force without it.
    #[test]
    fn the_options_that_are_shown_are_the_defaults() {
        let keys =
            |line: &str| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).map(str::to_owned);
        let shown: Vec<String> =
            DEFAULT.lines().map(|line| keys(line).unwrap_or_else(|| line.to_owned())).collect();
        let shown = InvestigationConfig::parse(&shown.join("\n"), &[], false).unwrap().studies;
        assert_eq!(shown.training_images, Some(6_000));
        let mut defaults = StudyOptions::default();
        defaults.training_images = shown.training_images;
        assert_eq!(shown, defaults);
    }

    #[test]
    fn earlier_names_of_options_are_understood() {
        let (earlier, now) = (
            ["attack_images=3", "epsilons=[2]", "pgd_steps=4", "comparisons=5"],
            ["attacks.images=3", "attacks.epsilons=[2]", "attacks.pgd_steps=4", "comparisons.images=5"],
        );
        let of = |keys: [&str; 4]| {
            let overrides = keys.map(|key| format!("studies.{key}"));
            parse(&overrides.each_ref().map(String::as_str), false).unwrap()
        };
        assert_eq!(of(earlier).studies, of(now).studies);
        assert_eq!(of(now).studies.of::<AttacksStudy>().images, 3);
        let text = DEFAULT.replace("[studies.attacks]", "[studies.attacks]\nimages = 9");
        let over = InvestigationConfig::parse(&text, &["studies.attack_images=7".into()], false).unwrap();
        assert_eq!(over.studies.of::<AttacksStudy>().images, 7, "an override wins under either name");
        let refused = parse(&["studies.pgd_steps=many"], false).unwrap_err();
        assert!(refused.starts_with("`studies.pgd_steps` does not fit"), "{refused}");
    }

    #[test]
    fn quick_is_laid_over_the_file_key_by_key() {
        let text = format!(
            "{DEFAULT}\n[quick.augment]\npad_crop = 2\n[quick.models.cnn]\nlearning_rate = 0.25\n[quick.studies.attacks]\npgd_steps = 3"
        );
        let config = InvestigationConfig::parse(&text, &[], true).unwrap();
        let cnn = config.recipe(ModelName::new("cnn")).unwrap();
        assert_eq!((cnn.augment.pad_crop, cnn.augment.flip, cnn.learning_rate), (2, 0.5, 0.25));
        assert_eq!(config.models().len(), 2);
        let attacks = config.studies.of::<AttacksStudy>();
        assert_eq!((attacks.pgd_steps, attacks.images), (3, 96));
    }

    #[test]
    fn quick_trains_less_than_the_default() {
        for name in ["vit", "cnn"] {
            let epochs = |quick| parse(&[], quick).unwrap().recipe(ModelName::new(name)).unwrap().epochs;
            assert!(epochs(true) < epochs(false));
        }
    }

    #[test]
    fn sizes_that_find_nothing_are_refused_before_training() {
        let refused = |change: &str| parse(&[change], false).unwrap_err();
        for key in [
            "ablation_images",
            "attention_images",
            "localisation_images",
            "heads.images",
            "attention.images",
            "localisation.images",
        ] {
            let expected = format!("`studies.{key}` must be at least 2, not 1");
            assert_eq!(refused(&format!("studies.{key}=1")), expected);
        }
        for size in ["0.5", "0.0314", "0.999", "0", "-1", "nan"] {
            let refused = refused(&format!("studies.epsilons=[8, {size}]"));
            assert!(refused.contains("at least 1 (the unit is 1/255, so write 8 for 8/255"), "{refused}");
        }
        for size in ["1", "1.5", "16"] {
            assert!(parse(&[&format!("studies.epsilons=[{size}]")], false).is_ok());
        }
        for options in [StudyOptions::default(), StudyOptions::quick()] {
            assert!(options.of::<AttacksStudy>().epsilons.iter().all(|size| *size >= 1.0));
        }
    }

    #[test]
    fn what_is_not_used_is_said() {
        let both = ["augment.color_jitter=0.3", "augment.rand_augment={}"];
        let notes = parse(&both, false).unwrap().notes().unwrap();
        assert!(notes.len() == 1 && notes[0].contains("augment.color_jitter"), "{notes:?}");
        assert!(parse(&both[..1], false).unwrap().notes().unwrap().is_empty());
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        assert!(parse(&["studies.comparison=7"], false).unwrap_err().contains("comparison"));
        assert!(parse(&["epoch=7"], false).unwrap_err().contains("epochs"));
        let single = InvestigationConfig::parse("model = \"vit_micro\"", &[], false).unwrap_err().to_string();
        assert!(!single.is_empty());
    }

    #[test]
    fn the_text_in_force_can_be_read_again() {
        let config = parse(&["studies.epsilons=[1.0, 2.0]"], true).unwrap();
        let text = config.to_toml(&[], &[]).unwrap();
        let again = InvestigationConfig::parse(&text, &[], false).unwrap();
        assert_eq!(again.to_toml(&[], &[]).unwrap(), text);
        assert_eq!(again.studies.of::<AttacksStudy>().epsilons, [1.0, 2.0]);
    }
}
