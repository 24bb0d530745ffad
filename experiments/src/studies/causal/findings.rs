//! Explanations against what was measured by drawing images again: what is written to `findings/causal.json`.

use archaeo_analysis::statistics::{Estimate, Measured, SignFlipTest};
use archaeo_data::sherds::FactorKind;
use serde::{Deserialize, Serialize};

use super::measure::{FactorEffect, Question};
use crate::findings::{HeatmapShown, ImageShown};
use crate::subjects::ByModel;

/// What each model's answers depend on, and which explanations say so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CausalFindings {
    /// Images asked about.
    pub images: usize,
    /// One entry per model.
    pub models: ByModel<ModelTruth>,
}

/// One model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelTruth {
    /// Images that heatmaps are scored on.
    pub n: usize,
    /// Images not scored: no part of them does more than another, or the model sees nothing of the object.
    pub left_out: usize,
    /// Share of all images whose class the model names.
    pub accuracy: Estimate,
    /// What a factor of each kind does on average.
    pub kinds: Vec<KindEffect>,
    /// What other changes of the scene do.
    pub changes: Vec<ChangeEffect>,
    /// Explanations by their single deletion, the best first, and then the baselines.
    pub methods: Vec<CausalScore>,
    /// How far scores rank the explanations alike.
    pub agreement: ScoreAgreement,
    /// One image, for the figure.
    pub shown: Option<CausalImage>,
}

/// What removing a factor of one kind does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KindEffect {
    /// The kind.
    pub kind: FactorKind,
    /// Mean share of the image that such a factor covers.
    pub share: f64,
    /// Loss of the margin, in logits: mean over images of the mean over the image's factors of this kind.
    pub effect: Estimate,
    /// Share of such factors whose removal changes the margin by less than 5 % of it.
    pub negligible: f64,
}

/// What a change of the scene does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeEffect {
    /// The change.
    pub change: Question,
    /// Loss of the margin, in logits.
    pub effect: Estimate,
    /// Share of images of which the model still names the class.
    pub kept: Estimate,
}

/// How true one method's heatmaps are. Means over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CausalScore {
    /// ID of the method.
    pub id: String,
    /// Its title.
    pub method: String,
    /// Whether it knows nothing of the model.
    pub baseline: bool,
    /// Spearman's correlation, over the parts of an image, of mass and effect.
    pub single_deletion: Estimate,
    /// The same of mass and size of the effect, whatever its sign.
    pub strength: Measured,
    /// Spearman's correlation of effect and difference between the maps of class and runner-up.
    pub contrastivity: Estimate,
    /// Share of the mass on parts that matter.
    pub independence: Measured,
    /// Share of images whose answer is kept with only the parts called important.
    pub preserved: Estimate,
    /// Share of images whose answer is lost without them.
    pub lost: Estimate,
    /// AUROC against the object's mask.
    pub auroc: Estimate,
    /// Share of the mass on the object.
    pub mass: Estimate,
    /// Area under the deletion curve: smaller is better.
    pub deletion: Estimate,
    /// Single deletion less the random heatmap's; p-values are adjusted over all models, explanations and both baselines. `None` for
    /// baselines and for fewer than two images.
    pub over_random: Option<SignFlipTest>,
    /// The same against the centred heatmap.
    pub over_centre: Option<SignFlipTest>,
}

/// Spearman's correlation of the mean scores of the explanations, with an interval from resampled images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScoreAgreement {
    /// AUROC against the mask, and single deletion.
    pub mask_and_causal: Measured,
    /// Deletion (its sign turned), and single deletion.
    pub deletion_and_causal: Measured,
    /// AUROC against the mask, and deletion (its sign turned).
    pub mask_and_deletion: Measured,
}

/// One image with its factors and some heatmaps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CausalImage {
    /// The image.
    pub image: ImageShown,
    /// Its factors over it, in the colour of their effect.
    pub factors: String,
    /// The factors.
    pub effects: Vec<FactorEffect>,
    /// Logit of the class less the runner-up's.
    pub margin: f64,
    /// Heatmaps: the two explanations that are nearest to the truth on this image, and the one that is farthest from it.
    pub maps: Vec<CausalMap>,
}

/// A heatmap with its score.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CausalMap {
    /// Title of the method.
    pub method: String,
    /// The picture.
    pub shown: HeatmapShown,
    /// Its single deletion on this image.
    pub single_deletion: f64,
}
