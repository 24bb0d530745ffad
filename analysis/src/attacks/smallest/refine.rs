//! What brings a perturbation that fools to a local minimum of its norm.
//!
//! In L∞, L2 and L1, in turn: bisection on the line to the clean image, to the boundary; then, with the gradient g of the margin
//! there, a part β of the way to the smallest change of the half-space {δ : g·δ ≥ g·δ₀}, which is the nearest adversarial example
//! if the boundary is flat ([`to_half_space`](super::to_half_space)). The place on that way whose change is a little shorter than
//! δ₀ is tried for β = 1, ½, ¼ …, until one fools; where none does, δ₀ is as good as a flat boundary can tell. Projecting on the
//! boundary's normal is the step of SuperDeepFool (Abdollahpoor et al., 2024), the half-space within the box that of FAB
//! (Croce and Hein, 2020).
//!
//! In L0 the half-space's smallest change itself is tried, and then the changed values that matter least, by the change times the
//! slope, are taken back: half of them, a quarter … one; with the others moved to the ends of their range, or as they are.

use super::super::Norm;
use super::{Answer, Search, Subject, to_half_space};

/// Gradients that a refinement may ask for.
const ROUNDS: usize = 20;

/// Bisections on the line: the first from the whole way, later ones from the last tenth.
const BISECTIONS: usize = 10;
const LATER_BISECTIONS: usize = 5;

/// A place along the boundary is tried at this much of the length of the one before.
const SHORTER: f64 = 0.998;

/// Smallest part of the way along the boundary that is tried.
const LEAST_PART: f64 = 0.02;

/// The refinement of one image.
pub(super) struct Refinement<'s> {
    subject: Subject<'s>,
    /// The best change so far, which fools, and its length.
    change: Vec<f64>,
    length: f64,
    rounds: usize,
    stage: Stage,
    place: Vec<f32>,
}

enum Stage {
    /// On the line: a part that does not fool, or was not tried below, one that does, and bisections left.
    Line { low: f64, high: f64, left: usize },
    /// The gradient at the best change.
    Slope,
    /// Along the boundary: the smallest change of the half-space, and the part of the way to it.
    Along { goal: Vec<f64>, part: f64 },
    /// The smallest change of the half-space in L0, and what follows where it does not fool.
    Jump { goal: Vec<f64>, otherwise: Box<Option<Stage>> },
    /// Fewer values: the changed ones, least first; the slope; how many are taken back; whether the others go to the ends.
    Fewer { order: Vec<usize>, slope: Vec<f64>, back: usize, ends: bool },
}

impl<'s> Refinement<'s> {
    /// From a place that fools.
    pub fn begin(subject: Subject<'s>, values: &[f32]) -> Self {
        let (change, length, place) = (subject.change(values), subject.distance(values), values.to_vec());
        let sparse = subject.threat.norm() == Norm::L0;
        let stage = if sparse { Stage::Slope } else { Stage::Line { low: 0.0, high: 1.0, left: BISECTIONS } };
        let mut search = Self { subject, change, length, rounds: ROUNDS, stage, place };
        search.look();
        search
    }

    /// Sets the place that the stage asks about.
    fn look(&mut self) {
        self.place = match &self.stage {
            Stage::Line { low, high, .. } => {
                let part = (low + high) / 2.0;
                self.subject.place(&self.change.iter().map(|change| change * part).collect::<Vec<_>>())
            }
            Stage::Slope => self.subject.place(&self.change),
            Stage::Along { goal, part } => {
                let way = self.change.iter().zip(goal);
                let moved: Vec<f64> = way.map(|(change, goal)| change + part * (goal - change)).collect();
                let length = self.subject.threat.length(moved.iter().copied());
                let factor = if length > 0.0 { SHORTER * self.length / length } else { 1.0 };
                self.subject.place(&moved.iter().map(|change| change * factor).collect::<Vec<_>>())
            }
            Stage::Jump { goal, .. } => self.subject.place(goal),
            Stage::Fewer { order, slope, back, ends } => {
                let mut change = self.change.clone();
                if *ends {
                    for &i in order {
                        let clean = f64::from(self.subject.clean.values[i]);
                        change[i] = if slope[i] > 0.0 { 1.0 - clean } else { -clean };
                    }
                }
                order[..*back].iter().for_each(|&i| change[i] = 0.0);
                self.subject.place(&change)
            }
        };
    }

    /// The stage after a gradient; `None` where nothing is left to gain.
    fn after_slope(&self, answer: &Answer) -> Option<Stage> {
        // Down the margin.
        let slope: Vec<f64> = answer.gradients.first()?.iter().map(|slope| -slope).collect();
        if !slope.iter().all(|slope| slope.is_finite()) {
            return None;
        }
        let gained: f64 = slope.iter().zip(&self.change).map(|(slope, change)| slope * change).sum();
        // The margin here is what may be lost.
        let gain = gained + self.subject.margin(&answer.logits).min(0.0);
        let goal = to_half_space(self.subject.clean, self.subject.threat, &slope, gain);
        let length = self.subject.threat.length(goal.iter().copied());
        if self.subject.threat.norm() == Norm::L0 {
            let worth = |i: usize| slope[i] * self.change[i];
            let period = self.subject.clean.free();
            let mut order: Vec<usize> = (0..period).filter(|&i| self.change[i] != 0.0).collect();
            order.sort_by(|&a, &b| worth(a).total_cmp(&worth(b)).then(a.cmp(&b)));
            // The values of a grey image that move as one are neighbours in the order.
            let order: Vec<usize> =
                order.into_iter().flat_map(|i| (i..self.change.len()).step_by(period)).collect();
            let tied = self.subject.clean.tied();
            let back = order.len() / tied / 2 * tied;
            let fewer = (back > 0).then_some(Stage::Fewer { order, slope, back, ends: true });
            return match gain > 0.0 && length < self.length {
                true => Some(Stage::Jump { goal, otherwise: Box::new(fewer) }),
                false => fewer,
            };
        }
        (gain > 0.0 && length < SHORTER * self.length).then_some(Stage::Along { goal, part: 1.0 })
    }

    fn another_round(&self) -> Option<Stage> {
        (self.rounds > 0).then_some(Stage::Slope)
    }

    /// Takes the place that was just asked about, which fools, if it is nearer.
    fn keep(&mut self, distance: f64) {
        if distance < self.length {
            self.change = self.subject.change(&self.place);
            self.length = distance;
        }
    }
}

impl Search for Refinement<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn gradients(&self) -> usize {
        usize::from(matches!(self.stage, Stage::Slope))
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        self.subject.slopes(logits)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        let next = match std::mem::replace(&mut self.stage, Stage::Slope) {
            Stage::Line { low, high, left } => {
                let part = (low + high) / 2.0;
                let (low, high) = if answer.fools { (low, part) } else { (part, high) };
                if left > 1 {
                    Some(Stage::Line { low, high, left: left - 1 })
                } else {
                    let change: Vec<f64> = self.change.iter().map(|change| change * high).collect();
                    self.place = self.subject.place(&change);
                    self.keep(self.subject.distance(&self.place));
                    self.another_round()
                }
            }
            Stage::Slope => {
                self.rounds -= 1;
                self.after_slope(answer)
            }
            Stage::Along { goal, part } => match (answer.fools, part / 2.0) {
                (true, _) => {
                    self.keep(answer.distance);
                    Some(Stage::Line { low: 0.9, high: 1.0, left: LATER_BISECTIONS })
                }
                (false, part) => (part >= LEAST_PART).then_some(Stage::Along { goal, part }),
            },
            Stage::Jump { .. } | Stage::Fewer { .. } if answer.fools => {
                self.keep(answer.distance);
                self.another_round()
            }
            Stage::Jump { otherwise, .. } => *otherwise,
            Stage::Fewer { order, slope, back, ends: true } => {
                Some(Stage::Fewer { order, slope, back, ends: false })
            }
            Stage::Fewer { order, slope, back, ends: false } => {
                let tied = self.subject.clean.tied();
                let back = back / tied / 2 * tied;
                (back > 0).then_some(Stage::Fewer { order, slope, back, ends: true })
            }
        };
        let Some(stage) = next else { return false };
        self.stage = stage;
        self.look();
        true
    }
}
