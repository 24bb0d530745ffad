//! Learning rates of their own for the backbone and for every layer.

use std::collections::BTreeMap;

use archaeo_models::{Classifier, Depths, is_head};

use crate::Recipe;

/// Factor of the learning rate for each array that does not learn at the recipe's rate: `layer_decay` to the power of the
/// number of layers up to the head (Clark et al., 2020, section 3.2; Bao et al., 2022), and outside the head the ratio of
/// `backbone_learning_rate` and `learning_rate`. Weight decay, which acts in proportion to the learning rate, follows.
pub(crate) fn scales(recipe: &Recipe, model: &Classifier) -> BTreeMap<String, f64> {
    let ratio = recipe.backbone_learning_rate.map_or(1.0, |rate| rate / recipe.learning_rate);
    let decay = recipe.layer_decay.unwrap_or(1.0);
    let depths = Depths::of(model);
    let scale = |(name, layer): (&str, usize)| {
        let of_backbone = if is_head(name) { 1.0 } else { ratio };
        let below_head = i32::try_from(depths.blocks() + 1 - layer).unwrap_or(i32::MAX);
        (name.to_owned(), of_backbone * decay.powi(below_head))
    };
    depths.iter().map(scale).filter(|(_, scale)| *scale != 1.0).collect()
}
