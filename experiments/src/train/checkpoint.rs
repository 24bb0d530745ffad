//! What a training needs to go on as if it had never stopped: one safetensors file, written whole at the end of each
//! epoch.

use std::collections::HashMap;
use std::path::Path;

use archaeo_models::{Classifier, State, read_arrays, state_of, with_state, write_arrays};
use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::average::WeightAverage;
use super::optimizer::Optimizer;
use super::{Recipe, TrainError};
use crate::findings::EpochRecord;

/// Key of the metadata entry that holds a [`Progress`], as TOML: its floats read back to the last bit, which those of
/// serde_json do not without a feature.
const PROGRESS_KEY: &str = "archaeo.progress";

/// How far a training is, beside its arrays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// One entry a finished epoch.
    pub history: Vec<EpochRecord>,
    /// Length of the TensorBoard file, in bytes.
    pub events_length: u64,
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
        let progress = toml::to_string(&self.progress).expect("progress is plain data");
        Ok(write_arrays(path, &arrays, HashMap::from([(PROGRESS_KEY.to_owned(), progress)]))?)
    }

    /// Goes on from a checkpoint of the same recipe; `model` is a fresh one.
    pub fn resume(recipe: &Recipe, model: Classifier, path: &Path) -> Result<Self, TrainError> {
        let damaged = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
        let (arrays, metadata) = read_arrays(path)?;
        let progress = metadata.get(PROGRESS_KEY).ok_or_else(|| damaged("it holds no training".into()))?;
        let progress: Progress = toml::from_str(progress).map_err(|error| damaged(error.to_string()))?;
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
        training.optimizer.restore(part("optimizer"), progress.step);
        training.average = recipe.ema_decay.map(|decay| WeightAverage::restore(decay, part("average")));
        training.progress = progress;
        Ok(training)
    }
}
