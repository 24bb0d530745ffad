//! The walk that PGD and its relatives take: steps along the steepest ascent, each followed by a projection.

use archaeo_random::keyed_rng;

use super::workbench::{Found, Workbench};
use super::{Batch, Loss, Outcome, Target, Threat};
use crate::Keys;
use crate::statistics::first_largest;

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
}

impl Walk {
    pub fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let mut found: Vec<Option<Found>> = keys.images.iter().map(|_| None).collect();
        for restart in 0..self.restarts {
            let open: Vec<usize> = (0..found.len())
                .filter(|&place| found[place].as_ref().is_none_or(|found| !fooled(&bench, place, found)))
                .collect();
            let starts = open.iter().map(|&place| match self.random_start {
                true => {
                    let rng = &mut keyed_rng(keys.seed, "attack start", keys.images[place], restart as u64);
                    self.threat.start(&bench.clean[place], rng)
                }
                false => bench.clean[place].values.clone(),
            });
            let starts = starts.collect();
            let before = restart * self.steps;
            for (place, result) in open.iter().zip(self.once(&mut bench, &open, starts, before)) {
                found[*place] = Some(result);
            }
        }
        let found = found.into_iter().map(|found| found.expect("there is one walk at least")).collect();
        bench.outcomes(found)
    }

    /// One walk of the images at `open`, each of which ends when it fools.
    fn once(
        &self,
        bench: &mut Workbench,
        open: &[usize],
        mut current: Vec<Vec<f32>>,
        before: usize,
    ) -> Vec<Found> {
        let mut fooling: Vec<Option<Found>> = open.iter().map(|_| None).collect();
        let mut momentum: Vec<Vec<f32>> = Vec::new();
        if self.decay > 0.0 {
            momentum = current.iter().map(|version| vec![0.0; version.len()]).collect();
        }
        for step in 0..=self.steps {
            let going: Vec<usize> = (0..open.len()).filter(|&walker| fooling[walker].is_none()).collect();
            if going.is_empty() {
                break;
            }
            let mut candidates = going.clone();
            if step < self.steps {
                let places: Vec<usize> = going.iter().map(|&walker| open[walker]).collect();
                let versions: Vec<&[f32]> = going.iter().map(|&walker| current[walker].as_slice()).collect();
                let slopes = bench.slopes(&places, &versions, self.loss);
                let fools: Vec<bool> = slopes
                    .iter()
                    .zip(&places)
                    .map(|(slope, &place)| bench.fools(place, slope.answer))
                    .collect();
                let mut fools = fools.into_iter();
                candidates.retain(|_| fools.next() == Some(true));
                let rounded = self.rounded(bench, open, &candidates, &current);
                for (slope, &walker) in slopes.into_iter().zip(&going) {
                    let mut gradient = slope.gradient;
                    if let Some(kept) = momentum.get_mut(walker) {
                        accumulate(kept, &gradient, self.decay);
                        gradient.clone_from(kept);
                    }
                    // What a step makes of an image that fools already is looked at only if rounding undoes it.
                    let clean = &bench.clean[open[walker]];
                    self.threat.ascend(&mut current[walker], clean, &gradient, self.step);
                }
                self.settle(bench, open, &candidates, rounded, before + step, &mut fooling, false);
            } else {
                let rounded = self.rounded(bench, open, &candidates, &current);
                self.settle(bench, open, &candidates, rounded, before + step, &mut fooling, true);
            }
        }
        fooling
            .into_iter()
            .map(|found| found.expect("the last iterate is a result, whatever it is"))
            .collect()
    }

    fn rounded(
        &self,
        bench: &Workbench,
        open: &[usize],
        walkers: &[usize],
        current: &[Vec<f32>],
    ) -> Vec<Vec<f32>> {
        walkers.iter().map(|&walker| bench.rounded(open[walker], &current[walker])).collect()
    }

    /// Asks about rounded iterates, and keeps those that fool, or all of them.
    #[expect(clippy::too_many_arguments)]
    fn settle(
        &self,
        bench: &mut Workbench,
        open: &[usize],
        walkers: &[usize],
        rounded: Vec<Vec<f32>>,
        step: usize,
        found: &mut [Option<Found>],
        all: bool,
    ) {
        let places: Vec<usize> = walkers.iter().map(|&walker| open[walker]).collect();
        let versions: Vec<&[f32]> = rounded.iter().map(Vec::as_slice).collect();
        let answers = bench.logits(&places, &versions);
        for ((&walker, values), logits) in walkers.iter().zip(rounded).zip(answers) {
            if all || bench.fools(open[walker], first_largest(&logits)) {
                found[walker] = Some(Found { logits: Some(logits), ..Found::open(values, step) });
            }
        }
    }
}

fn fooled(bench: &Workbench, place: usize, found: &Found) -> bool {
    found.logits.as_ref().is_some_and(|logits| bench.fools(place, first_largest(logits)))
}

/// Momentum (Dong et al., 2018, equation 6).
fn accumulate(kept: &mut [f32], gradient: &[f32], decay: f64) {
    let length: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
    let scale = if length > 0.0 && length.is_finite() { 1.0 / length } else { 0.0 };
    for (kept, &g) in kept.iter_mut().zip(gradient) {
        *kept = (decay * f64::from(*kept) + scale * f64::from(g)) as f32;
    }
}
