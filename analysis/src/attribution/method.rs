//! The contract of a method, and what it says about itself.

use archaeo_models::{Classifier, Network};
use serde::Serialize;

use super::{Evidence, Heatmap};
use crate::{AnalysisError, Paper};

/// A method that tells which places of an image speak for a class.
pub trait Attribution: Sync {
    /// What the method is, and what it needs.
    fn info(&self) -> &'static MethodInfo;

    /// One heatmap for each image of the batch, each for its class of `targets`; a method that does not depend on the class
    /// does not look at them.
    ///
    /// # Errors
    /// Exactly where [`Attribution::applies`] says that the method does not apply.
    ///
    /// # Panics
    /// If a method that depends on the class is not given one of the model's classes for each image.
    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError>;

    /// Whether a model has what the method needs.
    fn applies(&self, model: &Classifier) -> Applicability {
        match self.info().needs.iter().find_map(|need| need.lacking(model)) {
            None => Applicability::Applies,
            Some(reason) => Applicability::DoesNot(reason),
        }
    }

    /// Nothing where the method applies to the model of `evidence`.
    ///
    /// # Errors
    /// The reason why it does not.
    fn require(&self, evidence: &Evidence) -> Result<(), AnalysisError> {
        match self.applies(evidence.model()) {
            Applicability::Applies => Ok(()),
            Applicability::DoesNot(reason) => Err(reason),
        }
    }

    /// [`Attribution::explain`] for the class that the model names, which is looked up only where the method depends on it.
    ///
    /// # Errors
    /// As [`Attribution::explain`].
    fn explain_predicted(&self, evidence: &Evidence) -> Result<Vec<Heatmap>, AnalysisError> {
        let targets = if self.info().depends_on_class { evidence.predicted()? } else { Vec::new() };
        self.explain(evidence, &targets)
    }
}

/// What a method is, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MethodInfo {
    /// What the command line and files call it, such as `grad-cam`.
    pub id: &'static str,
    /// What a reader calls it, such as `Grad-CAM`.
    pub title: &'static str,
    /// What it computes, in a few words.
    pub summary: &'static str,
    /// Whether it explains the model or is there to be compared with.
    pub kind: Kind,
    /// Where it comes from, if it was published.
    pub paper: Option<Paper>,
    /// What a model must have.
    pub needs: &'static [Capability],
    /// Whether another class gives another heatmap.
    pub depends_on_class: bool,
    /// Whether values below zero speak against the class; otherwise there are none.
    pub signed: bool,
    /// What a value of the heatmap stands for.
    pub resolution: Resolution,
    /// How much work an image is.
    pub cost: Cost,
}

/// How much work a method makes of an image, in passes through the model; the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// About one pass and its gradient, or less, beyond those that [`Evidence`] keeps for all methods.
    Shared,
    /// Some dozens of passes of its own.
    Dozens,
    /// A hundred passes or more, or as much time.
    Hundreds,
}

/// What a method is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It explains the model's answer.
    Explanation,
    /// It knows nothing of the model: an explanation has to be better.
    Baseline,
}

/// Something that a model can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Attention weights of every layer.
    Attention,
    /// A last spatial representation: feature maps, or patch tokens on their grid.
    FeatureMaps,
    /// Gradients of a class's logit.
    Gradients,
    /// Logits of classes.
    Classes,
    /// Tokens that exchange information through attention alone, so that attention weights say what reached which.
    AttentionAlone,
    /// Tokens of one width from the first block to the last, so that the head can read them after any block.
    OneStream,
    /// At most [`LARGEST_FLOW`] patches.
    SmallGrid,
    /// The blocks of a Vision Transformer without windows and biases of position, of which every layer is known.
    PlainTransformer,
    /// The layers of a residual network.
    ResidualNetwork,
    /// A transformer that takes a sequence of any length: positions are added to the tokens and nothing else tells where they were.
    FreeSequence,
}

/// The most patches between which a maximum flow is looked for.
pub const LARGEST_FLOW: usize = 100;

impl Capability {
    /// Why a model cannot be asked for this; `None` where it can.
    pub(crate) fn lacking(self, model: &Classifier) -> Option<AnalysisError> {
        let name = || model.card().name.clone();
        match self {
            Self::Attention if !model.has_attention() => Some(AnalysisError::NoAttention { model: name() }),
            Self::Gradients | Self::Classes if model.card().classes.is_empty() => {
                Some(AnalysisError::NoClasses { model: name() })
            }
            Self::AttentionAlone if matches!(model.network, Network::EfficientVit(_)) => {
                Some(AnalysisError::Convolutions { model: name() })
            }
            Self::OneStream if matches!(model.network, Network::Swin(_) | Network::EfficientVit(_)) => {
                Some(AnalysisError::SeveralWidths { model: name() })
            }
            Self::SmallGrid if patches(model).is_some_and(|patches| patches > LARGEST_FLOW) => {
                Some(AnalysisError::LargeGrid { model: name(), most: LARGEST_FLOW })
            }
            Self::PlainTransformer if !matches!(model.network, Network::Vit(_)) => {
                Some(AnalysisError::NotPlainTransformer { model: name() })
            }
            Self::ResidualNetwork
                if !matches!(model.network, Network::Resnet(_) | Network::CifarResnet(_)) =>
            {
                Some(AnalysisError::NotResidual { model: name() })
            }
            Self::FreeSequence if !matches!(model.network, Network::Vit(_) | Network::ZeroShot(_)) => {
                Some(AnalysisError::NoFreeSequence { model: name() })
            }
            // Every network hands its last representation to the probe.
            _ => None,
        }
    }
}

fn patches(model: &Classifier) -> Option<usize> {
    Some((model.card().preprocessing.image_size / model.card().network.patch_size()?).pow(2))
}

/// What a value of a heatmap stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// A patch of the first layer's grid.
    Patches,
    /// A token of the last layer's grid: of a Swin Transformer or an EfficientViT several patches, of others one.
    LastLayer,
    /// A place of the last spatial representation.
    FeatureMap,
    /// A pixel of the model's input.
    Pixels,
}

/// Whether a method applies to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// It does.
    Applies,
    /// It does not, for this reason.
    DoesNot(AnalysisError),
}

impl Applicability {
    /// Whether it does.
    pub fn holds(&self) -> bool {
        *self == Self::Applies
    }

    /// Why it does not, in a sentence without a full stop.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Applies => None,
            Self::DoesNot(reason) => Some(reason.to_string()),
        }
    }
}
