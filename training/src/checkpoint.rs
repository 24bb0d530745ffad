//! What a training needs to go on as if it had never stopped: one safetensors file, written whole at the end of each
//! epoch.

use std::collections::HashMap;
use std::path::Path;

use archaeo_models::{Classifier, State, WeightsError, read_arrays, state_of, with_state, write_arrays};
use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::average::WeightAverage;
use super::optimizer::Optimizer;
use super::{Recipe, TrainError};
use crate::EpochRecord;
use crate::events::{self, Happening};

/// Key of the metadata entry that holds a [`Progress`], as TOML: its floats read back to the last bit, which those of
/// serde_json do not without a feature.
const PROGRESS_KEY: &str = "archaeo.progress";

/// Epochs whose records a checkpoint holds, the last ones: enough that a training of usual length needs no other file to go
/// on, and few enough that a checkpoint does not grow with the training. The event log has the earlier ones.
const RECORDS_KEPT: usize = 100;

/// How far a training is, besides its arrays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// One entry a finished epoch.
    pub history: Vec<EpochRecord>,
    /// Length of the event log, in bytes. A checkpoint of before there was one has none.
    #[serde(default)]
    pub log_length: u64,
}

/// What of a [`Progress`] is in the checkpoint.
#[derive(Serialize)]
struct Kept<'a> {
    step: u64,
    history: &'a [EpochRecord],
    log_length: u64,
}

impl Progress {
    fn to_toml(&self) -> String {
        let Self { step, history, log_length } = self;
        let history = &history[history.len().saturating_sub(RECORDS_KEPT)..];
        let kept = Kept { step: *step, history, log_length: *log_length };
        toml::to_string(&kept).expect("progress is plain data")
    }

    /// What [`Progress::to_toml`] wrote, with the records that only the event log has.
    fn from_toml(text: &str, log: &Path) -> Result<Self, String> {
        let mut progress: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let first = progress.history.first().map_or(1, |record| record.epoch);
        let consecutive = progress.history.iter().zip(first..).all(|(record, epoch)| record.epoch == epoch);
        if first == 0 || !consecutive {
            return Err("its epochs do not follow one another".into());
        }
        let earlier = earlier_records(log, first - 1);
        let earlier = earlier.map_err(|reason| format!("of the epochs before {first}, {reason}"))?;
        progress.history.splice(0..0, earlier);
        Ok(progress)
    }
}

/// The records of epochs 1 to `count`, from the event log.
fn earlier_records(log: &Path, count: usize) -> Result<Vec<EpochRecord>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let events = events::read(log).map_err(|error| error.to_string())?;
    let mut records = events.filter_map(|event| match event.map(|event| event.what) {
        Ok(Happening::Epoch(record)) => Some(Ok(record)),
        Ok(_) => None,
        Err(error) => Some(Err(error.to_string())),
    });
    let mut record = |epoch| {
        let record = records.next().transpose()?.filter(|record| record.epoch == epoch);
        record.ok_or_else(|| format!("{} lacks epoch {epoch}", log.display()))
    };
    (1..=count).map(&mut record).collect()
}

/// All that changes in the course of a training.
pub(super) struct Training {
    /// The model as the optimiser has it; absent only while it is being changed, so that nothing else holds its arrays
    /// and they can be changed in place.
    model: Option<Classifier>,
    optimizer: Optimizer,
    /// The averaged weights, where the recipe asks for them.
    average: Option<WeightAverage>,
    /// How far it is.
    pub progress: Progress,
}

impl Training {
    /// Before the first step.
    pub fn begin(recipe: &Recipe, model: Classifier) -> Self {
        Self {
            optimizer: Optimizer::new(recipe.optimizer.clone(), recipe.weight_decay),
            average: recipe.ema_decay.map(|decay| WeightAverage::new(decay, &model)),
            progress: Progress::default(),
            model: Some(model),
        }
    }

    /// The model as the optimiser has it.
    pub fn model(&self) -> &Classifier {
        self.model.as_ref().expect("it is there between two changes")
    }

    /// Changes the model.
    pub fn update(&mut self, change: impl FnOnce(Classifier, &mut Optimizer) -> Classifier) {
        self.model = self.model.take().map(|model| change(model, &mut self.optimizer));
    }

    /// Takes the model into the averaged weights.
    pub fn follow(&mut self) {
        if let (Some(average), Some(model)) = (&mut self.average, &self.model) {
            average.follow(model, self.progress.step);
        }
    }

    /// The model that is evaluated and saved: averaged where the recipe asks for that.
    pub fn result(&self) -> Classifier {
        match &self.average {
            Some(average) => average.applied_to(self.model()),
            None => self.model().valid(),
        }
    }

    /// Writes the checkpoint.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let mut arrays = State::new();
        let mut put = |prefix: &str, state: State| {
            arrays.extend(state.into_iter().map(|(name, array)| (format!("{prefix}.{name}"), array)));
        };
        put("model", state_of(self.model()));
        put("optimizer", self.optimizer.state());
        if let Some(average) = &self.average {
            put("average", average.state().clone());
        }
        let progress = self.progress.to_toml();
        Ok(write_arrays(path, &arrays, HashMap::from([(PROGRESS_KEY.to_owned(), progress)]))?)
    }

    /// Goes on from a checkpoint of the same recipe; `model` is a fresh one, `log` the run's event log.
    pub fn resume(recipe: &Recipe, model: Classifier, path: &Path, log: &Path) -> Result<Self, TrainError> {
        let damaged = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
        let (arrays, metadata) = read_arrays(path).map_err(|error| match error {
            error @ (WeightsError::Store(_) | WeightsError::Missing(_)) => error.into(),
            // What is said of checkpoints from elsewhere, such as to download them again, is of no use here.
            WeightsError::Malformed { reason, .. } | WeightsError::Unrecognised { reason, .. } => {
                damaged(reason)
            }
            other => damaged(other.to_string()),
        })?;
        let progress = metadata.get(PROGRESS_KEY).ok_or_else(|| damaged("it holds no training".into()))?;
        let progress = Progress::from_toml(progress, log).map_err(damaged)?;
        let mut parts =
            HashMap::from([("model", State::new()), ("optimizer", State::new()), ("average", State::new())]);
        for (name, array) in arrays {
            let (part, name) = name.split_once('.').unwrap_or_default();
            match parts.get_mut(part) {
                Some(state) => drop(state.insert(name.to_owned(), array)),
                None => return Err(damaged(format!("`{part}.{name}` is no part of a checkpoint"))),
            }
        }
        let mut part = |name| parts.remove(name).expect("it was put in above");
        let model = with_state(model, part("model"))
            .map_err(|mismatch| damaged(format!("it is of another model:\n{mismatch}")))?;
        let mut training = Self::begin(recipe, model);
        let trained = training.model.as_ref().expect("it was put in above");
        training
            .optimizer
            .restore(part("optimizer"), progress.step, trained)
            .map_err(|mismatch| damaged(format!("its optimizer is of another model:\n{mismatch}")))?;
        let average = recipe.ema_decay.map(|decay| WeightAverage::restore(decay, part("average"), trained));
        training.average = average
            .transpose()
            .map_err(|mismatch| damaged(format!("its averaged weights are of another model:\n{mismatch}")))?;
        training.progress = progress;
        Ok(training)
    }
}
