//! Ways of training, next to one another on the same data.

use std::num::NonZeroUsize;
use std::path::Path;

use archaeo_analysis::attention::DistanceConvention;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Resampling, wilson};
use archaeo_data::Dataset;
use archaeo_experiments::regimes::{
    AttentionShift, Init, LayerShift, Regime, RegimeKind, RegimeRun, Regimes, RegimesCompared, RegimesConfig,
    WEIGHTS, place, write,
};
use archaeo_random::nested_share;
use archaeo_store::run_folder::{DataIdentity, sha256_checkpoint};
use archaeo_training::evaluate::evaluate;
use archaeo_training::images::Preprocessed;
use archaeo_training::{Freeze, Portion};

use crate::attention::AgainstOptions;
use crate::error::LabError;
use crate::kept::kept;
use crate::session::{Session, Toml};
use crate::subject::{ModelSource, Purpose, Subject};
use crate::train::Lesson;

/// Regimes to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// The configuration: a recipe per regime, and a section `[compare]`.
    pub config: Toml<'a>,
    /// Overrides of its entries.
    pub set: &'a [String],
    /// Weights that replace every `init` of the configuration, and the `model` next to it.
    pub init: Option<Init<'a>>,
    /// The images; by default the configuration's, else Sherds.
    pub data: Option<&'a str>,
    /// The folder of all trainings; the same folder resumes an interrupted comparison.
    pub out: &'a Path,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
}

/// Share of the images seen with all of them that every training sees at least.
const LEAST_SEEN: f64 = 0.25;

/// Which test images a model has right, in its run folder.
const SCORED: &str = "scored.json";

/// What training did to a model's attention, in its run folder.
const ATTENTION: &str = "attention.json";

/// Images at once when a model is scored.
const BATCH: usize = 64;

impl Session {
    /// Trains every regime of a configuration on every share of the training images, scores all models on the same test images, and
    /// writes a page about them; or goes on where the same comparison was stopped.
    ///
    /// # Errors
    /// One sentence; every finished epoch is kept.
    pub fn compare(&self, comparison: &Comparison) -> Result<Regimes, LabError> {
        let Comparison { data, out, strict, .. } = *comparison;
        let overrides: Vec<String> = comparison.set.iter().cloned().chain(self.overrides()).collect();
        let config = match comparison.config {
            Toml::Text(text) => RegimesConfig::parse(text, comparison.init, overrides)?,
            Toml::File(path) => RegimesConfig::read(path, comparison.init, overrides)?,
        };
        let order = config.order()?;
        let first = config.recipes.recipe(Some(&order[0]))?;
        let source = data.or(first.data.source.as_deref()).unwrap_or("sherds").to_owned();
        let (dataset, identity) = self.open_to_learn(&source, &first.data.options(strict))?;

        let mut regimes: Vec<Regime> = Vec::new();
        for name in &order {
            let recipe = config.recipes.recipe(Some(name))?;
            let mut regime = Regime {
                name: name.clone(),
                kind: RegimeKind::of(&recipe),
                model: String::new(),
                runs: Vec::new(),
            };
            for &share in &config.shares {
                let run = self.regime_on(&config, name, share, &dataset, &identity, out)?;
                regime.model = run.0;
                regime.runs.push(run.1);
            }
            regimes.push(regime);
        }
        let attention = self.attention_shifts(&config, &regimes, (&source, &identity.fingerprint), out)?;
        let split = dataset.evaluation_split().to_owned();
        let found = Regimes {
            environment: self.environment(),
            data: identity.source.clone(),
            classes: dataset.classes.len(),
            n: dataset.split(&split)?.len(),
            split,
            compared: RegimesCompared::of(regimes, attention, &Resampling::new(self.seed()))?,
        };
        let text = serde_json::to_string_pretty(&found).expect("plain data");
        archaeo_store::write(&out.join("regimes.json"), text.as_bytes())?;
        write(&found, out)?;
        Ok(found)
    }

    /// Trains one regime on one share, and scores its model. Returns the model's name too.
    fn regime_on(
        &self,
        config: &RegimesConfig,
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
        let times = if once {
            recipe.epochs *= times;
            1
        } else {
            times
        };
        let place = place(name, share);
        let images = indices.len();
        let lesson = Lesson {
            recipe: &recipe,
            dataset,
            identity,
            portion: Portion { indices, times },
            out: &out.join(&place),
            title: format!("{name} on {images} images"),
        };
        let trained = self.learn(&lesson)?.ok_or(LabError::Interrupted)?;
        let hash = sha256_checkpoint(&trained.weights)?;
        let made_from = [&*hash, &identity.fingerprint, dataset.evaluation_split()];
        let correct = kept(&out.join(&place).join(SCORED), &made_from, || {
            let split = dataset.split(dataset.evaluation_split())?;
            let source = Preprocessed { split, preprocessing: &trained.model.card().preprocessing };
            let work = self.counting(&format!("scoring {name}"), split.len());
            let answers = evaluate(&trained.model, &source, BATCH, &self.device()?, &mut work.follow())?;
            Ok(answers.scores()?.correct(1))
        })?;
        let right = correct.iter().filter(|right| **right).count();
        let run = RegimeRun {
            share,
            images,
            weights: place.join(WEIGHTS).display().to_string(),
            history: trained.history,
            step_images: recipe.step_images(),
            accuracy: wilson(right, correct.len(), DEFAULT_LEVEL)?,
            correct,
        };
        Ok((trained.model.card().name.clone(), run))
    }

    /// What training did to the attention of every transformer that started from other weights of the same sizes.
    fn attention_shifts(
        &self,
        config: &RegimesConfig,
        regimes: &[Regime],
        (source, fingerprint): (&str, &str),
        out: &Path,
    ) -> Result<Vec<AttentionShift>, LabError> {
        let mut shifts = Vec::new();
        for regime in regimes {
            if !regime.kind.changes_attention() {
                continue;
            }
            let Some(run) = regime.runs.last() else { continue };
            let recipe = config.recipes.recipe(Some(&regime.name))?;
            let Some(init) = &recipe.init else { continue };
            let (after, images) = (out.join(&run.weights), config.attention_images.to_string());
            let seed = self.seed().to_string();
            let [first, second] =
                [self.resolve(init.as_ref())?, after.clone()].map(|file| sha256_checkpoint(&file));
            let (first, second) = (first?, second?);
            let made_from = [&*first, &second, fingerprint, &images, &seed];
            let found = kept(&after.with_file_name(ATTENTION), &made_from, || {
                self.attention_shift(config, regime, (init, &after), source)
            })?;
            shifts.extend(found);
        }
        Ok(shifts)
    }

    /// The same of one regime; `None` where its model has no attention.
    fn attention_shift(
        &self,
        config: &RegimesConfig,
        regime: &Regime,
        (before, after): (&str, &Path),
        source: &str,
    ) -> Result<Option<AttentionShift>, LabError> {
        let subject = |weights: &Path| {
            let mut subject = Subject::new(ModelSource::new(weights), Some(source.to_owned()));
            subject.limit = NonZeroUsize::new(config.attention_images);
            subject
        };
        let after = self.open(subject(after), Purpose::Look)?;
        if !after.model.has_attention() {
            return Ok(None);
        }
        let mut before = subject(Path::new(before));
        before.model.reading.preprocessing.image_size = Some(after.model.card().preprocessing.image_size);
        let before = self.open(before, Purpose::Look)?;
        let options = AgainstOptions { convention: DistanceConvention::Renormalised };
        let found = self.attention_against(&before, &after, options, None)?;
        let layers = LayerShift::of(found.heads);
        Ok(Some(AttentionShift { regime: regime.name.clone(), n: found.n, layers }))
    }
}
