//! One model, trained from a recipe, once or with several seeds.

use std::path::Path;

use archaeo_analysis::masks::{MaskScores, mask_scores};
use archaeo_analysis::statistics::Resampling;
use archaeo_data::{Dataset, OpenOptions};
use archaeo_experiments::painter::Painter;
use archaeo_experiments::scene::opened;
use archaeo_store::run_folder::{DataIdentity, RunFolder};
use archaeo_training::ranks::{Alone, Ranks};
use archaeo_training::{
    DataTraining, EpochRecord, Outcome, Portion, Recipe, RecipeFile, Spread, TrainError, Trained, Transfer,
    open_runs, open_to_learn,
};
use burn::tensor::Device;
use serde::Serialize;

use crate::delivery::Delivering;
use crate::error::LabError;
use crate::listener::{Followed, Kept, Work};
use crate::session::Session;

/// What is to be trained.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// How, as [`Session::recipe`] reads it.
    pub recipe: &'a RecipeFile,
    /// The images; by default the recipe's, else Sherds.
    pub data: Option<&'a str>,
    /// The run folder; the same folder resumes an interrupted run.
    pub out: &'a Path,
    /// Whether an unreadable image is an error instead of being left out.
    pub strict: bool,
}

/// How a training ended.
#[derive(Clone, Debug)]
pub enum TrainingEnd {
    /// The listener stopped it: so many runs are done, and so many epochs of the next.
    Stopped {
        /// Runs that are done.
        runs: usize,
        /// Epochs of the next run that are kept.
        epochs: usize,
    },
    /// The one run of the recipe is done.
    Finished(TrainingResult),
    /// All of its several runs are.
    Several(SeveralRuns),
}

/// A run that is done.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingResult {
    /// The file of the model.
    pub model: String,
    /// Its epochs.
    pub epochs: usize,
    /// What the last epoch gave.
    pub validation: Option<EpochRecord>,
    /// Agreement of the masks that it predicts of the validation images with the true ones, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<MaskScores>,
    /// Its seed, where there are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Runs that differ in their seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeveralRuns {
    /// The runs, in their order.
    pub runs: Vec<TrainingResult>,
    /// How much they differ.
    pub spread: Spread,
}

/// One training on a portion of the training images.
pub(crate) struct Lesson<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// The data.
    pub dataset: &'a Dataset,
    /// What they are, for the run folder.
    pub identity: &'a DataIdentity,
    /// The training images.
    pub portion: Portion,
    /// The run folder.
    pub out: &'a Path,
    /// What it is called while it runs.
    pub title: String,
}

/// A recipe with what its weights decide.
struct Prepared {
    transfer: Option<Transfer>,
    recipe: Recipe,
}

impl TrainingResult {
    fn of(trained: &Trained, seed: Option<u64>, masks: Option<MaskScores>) -> Self {
        Self {
            masks,
            model: trained.weights.display().to_string(),
            epochs: trained.history.len(),
            validation: trained.history.last().cloned(),
            seed,
        }
    }
}

impl Session {
    /// Trains a model, or goes on where the same training was stopped or killed; one run after the other where the recipe asks
    /// for several.
    ///
    /// # Errors
    /// One sentence; the checkpoint of the last finished epoch is kept.
    pub fn train(&self, training: &Training) -> Result<TrainingEnd, LabError> {
        self.train_on(&Alone, training)
    }

    /// The same by all of these ranks together, each of which asks for the same with a session of its own. Rank 0 writes the run folder,
    /// which the others read, and delivers to other programs.
    ///
    /// # Errors
    /// One sentence, as there; ranks that do not fit the recipe or one another, or one that is lost.
    pub fn train_on(&self, ranks: &dyn Ranks, training: &Training) -> Result<TrainingEnd, LabError> {
        let mut recipe = training.recipe.recipe(None)?;
        ranks.fit(&recipe).map_err(TrainError::from)?;
        recipe.objective.find_weights(|path| self.resolve(path))?;
        let device = self.device_for(&[recipe.precision])?;
        if let Some(note) = recipe.augment.note() {
            self.note(note);
        }

        let source = training.data.or(recipe.data.source.as_deref()).unwrap_or("sherds").to_owned();
        // A name on the hub that does not exist is said before the data are read.
        self.init(&recipe)?;
        let (dataset, identity) = self.open_to_learn(&source, &recipe.data.options(training.strict))?;
        let prepared = self.prepared(recipe, &dataset, training.out, &device)?;
        let (runs, environment, out) = (prepared.recipe.runs(), self.environment(), training.out);
        let of_all = match runs.len() {
            1 => None,
            _ if ranks.writes() => Some(open_runs(&prepared.recipe, out, &identity, &environment)?),
            _ => Some(RunFolder::of_another(out)),
        };
        let mut done = Vec::new();
        for run in &runs {
            let folder = match ranks.writes() {
                true => run.open(out, &identity, &environment)?,
                false => RunFolder::of_another(&run.path(out)),
            };
            // From here on the folder is there.
            ranks.meet().map_err(TrainError::from)?;
            let training = DataTraining {
                recipe: &run.recipe,
                transfer: prepared.transfer.as_ref(),
                dataset: &dataset,
                portion: None,
                folder: &folder,
                device: &device,
                artist: Some(&Painter),
            };
            let name = training.card()?.name;
            let title = match of_all {
                None => name,
                Some(_) => format!("{name} run {}/{}", done.len() + 1, runs.len()),
            };
            self.listener().keeps(Kept::Epochs { runs: done.len(), folder: out });
            match self.run(ranks, &training, &title)? {
                Outcome::Stopped { epochs } => return Ok(TrainingEnd::Stopped { runs: done.len(), epochs }),
                Outcome::Finished(trained) => {
                    let overlaps = if ranks.writes() { training.masks(&trained.model)? } else { None };
                    let resampling = Resampling::new(self.seed());
                    let masks = overlaps.map(|overlaps| mask_scores(&overlaps, &resampling)).transpose()?;
                    done.push(TrainingResult::of(&trained, of_all.as_ref().map(|_| run.recipe.seed), masks));
                }
            }
        }
        let Some(folder) = of_all else { return Ok(TrainingEnd::Finished(done.remove(0))) };
        let last: Vec<EpochRecord> = done.iter().filter_map(|run| run.validation.clone()).collect();
        let several = SeveralRuns { spread: Spread::of(&last)?, runs: done };
        if ranks.writes() {
            folder.write_json("runs.json", &several)?;
        }
        Ok(TrainingEnd::Several(several))
    }

    /// Opens data to learn from, without the images that cannot be used.
    pub(crate) fn open_to_learn(
        &self,
        source: &str,
        options: &OpenOptions,
    ) -> Result<(Dataset, DataIdentity), LabError> {
        let options = OpenOptions { copies: self.copies(source)?, ..options.clone() };
        let followed = Followed(self.listener());
        let found = open_to_learn(source, &options, &|opening| opened(&followed, opening))?;
        drop(followed);
        self.say_skipped(&found.skipped);
        found.dataset.notes.iter().for_each(|note| self.note(note));
        Ok((found.dataset, found.identity))
    }

    /// One training on a portion of the training images; `None` if the listener stopped it.
    pub(crate) fn learn(&self, lesson: &Lesson) -> Result<Option<Trained>, LabError> {
        let Lesson { recipe, dataset, identity, portion, out, title } = lesson;
        let device = self.device_for(&[recipe.precision])?;
        let mut recipe = Recipe { seeds: 1, ..(*recipe).clone() };
        recipe.objective.find_weights(|path| self.resolve(path))?;
        let prepared = self.prepared(recipe, dataset, out, &device)?;
        let run = &prepared.recipe.runs()[0];
        let folder = run.open(out, identity, &self.environment())?;
        self.listener().keeps(Kept::Epochs { runs: 0, folder: out });
        let training = DataTraining {
            recipe: &run.recipe,
            transfer: prepared.transfer.as_ref(),
            dataset,
            portion: Some(portion),
            folder: &folder,
            device: &device,
            artist: Some(&Painter),
        };
        match self.run(&Alone, &training, title)? {
            Outcome::Stopped { .. } => Ok(None),
            Outcome::Finished(trained) => Ok(Some(trained)),
        }
    }

    /// Reads the weights that a recipe starts from, and completes it by what they decide.
    fn prepared(
        &self,
        recipe: Recipe,
        dataset: &Dataset,
        out: &Path,
        device: &Device,
    ) -> Result<Prepared, LabError> {
        let file = self.init(&recipe)?;
        let transfer = self.transfer(&recipe, file, &dataset.classes, device)?;
        let transfer = transfer.map(|transfer| transfer.keeping_features_in(out.to_owned()));
        let recipe = transfer.as_ref().map_or(recipe, |transfer| transfer.recipe().clone());
        Ok(Prepared { transfer, recipe })
    }

    fn run(&self, ranks: &dyn Ranks, training: &DataTraining, title: &str) -> Result<Outcome, LabError> {
        let _ended = Work::of(self.listener());
        let DataTraining { recipe, folder, .. } = *training;
        let mut observer = self.listener().training(title);
        if !ranks.writes() {
            return Ok(training.train_on(ranks, &mut *observer)?);
        }
        let mut observer = Delivering::new(observer, folder.path(), &recipe.trackers, self.is_offline());
        Ok(training.train_on(ranks, &mut observer)?)
    }
}
