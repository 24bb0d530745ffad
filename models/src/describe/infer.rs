//! Which model arrays under timm's or torchvision's names belong to, where names and shapes leave no doubt.

use crate::presets::{RESNET_SIZES, VIT_SIZES};
use crate::resnet::{BranchKind, ResNetConfig, Stem};
use crate::resnet_cifar::CifarResNetConfig;
use crate::spec::NetworkSpec;
use crate::state::State;
use crate::vit::{Pooling, Position, VitConfig};

/// Name and sizes. The number of attention heads is in no shape: it is taken from the standard size of the same width and
/// depth, and without one there is no answer.
pub(super) fn network(state: &State) -> Option<(String, NetworkSpec)> {
    let state = &crate::names::unwrapped(state.clone());
    vit(state).or_else(|| resnet(state)).or_else(|| cifar_resnet(state))
}

fn shape<'a>(state: &'a State, name: &str) -> Option<&'a [usize]> {
    state.get(name).map(|array| array.shape.as_slice())
}

/// Numbers that follow `prefix` in some name, from 0 without a gap.
fn count(state: &State, prefix: &str) -> usize {
    let exists = |index: &usize| {
        let start = format!("{prefix}{index}.");
        state.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start))
    };
    (0..).take_while(exists).count()
}

fn vit(state: &State) -> Option<(String, NetworkSpec)> {
    let &[width, 3, patch_size, _] = shape(state, "patch_embed.proj.weight")? else { return None };
    let mlp_width = *shape(state, "blocks.0.mlp.fc1.weight")?.first()?;
    let depth = count(state, "blocks.");
    let &(size, _, _, heads, _) =
        VIT_SIZES.iter().find(|row| (row.1, row.2, row.4) == (width, depth, mlp_width))?;
    let has = |name: &str| state.contains_key(name);
    if has("blocks.0.attn.relative_position_bias_table") || has("norm_pre.weight") {
        return None;
    }
    let registers = shape(state, "reg_token").map_or(0, |shape| shape.get(1).copied().unwrap_or(0));
    let distilled = has("dist_token");
    let prefix = usize::from(has("cls_token")) + usize::from(distilled) + registers;
    let tokens = *shape(state, "pos_embed")?.get(1)?;
    let square = |count: usize| Some(count.isqrt()).filter(|side| side * side == count);
    let (grid, position) = match (tokens.checked_sub(prefix).and_then(square), square(tokens)) {
        (Some(grid), _) => (grid, Position::Learned),
        (None, Some(grid)) => (grid, Position::LearnedOnPatches),
        (None, None) => return None,
    };
    let pooling = match (has("cls_token"), has("fc_norm.weight")) {
        (true, false) => Pooling::ClassToken,
        (true, true) => Pooling::MeanBesideClassToken,
        (false, _) => Pooling::Mean,
    };
    let config = VitConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth,
        heads,
        mlp_width,
        classes: shape(state, "head.weight").map_or(0, |shape| shape[0]),
        pooling,
        position,
        registers,
        distilled,
        layer_scale: has("blocks.0.ls1.gamma"),
        norm_after_pooling: has("fc_norm.weight"),
        ..VitConfig::default()
    };
    let distilled = if distilled { "_distilled" } else { "" };
    let family = if distilled.is_empty() { "vit" } else { "deit" };
    Some((
        format!("{family}_{size}{distilled}_patch{patch_size}_{}", config.image_size),
        NetworkSpec::Vit(config),
    ))
}

fn resnet(state: &State) -> Option<(String, NetworkSpec)> {
    let &[width, 3, kernel, _] = shape(state, "conv1.weight")? else { return None };
    let blocks = [1, 2, 3, 4].map(|stage| count(state, &format!("layer{stage}.")));
    let classes = *shape(state, "fc.weight")?.first()?;
    let (stem, ending) = match kernel {
        7 => (Stem::Imagenet, ""),
        3 => (Stem::Cifar, "_cifar"),
        _ => return None,
    };
    let bottleneck = state.contains_key("layer1.0.conv3.weight");
    let branch = if bottleneck { BranchKind::Bottleneck } else { BranchKind::Basic };
    let row = RESNET_SIZES.iter().find(|row| (row.1, row.2, row.3) == (branch, blocks, width))?;
    let name = if row.0 == "resnet_micro" { row.0.to_owned() } else { format!("{}{ending}", row.0) };
    Some((name, NetworkSpec::Resnet(ResNetConfig { stem, branch, blocks, width, classes })))
}

fn cifar_resnet(state: &State) -> Option<(String, NetworkSpec)> {
    let &[width, 3, 3, 3] = shape(state, "conv1.weight")? else { return None };
    let blocks = count(state, "layer1.");
    let classes = *shape(state, "linear.weight")?.first()?;
    let even = [2, 3].iter().all(|stage| count(state, &format!("layer{stage}.")) == blocks);
    let standard = even && !state.contains_key("layer4.0.conv1.weight") && width == 16;
    let name = format!("resnet{}_cifar", 6 * blocks + 2);
    standard.then_some((name, NetworkSpec::CifarResnet(CifarResNetConfig { blocks, width, classes })))
}
