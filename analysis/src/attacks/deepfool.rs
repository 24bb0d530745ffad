//! DeepFool (Moosavi-Dezfooli et al., 2016, algorithm 2) in L2 and L∞, and SuperDeepFool (Abdollahpoor et al., 2024) in L2.

use super::loss::Aim;
use super::smallest::{Answer, Kind, MinimumNorm, Search, Subject};
use super::{AttackInfo, Family, Goal, Norm};
use crate::Paper;

/// Share by which the perturbation goes beyond the boundary of the linear model.
const OVERSHOOT: f64 = 0.02;

/// Classes that compete: those with the largest logits. The paper takes all, at the cost of a gradient each; its authors' program
/// takes these.
const RIVALS: usize = 9;

static DEEPFOOL_INFO: AttackInfo = AttackInfo {
    id: "deepfool",
    title: "DeepFool",
    summary: "steps to the nearest boundary of the linear approximation",
    norms: &[Norm::L2, Norm::Linf],
    goal: Goal::Smallest,
    steps: Some(50),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Moosavi-Dezfooli et al., 2016", url: "https://arxiv.org/abs/1511.04599" }),
};

static DEEPFOOL_KIND: Kind = Kind {
    info: &DEEPFOOL_INFO,
    words: "steps at most to the nearest boundary of the linear approximation",
    begin: |subject, steps| Box::new(DeepFoolSearch::begin(subject, steps, false)),
};

/// DeepFool, for the list.
pub(super) const DEEPFOOL: Family =
    Family { info: &DEEPFOOL_INFO, with: |settings| Box::new(MinimumNorm::new(&DEEPFOOL_KIND, settings)) };

static SUPER_INFO: AttackInfo = AttackInfo {
    id: "superdeepfool",
    title: "SuperDeepFool",
    summary: "DeepFool, projected on the normal of the boundary",
    norms: &[Norm::L2],
    goal: Goal::Smallest,
    steps: Some(100),
    losses: &[],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Abdollahpoor et al., 2024", url: "https://arxiv.org/abs/2303.12481" }),
};

static SUPER_KIND: Kind = Kind {
    info: &SUPER_INFO,
    words: "steps at most of DeepFool, projected on the normal of the boundary wherever they fool",
    begin: |subject, steps| Box::new(DeepFoolSearch::begin(subject, steps, true)),
};

/// SuperDeepFool, for the list.
pub(super) const SUPER_DEEPFOOL: Family =
    Family { info: &SUPER_INFO, with: |settings| Box::new(MinimumNorm::new(&SUPER_KIND, settings)) };

/// Steps to the nearest boundary of the model's linear approximation at the present place, until the answer changes. SuperDeepFool
/// then projects the perturbation on the boundary's normal and goes on from there, until the projected one fools.
pub(super) struct DeepFoolSearch<'s> {
    subject: Subject<'s>,
    project: bool,
    /// Whether the present place is a projected one.
    projected: bool,
    left: usize,
    /// Without the overshoot.
    change: Vec<f64>,
    place: Vec<f32>,
}

impl<'s> DeepFoolSearch<'s> {
    pub fn begin(subject: Subject<'s>, steps: usize, project: bool) -> Self {
        let place = subject.clean.values.clone();
        Self { subject, project, projected: false, left: steps, change: vec![0.0; place.len()], place }
    }

    /// The classes that have to fall and to rise, nearest first.
    fn pairs(&self, logits: &[f32]) -> Vec<(usize, usize)> {
        let Aim::Away(label) = self.subject.aim else { return vec![self.subject.pair(logits)] };
        let mut others: Vec<usize> = (0..logits.len()).filter(|&class| class != label).collect();
        others.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        others.into_iter().take(RIVALS).map(|class| (label, class)).collect()
    }

    /// The step to the nearest boundary; `None` where no class has a gradient.
    fn to_nearest(&self, answer: &Answer) -> Option<Vec<f64>> {
        let pairs = self.pairs(&answer.logits);
        let ways = pairs.iter().zip(&answer.gradients).filter_map(|(&pair, gradient)| {
            let rate = self.subject.threat.dual_norm(gradient);
            let margin = self.subject.between(&answer.logits, pair).abs();
            // The authors' program adds this to the margin's distance, so that a place on the boundary is left.
            (rate > 0.0 && rate.is_finite()).then(|| (margin / rate + 1e-4, rate, gradient))
        });
        let (distance, rate, gradient) = ways.min_by(|a, b| a.0.total_cmp(&b.0))?;
        // Down the margin, by `distance` in the norm.
        Some(match self.subject.threat.norm() {
            Norm::Linf => gradient
                .iter()
                .map(|&slope| if slope == 0.0 { 0.0 } else { -distance * slope.signum() })
                .collect(),
            _ => gradient.iter().map(|slope| -distance * slope / rate).collect(),
        })
    }
}

impl Search for DeepFoolSearch<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn gradients(&self) -> usize {
        match self.subject.aim {
            Aim::Away(_) => RIVALS.min(self.subject.classes - 1),
            _ => 1,
        }
    }

    fn slopes(&self, which: usize, logits: &[f32]) -> Vec<f32> {
        self.subject.slopes_between(logits.len(), self.pairs(logits)[which])
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        self.left -= 1;
        if self.left == 0 || (answer.fools && (self.projected || !self.project)) {
            return false;
        }
        self.projected = answer.fools;
        if answer.fools {
            // The first rival is the answer.
            let normal = &answer.gradients[0];
            let square: f64 = normal.iter().map(|slope| slope * slope).sum();
            let change = self.subject.change(&self.place);
            let along: f64 = change.iter().zip(normal).map(|(change, slope)| change * slope).sum();
            if !(square > 0.0 && square.is_finite()) {
                return false;
            }
            self.change = normal.iter().map(|slope| along * slope / square).collect();
            self.place = self.subject.place(&self.change);
        } else {
            let Some(step) = self.to_nearest(answer) else { return false };
            self.change.iter_mut().zip(step).for_each(|(change, step)| *change += step);
            let beyond: Vec<f64> = self.change.iter().map(|change| (1.0 + OVERSHOOT) * change).collect();
            self.place = self.subject.place(&beyond);
        }
        true
    }
}
