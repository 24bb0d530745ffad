//! Which heads and layers carry what tells two images of one scene apart: what is written to `findings/patching.json`.

use std::fmt;

use archaeo_analysis::ablation::TokenGroup;
use archaeo_analysis::statistics::{Estimate, Measured, SignFlipTest};
use serde::{Deserialize, Serialize};

use crate::findings::numbering;
use crate::subjects::ByModel;

/// What each head and layer of each model with attention carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PatchingFindings {
    /// Pairs of images for each factor.
    pub pairs: usize,
    /// One entry per model with attention, and in it one per factor.
    pub models: ByModel<Vec<FactorPatching>>,
}

/// What two images of a pair differ in; everything else, the noise included, is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SceneFactor {
    /// The object has another shape, and with it the image another class.
    Shape,
    /// The object has another texture.
    Texture,
    /// The object lies an eighth of the image's side nearer to the middle, both ways.
    Place,
    /// The object is turned by 20 degrees.
    Rotation,
    /// There is no clutter in front of the object.
    Occluders,
}

impl SceneFactor {
    /// All, in the order in which they are recorded and told.
    pub const ALL: [Self; 5] = [Self::Shape, Self::Texture, Self::Place, Self::Rotation, Self::Occluders];
}

impl fmt::Display for SceneFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Shape => "shape",
            Self::Texture => "texture",
            Self::Place => "place",
            Self::Rotation => "rotation",
            Self::Occluders => "occluders",
        })
    }
}

/// Tokens that are taken from the other image together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchedTokens {
    /// Those before the first patch: the class token, a distillation token, registers.
    Prefix,
    /// Patches with a pixel of the object in either image of the pair.
    Object,
    /// All other patches.
    Background,
}

impl PatchedTokens {
    /// All, in the order in which they are recorded and told; the first only where a model has such tokens.
    pub const ALL: [Self; 3] = [Self::Prefix, Self::Object, Self::Background];

    pub(super) fn group(self) -> TokenGroup {
        match self {
            Self::Prefix => TokenGroup::Prefix,
            Self::Object => TokenGroup::Marked,
            Self::Background => TokenGroup::Unmarked,
        }
    }
}

/// What the parts of a model carry of one factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FactorPatching {
    /// The factor.
    pub factor: SceneFactor,
    /// By how much the logit difference of the two images of a pair differs, in logits, whatever its sign.
    pub change: Estimate,
    /// Share of pairs whose images the model gives different answers to.
    pub other_answer: Estimate,
    /// Every head, layer by layer.
    pub heads: Vec<PatchedHead>,
    /// Every group of tokens as each layer leaves them, layer by layer.
    pub layers: Vec<PatchedLayer>,
    /// The head with the largest share over that of an unrelated image on one half of the pairs, measured on the other half.
    pub selected: Option<SelectedCarrier>,
}

/// What a part of a model carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Carried {
    /// Share of the change between the two images that the part brings about alone: the sum over pairs of the change that it makes,
    /// in the direction of the pair's own, over the sum of the pairs' changes.
    pub share: Measured,
    /// The same with the part's activation from a pair of another scene.
    pub unrelated: Measured<f64>,
    /// `share` less `unrelated`, paired; its p-value is adjusted over all factors, heads, layers and groups of the model
    /// (Benjamini-Hochberg).
    pub over_unrelated: SignFlipTest,
}

/// A head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PatchedHead {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// What its output carries.
    #[serde(flatten)]
    pub carried: Carried,
}

/// A group of tokens as a block leaves them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PatchedLayer {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Which tokens.
    pub tokens: PatchedTokens,
    /// What they carry.
    #[serde(flatten)]
    pub carried: Carried,
}

/// A head chosen on some pairs and measured on others, so that its being the largest does not make it look larger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelectedCarrier {
    /// Block, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub layer: usize,
    /// Head, counted from 0; in files from 1.
    #[serde(with = "numbering")]
    pub head: usize,
    /// Pairs that it was chosen on.
    pub chosen_on: usize,
    /// What it carries in the other pairs; its p-value is that of one test.
    #[serde(flatten)]
    pub carried: Carried,
}
