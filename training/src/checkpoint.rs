//! Everything a training needs to resume as if it had never stopped: one safetensors file, written atomically at the end of each
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
use crate::objective::{Objective, OwnParameters};
use crate::transfer::scales;

/// Key of the metadata entry that holds a [`Progress`], as TOML: its floats read back exactly, which serde_json does only with a
/// feature.
const PROGRESS_KEY: &str = "archaeo.progress";

/// Number of last epochs whose records a checkpoint holds: enough for a training of usual length to resume without another file,
/// and bounded so that checkpoints do not grow. The event log has the earlier ones.
const RECORDS_KEPT: usize = 100;

/// Values that are checksummed at once.
const CHECKED_AT_ONCE: usize = 1 << 12;

/// Progress of a training, besides its arrays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// One entry per finished epoch.
    pub history: Vec<EpochRecord>,
    /// Length of the event log, in bytes. 0 in a checkpoint without a log.
    #[serde(default)]
    pub log_length: u64,
}

/// The part of a [`Progress`] that is stored in the checkpoint.
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

    /// Reads the output of [`Progress::to_toml`], completed with the records that only the event log has.
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

/// Everything that changes during a training.
pub(super) struct Training {
    /// The model under optimisation; absent only during an update, so that its arrays have no other owner and can be changed in
    /// place.
    model: Option<Classifier>,
    optimizer: Optimizer,
    /// The averaged weights, if the recipe enables them.
    average: Option<WeightAverage>,
    /// Progress of the training.
    pub progress: Progress,
}

impl Training {
    /// State before the first step.
    pub fn begin(recipe: &Recipe, model: Classifier) -> Self {
        Self {
            optimizer: Optimizer::new(recipe.optimizer.clone(), recipe.weight_decay)
                .with_scales(scales(recipe, &model)),
            average: recipe.ema_decay.map(|decay| WeightAverage::new(decay, &model)),
            progress: Progress::default(),
            model: Some(model),
        }
    }

    /// The model under optimisation, not averaged.
    pub fn model(&self) -> &Classifier {
        self.model.as_ref().expect("it is there between two changes")
    }

    /// Replaces the model by `change(model)`.
    pub fn update(&mut self, change: impl FnOnce(Classifier, &mut Optimizer) -> Classifier) {
        self.model = self.model.take().map(|model| change(model, &mut self.optimizer));
    }

    /// Updates the averaged weights.
    pub fn follow(&mut self) {
        if let (Some(average), Some(model)) = (&mut self.average, &self.model) {
            average.follow(model, self.progress.step);
        }
    }

    /// The model that is evaluated and saved: averaged if the recipe enables it.
    pub fn result(&self) -> Classifier {
        match &self.average {
            Some(average) => average.applied_to(self.model()),
            None => self.model().valid(),
        }
    }

    /// A checksum of everything that a checkpoint would hold.
    pub fn checksum(&self, own: Option<&dyn OwnParameters>) -> u32 {
        let mut parts = vec![state_of(self.model()), self.optimizer.state()];
        parts.extend(self.average.as_ref().map(|average| average.state().clone()));
        parts.extend(own.map(OwnParameters::state));
        let progress = (self.progress.step, self.progress.history.len());
        let mut checksum = crc32c::crc32c(format!("{progress:?}").as_bytes());
        let mut bytes = Vec::new();
        for (name, array) in parts.iter().flatten() {
            checksum = crc32c::crc32c_append(checksum, name.as_bytes());
            for values in array.values.chunks(CHECKED_AT_ONCE) {
                bytes.clear();
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                checksum = crc32c::crc32c_append(checksum, &bytes);
            }
        }
        checksum
    }

    /// Writes the checkpoint, with the objective's own parameters.
    pub fn write(&self, own: Option<&dyn OwnParameters>, path: &Path) -> Result<(), TrainError> {
        let mut arrays = State::new();
        let mut put = |prefix: &str, state: State| {
            arrays.extend(state.into_iter().map(|(name, array)| (format!("{prefix}.{name}"), array)));
        };
        put("model", state_of(self.model()));
        put("optimizer", self.optimizer.state());
        if let Some(average) = &self.average {
            put("average", average.state().clone());
        }
        if let Some(own) = own {
            put("objective", own.state());
        }
        let progress = self.progress.to_toml();
        Ok(write_arrays(path, &arrays, HashMap::from([(PROGRESS_KEY.to_owned(), progress)]))?)
    }

    /// Resumes from a checkpoint of the same recipe; `model` and `objective` are fresh ones, `log` the run's event log.
    pub fn resume(
        recipe: &Recipe,
        model: Classifier,
        objective: &mut dyn Objective,
        path: &Path,
        log: &Path,
    ) -> Result<Self, TrainError> {
        let damaged = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
        let (arrays, metadata) = read_arrays(path).map_err(|error| match error {
            error @ (WeightsError::Store(_) | WeightsError::Missing(_)) => error.into(),
            // Advice for other checkpoints, such as downloading them again, does not apply here.
            WeightsError::Malformed { reason, .. } | WeightsError::Unrecognised { reason, .. } => {
                damaged(reason)
            }
            other => damaged(other.to_string()),
        })?;
        let progress = metadata.get(PROGRESS_KEY).ok_or_else(|| damaged("it holds no training".into()))?;
        let progress = Progress::from_toml(progress, log).map_err(damaged)?;
        let mut parts =
            HashMap::from(["model", "optimizer", "average", "objective"].map(|part| (part, State::new())));
        for (name, array) in arrays {
            let (part, name) = name.split_once('.').unwrap_or_default();
            match parts.get_mut(part) {
                Some(state) => drop(state.insert(name.to_owned(), array)),
                None => return Err(damaged(format!("`{part}.{name}` is not part of a checkpoint"))),
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
        if let Some(own) = objective.own_mut() {
            own.restore(part("objective"), progress.step)
                .map_err(|mismatch| damaged(format!("its objective is another one:\n{mismatch}")))?;
        }
        training.progress = progress;
        Ok(training)
    }
}
