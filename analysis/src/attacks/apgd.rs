//! Auto-PGD (Croce and Hein, 2020b; in L1 Croce and Hein, 2021), with one loss or toward several classes in turn.

use archaeo_random::{keyed_rng, standard_normal};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::adaptive::Adaptive;
use super::workbench::{Found, Workbench};
use super::{
    Aim, Attack, AttackInfo, Batch, Clean, Family, Goal, Loss, Norm, Outcome, Settings, Target, Threat,
};
use crate::{Keys, Paper};

/// Steps, classes and, in L1, starts of the attack in AutoAttack.
pub(super) const STEPS: usize = 100;
const CLASSES: usize = 9;
const CLASSES_IN_L1: usize = 5;

/// In L1, the sizes of the balls that a walk passes through, over its own, and the share of the steps in each.
const LARGER: [(f64, f64); 3] = [(3.0, 0.3), (2.0, 0.3), (1.0, 0.4)];

/// Steps with momentum whose length adapts to the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apgd {
    /// How far it may go.
    pub threat: Threat,
    /// Steps of each walk.
    pub steps: usize,
    /// Walks from different places; toward classes, of each of them.
    pub restarts: usize,
    /// What it follows.
    pub loss: Loss,
    /// Toward how many classes it walks in turn, those of the largest logits first; `None` walks away from the label alone.
    pub classes: Option<usize>,
}

static ALONE: AttackInfo = AttackInfo {
    id: "apgd",
    title: "APGD",
    summary: "steps with momentum whose length adapts to the loss",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Within,
    steps: Some(STEPS),
    losses: &[Loss::CrossEntropy, Loss::Dlr, Loss::Margin, Loss::ProbabilityMargin],
    restarts: true,
    targeted: true,
    paper: Some(Paper { citation: "Croce and Hein, 2020b", url: "https://arxiv.org/abs/2003.01690" }),
};

static TARGETS: AttackInfo = AttackInfo {
    id: "apgd-t",
    title: "APGD-T",
    summary: "APGD toward each of the nine most likely wrong classes in turn",
    losses: &[Loss::Dlr, Loss::Margin, Loss::CrossEntropy, Loss::ProbabilityMargin],
    ..ALONE
};

/// APGD, for the list.
pub(super) const APGD: Family =
    Family { info: &ALONE, with: |settings| Box::new(Apgd::usual(settings, Loss::CrossEntropy, None)) };

/// APGD-T, for the list.
pub(super) const APGD_T: Family = Family {
    info: &TARGETS,
    with: |settings| {
        let classes = if settings.norm == Norm::L1 { CLASSES_IN_L1 } else { CLASSES };
        Box::new(Apgd::usual(settings, Loss::Dlr, Some(classes)))
    },
};

impl Apgd {
    fn usual(settings: &Settings, loss: Loss, classes: Option<usize>) -> Self {
        Self {
            threat: settings.threat(),
            steps: settings.steps.unwrap_or(STEPS),
            restarts: settings.restarts,
            loss: settings.loss.unwrap_or(loss),
            classes,
        }
    }

    /// One walk of the images at `open`, in L1 through larger balls first.
    fn walk(
        &self,
        bench: &mut Workbench,
        open: &[usize],
        aims: &[Aim],
        mut starts: Vec<Vec<f32>>,
        before: usize,
    ) -> Vec<(Vec<f32>, Option<Found>)> {
        let loss = self.loss.where_defined(aims[0], bench.classes());
        let phases: &[(f64, f64)] = if let Threat::L1(_) = self.threat { &LARGER } else { &[(1.0, 1.0)] };
        let mut taken = before;
        let mut walked = Vec::new();
        for (size, share) in phases {
            let threat = self.threat.with_size(size * self.threat.size());
            let steps = ((share * self.steps as f64) as usize).max(1);
            for (start, &place) in starts.iter_mut().zip(open) {
                let moved: Vec<f64> = start.iter().map(|&x| f64::from(x)).collect();
                threat.project(&moved, &bench.clean[place], start);
            }
            let adaptive = Adaptive { threat, steps, loss, before: taken };
            walked = adaptive.run(bench, open, aims, starts);
            taken += steps;
            starts = walked.iter().map(|walked| walked.best.clone()).collect();
        }
        starts.into_iter().zip(walked).map(|(best, walked)| (best, walked.found)).collect()
    }

    /// The classes that an image is led to, the likeliest first: none away from the label alone, or toward one target.
    fn aims(&self, bench: &mut Workbench, target: bool) -> Vec<Vec<Aim>> {
        let places: Vec<usize> = (0..bench.clean.len()).collect();
        let Some(classes) = self.classes.filter(|_| !target) else {
            return places.iter().map(|&place| vec![bench.aim(place)]).collect();
        };
        let aims = likeliest(bench, classes);
        places
            .into_iter()
            .zip(aims)
            .map(|(place, aims)| match aims.is_empty() {
                true => vec![bench.aim(place)],
                false => aims,
            })
            .collect()
    }
}

/// For each image the ways from its label to the other classes of the largest logits, at most so many.
pub(super) fn likeliest(bench: &mut Workbench, count: usize) -> Vec<Vec<Aim>> {
    let places: Vec<usize> = (0..bench.clean.len()).collect();
    let clean: Vec<Vec<f32>> = bench.clean.iter().map(|clean| clean.values.clone()).collect();
    let versions: Vec<&[f32]> = clean.iter().map(Vec::as_slice).collect();
    let logits = bench.logits(&places, &versions);
    let of_image = |(logits, &place): (&Vec<f32>, &usize)| {
        let label = bench.label(place);
        let mut others: Vec<usize> = (0..logits.len()).filter(|&class| class != label).collect();
        others.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        others.truncate(count);
        others.into_iter().map(|class| Aim::FromTo(label, class)).collect()
    };
    logits.iter().zip(&places).map(of_image).collect()
}

/// A place on the sphere of the ball in a random direction, cut to the box (in L∞ the direction's largest entry is 1); in L1 the
/// nearest place of ball and box to normal noise.
fn start(threat: &Threat, clean: &Clean, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (free, all) = (clean.free(), clean.values.len());
    let direction: Vec<f64> = match threat {
        Threat::Linf(_) => (0..free).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect(),
        _ => (0..free).map(|_| standard_normal(rng)).collect(),
    };
    let length = threat.length((0..all).map(|i| direction[i % free])).max(f64::MIN_POSITIVE);
    let scale = if let Threat::L1(_) = threat { 1.0 } else { threat.size() / length };
    let moved: Vec<f64> =
        clean.values.iter().enumerate().map(|(i, &x)| f64::from(x) + scale * direction[i % free]).collect();
    let mut x = clean.values.clone();
    threat.project(&moved, clean, &mut x);
    x
}

impl Attack for Apgd {
    fn info(&self) -> &'static AttackInfo {
        if self.classes.is_some() { &TARGETS } else { &ALONE }
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let toward = match self.classes {
            Some(classes) => format!(" toward each of the {classes} likeliest wrong classes"),
            None => String::new(),
        };
        let starts = match self.restarts {
            1 => "a random start".into(),
            count => format!("{count} random starts"),
        };
        format!(
            "{} ball of {}, at most {} adaptive steps of the {}{toward}, {starts}; rounded to 8 bits; grey images get grey changes",
            self.threat.norm(),
            self.threat.radius(),
            self.steps,
            self.loss.title()
        )
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let aims = self.aims(&mut bench, batch.targets.is_some());
        let rounds = aims.iter().map(Vec::len).max().unwrap_or(0);
        let mut best: Vec<Found> =
            bench.clean.iter().map(|clean| Found::open(clean.values.clone(), 0)).collect();
        let mut walk = 0;
        for round in 0..rounds {
            for _ in 0..self.restarts {
                let open: Vec<usize> = (0..aims.len())
                    .filter(|&place| best[place].logits.is_none() && round < aims[place].len())
                    .collect();
                if open.is_empty() {
                    break;
                }
                let larger = if let Threat::L1(_) = self.threat { LARGER[0].0 } else { 1.0 };
                let threat = self.threat.with_size(larger * self.threat.size());
                let start = |&place: &usize| {
                    let rng = &mut keyed_rng(keys.seed, "apgd start", keys.images[place], walk as u64);
                    start(&threat, &bench.clean[place], rng)
                };
                let starts = open.iter().map(start).collect();
                let toward: Vec<Aim> = open.iter().map(|&place| aims[place][round]).collect();
                let walked = self.walk(&mut bench, &open, &toward, starts, walk * self.steps);
                walk += 1;
                for (&place, (values, found)) in open.iter().zip(walked) {
                    best[place] = found
                        .unwrap_or_else(|| Found::open(bench.rounded(place, &values), walk * self.steps));
                }
            }
        }
        bench.outcomes(best)
    }
}
