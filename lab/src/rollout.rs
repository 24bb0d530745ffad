//! Which rollout a question means: the paper's, with its options, or that of a popular program.

use archaeo_analysis::attribution::{Attribution, Rollout, RolloutOptions};
use archaeo_analysis::audit::VitExplainRollout;
use archaeo_models::Classifier;

use crate::error::LabError;
use crate::opened::Opened;

/// Which rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RolloutChoice {
    /// As in the paper, with these options.
    Paper(RolloutOptions),
    /// As vit-explain computes it.
    VitExplain(VitExplainRollout),
}

impl Default for RolloutChoice {
    fn default() -> Self {
        Self::Paper(RolloutOptions::USUAL)
    }
}

impl RolloutChoice {
    /// Refuses what no model could be asked.
    ///
    /// # Errors
    /// A share to discard outside of `[0, 1)`.
    pub fn check(&self) -> Result<(), LabError> {
        let discard = match self {
            Self::Paper(options) => options.discard,
            Self::VitExplain(rollout) => rollout.discard,
        };
        match (0.0..1.0).contains(&discard) {
            true => Ok(()),
            false => Err(LabError::Discard),
        }
    }

    /// Whether it is the paper's with nothing chosen, which is gathered in the pass itself.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// In words, what is not usual; `None` where nothing is.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::Paper(options) => options.describe(),
            Self::VitExplain(VitExplainRollout { discard, .. }) => {
                Some(format!("as vit-explain computes it, {:.0} % of each matrix discarded", 100.0 * discard))
            }
        }
    }

    /// The rollout of a model; what is usual asks nothing of it.
    pub(crate) fn of(&self, opened: &Opened) -> Result<ChosenRollout, LabError> {
        self.check()?;
        if !self.is_usual() {
            opened.require_attention()?;
        }
        self.of_model(&opened.model)
    }

    /// As [`RolloutChoice::of`], of a model that is known to have attention where that is needed.
    pub(crate) fn of_model(&self, model: &Classifier) -> Result<ChosenRollout, LabError> {
        self.check()?;
        let card = model.card();
        match *self {
            Self::Paper(options) => {
                let (number, count) = (options.start_layer, card.network.attention_layers());
                match self.is_usual() || (1..=count).contains(&number) {
                    true => Ok(ChosenRollout::Paper(Rollout { options })),
                    false => Err(LabError::StartLayer { number, model: card.name.clone(), count }),
                }
            }
            Self::VitExplain(rollout) => match rollout.applies(model).reason() {
                None => Ok(ChosenRollout::VitExplain(rollout)),
                Some(reason) => Err(LabError::Method { id: "rollout".into(), reason }),
            },
        }
    }
}

/// The rollout of one model.
pub(crate) enum ChosenRollout {
    Paper(Rollout),
    VitExplain(VitExplainRollout),
}

impl ChosenRollout {
    fn method(&self) -> &dyn Attribution {
        match self {
            Self::Paper(rollout) => rollout,
            Self::VitExplain(rollout) => rollout,
        }
    }

    /// The methods, with this one in the place of the usual rollout.
    pub fn among<'a>(&'a self, methods: Vec<&'static dyn Attribution>) -> Vec<&'a dyn Attribution> {
        let own = |method: &'static dyn Attribution| -> &'a dyn Attribution {
            if is_rollout(method) { self.method() } else { method }
        };
        methods.into_iter().map(own).collect()
    }
}

/// Whether a method of the registry is rollout.
pub(crate) fn is_rollout(method: &dyn Attribution) -> bool {
    method.info() == Rollout::USUAL.info()
}
