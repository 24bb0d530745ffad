//! The walk that PGD and its relatives take: steps along the steepest ascent, each followed by a projection.

use archaeo_random::keyed_rng;

use super::frequency::Filter;
use super::workbench::{Found, Workbench};
use super::{Band, Batch, Loss, Outcome, Target, Threat};
use crate::Keys;

/// Steps inside a ball. The first iterate that fools the target after rounding is the result, whatever the walk, else the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Walk {
    pub threat: Threat,
    /// Length of one step in the threat's norm.
    pub step: f64,
    /// Number of steps of each walk.
    pub steps: usize,
    /// Whether to start at a random place of the ball instead of its centre.
    pub random_start: bool,
    /// Number of walks, each from another place.
    pub restarts: usize,
    pub loss: Loss,
    /// What is kept of earlier gradients, each divided by the sum of its absolute values.
    pub decay: f64,
    /// The frequencies that a perturbation may have; `None` for all.
    pub band: Option<Band>,
}

impl Walk {
    pub fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let filter = self.band.map(|band| Filter::new(band, bench.shape()));
        let mut found: Vec<Option<Found>> = keys.images.iter().map(|_| None).collect();
        let mut last: Vec<Vec<f32>> = bench.clean.iter().map(|clean| clean.values.clone()).collect();
        for restart in 0..self.restarts {
            let open: Vec<usize> = (0..found.len()).filter(|&place| found[place].is_none()).collect();
            let start = |&place: &usize| {
                let rng = &mut keyed_rng(keys.seed, "attack start", keys.images[place], restart as u64);
                let clean = &bench.clean[place];
                let x = if self.random_start { self.threat.start(clean, rng) } else { clean.values.clone() };
                Walker { place, momentum: vec![0.0; if self.decay > 0.0 { x.len() } else { 0 }], x }
            };
            let mut walkers: Vec<Walker> = open.iter().map(start).collect();
            for step in 0..self.steps {
                if walkers.is_empty() {
                    break;
                }
                self.step(
                    &mut bench,
                    &mut walkers,
                    &mut found,
                    (restart * self.steps + step, filter.as_ref()),
                );
            }
            if restart + 1 < self.restarts {
                let all: Vec<usize> = (0..walkers.len()).collect();
                confirm(&mut bench, &walkers, &all, &mut found, (restart + 1) * self.steps);
            }
            walkers.into_iter().for_each(|Walker { place, x, .. }| last[place] = x);
        }
        let steps = self.restarts * self.steps;
        let found = found.into_iter().enumerate().map(|(place, found)| {
            found.unwrap_or_else(|| Found::open(bench.rounded(place, &last[place]), steps))
        });
        let found = found.collect();
        bench.outcomes(found)
    }

    /// Asks where the images stand; those that fool end there, and the others take a step.
    fn step(
        &self,
        bench: &mut Workbench,
        walkers: &mut Vec<Walker>,
        found: &mut [Option<Found>],
        (taken, filter): (usize, Option<&Filter>),
    ) {
        let places: Vec<usize> = walkers.iter().map(|walker| walker.place).collect();
        let versions: Vec<&[f32]> = walkers.iter().map(|walker| walker.x.as_slice()).collect();
        let slopes = bench.slopes(&places, &versions, self.loss);
        let fooling: Vec<usize> =
            (0..places.len()).filter(|&i| bench.fools(places[i], slopes[i].answer)).collect();
        confirm(bench, walkers, &fooling, found, taken);
        for (walker, slope) in walkers.iter_mut().zip(slopes) {
            let mut gradient = slope.gradient;
            if self.decay > 0.0 {
                accumulate(&mut walker.momentum, &gradient, self.decay);
                gradient.clone_from(&walker.momentum);
            }
            if let Some(filter) = filter {
                // First, so that the step is as long as it is to be.
                let mut part: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
                filter.keep(&mut part);
                gradient = part.into_iter().map(|g| g as f32).collect();
            }
            let clean = &bench.clean[walker.place];
            self.threat.ascend(&mut walker.x, clean, &gradient, self.step);
            if let Some(filter) = filter {
                filter.limit(&mut walker.x, clean, &self.threat);
            }
        }
        walkers.retain(|walker| found[walker.place].is_none());
    }
}

/// One image on its way.
struct Walker {
    place: usize,
    x: Vec<f32>,
    momentum: Vec<f32>,
}

/// Keeps what some of the walkers have found, if it fools after rounding.
fn confirm(
    bench: &mut Workbench,
    walkers: &[Walker],
    chosen: &[usize],
    found: &mut [Option<Found>],
    step: usize,
) {
    let places: Vec<usize> = chosen.iter().map(|&i| walkers[i].place).collect();
    let versions: Vec<&[f32]> = chosen.iter().map(|&i| walkers[i].x.as_slice()).collect();
    for (&place, result) in places.iter().zip(bench.confirmed(&places, &versions, step)) {
        found[place] = result;
    }
}

/// Momentum (Dong et al., 2018, equation 6).
pub(super) fn accumulate(kept: &mut [f32], gradient: &[f32], decay: f64) {
    let length: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
    let scale = if length > 0.0 && length.is_finite() { 1.0 / length } else { 0.0 };
    for (kept, &g) in kept.iter_mut().zip(gradient) {
        *kept = (decay * f64::from(*kept) + scale * f64::from(g)) as f32;
    }
}
