//! One image under a search for the smallest perturbation: what is clean, what is asked of the answer, and what is measured.

use super::super::loss::Aim;
use super::super::threat::{Clean, Threat, into_box};
use crate::statistics::first_largest;

/// Width that the logits of a clean image are scaled to, between the largest and the smallest. Attacks that weigh a margin
/// against a length (C&W, sigma-zero, PDPGD) were tuned on logits about this far apart; in this unit they find the same of a
/// model whose logits are multiplied by any number.
const SPREAD: f64 = 15.0;

/// One image, and what its search is to find.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Subject<'a> {
    /// The image before the attack.
    pub clean: &'a Clean,
    /// The norm, as a ball of any size.
    pub threat: Threat,
    /// Where the answer is to go.
    pub aim: Aim,
    /// Factor from the target's logits to those that are [`SPREAD`] apart.
    unit: f64,
    /// Number of classes.
    pub classes: usize,
    /// Seed of the run and identity of the image.
    pub key: (u64, u64),
}

impl<'a> Subject<'a> {
    /// An image whose clean logits are `logits`.
    pub fn new(clean: &'a Clean, threat: Threat, aim: Aim, logits: &[f32], key: (u64, u64)) -> Self {
        let classes = logits.len();
        let logits = || logits.iter().map(|&logit| f64::from(logit));
        let spread = logits().fold(f64::MIN, f64::max) - logits().fold(f64::MAX, f64::min);
        let unit = SPREAD / spread.max(f64::from(f32::MIN_POSITIVE));
        let unit = if unit.is_finite() && spread > 0.0 && spread.is_finite() { unit } else { 1.0 };
        Self { clean, threat, aim, unit, classes, key }
    }

    /// Whether logits are numbers whose largest is where it is to go.
    pub fn fools(&self, logits: &[f32]) -> bool {
        logits.iter().all(|logit| logit.is_finite()) && self.aim.reached(first_largest(logits))
    }

    /// How far the answer is from where it is to go, in units of the scaled logits: positive on the wrong side. The mask takes the
    /// class itself out by its place, never by a number that a negative logit would lie below.
    pub fn margin(&self, logits: &[f32]) -> f64 {
        self.between(logits, self.pair(logits))
    }

    /// z_first − z_second in units of the scaled logits.
    pub fn between(&self, logits: &[f32], (first, second): (usize, usize)) -> f64 {
        self.unit * (f64::from(logits[first]) - f64::from(logits[second]))
    }

    /// ∂margin/∂logits.
    pub fn slopes(&self, logits: &[f32]) -> Vec<f32> {
        self.slopes_between(logits.len(), self.pair(logits))
    }

    /// ∂(z_first − z_second)/∂logits in units of the scaled logits.
    pub fn slopes_between(&self, classes: usize, (first, second): (usize, usize)) -> Vec<f32> {
        let mut slopes = vec![0.0; classes];
        if first != second {
            slopes[first] = self.unit as f32;
            slopes[second] = -self.unit as f32;
        }
        slopes
    }

    /// The class that has to fall and the one that has to rise: the label and the largest other, or the largest other and the
    /// target. The same class twice where there is only one.
    pub fn pair(&self, logits: &[f32]) -> (usize, usize) {
        let largest_but = |one: usize| {
            let others = (0..logits.len()).filter(|&class| class != one);
            others
                .reduce(|best, class| if logits[class] > logits[best] { class } else { best })
                .unwrap_or(one)
        };
        match self.aim {
            Aim::Away(label) => (label, largest_but(label)),
            Aim::FromTo(label, target) => (label, target),
            Aim::Toward(target) => (largest_but(target), target),
        }
    }

    /// Changed values, cut to the box.
    pub fn place(&self, change: &[f64]) -> Vec<f32> {
        self.clean
            .values
            .iter()
            .zip(change)
            .map(|(&clean, change)| into_box(f64::from(clean) + change))
            .collect()
    }

    /// The change that leads to a place.
    pub fn change(&self, place: &[f32]) -> Vec<f64> {
        self.clean.values.iter().zip(place).map(|(&clean, &x)| f64::from(x) - f64::from(clean)).collect()
    }

    /// How far a place is from the clean image.
    pub fn distance(&self, place: &[f32]) -> f64 {
        let change = place.iter().zip(&self.clean.values).map(|(&x, &clean)| f64::from(x) - f64::from(clean));
        self.threat.length(change)
    }

    /// How far the farthest corner of the box is.
    pub fn farthest(&self) -> f64 {
        self.threat.length(self.clean.values.iter().map(|&clean| f64::from(clean.max(1.0 - clean))))
    }

    /// Cuts a change to the box.
    pub fn cut(&self, change: &mut [f64]) {
        for (change, &clean) in change.iter_mut().zip(&self.clean.values) {
            *change = change.clamp(-f64::from(clean), 1.0 - f64::from(clean));
        }
    }

    /// The change itself where it is shorter than `radius`, else the nearest of that length, cut to the box.
    pub fn project(&self, change: &mut [f64], radius: f64) {
        let moved: Vec<f64> = change
            .iter()
            .zip(&self.clean.values)
            .map(|(change, &clean)| f64::from(clean) + *change)
            .collect();
        let mut place = vec![0.0; moved.len()];
        self.threat.with_size(radius).project(&moved, self.clean, &mut place);
        change.copy_from_slice(&self.change(&place));
    }
}
