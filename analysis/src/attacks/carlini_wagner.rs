//! The L2 attack of Carlini and Wagner (2017, section V).

use super::smallest::{Adam, Answer, Kind, MinimumNorm, Search, Subject};
use super::{AttackInfo, Family, Goal, Norm};
use crate::Paper;

/// Rate of Adam.
const RATE: f64 = 0.01;

/// Values of the constant that are tried: the first, and how many.
const FIRST_CONSTANT: f64 = 1e-3;
const CONSTANTS: usize = 9;

/// Constants above this were never bounded by one that fools.
const UNBOUNDED: f64 = 1e9;

/// Keeps tanh⁻¹ of values at the ends of the range finite.
const INSIDE: f64 = 1.0 - 1e-6;

static INFO: AttackInfo = AttackInfo {
    id: "cw",
    title: "C&W",
    summary: "Adam on length and margin, with bisection for their balance",
    norms: &[Norm::L2],
    goal: Goal::Smallest,
    steps: Some(1000),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Carlini and Wagner, 2017", url: "https://arxiv.org/abs/1608.04644" }),
};

static KIND: Kind = Kind {
    info: &INFO,
    words: "steps at most of Adam for each of 9 balances of length and margin",
    begin: |subject, steps| Box::new(CarliniWagnerSearch::begin(subject, steps)),
};

/// C&W, for the list.
pub(super) const CARLINI_WAGNER: Family =
    Family { info: &INFO, with: |settings| Box::new(MinimumNorm::new(&KIND, settings)) };

/// Adam on ‖x − x₀‖² + c · max(margin, 0), where x = (tanh w + 1) / 2 stays in the box by itself, and bisection for the smallest c
/// that fools. A round ends early where its loss no longer falls, each image's by its own loss.
pub(super) struct CarliniWagnerSearch<'s> {
    subject: Subject<'s>,
    /// w of the clean image.
    origin: Vec<f64>,
    moved: Vec<f64>,
    adam: Adam,
    constant: f64,
    low: f64,
    high: f64,
    round: usize,
    step: usize,
    steps: usize,
    /// The loss when it was last looked at.
    before: f64,
    fooled: bool,
    place: Vec<f32>,
}

impl<'s> CarliniWagnerSearch<'s> {
    pub fn begin(subject: Subject<'s>, steps: usize) -> Self {
        let to_line = |&x: &f32| ((2.0 * f64::from(x) - 1.0) * INSIDE).atanh();
        let origin: Vec<f64> = subject.clean.values.iter().map(to_line).collect();
        let mut search = Self {
            subject,
            moved: vec![0.0; origin.len()],
            adam: Adam::new(origin.len()),
            origin,
            constant: FIRST_CONSTANT,
            low: 0.0,
            high: f64::INFINITY,
            round: 0,
            step: 0,
            steps,
            before: f64::INFINITY,
            fooled: false,
            place: Vec::new(),
        };
        search.look();
        search
    }

    fn tanh(&self) -> impl Iterator<Item = f64> {
        self.origin.iter().zip(&self.moved).map(|(origin, moved)| (origin + moved).tanh())
    }

    fn look(&mut self) {
        self.place = self.tanh().map(|tanh| ((tanh + 1.0) / 2.0) as f32).collect();
    }

    /// The next constant, from the start; whether there is one.
    fn next_round(&mut self) -> bool {
        match self.fooled {
            true => self.high = self.high.min(self.constant),
            false => self.low = self.low.max(self.constant),
        }
        self.constant = match self.high < UNBOUNDED {
            true => (self.low + self.high) / 2.0,
            false => 10.0 * self.constant,
        };
        self.round += 1;
        (self.step, self.before, self.fooled) = (0, f64::INFINITY, false);
        self.adam = Adam::new(self.origin.len());
        self.moved.fill(0.0);
        self.look();
        self.round < CONSTANTS
    }
}

impl Search for CarliniWagnerSearch<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        self.subject.slopes(logits)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        self.fooled |= answer.fools;
        let margin = self.subject.margin(&answer.logits);
        let loss = answer.distance * answer.distance + self.constant * margin.max(0.0);
        if self.step.is_multiple_of((self.steps / 10).max(1)) {
            if loss > 0.9999 * self.before {
                return self.next_round();
            }
            self.before = loss;
        }
        let weight = if margin > 0.0 { self.constant } else { 0.0 };
        let clean = &self.subject.clean.values;
        let slopes = self.tanh().zip(clean).zip(&answer.gradients[0]).map(|((tanh, &clean), slope)| {
            let x = (tanh + 1.0) / 2.0;
            let by_pixel = 2.0 * (x - f64::from(clean)) + if weight > 0.0 { weight * slope } else { 0.0 };
            by_pixel * (1.0 - tanh * tanh) / 2.0
        });
        let slopes: Vec<f64> = slopes.collect();
        let moments = self.adam.moments(&slopes);
        self.moved.iter_mut().zip(moments).for_each(|(moved, (mean, root))| *moved -= RATE * mean / root);
        self.step += 1;
        if self.step == self.steps {
            return self.next_round();
        }
        self.look();
        true
    }
}
