//! Projected gradient descent (Madry et al., 2018, section 2.1) in L∞, L2 and L1.

use super::threat::levels;
use super::walk::Walk;
use super::{Attack, AttackInfo, Batch, Family, Goal, Loss, Norm, Outcome, Target, Threat};
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
    /// How often it starts; an image that has fallen is left alone.
    pub restarts: usize,
    /// What it follows.
    pub loss: Loss,
}

impl Pgd {
    /// With one random start. In L∞ steps of `2.5 · size / steps` (Madry et al., 2018, section 5), so that every point of the
    /// ball can be reached: at 8/255 and 10 steps, steps of 2/255. Elsewhere steps of `2 · size / steps`: in L2 at 1 and 10 steps,
    /// steps of 0.2.
    pub fn usual(threat: Threat, steps: usize) -> Self {
        let share = if let Threat::Linf(_) = threat { 2.5 } else { 2.0 };
        let step = share * threat.size() / steps as f64;
        Self { threat, step, steps, random_start: true, restarts: 1, loss: Loss::Margin }
    }
}

static INFO: AttackInfo = AttackInfo {
    id: "pgd",
    title: "PGD",
    summary: "iterated steps inside the ball from a random start",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Within,
    steps: Some(10),
    losses: &[Loss::Margin, Loss::CrossEntropy, Loss::Dlr, Loss::ProbabilityMargin],
    restarts: true,
    targeted: true,
    paper: Some(Paper { citation: "Madry et al., 2018", url: "https://arxiv.org/abs/1706.06083" }),
};

/// PGD, for the list.
pub(super) const PGD: Family = Family {
    info: &INFO,
    with: |settings| {
        let usual = Pgd::usual(settings.threat(), settings.steps.unwrap_or(10));
        let loss = settings.loss.unwrap_or(usual.loss);
        Box::new(Pgd { restarts: settings.restarts, loss, ..usual })
    },
};

impl Attack for Pgd {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let start = match (self.random_start, self.restarts) {
            (false, _) => "the clean image as start".into(),
            (true, 1) => "a random start".into(),
            (true, count) => format!("{count} random starts"),
        };
        describe(&self.threat, self.step, self.steps, self.loss, &start)
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let Self { threat, step, steps, random_start, restarts, loss } = *self;
        Walk { threat, step, steps, random_start, restarts, loss, decay: 0.0 }.run(target, batch, keys)
    }
}

/// Steps in a ball, in words.
pub(super) fn describe(threat: &Threat, step: f64, steps: usize, loss: Loss, start: &str) -> String {
    let taken = match threat {
        Threat::Linf(_) => format!("{steps} signed gradient steps of {}/255", levels(step)),
        Threat::L1(_) => format!("{steps} sparse gradient steps of length {step}"),
        _ => format!("{steps} gradient steps of length {step}"),
    };
    let loss = match loss {
        Loss::Margin => String::new(),
        loss => format!(" of the {}", loss.title()),
    };
    format!(
        "{} ball of {}, at most {taken}{loss}, {start}; rounded to 8 bits; grey images get grey changes",
        threat.norm(),
        threat.radius()
    )
}
