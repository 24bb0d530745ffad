//! Projected gradient descent (Madry et al., 2018, section 2.1) in L∞ and in L2.

use archaeo_random::keyed_rng;

use super::loss::Loss;
use super::threat::levels;
use super::workbench::{Found, Workbench};
use super::{Attack, AttackInfo, Batch, Family, Norm, Outcome, Target, Threat};
use crate::statistics::first_largest;
use crate::{Keys, Paper};

/// Steps along the steepest ascent, each followed by a projection. The first iterate that fools the target after rounding is
/// the result, else the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    /// How far it may go.
    pub threat: Threat,
    /// Length of one step in the threat's norm.
    pub step: f64,
    /// Number of steps.
    pub steps: usize,
    /// Whether to start at a random place of the ball instead of its centre.
    pub random_start: bool,
}

impl Pgd {
    /// With a random start. In L∞ steps of `2.5 · size / steps` (Madry et al., 2018, section 5), so that every point of the
    /// ball can be reached: at 8/255 and 10 steps, steps of 2/255. In L2 steps of `2 · size / steps`: at 1 and 10 steps, steps
    /// of 0.2.
    pub fn usual(threat: Threat, steps: usize) -> Self {
        let share = match threat {
            Threat::Linf(_) => 2.5,
            Threat::L2(_) => 2.0,
        };
        Self { threat, step: share * threat.size() / steps as f64, steps, random_start: true }
    }
}

const MADRY: Paper = Paper { citation: "Madry et al., 2018", url: "https://arxiv.org/abs/1706.06083" };

static LINF: AttackInfo = AttackInfo {
    id: "pgd",
    title: "PGD",
    summary: "iterated steps inside the L∞ ball from a random start",
    norm: Norm::Linf,
    iterated: true,
    paper: Some(MADRY),
};

static L2: AttackInfo = AttackInfo {
    id: "pgd-l2",
    title: "PGD-L2",
    summary: "iterated steps inside the L2 ball from a random start",
    norm: Norm::L2,
    iterated: true,
    paper: Some(MADRY),
};

/// PGD in L∞, for the list.
pub(super) const PGD: Family =
    Family { info: &LINF, with: |settings| Box::new(Pgd::usual(settings.threat, settings.steps)) };

/// PGD in L2, for the list.
pub(super) const PGD_L2: Family = Family { info: &L2, ..PGD };

impl Attack for Pgd {
    fn info(&self) -> &'static AttackInfo {
        match self.threat {
            Threat::Linf(_) => &LINF,
            Threat::L2(_) => &L2,
        }
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let Self { threat, step, steps, random_start } = self;
        let (ball, steps) = match threat {
            Threat::Linf(_) => ("L∞", format!("{steps} signed gradient steps of {}/255", levels(*step))),
            Threat::L2(_) => ("L2", format!("{steps} gradient steps of length {step}")),
        };
        let start = if *random_start { "a random start" } else { "the clean image as start" };
        format!(
            "{ball} ball of {}, at most {steps}, {start}; rounded to 8 bits; grey images get grey changes",
            threat.radius()
        )
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let start = |(place, &image): (usize, &u64)| match self.random_start {
            true => {
                self.threat.start(&bench.clean[place], &mut keyed_rng(keys.seed, "attack start", image, 0))
            }
            false => bench.clean[place].values.clone(),
        };
        let mut current: Vec<Vec<f32>> = keys.images.iter().enumerate().map(start).collect();
        let mut fooling: Vec<Option<Found>> = current.iter().map(|_| None).collect();
        for step in 0..self.steps {
            let going: Vec<usize> = (0..current.len()).filter(|&place| fooling[place].is_none()).collect();
            if going.is_empty() {
                break;
            }
            let versions: Vec<&[f32]> = going.iter().map(|&place| current[place].as_slice()).collect();
            let slopes = bench.slopes(&going, &versions, Loss::Margin);
            let (mut places, mut candidates) = (Vec::new(), Vec::new());
            for (slope, &place) in slopes.into_iter().zip(&going) {
                if bench.fools(place, slope.answer) {
                    places.push(place);
                    candidates.push(bench.rounded(place, &current[place]));
                }
                // What a step makes of an image that fools already is looked at only if rounding undoes it.
                self.threat.ascend(&mut current[place], &bench.clean[place], &slope.gradient, self.step);
            }
            let versions: Vec<&[f32]> = candidates.iter().map(Vec::as_slice).collect();
            let answers = bench.logits(&places, &versions);
            for ((place, values), logits) in places.into_iter().zip(candidates).zip(answers) {
                if bench.fools(place, first_largest(&logits)) {
                    fooling[place] = Some(Found { values, logits: Some(logits), step });
                }
            }
        }
        let last = |(place, found): (usize, Option<Found>)| {
            found.unwrap_or_else(|| Found {
                values: bench.rounded(place, &current[place]),
                logits: None,
                step: self.steps,
            })
        };
        let found = fooling.into_iter().enumerate().map(last).collect();
        bench.outcomes(found)
    }
}
