//! Ways of training, next to one another on the same data.

use std::path::{Path, PathBuf};

use archaeo_analysis::attention::DistanceConvention;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Resampling, wilson};
use archaeo_data::{Dataset, OpenOptions};
use archaeo_experiments::regimes::{
    AttentionShift, LayerShift, Regime, RegimeKind, RegimeRun, Regimes, compared, leads, write,
};
use archaeo_random::nested_share;
use archaeo_store::read_text;
use archaeo_store::run_folder::DataIdentity;
use archaeo_training::evaluate::evaluate;
use archaeo_training::images::Preprocessed;
use archaeo_training::{Freeze, LONGEST_RECIPE, Recipe, RecipeError, RecipeFile};
use serde::Deserialize;
use toml::{Table, Value};

use crate::attention::{AgainstOptions, HeadChange};
use crate::error::LabError;
use crate::session::{Session, Toml};
use crate::subject::{ModelSource, Purpose, Subject};
use crate::train::{Lesson, Portion};

/// Regimes to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// The configuration: a recipe per regime, and a section `[compare]`.
    pub config: Toml<'a>,
    /// Overrides of its entries.
    pub set: &'a [String],
    /// Weights that replace every `init` of the configuration.
    pub init: Option<&'a str>,
    /// The images; by default the configuration's, else Sherds.
    pub data: Option<&'a str>,
    /// The folder of all trainings; the same folder resumes an interrupted comparison.
    pub out: &'a Path,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
}

/// The section `[compare]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Shares of the training images.
    shares: Vec<f64>,
    /// Images on which attention before and after is compared.
    attention_images: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { shares: vec![1.0], attention_images: 64 }
    }
}

/// Share of the images seen with all of them that every training sees at least.
const LEAST_SEEN: f64 = 0.25;

/// What stands before the name of a regime whose model is meant.
const OF_REGIME: char = '@';

/// Images at once when a model is scored.
const BATCH: usize = 64;

/// A configuration that was read.
struct Config {
    recipes: RecipeFile,
    text: String,
    overrides: Vec<String>,
    options: Options,
}

impl Config {
    fn read(comparison: &Comparison, overrides: Vec<String>) -> Result<Self, RecipeError> {
        let read = |path: &Path| {
            read_text(path, LONGEST_RECIPE)
                .map_err(|source| RecipeError::Read { path: path.to_owned(), source })
        };
        match comparison.config {
            Toml::Text(text) => Self::parse(text, comparison.init, overrides),
            Toml::File(path) => {
                let text = read(path)?;
                let parsed = Self::parse(&text, comparison.init, overrides);
                parsed.map_err(|error| error.in_file(path, || Self::parse(&text, None, Vec::new()).map(drop)))
            }
        }
    }

    fn parse(text: &str, init: Option<&str>, mut overrides: Vec<String>) -> Result<Self, RecipeError> {
        let mut table: Table = toml::from_str(text).map_err(|error| RecipeError::syntax(text, &error))?;
        let options = match table.remove("compare") {
            None => Options::default(),
            Some(Value::Table(section)) => archaeo_training::from_table(section, "compare")?,
            Some(_) => return Err(RecipeError::Value("`compare` must be a section, [compare]".into())),
        };
        let mut shares: Vec<f64> = options.shares;
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        if let Some(share) = shares.iter().find(|share| !(**share > 0.0 && **share <= 1.0)) {
            let (key, allowed) = ("compare.shares", "above 0 and at most 1");
            return Err(RecipeError::Range { key, allowed, found: share.to_string() });
        }
        if shares.is_empty() {
            return Err(RecipeError::Value("`compare.shares` names no share; 1.0 is all images".into()));
        }
        let text = toml::to_string(&table).expect("it was read from TOML");
        let recipes = RecipeFile::parse(&text, &overrides)?;
        if recipes.names().is_empty() {
            let reason = "a comparison needs a section [models.NAME] for each regime";
            return Err(RecipeError::Value(reason.into()));
        }
        if let Some(init) = init {
            let mut replaced = Vec::new();
            for name in recipes.names() {
                if recipes.recipe(Some(name))?.init.is_some() {
                    replaced.push(format!("models.{name}.init={:?}", init));
                }
            }
            if replaced.is_empty() {
                let reason = "--init replaces the `init` of regimes, and no regime of this configuration has one";
                return Err(RecipeError::Value(reason.into()));
            }
            overrides.extend(replaced);
        }
        let recipes = RecipeFile::parse(&text, &overrides)?;
        Ok(Self { recipes, text, overrides, options: Options { shares, ..options } })
    }

    /// Names of the regimes, each after the one that teaches it.
    fn order(&self) -> Result<Vec<String>, RecipeError> {
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
                    "`models.{name}.objective.teacher` is the model of the regime `{teacher}`, which is not there or is taught by it"
                )));
            }
            waiting = still;
        }
        Ok(order)
    }

    /// The regime whose model teaches another.
    fn teacher(&self, name: &str) -> Result<Option<String>, RecipeError> {
        let table = Table::try_from(self.recipes.recipe(Some(name))?).expect("a recipe is plain data");
        let teacher = table.get("objective").and_then(|objective| objective.get("teacher"));
        Ok(teacher.and_then(Value::as_str).and_then(|text| text.strip_prefix(OF_REGIME)).map(str::to_owned))
    }

    /// A regime's recipe on a share, with the file of its teacher in place of the teacher's name.
    fn recipe(&self, name: &str, share: f64, out: &Path) -> Result<Recipe, RecipeError> {
        let mut overrides = self.overrides.clone();
        if let Some(teacher) = self.teacher(name)? {
            let file = out.join(place(&teacher, share)).join(WEIGHTS);
            overrides.push(format!("models.{name}.objective.teacher={:?}", file.display().to_string()));
        }
        RecipeFile::parse(&self.text, &overrides)?.recipe(Some(name))
    }
}

/// The file of a trained model in its run folder.
const WEIGHTS: &str = "model.safetensors";

/// The folder of a training within that of the comparison.
fn place(regime: &str, share: f64) -> PathBuf {
    Path::new(regime).join(format!("share-{}", (share * 1e4).round() / 1e2))
}

fn kind(recipe: &Recipe) -> RegimeKind {
    let taught = recipe.objective.id() == "distillation";
    match (&recipe.init, &recipe.freeze, taught) {
        (None, _, true) => RegimeKind::Distilled,
        (None, _, false) => RegimeKind::Scratch,
        (Some(_), _, true) => RegimeKind::DistilledFineTuned,
        (Some(_), Freeze::None, false) => RegimeKind::FineTuned,
        (Some(_), Freeze::Backbone, false) => RegimeKind::Frozen,
        (Some(_), _, false) => RegimeKind::Partial,
    }
}

impl Session {
    /// Trains every regime of a configuration on every share of the training images, scores all models on the same test images, and
    /// writes a page about them; or goes on where the same comparison was stopped.
    ///
    /// # Errors
    /// One sentence; every finished epoch is kept.
    pub fn compare(&self, comparison: &Comparison) -> Result<Regimes, LabError> {
        let Comparison { data, out, strict, .. } = *comparison;
        let overrides = comparison.set.iter().cloned().chain(self.overrides()).collect();
        let config = Config::read(comparison, overrides)?;
        let order = config.order()?;
        let first = config.recipes.recipe(Some(&order[0]))?;
        let source = data.or(first.data.source.as_deref()).unwrap_or("sherds").to_owned();
        let options = OpenOptions {
            split_seed: first.data.split_seed,
            strict,
            validation: Some(first.data.validation.unwrap_or(0.1)),
            ..OpenOptions::default()
        };
        let (dataset, identity) = self.open_to_learn(&source, &options)?;

        let mut regimes: Vec<Regime> = Vec::new();
        for name in &order {
            let recipe = config.recipes.recipe(Some(name))?;
            let mut regime =
                Regime { name: name.clone(), kind: kind(&recipe), model: String::new(), runs: Vec::new() };
            for &share in &config.options.shares {
                let run = self.regime_on(&config, name, share, &dataset, &identity, out)?;
                regime.model = run.0;
                regime.runs.push(run.1);
            }
            regimes.push(regime);
        }
        regimes.sort_by_key(|regime| (regime.kind as u8, regime.name.clone()));
        let resampling = Resampling::new(self.seed());
        let attention = self.attention_shifts(&config, &regimes, &source, out)?;
        let split = dataset.evaluation_split().to_owned();
        let found = Regimes {
            environment: self.environment(),
            data: source,
            classes: dataset.classes.len(),
            n: dataset.split(&split)?.len(),
            split,
            pairs: compared(&regimes, &resampling)?,
            leads: leads(&regimes, &resampling)?,
            regimes,
            attention,
        };
        let text = serde_json::to_string_pretty(&found).expect("plain data");
        archaeo_store::write(&out.join("regimes.json"), text.as_bytes())?;
        write(&found, out)?;
        Ok(found)
    }

    /// Trains one regime on one share, and scores its model. Returns the model's name too.
    fn regime_on(
        &self,
        config: &Config,
        name: &str,
        share: f64,
        dataset: &Dataset,
        identity: &DataIdentity,
        out: &Path,
    ) -> Result<(String, RegimeRun), LabError> {
        let mut recipe = config.recipe(name, share, out)?;
        let labels = dataset.split("train")?.labels();
        let indices = nested_share(recipe.seed, "regimes", &labels, share);
        recipe.batch_size = recipe.batch_size.min(indices.len());
        let times = ((LEAST_SEEN / share).round() as usize).max(1);
        // Features of a frozen backbone are computed once, so that more epochs cost nothing.
        let once = recipe.freeze == Freeze::Backbone && recipe.augment.variants().is_some();
        let times = if once { recipe.epochs *= times; 1 } else { times };
        let place = place(name, share);
        let images = indices.len();
        let lesson = Lesson {
            recipe,
            dataset,
            identity,
            portion: Some(Portion { indices, times }),
            out: &out.join(&place),
            title: format!("{name} on {images} images"),
        };
        let trained = self.learn(&lesson)?.ok_or(LabError::Interrupted)?;
        let split = dataset.split(dataset.evaluation_split())?;
        let source = Preprocessed { split, preprocessing: &trained.model.card().preprocessing };
        let device = self.device()?;
        let work = self.counting(&format!("scoring {name}"), split.len());
        let answers = evaluate(&trained.model, &source, BATCH, &device, &mut work.follow())?;
        drop(work);
        let correct = answers.scores()?.correct(1);
        let right = correct.iter().filter(|right| **right).count();
        let run = RegimeRun {
            share,
            images,
            weights: place.join(WEIGHTS).display().to_string(),
            history: trained.history,
            step_images: lesson.recipe.step_images(),
            accuracy: wilson(right, correct.len(), DEFAULT_LEVEL)?,
            correct,
        };
        Ok((trained.model.card().name.clone(), run))
    }

    /// What training did to the attention of every transformer that started from other weights of the same sizes.
    fn attention_shifts(
        &self,
        config: &Config,
        regimes: &[Regime],
        source: &str,
        out: &Path,
    ) -> Result<Vec<AttentionShift>, LabError> {
        let mut shifts = Vec::new();
        for regime in regimes {
            if !matches!(regime.kind, RegimeKind::FineTuned | RegimeKind::Partial) {
                continue;
            }
            let Some(run) = regime.runs.last() else { continue };
            let recipe = config.recipes.recipe(Some(&regime.name))?;
            let Some(init) = &recipe.init else { continue };
            let subject = |weights: &Path| {
                let mut subject = Subject::new(ModelSource::new(weights), Some(source.to_owned()));
                subject.limit = std::num::NonZeroUsize::new(config.options.attention_images);
                subject
            };
            let after = self.open(subject(&out.join(&run.weights)), Purpose::Look)?;
            if !after.model.has_attention() {
                continue;
            }
            let mut before = subject(Path::new(init));
            before.model.reading.preprocessing.image_size = Some(after.model.card().preprocessing.image_size);
            let before = self.open(before, Purpose::Look)?;
            let options = AgainstOptions { convention: DistanceConvention::Renormalised };
            let found = self.attention_against(&before, &after, options)?;
            let layers = found.layers.iter().zip(&found.heads).map(|(&layer, heads)| of_layer(layer, heads));
            shifts.push(AttentionShift { regime: regime.name.clone(), n: found.n, layers: layers.collect() });
        }
        Ok(shifts)
    }
}

/// Means over the heads of a layer.
fn of_layer(layer: usize, heads: &[HeadChange]) -> LayerShift {
    let mean = |value: &dyn Fn(&HeadChange) -> f64| heads.iter().map(value).sum::<f64>() / heads.len() as f64;
    let between = heads.iter().map(|head| head.between_images.as_ref().map(|found| found.value));
    let between: Option<Vec<f64>> = between.collect();
    LayerShift {
        layer,
        distance: [mean(&|head| head.distance.before), mean(&|head| head.distance.after)],
        entropy: [mean(&|head| head.entropy.before), mean(&|head| head.entropy.after)],
        divergence: mean(&|head| head.map_divergence.value),
        between_images: between.map(|values| values.iter().sum::<f64>() / values.len() as f64),
    }
}
