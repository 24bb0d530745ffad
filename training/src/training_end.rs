//! Whether a training had come to rest when it ended.

use serde::{Deserialize, Serialize};

use crate::EpochRecord;

/// The relative change of the validation loss from which on a training is not called at rest.
const NOTABLE: f64 = 0.05;

/// Epochs from which on it can be told.
const FEWEST_EPOCHS: usize = 3;

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingEnd {
    /// Validation loss of the last epoch less the lowest of the epochs before, as a share of the latter.
    pub change: f64,
    /// The epoch of that lowest loss, from 1.
    pub lowest_before: usize,
    /// What that amounts to.
    pub ended: Ended,
}

/// A training's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The last epoch lowered the validation loss by 5 % or more: more epochs might have lowered it further.
    StillFalling,
    /// The validation loss of the last epoch lies within 5 % of the lowest before.
    AtRest,
    /// It lies 5 % or more above an earlier one: the model learned its training images by heart.
    RisenAgain,
}

impl TrainingEnd {
    /// Of a training's epochs in their order; `None` of fewer than three, or where a loss is not a positive number.
    ///
    /// The validation loss of one run on one split says this, without a test: it describes, and is no estimate.
    pub fn of(history: &[EpochRecord]) -> Option<Self> {
        if history.len() < FEWEST_EPOCHS || history.iter().any(|epoch| !positive(epoch.validation_loss)) {
            return None;
        }
        let (last, before) = history.split_last()?;
        let lowest = before.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss))?;
        let change = last.validation_loss / lowest.validation_loss - 1.0;
        let ended = match change {
            change if change <= -NOTABLE => Ended::StillFalling,
            change if change >= NOTABLE => Ended::RisenAgain,
            _ => Ended::AtRest,
        };
        Some(Self { change, lowest_before: lowest.epoch, ended })
    }
}

fn positive(loss: f64) -> bool {
    loss.is_finite() && loss > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(losses: &[f64]) -> Option<TrainingEnd> {
        let epoch = |(at, &validation_loss): (usize, &f64)| EpochRecord {
            epoch: at + 1,
            step: 0,
            learning_rate: 0.0,
            train_loss: 0.0,
            validation_loss,
            validation_accuracy: 0.0,
            images_per_second: 0.0,
            waiting: None,
            exchanging: None,
            seconds: 0.0,
        };
        TrainingEnd::of(&losses.iter().enumerate().map(epoch).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_epoch_is_held_against_the_lowest_before() {
        let ended = |losses: &[f64]| of(losses).unwrap().ended;
        assert_eq!(ended(&[2.0, 1.0, 0.9]), Ended::StillFalling);
        assert_eq!(ended(&[2.0, 1.0, 0.96]), Ended::AtRest);
        assert_eq!(ended(&[2.0, 1.0, 1.04]), Ended::AtRest);
        assert_eq!(ended(&[0.5, 2.0, 1.0]), Ended::RisenAgain);
        let risen = of(&[2.0, 0.5, 0.8, 0.75]).unwrap();
        assert_eq!((risen.lowest_before, risen.ended), (2, Ended::RisenAgain));
        assert!((risen.change - 0.5).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_told_of_too_few_epochs_or_losses_that_are_none() {
        for losses in [&[][..], &[1.0, 0.5], &[1.0, f64::NAN, 0.5], &[1.0, 0.0, 0.0]] {
            assert_eq!(of(losses), None, "{losses:?}");
        }
    }
}
