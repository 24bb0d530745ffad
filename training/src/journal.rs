//! What a training writes after every epoch.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use archaeo_models::{Classifier, save};
use archaeo_store::{AppendFile, StoreError};

use super::TrainError;
use super::checkpoint::Training;
use crate::EpochRecord;
use crate::tensorboard::EventFile;
use archaeo_store::run_folder::RunFolder;

/// The files that grow with every epoch.
pub(super) struct Journal<'a> {
    folder: &'a RunFolder,
    events: EventFile,
    metrics: AppendFile,
    /// The best accuracy on validation so far.
    best: Option<f64>,
}

/// Names of the files, within the run folder.
const EVENTS: &str = "events.out.tfevents.archaeo";
pub(super) const METRICS: &str = "metrics.jsonl";

impl<'a> Journal<'a> {
    /// Goes on where `training` stands: what was written after its checkpoint is dropped.
    pub fn open(folder: &'a RunFolder, training: &Training) -> Result<Self, TrainError> {
        let progress = &training.progress;
        let events = EventFile::open(&folder.file(EVENTS), progress.events_length, seconds_since_1970())?;
        let lines: String = progress.history.iter().map(line).collect();
        let metrics = AppendFile::create(&folder.file(METRICS), lines.as_bytes())?;
        let best = progress.history.iter().map(|record| record.validation_accuracy).reduce(f64::max);
        Ok(Self { folder, events, metrics, best })
    }

    /// Adds an epoch to the history and writes everything, at a cost that does not grow with the history. The checkpoint
    /// decides what has happened, so it comes after all that a rerun would write again in the same way, and before the
    /// metrics that are made from it.
    pub fn write(
        &mut self,
        training: &mut Training,
        result: &Classifier,
        record: EpochRecord,
    ) -> Result<(), TrainError> {
        let folder = self.folder;
        if self.best.is_none_or(|best| record.validation_accuracy > best) {
            save(&folder.file("checkpoints/best.safetensors"), result, &[])?;
            self.best = Some(record.validation_accuracy);
        }
        let write = |name| StoreError::io("write", folder.file(name));
        self.add_events(&record).map_err(write(EVENTS))?;
        training.progress.events_length = self.events.length();
        let line = line(&record);
        training.progress.history.push(record);
        training.write(&folder.file("checkpoints/last.safetensors"))?;
        Ok(self.metrics.append(line.as_bytes()).map_err(write(METRICS))?)
    }

    fn add_events(&mut self, record: &EpochRecord) -> io::Result<()> {
        let scalars = [
            ("loss/train", record.train_loss),
            ("loss/validation", record.validation_loss),
            ("accuracy/validation", record.validation_accuracy),
            ("learning_rate", record.learning_rate),
            ("images_per_second", record.images_per_second),
        ];
        self.events.scalars(seconds_since_1970(), record.step, &scalars)
    }
}

/// An epoch as one line of `metrics.jsonl`.
fn line(record: &EpochRecord) -> String {
    serde_json::to_string(record).expect("plain data") + "\n"
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
