//! Decoupled direction and norm (Rony et al., 2019) in L2.

use archaeo_random::{keyed_rng, standard_normal};

use super::loss::Loss;
use super::smallest::{Answer, Kind, MinimumNorm, Search, Subject, cosine};
use super::{AttackInfo, Family, Goal, Norm};
use crate::Paper;

/// Share by which the radius changes at each step.
const GAMMA: f64 = 0.05;

/// Length of the first perturbation.
const FIRST_RADIUS: f64 = 1.0;

/// Step lengths, which fall along a cosine.
const FIRST_STEP: f64 = 1.0;
const LAST_STEP: f64 = 0.01;

static INFO: AttackInfo = AttackInfo {
    id: "ddn",
    title: "DDN",
    summary: "gradient steps on a sphere that shrinks while they fool",
    norms: &[Norm::L2],
    goal: Goal::Smallest,
    steps: Some(200),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Rony et al., 2019", url: "https://arxiv.org/abs/1811.09600" }),
};

static KIND: Kind = Kind {
    info: &INFO,
    words: "gradient steps on a sphere that shrinks while they fool",
    begin: |subject, steps| Box::new(DdnSearch::begin(subject, steps)),
};

/// DDN, for the list.
pub(super) const DDN: Family =
    Family { info: &INFO, with: |settings| Box::new(MinimumNorm::new(&KIND, settings)) };

/// δ takes a step along the gradient, and is given the length ε, which shrinks while δ fools and grows while it does not.
pub(super) struct DdnSearch<'s> {
    subject: Subject<'s>,
    radius: f64,
    farthest: f64,
    step: usize,
    steps: usize,
    change: Vec<f64>,
    place: Vec<f32>,
}

impl<'s> DdnSearch<'s> {
    pub fn begin(subject: Subject<'s>, steps: usize) -> Self {
        let place = subject.clean.values.clone();
        let change = vec![0.0; place.len()];
        Self { subject, radius: FIRST_RADIUS, farthest: subject.farthest(), step: 0, steps, change, place }
    }
}

impl Search for DdnSearch<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        Loss::Margin.slopes(logits, self.subject.aim)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        let length = |of: &[f64]| self.subject.threat.length(of.iter().copied());
        let gradient = &answer.gradients[0];
        let steepness = length(gradient);
        let rate = cosine(FIRST_STEP, LAST_STEP, self.step, self.steps);
        if steepness > 0.0 && steepness.is_finite() {
            self.change
                .iter_mut()
                .zip(gradient)
                .for_each(|(change, slope)| *change += rate * slope / steepness);
        } else {
            let (seed, image) = self.subject.key;
            let mut rng = keyed_rng(seed, "ddn without a gradient", image, self.step as u64);
            let free = self.subject.clean.free();
            let noise: Vec<f64> = (0..free).map(|_| standard_normal(&mut rng)).collect();
            let noise = noise.iter().cycle();
            self.change.iter_mut().zip(noise).for_each(|(change, noise)| *change += rate * noise);
        }
        self.radius *= if answer.fools { 1.0 - GAMMA } else { 1.0 + GAMMA };
        self.radius = self.radius.min(self.farthest);
        let factor =
            self.radius / self.subject.threat.length(self.change.iter().copied()).max(f64::MIN_POSITIVE);
        self.change.iter_mut().for_each(|change| *change *= factor);
        self.place = self.subject.place(&self.change);
        self.change = self.subject.change(&self.place);
        self.step += 1;
        self.step < self.steps
    }
}
