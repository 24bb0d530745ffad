//! Files written during a training: its log, the trackers' files, and checkpoints. Of several ranks one writes them.

use archaeo_models::{Classifier, save};
use archaeo_store::run_folder::RunFolder;

use super::checkpoint::Training;
use super::{Job, Observer, Outcome, StepReport, TrainError};
use crate::events::{self, Event, EventLog, Happening, LOG, Start, Step};
use crate::objective::Objective;
use crate::strata;
use crate::trackers::{TrackerFailure, Tracking, chosen};
use crate::{EpochRecord, Sight};

/// Name of the trained model, within the run folder.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// The files that grow with a training.
pub(super) struct Journal<'a> {
    folder: &'a RunFolder,
    /// `None` on a rank that writes nothing.
    files: Option<Files>,
    /// Epochs whose model is kept.
    keep: &'a [usize],
    /// The best accuracy on validation so far.
    best: Option<f64>,
    /// Whether an earlier start has finished the run, so that nothing is added.
    finished: bool,
}

struct Files {
    log: EventLog,
    tracking: Tracking,
}

impl<'a> Journal<'a> {
    /// Continues at the state of `training`; log entries after its checkpoint are dropped.
    pub fn open(job: &Job<'a>, training: &Training) -> Result<Self, TrainError> {
        let Job { recipe, folder, .. } = *job;
        let progress = &training.progress;
        let path = folder.file(LOG);
        let end = match progress.history.len() == recipe.epochs {
            true => events::end_of_finished(&path, progress.log_length),
            false => None,
        };
        let keep = end.unwrap_or(progress.log_length);
        let log = EventLog::resume(path.clone(), keep, &progress.history)?;
        let tracking = Tracking::begin(folder.path(), &chosen(&recipe.trackers)?, events::read(&path)?)?;
        let best = progress.history.iter().map(|record| record.validation_accuracy).reduce(f64::max);
        let files = Some(Files { log, tracking });
        let mut journal =
            Self { folder, files, keep: &recipe.keep_checkpoints, best, finished: end.is_some() };
        journal.started(job, training)?;
        Ok(journal)
    }

    /// That of a rank whose files another one writes.
    pub fn of_another(job: &Job<'a>) -> Self {
        Self { folder: job.folder, files: None, keep: &[], best: None, finished: false }
    }

    fn started(&mut self, job: &Job, training: &Training) -> Result<(), TrainError> {
        let Job { recipe, folder, .. } = *job;
        let start = Start {
            epochs_done: training.progress.history.len(),
            total_steps: recipe.schedule(job.images.len()).total_steps,
            model: training.model().card().name.clone(),
            parameters: training.model().parameter_count(),
            seed: recipe.seed,
            recipe: serde_json::to_value(recipe).expect("a recipe is plain data"),
            data: folder.data()?,
            environment: folder.environments()?.pop(),
        };
        self.add(Happening::Started(Box::new(start)))
    }

    /// Logs what the objective decided.
    pub fn note(&mut self, text: String) -> Result<(), TrainError> {
        self.add(Happening::Note { text })
    }

    /// Logs an optimiser step.
    pub fn step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        self.add(Happening::Step(Step::from(report)))
    }

    /// Adds an epoch to the history and writes everything, at a cost that does not grow with the history. The checkpoint is
    /// authoritative, so it is written after everything that a rerun would rewrite identically, and before the trackers' files.
    pub fn epoch(
        &mut self,
        training: &mut Training,
        objective: &dyn Objective,
        result: &Classifier,
        record: EpochRecord,
        sight: Option<Sight>,
    ) -> Result<(), TrainError> {
        let folder = self.folder;
        let Some(Files { log, tracking }) = &mut self.files else {
            training.progress.history.push(record);
            return Ok(());
        };
        if self.best.is_none_or(|best| record.validation_accuracy > best) {
            save(&folder.file("checkpoints/best.safetensors"), result, &[])?;
            self.best = Some(record.validation_accuracy);
        }
        if self.keep.contains(&record.epoch) {
            save(&folder.file(&strata::file_of(record.epoch)), result, &[])?;
        }
        let sight = sight.map(|sight| Event::now(Happening::Sight(sight)));
        let epoch = Event::now(Happening::Epoch(record.clone()));
        let events: Vec<Event> = sight.into_iter().chain([epoch]).collect();
        events.iter().try_for_each(|event| log.append(event))?;
        training.progress.log_length = log.length();
        training.progress.history.push(record);
        objective.keep()?;
        training.write(objective.own(), &folder.file("checkpoints/last.safetensors"))?;
        events.iter().for_each(|event| tracking.log(event));
        Ok(())
    }

    /// Tells an observer, once, of trackers that could not go on.
    pub fn tell(&mut self, observer: &mut dyn Observer) {
        let failures = self.files.as_mut().map(|files| files.tracking.failures());
        for TrackerFailure { id, error } in failures.into_iter().flatten() {
            observer.warn(&format!(
                "the tracker {id} stopped, the training goes on: {error}; `archaeo track {} --to {id}` writes its files from the log",
                self.folder.path().display()
            ));
        }
    }

    /// Logs how the training ended.
    pub fn ended(&mut self, outcome: &Result<Outcome, TrainError>) -> Result<(), TrainError> {
        self.add(match outcome {
            Ok(Outcome::Finished(_)) => Happening::Finished { weights: WEIGHTS.into() },
            Ok(Outcome::Stopped { epochs }) => Happening::Stopped { epochs: *epochs },
            Err(error) => Happening::Failed { reason: error.to_string() },
        })
    }

    fn add(&mut self, what: Happening) -> Result<(), TrainError> {
        let Some(Files { log, tracking }) = self.files.as_mut().filter(|_| !self.finished) else {
            return Ok(());
        };
        let event = Event::now(what);
        log.append(&event)?;
        tracking.log(&event);
        Ok(())
    }
}
