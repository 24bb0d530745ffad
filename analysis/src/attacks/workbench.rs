//! What attacks share: the batch as plain values, questions to the target that are counted, and outcomes.

use burn::tensor::{Tensor, TensorData};

use super::Target;
use super::contract::{Batch, Outcome};
use super::loss::Loss;
use super::threat::{Clean, Threat, euclidean_length};
use crate::Keys;
use crate::statistics::first_largest;
use crate::tensors::{per_image, values};

/// A batch under attack.
pub(super) struct Workbench<'a> {
    target: &'a dyn Target,
    batch: &'a Batch<'a>,
    threat: Threat,
    /// The images before the attack.
    pub clean: Vec<Clean>,
    queries: Vec<usize>,
    zero_gradient: Vec<bool>,
}

/// Where an image stands, and the way up.
pub(super) struct Slope {
    /// The target's answer there.
    pub answer: usize,
    /// Of the image's own loss, up to a positive factor.
    pub gradient: Vec<f32>,
}

/// A rounded version of an image, and the target's answer to it where that is known already.
pub(super) struct Found {
    pub values: Vec<f32>,
    pub logits: Option<Vec<f32>>,
    /// Steps after which it was met.
    pub step: usize,
}

impl<'a> Workbench<'a> {
    /// # Panics
    /// As [`Attack::run`](super::Attack::run).
    pub fn new(target: &'a dyn Target, batch: &'a Batch, threat: Threat, keys: &Keys) -> Self {
        let count = batch.images.dims()[0];
        assert_eq!(
            (batch.labels.len(), keys.images.len()),
            (count, count),
            "one label and one key for each image are needed"
        );
        let classes = target.classes();
        assert!(
            batch.labels.iter().all(|&label| label < classes),
            "a label is not among the target's {classes} classes"
        );
        let size = threat.size();
        assert!(size.is_finite() && size >= 0.0, "an attack needs a size of at least 0, not {size}");
        let values = values(batch.images.clone());
        let clean = match count {
            0 => Vec::new(),
            _ => per_image(&values, count).map(|image| Clean::new(image.to_vec())).collect(),
        };
        Self { target, batch, threat, clean, queries: vec![0; count], zero_gradient: vec![false; count] }
    }

    /// The way up from a version of each of the images at `places`. The first slope of an image says whether there is one.
    pub fn slopes(&mut self, places: &[usize], versions: &[&[f32]], loss: Loss) -> Vec<Slope> {
        let labels: Vec<usize> = places.iter().map(|&place| self.batch.labels[place]).collect();
        let factors = |image: usize, logits: &[f32]| loss.slopes(logits, labels[image]);
        let found = self.target.gradient(self.tensor(versions), &factors);
        let answers = found.logits.chunks_exact(self.target.classes()).map(first_largest);
        let slopes = answers.zip(per_image(&found.gradient, places.len())).zip(places);
        slopes
            .map(|((answer, gradient), &place)| {
                if self.queries[place] == 0 {
                    self.zero_gradient[place] = !gradient.iter().any(|g| g.is_finite() && *g != 0.0);
                }
                self.queries[place] += 1;
                Slope { answer, gradient: gradient.to_vec() }
            })
            .collect()
    }

    /// The target's logits of a version of each of the images at `places`.
    pub fn logits(&mut self, places: &[usize], versions: &[&[f32]]) -> Vec<Vec<f32>> {
        if places.is_empty() {
            return Vec::new();
        }
        places.iter().for_each(|&place| self.queries[place] += 1);
        let logits = self.target.logits(self.tensor(versions));
        logits.chunks_exact(self.target.classes()).map(<[f32]>::to_vec).collect()
    }

    /// What became of each image; the target is asked where its answer is not known.
    pub fn outcomes(mut self, found: Vec<Found>) -> Vec<Outcome> {
        let open: Vec<usize> = (0..found.len()).filter(|&place| found[place].logits.is_none()).collect();
        let versions: Vec<&[f32]> = open.iter().map(|&place| found[place].values.as_slice()).collect();
        let mut asked = self.logits(&open, &versions).into_iter();
        let outcomes = found.into_iter().enumerate().map(|(place, Found { values, logits, step })| {
            let logits = logits.or_else(|| asked.next()).expect("every open image was asked about");
            let answer = first_largest(&logits);
            let clean = &self.clean[place].values;
            let change =
                || values.iter().zip(clean).map(|(&x, &clean)| (f64::from(x) - f64::from(clean)).abs());
            Outcome {
                answer,
                success: answer != self.batch.labels[place],
                linf: change().fold(0.0, f64::max),
                l2: euclidean_length(change()),
                l1: change().sum(),
                l0: change().filter(|&change| change > 0.0).count(),
                queries: self.queries[place],
                best_step: step,
                zero_gradient: self.zero_gradient[place],
                logits,
                image: values,
            }
        });
        outcomes.collect()
    }

    /// Rounds a version of an image to 8 bits within the ball.
    pub fn rounded(&self, place: usize, version: &[f32]) -> Vec<f32> {
        let mut values = version.to_vec();
        self.threat.round(&mut values, &self.clean[place]);
        values
    }

    /// Whether an answer to an image is wrong.
    pub fn fools(&self, place: usize, answer: usize) -> bool {
        answer != self.batch.labels[place]
    }

    fn tensor(&self, versions: &[&[f32]]) -> Tensor<4> {
        let [_, channels, height, width] = self.batch.images.dims();
        let data = TensorData::new(versions.concat(), [versions.len(), channels, height, width]);
        Tensor::from_data(data, &self.batch.images.device())
    }
}
