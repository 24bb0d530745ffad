//! The basic iterative method (Kurakin et al., 2017, section 2.2) and its form with momentum, MI-FGSM (Dong et al., 2018).

use super::pgd::describe;
use super::walk::Walk;
use super::{Attack, AttackInfo, Batch, Family, Goal, Loss, Norm, Outcome, Target, Threat};
use crate::{Keys, Paper};

/// FGSM in small steps from the clean image, which lead as far as the ball goes. With momentum, each follows the sum of all
/// gradients so far instead of the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bim {
    /// How far it may go.
    pub threat: Threat,
    /// Number of steps, each of the size's share.
    pub steps: usize,
    /// What it follows.
    pub loss: Loss,
    /// What is kept of earlier gradients: 0 in BIM, 1 in MI-FGSM.
    pub decay: f64,
}

const STEPS: usize = 10;

static BASIC: AttackInfo = AttackInfo {
    id: "bim",
    title: "BIM",
    summary: "FGSM in small steps from the clean image",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Within,
    steps: Some(STEPS),
    losses: &[Loss::CrossEntropy, Loss::Margin, Loss::Dlr, Loss::ProbabilityMargin],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Kurakin et al., 2017", url: "https://arxiv.org/abs/1607.02533" }),
};

static MOMENTUM: AttackInfo = AttackInfo {
    id: "mi-fgsm",
    title: "MI-FGSM",
    summary: "small steps along the sum of all gradients so far, which transfer better",
    norms: &[Norm::Linf, Norm::L2],
    paper: Some(Paper { citation: "Dong et al., 2018", url: "https://arxiv.org/abs/1710.06081" }),
    ..BASIC
};

/// BIM, for the list.
pub(super) const BIM: Family = Family { info: &BASIC, with: |settings| Box::new(made(settings, 0.0)) };

/// MI-FGSM, for the list.
pub(super) const MI_FGSM: Family = Family { info: &MOMENTUM, with: |settings| Box::new(made(settings, 1.0)) };

fn made(settings: &super::Settings, decay: f64) -> Bim {
    Bim {
        threat: settings.threat(),
        steps: settings.steps.unwrap_or(STEPS),
        loss: settings.loss.unwrap_or(Loss::CrossEntropy),
        decay,
    }
}

impl Bim {
    fn step(&self) -> f64 {
        self.threat.size() / self.steps as f64
    }
}

impl Attack for Bim {
    fn info(&self) -> &'static AttackInfo {
        if self.decay > 0.0 { &MOMENTUM } else { &BASIC }
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let start = match self.decay > 0.0 {
            true => format!("the clean image as start, momentum with decay {}", self.decay),
            false => "the clean image as start".into(),
        };
        describe(&self.threat, self.step(), self.steps, self.loss, &start)
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let Self { threat, steps, loss, decay } = *self;
        let walk = Walk { threat, step: self.step(), steps, random_start: false, restarts: 1, loss, decay };
        walk.run(target, batch, keys)
    }
}
