//! The targeted fast adaptive boundary attack, FAB-T (Croce and Hein, 2020a; toward classes as in 2020b, appendix C).
//!
//! The model is taken as linear around the place it has reached, and the place moves to the boundary between the label and a class,
//! by a step of its own and one from the clean image, mixed. Behind the boundary it is drawn back toward the clean image, so
//! that each time it crosses nearer.

use super::apgd::likeliest;
use super::hyperplane::shortest_change;
use super::workbench::{Found, Slope, Workbench};
use super::{Aim, Attack, AttackInfo, Batch, Family, Goal, Norm, Outcome, Target, Threat};
use crate::{Keys, Paper};

/// Steps beyond the boundary (η), the largest weight of the clean image (α_max), and what is kept of a change that fools (β).
const BEYOND: f64 = 1.05;
const MOST_OF_CLEAN: f64 = 0.1;
const KEPT: f64 = 0.9;

const STEPS: usize = 100;
const CLASSES: usize = 9;

/// Linear steps to the boundaries of the likeliest classes, in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fab {
    /// How far it may go.
    pub threat: Threat,
    /// Steps toward each class.
    pub steps: usize,
    /// Toward how many classes, those of the largest logits first.
    pub classes: usize,
}

static INFO: AttackInfo = AttackInfo {
    id: "fab-t",
    title: "FAB-T",
    summary: "linear steps to the boundaries of the nine most likely wrong classes, drawn back to the clean image",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Within,
    steps: Some(STEPS),
    losses: &[],
    restarts: false,
    targeted: false,
    paper: Some(Paper { citation: "Croce and Hein, 2020a", url: "https://arxiv.org/abs/1907.02044" }),
};

/// FAB-T, for the list.
pub(super) const FAB_T: Family = Family {
    info: &INFO,
    with: |settings| {
        let steps = settings.steps.unwrap_or(STEPS);
        Box::new(Fab { threat: settings.threat(), steps, classes: CLASSES })
    },
};

impl Fab {
    /// The next place between `x` and the boundary that a linear model of margin `margin` and gradient `gradient` there has.
    fn step(&self, x: &[f32], clean: &[f32], margin: f64, gradient: &[f64]) -> Vec<f32> {
        let from_x = shortest_change(&self.threat, x, gradient, -margin);
        let at_clean = margin
            + clean
                .iter()
                .zip(x)
                .zip(gradient)
                .map(|((c, x), g)| (f64::from(*c) - f64::from(*x)) * g)
                .sum::<f64>();
        let from_clean = shortest_change(&self.threat, clean, gradient, -at_clean);
        let [own, of_clean] =
            [&from_x, &from_clean].map(|change| self.threat.length(change.iter().copied()).max(1e-8));
        let share = (own / (own + of_clean)).min(MOST_OF_CLEAN);
        let places = x.iter().zip(from_x).zip(clean.iter().zip(from_clean));
        let mixed = places.map(|((x, own), (c, of_clean))| {
            let (own, of_clean) = (f64::from(*x) + BEYOND * own, f64::from(*c) + BEYOND * of_clean);
            (1.0 - share) * own + share * of_clean
        });
        mixed.map(super::threat::into_box).collect()
    }

    /// Asks for margin and gradient of each image at its place.
    fn ask(bench: &mut Workbench, walkers: &[Walker], going: &[usize]) -> Vec<Slope> {
        let places: Vec<usize> = going.iter().map(|&i| walkers[i].place).collect();
        let versions: Vec<&[f32]> = going.iter().map(|&i| walkers[i].x.as_slice()).collect();
        bench.gradients(&places, &versions, &|i, logits| {
            let mut factors = vec![0.0; logits.len()];
            factors[walkers[going[i]].class] += 1.0;
            factors[walkers[going[i]].label] -= 1.0;
            factors
        })
    }
}

/// One image on its way to one class.
struct Walker {
    place: usize,
    label: usize,
    class: usize,
    x: Vec<f32>,
}

impl Attack for Fab {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        format!(
            "{} ball of {}, at most {} linear steps to the boundary of each of the {} likeliest wrong classes; rounded to 8 bits; grey \
             images get grey changes",
            self.threat.norm(),
            self.threat.radius(),
            self.steps,
            self.classes
        )
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let aims = likeliest(&mut bench, self.classes);
        let mut found: Vec<Found> =
            bench.clean.iter().map(|clean| Found::open(clean.values.clone(), 0)).collect();
        for round in 0..self.classes {
            let walker =
                |(place, aims): (usize, &Vec<Aim>)| match (found[place].logits.is_none(), aims.get(round)) {
                    (true, Some(&Aim::FromTo(label, class))) => {
                        Some(Walker { place, label, class, x: bench.clean[place].values.clone() })
                    }
                    _ => None,
                };
            let mut walkers: Vec<Walker> = aims.iter().enumerate().filter_map(walker).collect();
            for step in 0..=self.steps {
                let done = round * self.steps + step;
                let going: Vec<usize> =
                    (0..walkers.len()).filter(|&i| found[walkers[i].place].logits.is_none()).collect();
                let mut slopes = Self::ask(&mut bench, &walkers, &going);
                self.settle(&mut bench, &mut walkers, &going, &slopes, done, &mut found);
                // Those that were drawn back stand somewhere else now.
                let drawn: Vec<usize> = (0..going.len())
                    .filter(|&i| {
                        let place = walkers[going[i]].place;
                        found[place].logits.is_none() && bench.fools(place, slopes[i].answer)
                    })
                    .collect();
                let back: Vec<usize> = drawn.iter().map(|&i| going[i]).collect();
                for (i, slope) in drawn.into_iter().zip(Self::ask(&mut bench, &walkers, &back)) {
                    slopes[i] = slope;
                }
                if step == self.steps {
                    break;
                }
                for (slope, &i) in slopes.into_iter().zip(&going) {
                    let Walker { place, label, class, x } = &mut walkers[i];
                    let margin = f64::from(slope.logits[*class]) - f64::from(slope.logits[*label]);
                    let clean = &bench.clean[*place];
                    *x = self.step(x, &clean.values, margin, &clean.allowed(&slope.gradient));
                }
            }
        }
        for (place, found) in found.iter_mut().enumerate().filter(|(_, found)| found.logits.is_none()) {
            *found = Found::open(bench.rounded(place, &found.values), self.steps);
        }
        bench.outcomes(found)
    }
}

impl Fab {
    /// The place in the same direction from the clean image at the end of the ball, cut to the box.
    fn enlarged(&self, x: &[f32], clean: &[f32]) -> Vec<f32> {
        let change = || x.iter().zip(clean).map(|(&x, &c)| f64::from(x) - f64::from(c));
        let factor = self.threat.size() / self.threat.length(change()).max(f64::MIN_POSITIVE);
        let place = |(change, &c): (f64, &f32)| (f64::from(c) + factor * change).clamp(0.0, 1.0) as f32;
        change().zip(clean).map(place).collect()
    }

    /// Of those that fool: a place in the ball that still does after rounding, as it is or enlarged to the end of the ball, is the
    /// result; the others are drawn back.
    fn settle(
        &self,
        bench: &mut Workbench,
        walkers: &mut [Walker],
        going: &[usize],
        slopes: &[Slope],
        step: usize,
        found: &mut [Found],
    ) {
        let fooling: Vec<usize> = going
            .iter()
            .zip(slopes)
            .filter(|(i, slope)| bench.fools(walkers[**i].place, slope.answer))
            .map(|(&i, _)| i)
            .collect();
        let near: Vec<usize> = fooling
            .iter()
            .copied()
            .filter(|&i| {
                let clean = &bench.clean[walkers[i].place].values;
                let change = walkers[i].x.iter().zip(clean).map(|(&x, &c)| f64::from(x) - f64::from(c));
                self.threat.length(change) <= self.threat.size() * (1.0 + 1e-6)
            })
            .collect();
        // A perturbation shorter than half a level is rounded away; as long as the ball allows, it is not.
        for enlarge in [false, true] {
            let open: Vec<usize> =
                near.iter().copied().filter(|&i| found[walkers[i].place].logits.is_none()).collect();
            let places: Vec<usize> = open.iter().map(|&i| walkers[i].place).collect();
            let version = |&i: &usize| match enlarge {
                true => self.enlarged(&walkers[i].x, &bench.clean[walkers[i].place].values),
                false => walkers[i].x.clone(),
            };
            let versions: Vec<Vec<f32>> = open.iter().map(version).collect();
            let versions: Vec<&[f32]> = versions.iter().map(Vec::as_slice).collect();
            let confirmed = bench.confirmed(&places, &versions, step);
            for (place, result) in places.into_iter().zip(confirmed) {
                if let Some(result) = result {
                    found[place] = result;
                }
            }
        }
        for i in fooling {
            let clean = &bench.clean[walkers[i].place].values;
            for (x, &c) in walkers[i].x.iter_mut().zip(clean) {
                *x = (f64::from(c) + KEPT * (f64::from(*x) - f64::from(c))) as f32;
            }
        }
    }
}
