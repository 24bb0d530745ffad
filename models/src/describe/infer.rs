//! Which model arrays belong to, where names and shapes leave no doubt.

use crate::beit::BeitConfig;
use crate::presets::{RESNET_SIZES, VIT_SIZES};
use crate::resnet::{BranchKind, ResNetConfig, Stem};
use crate::resnet_cifar::CifarResNetConfig;
use crate::spec::NetworkSpec;
use crate::state::{Array, State};
use crate::swin::SwinConfig;
use crate::transformer::FeedForward;
use crate::vit::{Pooling, Position, PositionResampling, VitConfig};
use crate::window::WindowPadding;

/// What the arrays allow.
#[derive(Debug, PartialEq)]
pub(super) enum Inference {
    /// One model, by name; further names are of models with the same arrays that compute the same.
    One(Vec<String>, NetworkSpec),
    /// Several that compute something else with the same arrays.
    Several(Vec<String>),
}

/// The models known by name that have these arrays. Microsoft's release, DINOv2's hub and torchvision call them otherwise
/// than timm, which is seen through where it matters.
pub(super) fn network(state: &State) -> Option<Inference> {
    // The values do not matter, and may be as large as memory allows.
    let hollow = |array: &Array| Array { shape: array.shape.clone(), values: Vec::new() };
    let state = state.iter().map(|(name, array)| (name.clone(), hollow(array))).collect();
    let state = &crate::names::unwrapped(state);
    let found = vit(state)
        .or_else(|| torchvision_vit(state))
        .or_else(|| beit(state))
        .or_else(|| swin(state))
        .or_else(|| resnet(state))
        .or_else(|| cifar_resnet(state))?;

    let side = found.image_size().unwrap_or(224);
    let (mut names, mut networks) = (Vec::new(), Vec::new());
    for name in NetworkSpec::names() {
        let Ok(network) = NetworkSpec::named(&name, found.classes(), side) else { continue };
        if shaped_alike(network.clone()) == shaped_alike(found.clone()) {
            let pixels = network.image_size().map(|side| format!("_{side}")).unwrap_or_default();
            names.push(name + &pixels);
            networks.push(network);
        }
    }
    let Some(first) = networks.first().cloned() else {
        // Every size of these can be read off the arrays, so that none has to be known by name.
        return match &found {
            NetworkSpec::CifarResnet(config) => {
                Some(Inference::One(vec![format!("resnet{}_cifar", 6 * config.blocks + 2)], found))
            }
            NetworkSpec::Swin(_) => Some(Inference::One(vec!["swin".into()], found)),
            NetworkSpec::Beit(_) => Some(Inference::One(vec!["beit".into()], found)),
            NetworkSpec::Vit(_) | NetworkSpec::Resnet(_) | NetworkSpec::ZeroShot(_) => None,
        };
    };
    match networks.iter().all(|network| *network == first) {
        true => Some(Inference::One(names, first)),
        false => Some(Inference::Several(names)),
    }
}

/// The same without what no array shows.
fn shaped_alike(mut network: NetworkSpec) -> NetworkSpec {
    match &mut network {
        NetworkSpec::Vit(vit) => {
            (vit.resampling, vit.epsilon) = (PositionResampling::default(), 0.0);
            if vit.feed_forward == FeedForward::QuickGelu {
                vit.feed_forward = FeedForward::Gelu;
            }
        }
        NetworkSpec::Beit(beit) => beit.epsilon = 0.0,
        NetworkSpec::Swin(swin) => swin.window_padding = WindowPadding::default(),
        NetworkSpec::Resnet(_) | NetworkSpec::CifarResnet(_) | NetworkSpec::ZeroShot(_) => {}
    }
    network
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

/// The side of a square of so many places.
fn square(count: usize) -> Option<usize> {
    Some(count.isqrt()).filter(|side| side * side == count)
}

/// Outputs of the layer `name`, none where there is no such layer.
fn outputs(state: &State, name: &str) -> usize {
    shape(state, name).and_then(|shape| shape.first().copied()).unwrap_or(0)
}

/// The number of attention heads is in no shape: it is that of the standard size of the same width and depth.
fn standard_heads(width: usize, depth: usize, mlp_width: usize) -> Option<usize> {
    Some(VIT_SIZES.iter().find(|row| (row.1, row.2, row.4) == (width, depth, mlp_width))?.3)
}

fn vit(state: &State) -> Option<NetworkSpec> {
    let &[width, 3, patch_size, _] = shape(state, "patch_embed.proj.weight")? else { return None };
    let &[rows, _] = shape(state, "blocks.0.mlp.fc1.weight").or(shape(state, "blocks.0.mlp.w12.weight"))?
    else {
        return None;
    };
    let &[_, mlp_width] =
        shape(state, "blocks.0.mlp.fc2.weight").or(shape(state, "blocks.0.mlp.w3.weight"))?
    else {
        return None;
    };
    let feed_forward = match rows {
        rows if rows == mlp_width => FeedForward::Gelu,
        rows if rows == 2 * mlp_width => FeedForward::SwiGlu,
        _ => return None,
    };
    let depth = count(state, "blocks.");
    let has = |name: &str| state.contains_key(name);
    let hub_registers = shape(state, "register_tokens").map(|shape| shape.get(1).copied().unwrap_or(0));
    let registers = shape(state, "reg_token").map_or(0, |shape| shape.get(1).copied().unwrap_or(0));
    let distilled = has("dist_token");
    let prefix = usize::from(has("cls_token")) + usize::from(distilled) + registers;
    let tokens = *shape(state, "pos_embed")?.get(1)?;
    let (grid, position) = match (tokens.checked_sub(prefix).and_then(square), square(tokens)) {
        // The hub's class token has a position, its registers have none; read, they stand on the patches alone.
        (Some(grid), _) if hub_registers.is_some() => (grid, Position::LearnedOnPatches),
        (Some(grid), _) => (grid, Position::Learned),
        (None, Some(grid)) => (grid, Position::LearnedOnPatches),
        (None, None) => return None,
    };
    let head = shape(state, "head.weight").or(shape(state, "linear_head.weight"));
    let read = head.map_or(width, |head| head.last().copied().unwrap_or(width));
    let pooling = match (has("cls_token"), has("fc_norm.weight")) {
        (true, false) if read == 2 * width => Pooling::ClassTokenAndMean,
        (true, false) => Pooling::ClassToken,
        (true, true) => Pooling::MeanBesideClassToken,
        (false, _) => Pooling::Mean,
    };
    Some(NetworkSpec::Vit(VitConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth,
        heads: standard_heads(width, depth, mlp_width)?,
        mlp_width,
        classes: head.map_or(0, |head| head[0]),
        pooling,
        position,
        registers: hub_registers.unwrap_or(registers),
        distilled,
        layer_scale: has("blocks.0.ls1.gamma"),
        pre_norm: has("norm_pre.weight"),
        norm_after_pooling: has("fc_norm.weight"),
        feed_forward,
        ..VitConfig::default()
    }))
}

fn torchvision_vit(state: &State) -> Option<NetworkSpec> {
    let &[width, 3, patch_size, _] = shape(state, "conv_proj.weight")? else { return None };
    let first = |part: &str| shape(state, &format!("encoder.layers.encoder_layer_0.mlp.{part}.weight"));
    let &[mlp_width, _] = first("0").or(first("linear_1"))? else { return None };
    let depth = count(state, "encoder.layers.encoder_layer_");
    let grid = square(shape(state, "encoder.pos_embedding")?.get(1)?.checked_sub(1)?)?;
    Some(NetworkSpec::Vit(VitConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth,
        heads: standard_heads(width, depth, mlp_width)?,
        mlp_width,
        classes: outputs(state, "heads.head.weight"),
        ..VitConfig::default()
    }))
}

fn beit(state: &State) -> Option<NetworkSpec> {
    let &[width, 3, patch_size, _] = shape(state, "patch_embed.proj.weight")? else { return None };
    let &[places, heads] = shape(state, "blocks.0.attn.relative_position_bias_table")? else { return None };
    if !state.contains_key("fc_norm.weight") {
        return None;
    }
    // Offsets of patches, and three places for those from, to and of the class token.
    let grid = square(places.checked_sub(3)?)?.div_ceil(2);
    Some(NetworkSpec::Beit(BeitConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth: count(state, "blocks."),
        heads,
        mlp_width: outputs(state, "blocks.0.mlp.fc1.weight"),
        classes: outputs(state, "head.weight"),
        epsilon: 1e-6,
        drop_path: 0.0,
    }))
}

fn swin(state: &State) -> Option<NetworkSpec> {
    let &[width, 3, patch_size, _] = shape(state, "patch_embed.proj.weight")? else { return None };
    let stages = count(state, "layers.");
    let table = |stage| {
        let name = format!("layers.{stage}.blocks.0.attn.relative_position_bias_table");
        <[usize; 2]>::try_from(shape(state, &name)?).ok()
    };
    let heads = (0..stages).map(|stage| Some(table(stage)?[1])).collect::<Option<Vec<_>>>()?;
    let window_size = square(table(0)?[0])?.div_ceil(2);
    // The size of the image is in no shape: it is the one whose last stage is a single window.
    let image_size = (patch_size * window_size).checked_shl(u32::try_from(stages).ok()?.checked_sub(1)?)?;
    Some(NetworkSpec::Swin(SwinConfig {
        image_size,
        patch_size,
        window_size,
        width,
        depths: (0..stages).map(|stage| count(state, &format!("layers.{stage}.blocks."))).collect(),
        heads,
        mlp_ratio: outputs(state, "layers.0.blocks.0.mlp.fc1.weight") / width.max(1),
        classes: outputs(state, "head.fc.weight").max(outputs(state, "head.weight")),
        ..SwinConfig::default()
    }))
}

fn resnet(state: &State) -> Option<NetworkSpec> {
    let &[width, 3, kernel, _] = shape(state, "conv1.weight")? else { return None };
    let blocks = [1, 2, 3, 4].map(|stage| count(state, &format!("layer{stage}.")));
    let classes = *shape(state, "fc.weight")?.first()?;
    let stem = match kernel {
        7 => Stem::Imagenet,
        3 => Stem::Cifar,
        _ => return None,
    };
    let bottleneck = state.contains_key("layer1.0.conv3.weight");
    let branch = if bottleneck { BranchKind::Bottleneck } else { BranchKind::Basic };
    let known = RESNET_SIZES.iter().any(|row| (row.1, row.2, row.3) == (branch, blocks, width));
    known.then_some(NetworkSpec::Resnet(ResNetConfig { stem, branch, blocks, width, classes }))
}

fn cifar_resnet(state: &State) -> Option<NetworkSpec> {
    let &[width, 3, 3, 3] = shape(state, "conv1.weight")? else { return None };
    let blocks = count(state, "layer1.");
    let classes = *shape(state, "linear.weight")?.first()?;
    let even = [2, 3].iter().all(|stage| count(state, &format!("layer{stage}.")) == blocks);
    let standard = even && !state.contains_key("layer4.0.conv1.weight");
    standard.then_some(NetworkSpec::CifarResnet(CifarResNetConfig { blocks, width, classes }))
}
