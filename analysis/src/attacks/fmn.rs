//! Fast minimum norm (Pintor et al., 2021) in L∞, L2, L1 and L0.

use super::smallest::{Answer, Kind, MinimumNorm, Search, Subject, cosine};
use super::{AttackInfo, Family, Goal, Norm};
use crate::Paper;

/// Share by which the radius changes, which falls along a cosine.
const FIRST_GAMMA: f64 = 0.05;
const LAST_GAMMA: f64 = 0.001;

/// The last step's length in the first's.
const LAST_STEP: f64 = 0.01;

static INFO: AttackInfo = AttackInfo {
    id: "fmn",
    title: "FMN",
    summary: "gradient steps in a ball that shrinks while they fool",
    norms: &[Norm::L2, Norm::Linf, Norm::L1, Norm::L0],
    goal: Goal::Smallest,
    steps: Some(200),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Pintor et al., 2021", url: "https://arxiv.org/abs/2102.12827" }),
};

static KIND: Kind = Kind {
    info: &INFO,
    words: "gradient steps in a ball that shrinks while they fool",
    begin: |subject, steps| Box::new(FmnSearch::begin(subject, steps)),
};

/// FMN, for the list.
pub(super) const FMN: Family =
    Family { info: &INFO, with: |settings| Box::new(MinimumNorm::new(&KIND, settings)) };

/// δ takes a step along the gradient and is projected onto a ball, whose radius is at first the distance to the boundary by the
/// linear model, and then shrinks while δ fools and grows while it does not.
pub(super) struct FmnSearch<'s> {
    subject: Subject<'s>,
    radius: f64,
    farthest: f64,
    /// Length of the first step.
    first_step: f64,
    nearest: Option<f64>,
    step: usize,
    steps: usize,
    change: Vec<f64>,
    place: Vec<f32>,
}

impl<'s> FmnSearch<'s> {
    pub fn begin(subject: Subject<'s>, steps: usize) -> Self {
        let norm = subject.threat.norm();
        let place = subject.clean.values.clone();
        Self {
            subject,
            radius: if norm == Norm::L0 { 1.0 } else { f64::INFINITY },
            farthest: subject.farthest(),
            first_step: if norm == Norm::Linf { 10.0 } else { 1.0 },
            nearest: None,
            step: 0,
            steps,
            change: vec![0.0; place.len()],
            place,
        }
    }

    fn next_radius(&self, answer: &Answer, gamma: f64) -> f64 {
        let radius = self.radius;
        let smaller = |radius: f64| self.nearest.map_or(radius, |nearest| nearest.min(radius));
        match (self.subject.threat.norm(), answer.fools) {
            (Norm::L0, true) => smaller((radius - 1.0).min((radius * (1.0 - gamma)).floor())).max(0.0),
            (Norm::L0, false) => (radius + 1.0).max((radius * (1.0 + gamma)).floor()),
            (_, true) => smaller(radius * (1.0 - gamma)),
            (_, false) if self.nearest.is_some() => radius * (1.0 + gamma),
            (_, false) => {
                let rate = self.subject.threat.dual_norm(&answer.gradients[0]).max(1e-12);
                // A little more, since a place on the boundary itself need not fool.
                (answer.distance + self.subject.margin(&answer.logits).abs() / rate) * (1.0 + LAST_GAMMA)
            }
        }
    }
}

impl FmnSearch<'_> {
    /// In L2 onto the sphere, from inside as well: a step that ends short of it is lengthened. Else onto the ball.
    fn lay_on_the_ball(&mut self) {
        let length = self.subject.threat.length(self.change.iter().copied());
        if self.subject.threat.norm() == Norm::L2 && length > 0.0 && self.radius.is_finite() {
            let factor = self.radius / length;
            self.change.iter_mut().for_each(|change| *change *= factor);
            self.subject.cut(&mut self.change);
        } else {
            self.subject.project(&mut self.change, self.radius);
        }
    }
}

impl Search for FmnSearch<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        self.subject.slopes(logits)
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        if answer.fools {
            self.nearest = Some(self.nearest.map_or(answer.distance, |nearest| nearest.min(answer.distance)));
        }
        let gamma = cosine(FIRST_GAMMA, LAST_GAMMA, self.step, self.steps);
        self.radius = self.next_radius(answer, gamma).min(self.farthest);
        let rate = cosine(self.first_step, LAST_STEP * self.first_step, self.step, self.steps);
        let gradient = &answer.gradients[0];
        let steepness = gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
        if steepness > 0.0 && steepness.is_finite() {
            // Down the margin.
            self.change
                .iter_mut()
                .zip(gradient)
                .for_each(|(change, slope)| *change -= rate * slope / steepness);
        }
        self.lay_on_the_ball();
        self.place = self.subject.place(&self.change);
        self.step += 1;
        self.step < self.steps
    }
}
