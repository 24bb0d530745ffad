//! What a training writes after every epoch.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use archaeo_models::{Classifier, save};

use super::TrainError;
use super::checkpoint::Training;
use crate::findings::EpochRecord;
use crate::run_folder::{RunFolder, RunFolderError, write_atomic};
use crate::tensorboard::EventFile;

/// The files that grow with every epoch.
pub(super) struct Journal<'a> {
    folder: &'a RunFolder,
    events: EventFile,
}

impl<'a> Journal<'a> {
    /// Goes on where `training` stands: what was written after its checkpoint is dropped.
    pub fn open(folder: &'a RunFolder, training: &Training) -> Result<Self, TrainError> {
        let path = folder.file("events.out.tfevents.archaeo");
        let events = EventFile::open(&path, training.progress.events_length, seconds_since_1970())
            .map_err(|source| RunFolderError::Io { action: "write", path, source })?;
        let journal = Self { folder, events };
        journal.write_metrics(&training.progress.history)?;
        Ok(journal)
    }

    /// Adds an epoch to the history and writes everything. The checkpoint decides what has happened, so it comes after
    /// all that a rerun would write again in the same way, and before the metrics that are made from it.
    pub fn write(
        &mut self,
        training: &mut Training,
        result: &Classifier,
        record: EpochRecord,
    ) -> Result<(), TrainError> {
        let folder = self.folder;
        let is_best = |earlier: &EpochRecord| record.validation_accuracy > earlier.validation_accuracy;
        if training.progress.history.iter().all(is_best) {
            save(&folder.file("checkpoints/best.safetensors"), result, &[])?;
        }
        self.add_events(&record).map_err(|source| RunFolderError::Io {
            action: "write",
            path: folder.file("events.out.tfevents.archaeo"),
            source,
        })?;
        training.progress.events_length = self.events.length();
        training.progress.history.push(record);
        training.write(&folder.file("checkpoints/last.safetensors"))?;
        self.write_metrics(&training.progress.history)
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

    /// The whole file anew, so that it never holds half a line or an epoch that the checkpoint does not know.
    fn write_metrics(&self, history: &[EpochRecord]) -> Result<(), TrainError> {
        let line = |record| serde_json::to_string(record).expect("plain data") + "\n";
        let lines: String = history.iter().map(line).collect();
        Ok(write_atomic(&self.folder.file("metrics.jsonl"), lines.as_bytes())?)
    }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
