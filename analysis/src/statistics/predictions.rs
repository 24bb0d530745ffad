//! Logits against labels: top-k accuracy, likelihood, confusions.

use serde::{Deserialize, Serialize};

use super::{DEFAULT_LEVEL, Estimate, Result, StatisticsError, check_count, check_lengths, wilson};

/// Checked predictions of one model: finite logits of shape `(n, classes)`, row by row, with a label for each row.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    logits: &'a [f32],
    classes: usize,
    labels: &'a [usize],
}

impl<'a> Predictions<'a> {
    /// Checks the shapes and values once, so that everything below can rely on them.
    ///
    /// # Errors
    /// No images, no classes, `logits` of another length than `labels.len() · classes`, a logit that is NaN or
    /// infinite, or a label that is not below `classes`.
    pub fn new(logits: &'a [f32], classes: usize, labels: &'a [usize]) -> Result<Self> {
        check_count("a set of predictions", 1, labels.len())?;
        check_count("a set of classes", 1, classes)?;
        check_lengths("logits with their labels", logits.len(), labels.len() * classes)?;
        if let Some(index) = logits.iter().position(|logit| !logit.is_finite()) {
            let value = f64::from(logits[index]);
            return Err(StatisticsError::NotFinite { what: "a table of logits", index, value });
        }
        if let Some(&label) = labels.iter().find(|&&label| label >= classes) {
            let allowed = "0 to the number of classes − 1";
            return Err(StatisticsError::OutOfRange { what: "a label", value: label as f64, allowed });
        }
        Ok(Self { logits, classes, labels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: [`Predictions::new`] refuses an empty set.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of the largest logit of each image; the lowest class among equals.
    pub fn predicted(&self) -> Vec<usize> {
        self.rows().map(|(row, _)| first_largest(row)).collect()
    }

    /// For each image whether its label is among the `k` largest logits.
    ///
    /// Among equal logits the lower class comes first, so that a constant output is not counted as a success.
    pub fn correct(&self, k: usize) -> Vec<bool> {
        self.rows()
            .map(|(row, label)| {
                let ahead = |(class, logit): (usize, &f32)| {
                    *logit > row[label] || (*logit == row[label] && class < label)
                };
                row.iter().enumerate().filter(|&entry| ahead(entry)).count() < k
            })
            .collect()
    }

    /// Top-k accuracy with its 95 % Wilson interval.
    pub fn top_k_accuracy(&self, k: usize) -> Result<Estimate> {
        wilson(self.correct(k).into_iter().filter(|&correct| correct).count(), self.len(), DEFAULT_LEVEL)
    }

    /// Softmax probability of the predicted class of each image, in `[1/classes, 1]`.
    pub fn confidences(&self) -> Vec<f64> {
        self.rows().map(|(row, _)| softmax(row).into_iter().fold(0.0, f64::max)).collect()
    }

    /// Negative log-likelihood −ln p(label) of each image, in nats.
    pub fn nll(&self) -> Vec<f64> {
        self.rows()
            .map(|(row, label)| {
                let largest = largest(row);
                let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
                sum.ln() + largest - f64::from(row[label])
            })
            .collect()
    }

    /// Counts of (label, predicted class).
    pub fn confusion_matrix(&self) -> ConfusionMatrix {
        let mut counts = vec![0; self.classes * self.classes];
        for (&label, predicted) in self.labels.iter().zip(self.predicted()) {
            counts[label * self.classes + predicted] += 1;
        }
        ConfusionMatrix { classes: self.classes, counts }
    }

    fn rows(&self) -> impl Iterator<Item = (&'a [f32], usize)> {
        self.logits.chunks_exact(self.classes).zip(self.labels.iter().copied())
    }
}

/// The class of the largest logit of one row; the lowest class among equals.
pub(crate) fn first_largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}

fn largest(row: &[f32]) -> f64 {
    f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max))
}

/// Softmax of one row of logits.
pub(crate) fn softmax(row: &[f32]) -> Vec<f64> {
    let largest = largest(row);
    let exponentials: Vec<f64> = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

/// How often each class was taken for each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Number of classes.
    pub classes: usize,
    /// `(classes, classes)` counts, row by row: rows are labels, columns predictions.
    pub counts: Vec<usize>,
}

impl ConfusionMatrix {
    /// Images of class `label` that were taken for `predicted`.
    pub fn count(&self, label: usize, predicted: usize) -> usize {
        self.counts[label * self.classes + predicted]
    }

    /// Recall of a class with its 95 % Wilson interval.
    ///
    /// # Errors
    /// The class has no image.
    pub fn recall(&self, class: usize) -> Result<Estimate> {
        let images = (0..self.classes).map(|predicted| self.count(class, predicted)).sum();
        wilson(self.count(class, class), images, DEFAULT_LEVEL)
    }

    /// Precision of a class with its 95 % Wilson interval.
    ///
    /// # Errors
    /// The class was never predicted.
    pub fn precision(&self, class: usize) -> Result<Estimate> {
        let predictions = (0..self.classes).map(|label| self.count(label, class)).sum();
        wilson(self.count(class, class), predictions, DEFAULT_LEVEL)
    }

    /// The mistakes `(label, predicted, count)`, most frequent first, equal counts by class.
    pub fn confusions(&self) -> Vec<(usize, usize, usize)> {
        let cells =
            (0..self.classes).flat_map(|label| (0..self.classes).map(move |predicted| (label, predicted)));
        let mut mistakes: Vec<_> = cells
            .filter(|(label, predicted)| label != predicted)
            .map(|(label, predicted)| (label, predicted, self.count(label, predicted)))
            .filter(|(_, _, count)| *count > 0)
            .collect();
        mistakes.sort_by_key(|&(label, predicted, count)| (std::cmp::Reverse(count), label, predicted));
        mistakes
    }
}
