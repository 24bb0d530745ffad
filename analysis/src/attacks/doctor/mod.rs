//! Whether a model withstands attacks, or only hides from them: Carlini et al. (2019), section 5, and Athalye et al. (2018), section 3.
//!
//! A defence may leave a model as easy to fool as before and take away what an attack finds its way by: a gradient that is zero or
//! noise, a loss that underflows. Attacks then fail, and what they measure is no robustness. Such models betray themselves, for they
//! break rules that every differentiable function obeys: an attack that may do more does more. [`Doctor::examine`] attacks each image
//! in several ways; [`diagnose`] compares them over the images that the model classifies correctly:
//!
//! | check | sound models |
//! |---|---|
//! | `steady` | answer the same when they are asked twice |
//! | `gradient` | have a gradient at the pixels |
//! | `iterated` | fall to PGD at least as often as to FGSM |
//! | `steps` | fall to PGD at least as often with twice the steps |
//! | `unbounded` | fall to PGD without a bound |
//! | `black-box` | fall to PGD at least as often as to Square, which asks for no gradient |
//! | `scale` | fall to an attack on cross-entropy in 32 bits as often as on the same loss kept from underflowing |
//! | `restarts` | fall from one random start nearly as often as from the best of several |
//! | `transfer` | fall to PGD at least as often as to adversarial images of another model |
//!
//! A model that passes them all may still be weak; one that fails any has not been measured yet.

mod checks;
pub mod illusions;
#[cfg(test)]
mod tests;
mod views;

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use self::views::InSinglePrecision;
use super::{Attack, Batch, Fgsm, Loss, Norm, Pgd, Square, Target, images};
use crate::Keys;
use crate::statistics::first_largest;

pub use checks::{Check, Health, diagnose};

/// How hard the attacks try.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doctor {
    /// Size of the perturbation in L∞, in units of 1/255.
    pub epsilon: f64,
    /// Steps of PGD; twice as many where it is asked whether more help.
    pub steps: usize,
    /// Random starts of PGD where it is asked whether more help, at least 2.
    pub restarts: usize,
    /// Queries of Square, a search without gradients, about each image.
    pub queries: usize,
}

impl Default for Doctor {
    fn default() -> Self {
        Self { epsilon: 8.0, steps: 10, restarts: 3, queries: 200 }
    }
}

/// What became of one image that the model classifies correctly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// Whether a second answer to the same image differs from the first.
    pub unsteady: bool,
    /// Whether the gradient is zero in every pixel.
    pub zero_gradient: bool,
    /// Whether FGSM fools the model.
    pub single: bool,
    /// Whether PGD does.
    pub iterated: bool,
    /// Whether PGD of twice the steps does.
    pub longer: bool,
    /// Whether PGD from any of several starts does, of which the first is that of `iterated`.
    pub restarted: bool,
    /// Whether PGD that may change every pixel at will does.
    pub unbounded: bool,
    /// Whether Square does, which sees answers alone.
    pub black_box: bool,
    /// Whether PGD on cross-entropy computed in 32 bits does.
    pub cross_entropy: bool,
    /// Whether PGD on the same loss does, computed so that it cannot underflow.
    pub log_odds: bool,
    /// Whether an adversarial image of another model does; `None` without one.
    pub transferred: Option<bool>,
}

/// A second answer differs when a logit moves by more than this share of the spread of the first: far more than rounding.
const MOVED: f32 = 1e-3;

/// Images under examination: of a batch, or those of it that are left.
struct Ward<'a> {
    images: Tensor<4>,
    labels: Vec<usize>,
    ids: Vec<u64>,
    seed: u64,
    target: &'a dyn Target,
}

impl<'a> Ward<'a> {
    /// Those images that `chosen` says.
    fn only(&self, chosen: &[bool]) -> Self {
        let places: Vec<usize> = (0..chosen.len()).filter(|&place| chosen[place]).collect();
        let indices: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let indices: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(indices, [places.len()]), &self.images.device());
        Self {
            images: self.images.clone().select(0, indices),
            labels: places.iter().map(|&place| self.labels[place]).collect(),
            ids: places.iter().map(|&place| self.ids[place]).collect(),
            ..*self
        }
    }

    fn answers(&self, target: &dyn Target, images: Tensor<4>) -> Vec<usize> {
        target.logits(images).chunks_exact(target.classes()).map(first_largest).collect()
    }

    /// Which images an attack on a view of the target leads the target itself away from their labels.
    fn fooled(&self, attack: &dyn Attack, view: &dyn Target) -> Vec<bool> {
        if self.labels.is_empty() {
            return Vec::new();
        }
        let keys = Keys { seed: self.seed, images: &self.ids };
        let batch = Batch::new(self.images.clone(), &self.labels);
        attack.run(view, &batch, &keys).iter().map(|outcome| outcome.success).collect()
    }

    /// The same from further starts, of images that stand after a first.
    fn fooled_again(&self, attack: &dyn Attack, first: &[bool]) -> Vec<bool> {
        let standing: Vec<bool> = first.iter().map(|fooled| !fooled).collect();
        let rest = Self { seed: self.seed.wrapping_add(1), ..self.only(&standing) };
        let mut again = rest.fooled(attack, self.target).into_iter();
        let all = first.iter();
        all.map(|&fooled| fooled || again.next().expect("every image that stands is attacked again"))
            .collect()
    }

    /// Which images have another answer when the adversarial images of another model are shown to the target.
    fn fooled_by_images_of(&self, other: &dyn Target, attack: &dyn Attack) -> Vec<bool> {
        if self.labels.is_empty() {
            return Vec::new();
        }
        let keys = Keys { seed: self.seed, images: &self.ids };
        let batch = Batch::new(self.images.clone(), &self.labels);
        let found = images(&attack.run(other, &batch, &keys), &self.images);
        let answers = self.answers(self.target, found);
        answers.iter().zip(&self.labels).map(|(answer, label)| answer != label).collect()
    }
}

impl Doctor {
    /// Attacks each image of the batch in every way; `None` for one that the target gets wrong without an attack. `other` is a model
    /// that takes the same images and has the same classes.
    ///
    /// # Panics
    /// As [`Attack::run`].
    pub fn examine(
        &self,
        target: &dyn Target,
        other: Option<&dyn Target>,
        batch: &Batch,
        keys: &Keys,
    ) -> Vec<Option<Examined>> {
        let classes = target.classes();
        let answers = [(); 2].map(|()| target.logits(batch.images.clone()));
        let rows = |of: usize| answers[of].chunks_exact(classes);
        let correct: Vec<bool> =
            rows(0).zip(batch.labels).map(|(row, &label)| first_largest(row) == label).collect();
        let unsteady: Vec<bool> = rows(0).zip(rows(1)).map(|(first, second)| moved(first, second)).collect();
        let whole = Ward {
            images: batch.images.clone(),
            labels: batch.labels.to_vec(),
            ids: keys.images.to_vec(),
            seed: keys.seed,
            target,
        };
        let mut found = self.attacked(&whole.only(&correct), other).into_iter();
        let examined = correct.into_iter().zip(unsteady).map(|(correct, unsteady)| {
            correct.then(|| Examined { unsteady, ..found.next().expect("every correct image is attacked") })
        });
        examined.collect()
    }

    fn attacked(&self, ward: &Ward, other: Option<&dyn Target>) -> Vec<Examined> {
        let (target, threat) = (ward.target, Norm::Linf.threat(self.epsilon));
        let pgd = Pgd::usual(threat, self.steps);
        if ward.labels.is_empty() {
            return Vec::new();
        }
        let keys = Keys { seed: ward.seed, images: &ward.ids };
        let batch = Batch::new(ward.images.clone(), &ward.labels);
        let single = Fgsm { threat, loss: Loss::CrossEntropy }.run(target, &batch, &keys);
        let iterated = ward.fooled(&pgd, target);
        let longer = ward.fooled(&Pgd::usual(threat, 2 * self.steps), target);
        let further = Pgd { restarts: (self.restarts - 1).max(1), ..pgd };
        let restarted = ward.fooled_again(&further, &iterated);
        let unbounded = ward.fooled(&Pgd::usual(Norm::Linf.threat(255.0), self.steps), target);
        let square = Square { threat, queries: self.queries, share: 0.8 };
        let black_box = ward.fooled(&square, target);
        let on_cross_entropy = Pgd { loss: Loss::CrossEntropy, ..pgd };
        let cross_entropy = ward.fooled(&on_cross_entropy, &InSinglePrecision(target));
        let log_odds = ward.fooled(&on_cross_entropy, target);
        let transferred = other.map(|other| ward.fooled_by_images_of(other, &pgd));
        let examined = single.iter().enumerate().map(|(place, single)| Examined {
            unsteady: false,
            zero_gradient: single.zero_gradient,
            single: single.success,
            iterated: iterated[place],
            longer: longer[place],
            restarted: restarted[place],
            unbounded: unbounded[place],
            black_box: black_box[place],
            cross_entropy: cross_entropy[place],
            log_odds: log_odds[place],
            transferred: transferred.as_ref().map(|transferred| transferred[place]),
        });
        examined.collect()
    }
}

/// Whether two answers to one image differ by more than rounding.
fn moved(first: &[f32], second: &[f32]) -> bool {
    let (low, high) = first.iter().fold((f32::MAX, f32::MIN), |(low, high), &z| (low.min(z), high.max(z)));
    let tolerated = MOVED * (high - low).max(f32::MIN_POSITIVE);
    let differs = |(first, second): (&f32, &f32)| {
        let change = (first - second).abs();
        change.is_nan() || change > tolerated
    };
    first.iter().zip(second).any(differs)
}
