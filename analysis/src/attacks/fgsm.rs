//! Fast gradient sign method (Goodfellow et al., 2015, section 4).

use super::workbench::{Found, Workbench};
use super::{Attack, AttackInfo, Batch, Family, Goal, Loss, Norm, Outcome, Target, Threat};
use crate::{Keys, Paper};

/// One step of the whole size along the sign of the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fgsm {
    /// Largest change of a channel value.
    pub threat: Threat,
    /// What it follows.
    pub loss: Loss,
}

static INFO: AttackInfo = AttackInfo {
    id: "fgsm",
    title: "FGSM",
    summary: "one step along the gradient's sign",
    norms: &[Norm::Linf],
    goal: Goal::Within,
    steps: None,
    losses: &[Loss::CrossEntropy, Loss::Margin, Loss::Dlr, Loss::ProbabilityMargin],
    restarts: false,
    targeted: true,
    paper: Some(Paper { citation: "Goodfellow et al., 2015", url: "https://arxiv.org/abs/1412.6572" }),
};

/// FGSM, for the list.
pub(super) const FGSM: Family = Family {
    info: &INFO,
    with: |settings| {
        Box::new(Fgsm { threat: settings.threat(), loss: settings.loss.unwrap_or(Loss::CrossEntropy) })
    },
};

impl Attack for Fgsm {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let radius = self.threat.radius();
        let loss = match self.loss {
            Loss::CrossEntropy => String::new(),
            loss => format!(" of the {}", loss.title()),
        };
        format!("one signed gradient step{loss} of {radius}; rounded to 8 bits; grey images get grey changes")
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        let mut bench = Workbench::new(target, batch, self.threat, keys);
        let mut versions: Vec<Vec<f32>> = bench.clean.iter().map(|clean| clean.values.clone()).collect();
        let places: Vec<usize> = (0..versions.len()).collect();
        if places.is_empty() {
            return Vec::new();
        }
        let slices: Vec<&[f32]> = versions.iter().map(Vec::as_slice).collect();
        let slopes = bench.slopes(&places, &slices, self.loss);
        let mut found = Vec::with_capacity(places.len());
        for (place, (version, slope)) in versions.iter_mut().zip(slopes).enumerate() {
            self.threat.ascend(version, &bench.clean[place], &slope.gradient, self.threat.size());
            found.push(Found::open(bench.rounded(place, version), 1));
        }
        bench.outcomes(found)
    }
}
