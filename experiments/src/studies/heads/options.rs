//! What a user may choose of the study.

use archaeo_analysis::ablation::{Branch, RemovalPoint};
use archaeo_models::Classifier;
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use super::FEWEST_IMAGES;
use super::findings::HeadPlace;
use crate::options::{Options, at_least};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadsOptions {
    /// Images that every head is ablated on, at least 2.
    pub images: usize,
    /// Images that means are taken from, at least 1; none of them is evaluated.
    pub reference_images: usize,
    /// The heads that are asked about, such as `["3.1", "4.2"]` (layer and head); all when empty. A model is asked about those that
    /// it has.
    #[serde(with = "as_text")]
    pub only: Vec<HeadPlace>,
    /// Where a head is taken away from a model whose heads form a cascade: its `output`, which the next head reads, or its
    /// `contribution` to the residual stream alone.
    pub removal: RemovalPoint,
    /// Whether heads are taken away one after another (pruning curves).
    pub curve: bool,
    /// Random orders of that, to compare with the order of importance.
    pub random_orders: usize,
    /// Pairs of heads that are taken away together.
    pub pairs: usize,
    /// What of each layer is taken away; of a residual network, `layer` is a block.
    pub branches: Vec<Branch>,
}

impl Default for HeadsOptions {
    fn default() -> Self {
        Self {
            images: 400,
            reference_images: 256,
            only: Vec::new(),
            removal: RemovalPoint::default(),
            curve: true,
            random_orders: 5,
            pairs: 24,
            branches: Branch::ALL.into(),
        }
    }
}

impl HeadsOptions {
    /// Single heads alone, on so many images.
    pub fn single_heads(images: usize) -> Self {
        Self { images, curve: false, pairs: 0, branches: Vec::new(), ..Self::default() }
    }

    /// Whether a head is asked about.
    pub(super) fn asks(&self, layer: usize, head: usize) -> bool {
        self.only.is_empty() || self.only.contains(&HeadPlace { layer, head })
    }

    /// Whether more is asked of a model than single heads.
    pub(super) fn asks_more(&self, model: &Classifier) -> bool {
        let of_heads = model.has_attention() && (self.curve || self.pairs > 0);
        of_heads || !Branch::of_model(model, &self.branches).is_empty()
    }
}

/// Heads as text.
mod as_text {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use super::HeadPlace;

    pub(super) fn serialize<S: Serializer>(heads: &[HeadPlace], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(heads.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<HeadPlace>, D::Error> {
        let texts: Vec<String> = Vec::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|why| D::Error::custom(format!("`{text}`: {why}"))))
            .collect()
    }
}

impl Options for HeadsOptions {
    fn quick() -> Self {
        Self { images: 128, reference_images: 128, random_orders: 3, pairs: 12, ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.heads.images", FEWEST_IMAGES, "at least 2", self.images)?;
        at_least("studies.heads.reference_images", 1, "at least 1", self.reference_images)
    }
}
