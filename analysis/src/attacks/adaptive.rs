//! The walk of Auto-PGD (Croce and Hein, 2020b, algorithm 1; in L1 Croce and Hein, 2021, section 3): steps with momentum whose
//! length halves at checkpoints where the loss rose too rarely, each time from the best place so far.
//!
//! In L1 a step moves the share of values with the largest slopes. The share follows how sparse the best place is, and the length
//! falls where it has stopped becoming sparser.

use super::workbench::{Found, Slope, Workbench};
use super::{Aim, Clean, Loss, Threat};
use crate::statistics::first_largest;

/// Share of steps between checkpoints that must raise the loss (ρ).
const RISING: f64 = 0.75;
/// Weight of a step against the momentum of the last one (α).
const OF_STEP: f64 = 0.75;
/// A place with fewer than this share of the values changed before has become sparser.
const SPARSER: f64 = 0.95;
/// The share of values to move is that of the values changed over this.
const FEWER: f64 = 1.5;
/// What a length in L1 is divided by, and how often its first is larger than its smallest.
const SHORTER: f64 = 1.5;
const SMALLEST: f64 = 10.0;

/// One walk of several images.
pub(super) struct Adaptive {
    /// Where they walk; it may be larger than the attack's ball, where no image ends early.
    pub threat: Threat,
    pub steps: usize,
    pub loss: Loss,
    /// Steps taken earlier, for the count.
    pub before: usize,
}

/// What became of one image.
pub(super) struct Walked {
    /// The place of the largest loss.
    pub best: Vec<f32>,
    /// The place that fools after rounding, if one was met.
    pub found: Option<Found>,
}

/// Steps after which the length may fall: the first after 0.22 of all, each later one 0.03 of all sooner after the last, down
/// to 0.06. In L1 every 0.04.
pub(super) fn checkpoints(steps: usize, in_l1: bool) -> Vec<usize> {
    let share = |share: usize| (share * steps / 100).max(1);
    let mut every = share(if in_l1 { 4 } else { 22 });
    let mut all = Vec::new();
    let mut at = every;
    while at <= steps {
        all.push(at);
        if !in_l1 {
            every = every.saturating_sub(share(3)).max(share(6));
        }
        at += every;
    }
    all
}

/// One image on its way.
struct Walker {
    place: usize,
    aim: Aim,
    x: Vec<f32>,
    last: Vec<f32>,
    gradient: Vec<f32>,
    best: Vec<f32>,
    best_gradient: Vec<f32>,
    best_loss: f64,
    step: f64,
    /// The loss after each step since the last checkpoint, and at it.
    losses: Vec<f64>,
    best_at_checkpoint: f64,
    reduced: bool,
    /// In L1, the share of values that a step moves, and how many were changed at the last checkpoint.
    share: f64,
    changed: f64,
    found: Option<Found>,
}

impl Adaptive {
    /// Walks the images at `places` from `starts` to their aims.
    pub fn run(
        &self,
        bench: &mut Workbench,
        places: &[usize],
        aims: &[Aim],
        starts: Vec<Vec<f32>>,
    ) -> Vec<Walked> {
        let in_l1 = matches!(self.threat, Threat::L1(_));
        let checkpoints = checkpoints(self.steps, in_l1);
        let first = if in_l1 { 1.0 } else { 2.0 } * self.threat.size();
        let new = |((&place, &aim), x): ((&usize, &Aim), Vec<f32>)| {
            let clean = &bench.clean[place];
            let changed = changed(&x, clean);
            Walker {
                place,
                aim,
                last: x.clone(),
                gradient: Vec::new(),
                best: x.clone(),
                best_gradient: Vec::new(),
                best_loss: f64::NEG_INFINITY,
                step: first,
                losses: Vec::new(),
                best_at_checkpoint: f64::NEG_INFINITY,
                reduced: true,
                share: changed / x.len() as f64 / FEWER,
                changed,
                found: None,
                x,
            }
        };
        let mut walkers: Vec<Walker> = places.iter().zip(aims).zip(starts).map(new).collect();
        for step in 0..=self.steps {
            if step > 0 {
                for walker in walkers.iter_mut().filter(|walker| walker.found.is_none()) {
                    self.advance(walker, &bench.clean[walker.place], step == 1);
                }
            }
            if !self.look(bench, &mut walkers, self.before + step) {
                break;
            }
            if checkpoints.contains(&step) {
                for walker in walkers.iter_mut().filter(|walker| walker.found.is_none()) {
                    match in_l1 {
                        true => walker.adapt_sparsity(&bench.clean[walker.place], first),
                        false => walker.adapt_length(),
                    }
                }
            }
        }
        walkers.into_iter().map(|Walker { best, found, .. }| Walked { best, found }).collect()
    }

    /// One step, with the momentum of the last from the second on.
    fn advance(&self, walker: &mut Walker, clean: &Clean, is_first: bool) {
        let mut stepped = walker.x.clone();
        if let Threat::L1(_) = self.threat {
            let count = ((walker.share * clean.free() as f64) as usize).max(1);
            let slopes = clean.allowed(&walker.gradient);
            self.threat.ascend_sparsely(&mut stepped, clean, &slopes, walker.step, count);
        } else {
            self.threat.ascend(&mut stepped, clean, &walker.gradient, walker.step);
            if !is_first {
                let places = walker.x.iter().zip(&stepped).zip(&walker.last);
                let moved: Vec<f64> = places
                    .map(|((&x, &stepped), &last)| {
                        let x = f64::from(x);
                        x + OF_STEP * (f64::from(stepped) - x) + (1.0 - OF_STEP) * (x - f64::from(last))
                    })
                    .collect();
                self.threat.project(&moved, clean, &mut stepped);
            }
        }
        walker.last = std::mem::replace(&mut walker.x, stepped);
    }

    /// Asks where every image stands; an image that fools after rounding ends. Whether any is left.
    fn look(&self, bench: &mut Workbench, walkers: &mut [Walker], step: usize) -> bool {
        let going: Vec<usize> = (0..walkers.len()).filter(|&i| walkers[i].found.is_none()).collect();
        let places: Vec<usize> = going.iter().map(|&i| walkers[i].place).collect();
        let versions: Vec<&[f32]> = going.iter().map(|&i| walkers[i].x.as_slice()).collect();
        let aims: Vec<Aim> = going.iter().map(|&i| walkers[i].aim).collect();
        let slopes = bench.gradients(&places, &versions, &|i, logits| self.loss.slopes(logits, aims[i]));
        let ends = self.threat.size() <= bench.threat().size();
        let fools = |(slope, &i): (&Slope, &usize)| {
            (ends && bench.fools(walkers[i].place, slope.answer)).then_some(i)
        };
        let fooling: Vec<usize> = slopes.iter().zip(&going).filter_map(fools).collect();
        let places: Vec<usize> = fooling.iter().map(|&i| walkers[i].place).collect();
        let rounded: Vec<Vec<f32>> =
            fooling.iter().map(|&i| bench.rounded(walkers[i].place, &walkers[i].x)).collect();
        let versions: Vec<&[f32]> = rounded.iter().map(Vec::as_slice).collect();
        let answers = bench.logits(&places, &versions);
        for ((&i, values), logits) in fooling.iter().zip(rounded).zip(answers) {
            if bench.fools(walkers[i].place, first_largest(&logits)) {
                walkers[i].found = Some(Found { logits: Some(logits), ..Found::open(values, step) });
            }
        }
        for (Slope { logits, gradient, .. }, &i) in slopes.into_iter().zip(&going) {
            let loss = self.loss.value(&logits, walkers[i].aim);
            walkers[i].arrived(loss, gradient);
        }
        walkers.iter().any(|walker| walker.found.is_none())
    }
}

impl Walker {
    /// Takes note of where a step has led.
    fn arrived(&mut self, loss: f64, gradient: Vec<f32>) {
        if self.best_gradient.is_empty() {
            self.best_at_checkpoint = loss;
        }
        if loss > self.best_loss || self.best_gradient.is_empty() {
            self.best_loss = loss;
            self.best.clone_from(&self.x);
            self.best_gradient.clone_from(&gradient);
        }
        self.gradient = gradient;
        self.losses.push(loss);
    }

    /// Halves the length where the loss rose on fewer than ρ of the steps, or neither length nor best loss changed since the last
    /// checkpoint.
    fn adapt_length(&mut self) {
        let steps = self.losses.len() - 1;
        let rises = self.losses.windows(2).filter(|pair| pair[1] > pair[0]).count();
        let rarely = rises as f64 <= RISING * steps as f64;
        let stuck = !self.reduced && self.best_at_checkpoint >= self.best_loss;
        self.reduced = rarely || stuck;
        self.best_at_checkpoint = self.best_loss;
        if self.reduced {
            self.step /= 2.0;
            self.go_back();
        }
        self.losses.drain(..steps);
    }

    /// In L1: starts again with the first length from the best place where that is sparser than it was, and else shortens the steps.
    fn adapt_sparsity(&mut self, clean: &Clean, first: f64) {
        let now = changed(&self.best, clean);
        let sparser = now < SPARSER * self.changed;
        self.share = now / self.best.len() as f64 / FEWER;
        self.step = match sparser {
            true => first,
            false => (self.step / SHORTER).max(first / SMALLEST),
        };
        self.changed = now;
        if sparser {
            self.go_back();
        }
        self.losses.clear();
    }

    fn go_back(&mut self) {
        self.x.clone_from(&self.best);
        self.gradient.clone_from(&self.best_gradient);
    }
}

/// How many values of an image are changed.
fn changed(x: &[f32], clean: &Clean) -> f64 {
    x.iter().zip(&clean.values).filter(|(x, clean)| x != clean).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// p₁ = 0.22, p_{j+1} = p_j + max(p_j − p_{j−1} − 0.03, 0.06) (section 3.1).
    #[test]
    fn checkpoints_are_those_of_the_paper() {
        assert_eq!(checkpoints(100, false), [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!(checkpoints(50, false), [11, 21, 30, 38, 45]);
        assert_eq!(checkpoints(1, false), [1]);
        assert_eq!(checkpoints(100, true), (1..=25).map(|i| 4 * i).collect::<Vec<_>>());
    }

    fn walker(losses: &[f64], reduced: bool, best_at_checkpoint: f64) -> Walker {
        Walker {
            place: 0,
            aim: Aim::Away(0),
            x: vec![1.0],
            last: vec![1.0],
            gradient: vec![3.0],
            best: vec![2.0],
            best_gradient: vec![4.0],
            best_loss: losses.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            step: 1.0,
            losses: losses.to_vec(),
            best_at_checkpoint,
            reduced,
            share: 0.2,
            changed: 1.0,
            found: None,
        }
    }

    /// Three of four steps that rise are not more than 0.75 of them.
    #[test]
    fn a_step_halves_where_the_loss_rises_too_rarely_or_nothing_changes() {
        for (losses, reduced, best, halved) in [
            (&[0.0, 1.0, 2.0, 3.0, 4.0][..], true, 0.0, false),
            (&[0.0, 1.0, 2.0, 3.0, 2.5], true, 0.0, true),
            (&[0.0, 1.0, 2.0, 3.0, 4.0], false, 4.0, true),
            (&[0.0, 1.0, 2.0, 3.0, 4.0], false, 3.0, false),
            (&[0.0, 1.0, 2.0, 3.0, 4.0], true, 4.0, false),
        ] {
            let mut walker = walker(losses, reduced, best);
            walker.adapt_length();
            assert_eq!(walker.step, if halved { 0.5 } else { 1.0 }, "{losses:?} {reduced} {best}");
            assert_eq!(walker.reduced, halved);
            assert_eq!((walker.x[0], walker.gradient[0]), if halved { (2.0, 4.0) } else { (1.0, 3.0) });
            assert_eq!(walker.losses, losses[4..]);
        }
    }
}
