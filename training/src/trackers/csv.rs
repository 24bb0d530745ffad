//! Tables with one row per epoch and one per step.

use super::{Files, Tracker, TrackerKind};
use crate::EpochRecord;
use crate::events::{Event, Happening, Step};

const EPOCHS: &str = "metrics.csv";
const STEPS: &str = "steps.csv";

pub(super) static CSV: TrackerKind = TrackerKind {
    id: "csv",
    title: "tables with a row for each epoch and for each step",
    files: &[
        (
            EPOCHS,
            "epoch,step,learning_rate,train_loss,validation_loss,validation_accuracy,images_per_second,seconds\n",
        ),
        (STEPS, "epoch,step,loss,learning_rate,gradient_norm\n"),
    ],
    begin: || Box::new(Csv),
};

struct Csv;

impl Tracker for Csv {
    fn log(&mut self, event: &Event, files: &mut Files) {
        match &event.what {
            Happening::Epoch(record) => {
                let EpochRecord { epoch, step, learning_rate, train_loss, .. } = record;
                let EpochRecord { validation_loss, validation_accuracy, images_per_second, seconds, .. } =
                    record;
                let row = format!(
                    "{epoch},{step},{learning_rate},{train_loss},{validation_loss},{validation_accuracy},\
                     {images_per_second},{seconds}\n"
                );
                files.append(EPOCHS, row);
            }
            Happening::Step(Step { epoch, step, loss, learning_rate, gradient_norm }) => {
                files.append(STEPS, format!("{epoch},{step},{loss},{learning_rate},{gradient_norm}\n"));
            }
            _ => {}
        }
    }
}
