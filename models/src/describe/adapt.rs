//! A model that is asked for by name, with what the checkpoint's own arrays show of it.

use super::{Basis, DescribeError, ModelRequest, head_outputs};
use crate::catalogue::usual_of;
use crate::preprocessing::{Origin, PreprocessingChoice, SourcedPreprocessing};
use crate::spec::NetworkSpec;
use crate::state::State;
use crate::vit::{Pooling, VitConfig};

/// The model called `name`, for the number of classes that the arrays have; `choice` is what a configuration says of the
/// preprocessing.
pub(super) fn named(
    name: &str,
    choice: PreprocessingChoice,
    state: &State,
    request: &ModelRequest,
) -> Result<Basis, DescribeError> {
    let base = usual_of(name, state);
    let mut sourced =
        SourcedPreprocessing::new(base.preprocessing, Origin::Catalogue).with(&choice, Origin::Config);
    let classes = head_outputs(state).unwrap_or(0);
    let asked = request.preprocessing.image_size.or(choice.image_size);
    let usual = NetworkSpec::named(name, classes, sourced.values.image_size)?;
    let side = asked.or(side_of_positions(name, &usual, state)).unwrap_or(sourced.values.image_size);
    let mut network = NetworkSpec::named(name, classes, side)?;
    if let NetworkSpec::Vit(vit) = &mut network {
        as_arrays_show(vit, state);
    }
    if let Some(built_for) = network.image_size()
        && built_for != sourced.values.image_size
    {
        sourced.values.image_size = built_for;
    }
    Ok(Basis::new(name.to_owned(), network, sourced))
}

/// The side of the images that a ViT's positions were learned for, where its name does not state one. DINOv2's hub shows
/// smaller images than that to its models.
fn side_of_positions(name: &str, network: &NetworkSpec, state: &State) -> Option<usize> {
    let NetworkSpec::Vit(vit) = network else { return None };
    let states_pixels = name.rsplit_once('_').is_some_and(|(_, end)| end.parse::<usize>().is_ok());
    if states_pixels || name.starts_with("dinov2") {
        return None;
    }
    let is_positions = |name: &str| {
        name == "pos_embed"
            || name.ends_with("encoder.pos_embedding")
            || name.ends_with("position_embeddings")
    };
    let (_, positions) = state.iter().find(|(name, _)| is_positions(name))?;
    let &[_, tokens, _] = positions.shape.as_slice() else { return None };
    let square = |count: usize| Some(count.isqrt()).filter(|side| side * side == count && *side > 0);
    let grid = tokens.checked_sub(vit.prefix_tokens()).and_then(square).or(square(tokens))?;
    Some(grid * vit.patch_size)
}

/// Names say nothing of the pooling, and of a distillation token only that it is read.
fn as_arrays_show(vit: &mut VitConfig, state: &State) {
    let has = |name: &str| state.contains_key(name);
    if has("fc_norm.weight") && !has("norm.weight") {
        vit.norm_after_pooling = true;
        vit.pooling = if has("cls_token") { Pooling::MeanBesideClassToken } else { Pooling::Mean };
    }
    let head = has("head.weight") && !has("head_dist.weight");
    if has("dist_token") && head && !vit.distilled {
        vit.registers = 1;
    }
}
