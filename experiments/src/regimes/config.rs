//! The configuration of a comparison: recipes that share most of it, and the section `[compare]`.

use std::path::{Path, PathBuf};

use archaeo_store::read_text;
use archaeo_training::{Freeze, LONGEST_RECIPE, Recipe, RecipeError, RecipeFile, from_table};
use serde::Deserialize;
use toml::{Table, Value};

use super::RegimeKind;

/// What stands before the name of a regime whose model is meant.
const OF_REGIME: char = '@';

/// The file of a trained model in its run folder.
pub const WEIGHTS: &str = "model.safetensors";

/// The section `[compare]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    shares: Vec<f64>,
    attention_images: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { shares: vec![1.0], attention_images: 64 }
    }
}

/// A comparison's regimes and the images that they learn from.
#[derive(Clone, Debug)]
pub struct RegimesConfig {
    /// The regimes' recipes.
    pub recipes: RecipeFile,
    /// Shares of the training images, ascending.
    pub shares: Vec<f64>,
    /// Images on which attention before and after is compared.
    pub attention_images: usize,
    text: String,
    overrides: Vec<String>,
}

/// Weights that replace those of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Init<'a> {
    /// The weights.
    pub weights: &'a str,
    /// Name of their model, where they do not say it.
    pub model: Option<&'a str>,
}

impl Init<'_> {
    /// Puts the weights, and the name of their model, in place of those of every regime that starts from some.
    fn replace(self, table: &mut Table) -> Result<(), RecipeError> {
        let mut replaced = 0;
        let regimes = table.get_mut("models").and_then(Value::as_table_mut).into_iter().flatten();
        for (_, regime) in regimes {
            let Some(regime) = regime.as_table_mut().filter(|regime| regime.contains_key("init")) else {
                continue;
            };
            regime.insert("init".into(), Value::String(self.weights.into()));
            regime.remove("model");
            regime.extend(self.model.map(|model| ("model".to_owned(), Value::String(model.into()))));
            replaced += 1;
        }
        match replaced {
            0 => Err(RecipeError::Value(
                "--init replaces the `init` of regimes, and no regime of this configuration has one".into(),
            )),
            _ => Ok(()),
        }
    }
}

impl RegimesConfig {
    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// As [`RegimesConfig::parse`], or a file that cannot be read.
    pub fn read(path: &Path, init: Option<Init>, overrides: Vec<String>) -> Result<Self, RecipeError> {
        let text = read_text(path, LONGEST_RECIPE)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, init, overrides)
            .map_err(|error| error.in_file(path, || Self::parse(&text, None, Vec::new()).map(drop)))
    }

    /// Reads a recipe file with a section `[models.NAME]` per regime and, where there is one, `[compare]`; then applies `key=value`
    /// overrides. `init` replaces every `init` of the regimes, and their `model`.
    ///
    /// # Errors
    /// As [`RecipeFile::parse`]; a share outside (0, 1], an `init` that replaces none, regimes that teach one another.
    pub fn parse(text: &str, init: Option<Init>, overrides: Vec<String>) -> Result<Self, RecipeError> {
        let mut table: Table = toml::from_str(text).map_err(|error| RecipeError::syntax(text, &error))?;
        let Options { mut shares, attention_images } = match table.remove("compare") {
            None => Options::default(),
            Some(Value::Table(section)) => from_table(section, "compare")?,
            Some(_) => return Err(RecipeError::Value("`compare` must be a section, [compare]".into())),
        };
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        if let Some(share) = shares.iter().find(|share| !(**share > 0.0 && **share <= 1.0)) {
            let (key, allowed) = ("compare.shares", "above 0 and at most 1");
            return Err(RecipeError::Range { key, allowed, found: share.to_string() });
        }
        if shares.is_empty() {
            return Err(RecipeError::Value("`compare.shares` names no share; 1.0 is all images".into()));
        }
        if let Some(init) = init {
            init.replace(&mut table)?;
        }
        let text = toml::to_string(&table).expect("it was read from TOML");
        let recipes = RecipeFile::parse(&text, &overrides)?;
        if recipes.names().is_empty() {
            let reason = "a comparison needs a section [models.NAME] for each regime";
            return Err(RecipeError::Value(reason.into()));
        }
        let config = Self { recipes, shares, attention_images, text, overrides };
        config.order()?;
        Ok(config)
    }

    /// Names of the regimes, each after the one that teaches it.
    ///
    /// # Errors
    /// A teacher that is no regime, or regimes that teach one another.
    pub fn order(&self) -> Result<Vec<String>, RecipeError> {
        let mut order: Vec<String> = Vec::new();
        let mut waiting: Vec<String> = self.recipes.names().into_iter().map(str::to_owned).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            for name in waiting {
                match self.teacher(&name)? {
                    Some(teacher) if !order.contains(&teacher) => still.push(name),
                    _ => order.push(name),
                }
            }
            if still.len() == before {
                let name = &still[0];
                let teacher = self.teacher(name)?.unwrap_or_default();
                return Err(RecipeError::Value(format!(
                    "`models.{name}.objective.teacher` is the model of the regime `{teacher}`, which is not there or is taught by \
                     `{name}`; name another"
                )));
            }
            waiting = still;
        }
        Ok(order)
    }

    /// The regime whose model teaches another.
    fn teacher(&self, name: &str) -> Result<Option<String>, RecipeError> {
        let objective = Value::from(self.recipes.recipe(Some(name))?.objective);
        let teacher = objective.get("teacher").and_then(Value::as_str);
        Ok(teacher.and_then(|text| text.strip_prefix(OF_REGIME)).map(str::to_owned))
    }

    /// A regime's recipe on a share, with the file of its teacher, below the comparison's folder `out`, in place of the regime's name.
    ///
    /// # Errors
    /// A name that the configuration does not have.
    pub fn recipe(&self, name: &str, share: f64, out: &Path) -> Result<Recipe, RecipeError> {
        let mut overrides = self.overrides.clone();
        if let Some(teacher) = self.teacher(name)? {
            let file = out.join(place(&teacher, share)).join(WEIGHTS).display().to_string();
            overrides.push(format!("models.{name}.objective.teacher={file:?}"));
        }
        RecipeFile::parse(&self.text, &overrides)?.recipe(Some(name))
    }
}

/// The folder of a training within that of the comparison.
pub fn place(regime: &str, share: f64) -> PathBuf {
    Path::new(regime).join(format!("share-{}", (share * 1e4).round() / 1e2))
}

impl RegimeKind {
    /// What a recipe does.
    pub fn of(recipe: &Recipe) -> Self {
        let objective = Value::from(recipe.objective.clone());
        let taught = objective.get("teacher").is_some();
        match (&recipe.init, &recipe.freeze, taught) {
            (None, _, true) => Self::Distilled,
            (None, _, false) => Self::Scratch,
            (Some(_), _, true) => Self::DistilledFineTuned,
            (Some(_), Freeze::None, false) => Self::FineTuned,
            (Some(_), Freeze::Backbone, false) => Self::Frozen,
            (Some(_), _, false) => Self::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "image_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n";

    fn parse(rest: &str, init: Option<&str>) -> Result<RegimesConfig, String> {
        let init = init.map(|weights| Init { weights, model: None });
        RegimesConfig::parse(&format!("{SHARED}{rest}"), init, Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn init_replaces_that_of_the_regimes_which_have_one() {
        let rest = "[models.scratch]\nmodel = \"vit_micro\"\n[models.tuned]\ninit = \"a.safetensors\"\nmodel = \"vit_micro\"\n[models.frozen]\ninit = \"a.safetensors\"\n\
                    freeze = \"backbone\"\n[compare]\nshares = [1.0, 0.1, 0.1]";
        let config = parse(rest, Some("b \"c\".pth")).unwrap();
        assert_eq!(config.shares, [0.1, 1.0]);
        let recipe = |name| config.recipes.recipe(Some(name)).unwrap();
        assert_eq!((recipe("scratch").init, recipe("tuned").init), (None, Some("b \"c\".pth".to_owned())));
        assert!(recipe("scratch").model.is_some() && recipe("tuned").model.is_none());
        let kinds = ["scratch", "tuned", "frozen"].map(|name| RegimeKind::of(&recipe(name)));
        assert_eq!(kinds, [RegimeKind::Scratch, RegimeKind::FineTuned, RegimeKind::Frozen]);
    }

    #[test]
    fn slips_get_a_sentence() {
        for (rest, init, expected) in [
            ("model = \"vit_micro\"", None, "a section [models.NAME] for each regime"),
            (
                "[models.a]\nmodel = \"vit_micro\"\n[compare]\nshares = [0.5, 1.5]",
                None,
                "`compare.shares` must be above 0 and at most 1, not 1.5",
            ),
            ("[models.a]\nmodel = \"vit_micro\"\n[compare]\nshares = []", None, "names no share"),
            ("[models.a]\nmodel = \"vit_micro\"\n[compare]\nshare = [1.0]", None, "`compare.share`"),
            ("[models.a]\nmodel = \"vit_micro\"", Some("b.pth"), "no regime of this configuration has one"),
        ] {
            let sentence = parse(rest, init).unwrap_err();
            assert!(sentence.contains(expected), "{rest}: {sentence}");
        }
    }

    #[test]
    fn the_configurations_that_come_with_the_program_fit_together() {
        let regimes = RegimesConfig::parse(include_str!("../../../configs/regimes.toml"), None, Vec::new());
        let regimes = regimes.unwrap();
        assert_eq!(regimes.order().unwrap().last().map(String::as_str), Some("distilled"));
        let distilled = regimes.recipe("distilled", 0.25, Path::new("out")).unwrap();
        assert!(distilled.to_toml().contains("teacher = \"out/full/share-25/model.safetensors\""));
        let sizes = RegimesConfig::parse(include_str!("../../../configs/patch-sizes.toml"), None, Vec::new());
        assert_eq!(sizes.unwrap().recipes.names(), ["patch16", "patch32", "patch4", "patch8"]);
    }

    #[test]
    fn a_place_names_regime_and_share() {
        assert_eq!(place("full", 0.01), Path::new("full/share-1"));
        assert_eq!(place("full", 0.125), Path::new("full/share-12.5"));
    }
}
