//! Shape against texture: what is written to `findings/shape_bias.json`.

use std::collections::BTreeMap;

use archaeo_analysis::statistics::{AnswerAgreement, Estimate, Measured, SignFlipTest};
use serde::{Deserialize, Serialize};

use crate::subjects::{ByModel, ModelName};

/// Which cue decides when shape and texture disagree (Geirhos et al., 2019).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShapeBiasFindings {
    /// Cue-conflict images.
    pub n: usize,
    /// One entry a model.
    pub models: ByModel<ShapeBias>,
    /// Every two models on the same images.
    pub pairs: Vec<ShapeBiasDifference>,
    /// Share of the training split's images whose texture is their class's own, in a sample; `None` without such a split.
    pub training_correlation: Option<Estimate>,
}

/// Two models on the same cue-conflict images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShapeBiasDifference {
    /// Which models.
    pub models: [ModelName; 2],
    /// Shape bias of the first minus that of the second.
    pub difference: Measured<SignFlipTest>,
}

/// One model's decisions on cue-conflict images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShapeBias {
    /// Decisions for the shape's class.
    pub shape: usize,
    /// Decisions for the texture's class.
    pub texture: usize,
    /// Decisions for a third class.
    pub other: usize,
    /// `shape / (shape + texture)`.
    pub bias: Measured,
    /// How often the texture's class is named, against a model with the same answers that takes no notice of textures.
    pub texture_following: Measured<AnswerAgreement>,
    /// Accuracy on each split that sets the texture in another way.
    pub accuracy: BTreeMap<String, Estimate>,
    /// Accuracy on images whose texture is their class's own minus accuracy on images in conflict; `None` without such images.
    pub aligned_gain: Option<Estimate>,
}
