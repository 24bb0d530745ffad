//! AutoAttack (Croce and Hein, 2020b), standard: APGD-CE, APGD-T, FAB-T and Square in turn, each on the images that the last has left
//! standing.

use super::{
    Attack, AttackInfo, Batch, Family, Goal, Loss, Norm, Outcome, Settings, Target, Threat, apgd, fab,
    in_turn, square,
};
use crate::{Keys, Paper};

/// Walks of APGD-CE in L1, where it is the weakest (Croce and Hein, 2021, section 4).
const WALKS_IN_L1: usize = 5;

/// The attacks of the standard version, with the settings they have there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoAttack {
    /// How far it may go.
    pub threat: Threat,
    norm: Norm,
    size: f64,
}

static INFO: AttackInfo = AttackInfo {
    id: "autoattack",
    title: "AutoAttack",
    summary: "APGD, APGD-T, FAB-T and Square in turn, each on what the last left standing",
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    goal: Goal::Within,
    steps: None,
    losses: &[],
    restarts: false,
    targeted: false,
    paper: Some(Paper { citation: "Croce and Hein, 2020b", url: "https://arxiv.org/abs/2003.01690" }),
};

/// AutoAttack, for the list.
pub(super) const AUTOATTACK: Family = Family {
    info: &INFO,
    with: |settings| {
        let Settings { norm, size, .. } = *settings;
        Box::new(AutoAttack { threat: settings.threat(), norm, size })
    },
};

impl Attack for AutoAttack {
    fn info(&self) -> &'static AttackInfo {
        &INFO
    }

    fn threat(&self) -> Threat {
        self.threat
    }

    fn describe(&self) -> String {
        let titles: Vec<_> = self.stages().iter().map(|stage| stage.info().title).collect();
        format!(
            "{} ball of {}, standard: {}, each on the images that the last has left standing; rounded to 8 bits; grey images get grey \
             changes",
            self.threat.norm(),
            self.threat.radius(),
            titles.join(", ")
        )
    }

    fn stages(&self) -> Vec<Box<dyn Attack>> {
        let settings = Settings::new(self.norm, self.size);
        let restarts = if self.norm == Norm::L1 { WALKS_IN_L1 } else { 1 };
        let first = Settings { loss: Some(Loss::CrossEntropy), restarts, ..settings };
        [(apgd::APGD, first), (apgd::APGD_T, settings), (fab::FAB_T, settings), (square::SQUARE, settings)]
            .into_iter()
            .filter(|(family, _)| family.info.norms.contains(&self.norm))
            .map(|(family, settings)| family.with(&settings).expect("the stages have the settings"))
            .collect()
    }

    fn run(&self, target: &dyn Target, batch: &Batch, keys: &Keys) -> Vec<Outcome> {
        in_turn(&self.stages(), target, batch, keys).into_iter().map(|(outcome, _)| outcome).collect()
    }
}
