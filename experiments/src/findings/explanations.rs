//! What was found about attention, heatmaps and cues.

use std::collections::BTreeMap;

use archaeo_analysis::statistics::{AnswerAgreement, Estimate, Measured, Pairing, RankTrend, SignFlipTest};
use serde::{Deserialize, Serialize};

use super::{ExplainedImage, HeadMaps, HeatmapShown, Role};

/// What the transformer's heads attend to, averaged over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttentionFindings {
    /// Images looked at.
    pub n: usize,
    /// How the distance treats the class token, in words.
    pub convention: String,
    /// Which tokens the model's head reads, in words: what rollout starts from.
    pub read_out: String,
    /// Side of the input, in pixels: the scale of the distances.
    pub image_size: usize,
    /// One entry a layer, from the input.
    pub layers: Vec<LayerAttention>,
    /// Whether the distance relative to even attention rises or falls with depth, with layers as units.
    pub trend: Measured<RankTrend>,
    /// What every head of every layer sends to the tokens that are read, for one image; missing from older findings.
    #[serde(default)]
    pub head_maps_shown: Option<HeadMaps>,
    /// Rollout over several images; missing from older findings.
    #[serde(default)]
    pub rollouts_shown: Vec<ExplainedImage>,
}

/// One layer's heads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerAttention {
    /// One entry a head.
    pub heads: Vec<HeadAttention>,
    /// Mean Jensen-Shannon divergence between the heads, nats.
    pub diversity: Estimate,
    /// Distance of attention spread evenly over all that a patch may attend to, pixels.
    pub even_distance: f64,
    /// Mean attention distance over heads, as a share of the even distance; `None` where a patch attends to itself alone and
    /// the even distance is zero.
    pub relative_distance: Option<Estimate>,
}

/// Statistics of one head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadAttention {
    /// Mean attention distance, pixels.
    pub distance: Estimate,
    /// Entropy, nats.
    pub entropy: Estimate,
    /// Entropy over the logarithm of the number of keys: 0 one key, 1 all alike.
    pub normalised_entropy: Estimate,
    /// Hoyer sparsity: 0 all alike, 1 one key.
    pub hoyer: Estimate,
    /// Share of weights below one over the number of keys.
    pub below_uniform: Estimate,
    /// Weight that patches give to the class token; `None` without one.
    pub class_token_mass: Option<Estimate>,
    /// Weight that patches give to the distillation token; `None` without one.
    pub distillation_token_mass: Option<Estimate>,
    /// Weight that patches give to all registers together; `None` without any.
    pub register_mass: Option<Estimate>,
}

/// Side-by-side pictures: input, ViT rollout, CNN Grad-CAM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparisonFindings {
    /// How the images were chosen, in words.
    pub selection: String,
    /// The pictures.
    pub items: Vec<Comparison>,
    /// Images left out of the agreement, because one of their heatmaps is constant.
    pub constant: usize,
    /// How well the heatmaps of one image agree, against heatmaps of different images.
    pub agreement: Measured<Agreement>,
}

/// Agreement of two models' heatmaps over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agreement {
    /// Rank correlation of heatmaps of one image and of different images, and the difference.
    pub pairing: Pairing,
    /// The images to which both models give the same answer.
    pub same_answer: AgreementGroup,
    /// Those to which they give different answers, so that the heatmaps belong to different classes.
    pub other_answer: AgreementGroup,
}

/// Agreement on some of the images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgreementGroup {
    /// Images with two heatmaps that are not constant.
    pub n: usize,
    /// Mean agreement of the heatmaps of one image; `None` without an image.
    pub together: Option<Estimate>,
    /// How much that exceeds agreement with heatmaps of other images; `None` without an image.
    pub difference: Option<Estimate>,
}

/// One image under both explanations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Index within the main split.
    pub index: usize,
    /// Name of the image within its source.
    pub identifier: String,
    /// True class.
    pub label: usize,
    /// Predicted class and its probability, of each model.
    pub predictions: BTreeMap<Role, (usize, f64)>,
    /// Class that each model's heatmap explains; `None` for one that belongs to no class, as rollout does.
    pub explains: BTreeMap<Role, Option<usize>>,
    /// Rank correlation of the two heatmaps over the ViT's patch grid.
    pub agreement: Measured<f64>,
    /// Picture: the image. In older findings with both heatmaps next to it.
    pub picture: String,
    /// Each model's heatmap over the image as that model sees it; missing from older findings.
    #[serde(default)]
    pub heatmaps: BTreeMap<Role, HeatmapShown>,
}

/// Explanations against the true object mask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalisationFindings {
    /// Images scored.
    pub n: usize,
    /// Images not scored, because the object covers nothing or everything of what a model sees.
    pub left_out: usize,
    /// Mean share of an image that the object covers: what a heatmap that knows nothing puts inside.
    pub object_share: Estimate,
    /// One entry a heatmap, baselines included.
    pub methods: Vec<LocalisationScore>,
}

/// How well one heatmap finds the object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocalisationScore {
    /// Name of the heatmap.
    pub method: String,
    /// Which model it explains; `None` for the baselines.
    pub role: Option<Role>,
    /// Share of the heatmap's mass on the object, after the one normalisation of all heatmaps.
    pub mass: Estimate,
    /// Probability that a pixel of the object is hotter than one outside, ties counting half.
    pub auroc: Estimate,
    /// Area under the curve of precision over recall of the object's pixels.
    pub average_precision: Estimate,
    /// Share of images whose hottest pixel lies on the object (pointing game, Zhang et al., 2018).
    pub pointing: Estimate,
    /// Images on which the heatmap is constant and scores as chance.
    pub constant: usize,
    /// Less the random heatmap's score on the same images; `None` for baselines, and for fewer than two images.
    pub over_random: Option<Gains>,
    /// Less the centred heatmap's score on the same images; `None` as above.
    pub over_centre: Option<Gains>,
}

/// Scores of a heatmap minus those of a baseline, image by image. The p-values are adjusted over all explanations and scores
/// held against that baseline (Benjamini-Hochberg).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gains {
    /// Of mass.
    pub mass: SignFlipTest,
    /// Of the area under the ROC curve.
    pub auroc: SignFlipTest,
    /// Of average precision.
    pub average_precision: SignFlipTest,
    /// Of the pointing game.
    pub pointing: SignFlipTest,
}

/// Which cue decides when shape and texture disagree (Geirhos et al., 2019).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShapeBiasFindings {
    /// Cue-conflict images.
    pub n: usize,
    /// One entry a model.
    pub models: BTreeMap<Role, ShapeBias>,
    /// Shape bias of the ViT minus that of the CNN on the same images.
    pub difference: Measured<SignFlipTest>,
    /// Share of the training split's images whose texture is their class's own, in a sample; `None` without such a split.
    pub training_correlation: Option<Estimate>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_that_does_not_exist_survives_the_way_through_json_with_its_reason() {
        for agreement in [Measured::Known(0.25), Measured::undefined("the rollout is constant")] {
            let comparison = Comparison {
                index: 0,
                identifier: "a".into(),
                label: 0,
                predictions: BTreeMap::new(),
                explains: BTreeMap::from([(Role::Vit, None), (Role::Cnn, Some(3))]),
                agreement,
                picture: "a.png".into(),
                heatmaps: BTreeMap::new(),
            };
            let text = serde_json::to_string(&comparison).unwrap();
            let read: Comparison = serde_json::from_str(&text).unwrap();
            assert_eq!((read.agreement, read.explains), (comparison.agreement, comparison.explains));
        }
    }
}
