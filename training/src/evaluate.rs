//! A model's logits on every image of a split.

use std::ops::Range;

use archaeo_analysis::answers::probabilities;
use archaeo_analysis::statistics::{Predictions, StatisticsError};
use archaeo_models::{Classifier, Pass};
use archaeo_ops::in_pool;
use burn::module::Module;
use burn::tensor::Device;

use crate::TrainError;
use crate::images::{ImageSource, load_ahead};
use crate::ranks::Ranks;
use archaeo_data::DataError;

/// The logits of a model on a split, in the split's own order.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// `(n, classes)`, row by row.
    pub logits: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// True class of each image.
    pub labels: Vec<usize>,
}

impl Evaluation {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there was no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Share of images whose largest logit is their class's.
    pub fn accuracy(&self) -> f64 {
        let right = self.logits.chunks_exact(self.classes).zip(&self.labels).filter(|(row, label)| {
            let first_largest = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
            first_largest == **label
        });
        right.count() as f64 / self.len() as f64
    }

    /// Mean negative log-likelihood of the true class, nats, computed in double precision.
    pub fn loss(&self) -> f64 {
        let per_image = |(row, &label): (&[f32], &usize)| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
            sum.ln() - f64::from(row[label] - largest)
        };
        self.logits.chunks_exact(self.classes).zip(&self.labels).map(per_image).sum::<f64>()
            / self.len() as f64
    }

    /// Scores for the statistics of reports.
    ///
    /// # Errors
    /// No images, or a logit that is not finite.
    pub fn scores(&self) -> Result<Predictions<'_>, StatisticsError> {
        Predictions::new(&self.logits, self.classes, &self.labels)
    }

    /// Probability of each class for image `index`.
    pub fn probabilities(&self, index: usize) -> Vec<f64> {
        probabilities(&self.logits[index * self.classes..][..self.classes], self.classes)
    }
}

/// Runs `model` over all images of `source`, `batch_size` at a time; `progress` receives the number of images done.
///
/// # Errors
/// An image that cannot be decoded.
pub fn evaluate(
    model: &Classifier,
    source: &dyn ImageSource,
    batch_size: usize,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Evaluation, DataError> {
    evaluate_some(model, source, 0..source.len(), batch_size, device, progress)
}

/// The same by all ranks, each of which looks at its portion of the images; all of them get the whole.
///
/// # Errors
/// As [`evaluate`]; a rank that does not answer.
pub(crate) fn evaluate_together(
    model: &Classifier,
    source: &dyn ImageSource,
    batch_size: usize,
    device: &Device,
    ranks: &dyn Ranks,
) -> Result<Evaluation, TrainError> {
    let own = ranks.portion(source.len());
    let part = evaluate_some(model, source, own.clone(), batch_size, device, &mut |_| ())?;
    let classes = part.classes;
    let mut logits = vec![0.0; source.len() * classes];
    logits[own.start * classes..own.end * classes].copy_from_slice(&part.logits);
    ranks.gather(&mut logits, classes)?;
    let labels = (0..source.len()).map(|index| source.label(index)).collect();
    Ok(Evaluation { logits, classes, labels })
}

fn evaluate_some(
    model: &Classifier,
    source: &dyn ImageSource,
    images: Range<usize>,
    batch_size: usize,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Evaluation, DataError> {
    let model = model.valid();
    let device = device.clone().inner();
    let classes = model.card().classes.len();
    let mut evaluation = Evaluation { logits: Vec::new(), classes, labels: Vec::new() };
    std::thread::scope(|scope| {
        for batch in load_ahead(scope, source, images.collect(), batch_size, 0) {
            let batch = batch?;
            evaluation.labels.extend(&batch.labels);
            let images = batch.tensor(&device);
            let logits = in_pool(|| model.logits(images, &mut Pass::evaluate(&mut ())));
            evaluation
                .logits
                .extend(logits.into_data().try_into_vec::<f32>().expect("logits are 32-bit floats"));
            progress(evaluation.labels.len());
        }
        Ok(())
    })?;
    Ok(evaluation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_and_loss_are_those_of_the_definition() {
        let logits = vec![0.0, 0.0, 1000.0, 0.0, 0.0, 2.0];
        let evaluation = Evaluation { logits, classes: 2, labels: vec![0, 1, 1] };
        // The first of equal logits is the answer; a logit of 1000 does not overflow.
        assert_eq!(evaluation.accuracy(), 2.0 / 3.0);
        let expected = (2f64.ln() + 1000.0 + (1.0 + (-2f64).exp()).ln()) / 3.0;
        assert!((evaluation.loss() - expected).abs() < 1e-9);
    }
}
