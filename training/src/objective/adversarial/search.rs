//! The attack of adversarial training: projected gradient ascent on cross-entropy with a distribution over classes.
//!
//! It differs from the attacks that measure robustness (`archaeo_analysis::attacks`) in three respects. It goes all its steps, whether
//! an image fools the student already or not, since training is to see the worst image and not the first wrong one. It does not
//! round to 8 bits. And its loss has any distribution as its goal: the target, or the student's answer to the clean image, since
//! `KL(p ‖ q)` and cross-entropy `−Σ p ln q` have the same gradient with respect to q's logits, `softmax − p`.

use archaeo_analysis::answers::probabilities;
use archaeo_analysis::attacks::{Clean, Target, Threat};
use archaeo_models::TrainingStep;
use archaeo_random::{keyed_rng, standard_normal};
use burn::tensor::{Tensor, TensorData};

/// Deviation of the noise that TRADES starts from (Zhang et al., 2019, algorithm 1): at the clean image itself the divergence has
/// its minimum, and no gradient.
const NEAR: f64 = 1e-3;

/// Where the ascent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Anywhere in the ball.
    Uniform,
    /// Next to the clean image.
    Near,
}

/// An ascent with its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    pub threat: Threat,
    /// Length of a step, in units of the image's range.
    pub step: f64,
    pub steps: usize,
    pub start: Start,
}

/// A distribution over classes for each image, which its answer is to be led away from.
pub(super) struct Goals {
    pub classes: usize,
    /// `(batch, classes)`, row by row.
    pub shares: Vec<f64>,
}

impl Goals {
    /// Those of a tensor `[batch, classes]`.
    pub fn distributions(targets: &Tensor<2>) -> Self {
        let [_, classes] = targets.dims();
        let targets = plain(targets.clone());
        let shares = targets.chunks_exact(classes).flat_map(|row| {
            let sum: f64 = row.iter().map(|&share| f64::from(share)).sum();
            row.iter().map(move |&share| f64::from(share) / sum)
        });
        Self { classes, shares: shares.collect() }
    }

    /// The probabilities of answers, `(batch, classes)` logits row by row.
    pub fn answers(logits: &[f32], classes: usize) -> Self {
        Self { classes, shares: probabilities(logits, classes) }
    }

    /// `softmax(logits) − goal` of one image, divided by its largest magnitude: only its direction counts, and the gradient of an
    /// image that the student is sure of must not underflow on its way through the network.
    fn slopes(&self, image: usize, logits: &[f32]) -> Vec<f32> {
        let goal = &self.shares[image * self.classes..][..self.classes];
        let mut slopes: Vec<f64> =
            probabilities(logits, self.classes).iter().zip(goal).map(|(p, goal)| p - goal).collect();
        // Both sum to one, so that the class where nearly all of it is follows from the small differences of the others.
        let first = |sure: usize, class: usize| if goal[class] > goal[sure] { class } else { sure };
        let sure = (1..self.classes).fold(0, first);
        slopes[sure] = 0.0;
        if slopes.iter().all(|&slope| slope == 0.0) {
            // Surer than 64 bits can say: what the other classes are to one another is still known.
            let others = || (0..self.classes).filter(|&class| class != sure);
            let largest = others().map(|class| logits[class]).fold(f32::NEG_INFINITY, f32::max);
            others().for_each(|class| slopes[class] = f64::from(logits[class] - largest).exp());
        }
        slopes[sure] = -slopes.iter().sum::<f64>();
        let largest = slopes.iter().fold(0f64, |largest, slope| largest.max(slope.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        slopes.into_iter().map(|slope| (slope / scale) as f32).collect()
    }
}

impl Search {
    /// The images that it ends at, in the layout of `images`, `[batch, 3, height, width]`.
    pub fn run(
        &self,
        target: &dyn Target,
        images: &Tensor<4>,
        goals: &Goals,
        step: &TrainingStep,
    ) -> Vec<f32> {
        let values = plain(images.clone());
        let clean = values.chunks_exact(values.len() / images.dims()[0]);
        let clean: Vec<Clean> = clean.map(|image| Clean::new(image.to_vec())).collect();
        let starts = clean.iter().zip(&step.images).map(|(clean, &image)| self.first(clean, image, step));
        self.climb(target, images, &clean, goals, starts.collect())
    }

    /// Where the ascent of an image starts.
    fn first(&self, clean: &Clean, image: u64, step: &TrainingStep) -> Vec<f32> {
        let mut rng = keyed_rng(step.seed, "train/adversarial start", image, step.step);
        if self.start == Start::Uniform {
            return self.threat.start(clean, &mut rng);
        }
        let free = if clean.grey { clean.values.len() / 3 } else { clean.values.len() };
        let noise: Vec<f64> = (0..free).map(|_| NEAR * standard_normal(&mut rng)).collect();
        let moved = clean.values.iter().enumerate().map(|(i, &value)| f64::from(value) + noise[i % free]);
        let mut near = clean.values.clone();
        self.threat.project(&moved.collect::<Vec<_>>(), clean, &mut near);
        near
    }

    /// All steps from there.
    pub fn climb(
        &self,
        target: &dyn Target,
        images: &Tensor<4>,
        clean: &[Clean],
        goals: &Goals,
        mut current: Vec<Vec<f32>>,
    ) -> Vec<f32> {
        let device = images.device().inner();
        for _ in 0..self.steps {
            let versions = Tensor::from_data(TensorData::new(current.concat(), images.dims()), &device);
            let found = target.gradient(versions, &|image, logits| goals.slopes(image, logits));
            let gradients = found.gradient.chunks_exact(current[0].len());
            for ((version, clean), gradient) in current.iter_mut().zip(clean).zip(gradients) {
                self.threat.ascend(version, clean, gradient, self.step);
            }
        }
        current.concat()
    }
}

/// The values of a tensor, last axis fastest.
fn plain<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data_as::<f32>().try_into_vec().expect("the data were just converted to f32")
}
