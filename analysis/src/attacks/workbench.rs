//! What attacks share: the batch as plain values, questions to the target that are counted, and outcomes.

use burn::tensor::{Tensor, TensorData};

use super::Target;
use super::contract::{Batch, Outcome};
use super::loss::{Aim, Loss};
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
    zero_gradient: Vec<Option<bool>>,
}

/// Where an image stands, and the way up.
pub(super) struct Slope {
    /// The target's logits there.
    pub logits: Vec<f32>,
    /// Their largest.
    pub answer: usize,
    /// Of the sum of logits that was asked for.
    pub gradient: Vec<f32>,
}

/// A rounded version of an image, and the target's answer to it where that is known already.
pub(super) struct Found {
    pub values: Vec<f32>,
    pub logits: Option<Vec<f32>>,
    /// Steps after which it was met.
    pub step: usize,
    /// Length of the smallest perturbation that fools, where that was looked for.
    pub distance: Option<f64>,
}

impl Found {
    /// A version of an image whose answer is not known yet, met after so many steps.
    pub fn open(values: Vec<f32>, step: usize) -> Self {
        Self { values, logits: None, step, distance: None }
    }
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
        if let Some(targets) = batch.targets {
            assert_eq!(targets.len(), count, "one target for each image is needed");
            assert!(targets.iter().all(|&of| of < classes), "a target is not among the {classes} classes");
        }
        let size = threat.size();
        assert!(size >= 0.0, "an attack needs a size of at least 0, not {size}");
        let values = values(batch.images.clone());
        let clean = match count {
            0 => Vec::new(),
            _ => per_image(&values, count).map(|image| Clean::new(image.to_vec())).collect(),
        };
        Self { target, batch, threat, clean, queries: vec![0; count], zero_gradient: vec![None; count] }
    }

    /// How far the attack may go.
    pub fn threat(&self) -> Threat {
        self.threat
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.target.classes()
    }

    /// The true class of an image.
    pub fn label(&self, place: usize) -> usize {
        self.batch.labels[place]
    }

    /// Where the answer to an image is to go.
    pub fn aim(&self, place: usize) -> Aim {
        self.batch.aim(place)
    }

    /// The way up from a version of each of the images at `places`, to where its answer is to go.
    pub fn slopes(&mut self, places: &[usize], versions: &[&[f32]], loss: Loss) -> Vec<Slope> {
        let aims: Vec<Aim> = places.iter().map(|&place| self.aim(place)).collect();
        self.gradients(places, versions, &|image, logits| loss.slopes(logits, aims[image]))
    }

    /// The gradient of one sum of logits at a version of each of the images at `places`; `factors(i, logits)` says with which
    /// factors those of the `i`-th version are added up. The first gradient of an image says whether it has any.
    pub fn gradients(
        &mut self,
        places: &[usize],
        versions: &[&[f32]],
        factors: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> Vec<Slope> {
        if places.is_empty() {
            return Vec::new();
        }
        let found = self.target.gradient(self.tensor(versions), factors);
        let rows = found.logits.chunks_exact(self.target.classes());
        let slopes = rows.zip(per_image(&found.gradient, places.len())).zip(places);
        slopes
            .map(|((logits, gradient), &place)| {
                let none = || !gradient.iter().any(|g| g.is_finite() && *g != 0.0);
                self.zero_gradient[place].get_or_insert_with(none);
                self.queries[place] += 1;
                Slope { logits: logits.to_vec(), answer: first_largest(logits), gradient: gradient.to_vec() }
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
        let outcomes =
            found.into_iter().enumerate().map(|(place, Found { values, logits, step, distance })| {
                let logits = logits.or_else(|| asked.next()).expect("every open image was asked about");
                let answer = first_largest(&logits);
                let clean = &self.clean[place].values;
                let change =
                    || values.iter().zip(clean).map(|(&x, &clean)| (f64::from(x) - f64::from(clean)).abs());
                Outcome {
                    answer,
                    success: self.fools(place, answer),
                    distance,
                    linf: change().fold(0.0, f64::max),
                    l2: euclidean_length(change()),
                    l1: change().sum(),
                    l0: change().filter(|&change| change > 0.0).count(),
                    queries: self.queries[place],
                    best_step: step,
                    zero_gradient: self.zero_gradient[place].unwrap_or(false),
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

    /// Whether an answer to an image is where it is to go.
    pub fn fools(&self, place: usize, answer: usize) -> bool {
        self.aim(place).reached(answer)
    }

    fn tensor(&self, versions: &[&[f32]]) -> Tensor<4> {
        let [_, channels, height, width] = self.batch.images.dims();
        let data = TensorData::new(versions.concat(), [versions.len(), channels, height, width]);
        Tensor::from_data(data, &self.batch.images.device())
    }
}
