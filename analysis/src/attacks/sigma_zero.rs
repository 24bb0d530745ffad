//! σ-zero (Cinà et al., 2025) in L0.

use super::smallest::{Adam, Answer, Kind, MinimumNorm, Search, Subject, cosine};
use super::{AttackInfo, Family, Goal, Norm};
use crate::Paper;

/// Sharpness of the smooth count d² / (d² + σ).
const SIGMA: f64 = 0.001;

/// Step sizes, which fall along a cosine.
const FIRST_STEP: f64 = 1.0;
const LAST_STEP: f64 = 0.1;

/// Changes below a threshold are taken back; it begins here, and moves by this share of the step size.
const FIRST_THRESHOLD: f64 = 0.3;
const THRESHOLD_STEP: f64 = 0.01;

static INFO: AttackInfo = AttackInfo {
    id: "sigma-zero",
    title: "σ-zero",
    summary: "Adam on a smooth count of changed values",
    norms: &[Norm::L0],
    goal: Goal::Smallest,
    steps: Some(1000),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Cinà et al., 2025", url: "https://arxiv.org/abs/2402.01879" }),
};

static KIND: Kind = Kind {
    info: &INFO,
    words: "steps of Adam on the margin and a smooth count of changed values",
    begin: |subject, steps| Box::new(SigmaZeroSearch::begin(subject, steps)),
};

/// σ-zero, for the list.
pub(super) const SIGMA_ZERO: Family =
    Family { info: &INFO, with: |settings| Box::new(MinimumNorm::new(&KIND, settings)) };

/// Adam on max(margin, 0) + mean of d² / (d² + σ), with gradients divided by their largest entry; after each step the smallest
/// changes are taken back, more of them while the change fools.
pub(super) struct SigmaZeroSearch<'s> {
    subject: Subject<'s>,
    adam: Adam,
    rate: f64,
    threshold: f64,
    step: usize,
    steps: usize,
    change: Vec<f64>,
    place: Vec<f32>,
}

impl<'s> SigmaZeroSearch<'s> {
    pub fn begin(subject: Subject<'s>, steps: usize) -> Self {
        let place = subject.clean.values.clone();
        Self {
            subject,
            adam: Adam::new(place.len()),
            rate: FIRST_STEP,
            threshold: FIRST_THRESHOLD,
            step: 0,
            steps,
            change: vec![0.0; place.len()],
            place,
        }
    }
}

impl Search for SigmaZeroSearch<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        self.subject.slopes(logits)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        let wrong_side = self.subject.margin(&answer.logits) > 0.0;
        let count = self.change.len() as f64;
        let slopes = self.change.iter().zip(&answer.gradients[0]).map(|(change, slope)| {
            let square = change * change + SIGMA;
            let counted = 2.0 * change * SIGMA / (square * square) / count;
            counted + if wrong_side { *slope } else { 0.0 }
        });
        let mut slopes: Vec<f64> = slopes.collect();
        let largest = slopes.iter().fold(0f64, |largest, slope| largest.max(slope.abs())).max(1e-12);
        slopes.iter_mut().for_each(|slope| *slope /= largest);
        let moments = self.adam.moments(&slopes);
        self.change
            .iter_mut()
            .zip(moments)
            .for_each(|(change, (mean, root))| *change -= self.rate * mean / root);
        self.subject.cut(&mut self.change);
        self.rate = cosine(FIRST_STEP, LAST_STEP, self.step, self.steps);
        let up = if answer.fools { THRESHOLD_STEP } else { -THRESHOLD_STEP };
        self.threshold = (self.threshold + up * self.rate).clamp(0.0, 1.0);
        for change in &mut self.change {
            if change.abs() < self.threshold {
                *change = 0.0;
            }
        }
        self.place = self.subject.place(&self.change);
        self.step += 1;
        self.step < self.steps
    }
}
