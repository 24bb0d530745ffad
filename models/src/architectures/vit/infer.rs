//! Vision Transformers: no array shows the number of heads, nor, without a norm of its own, the pooling.

use super::names::renamed;
use super::presets::VIT_SIZES;
use super::{Pooling, Position, PositionResampling, VitConfig};
use crate::checkpoint::TrainingCode;
use crate::describe::{DescribeError, Doubt, Found, Hints, check_channels, count, shape, square};
use crate::state::State;
use crate::transformer::FeedForward;

/// Width, publisher of plain ViTs of that width with a non-standard number of heads, and that number. MAE-Lite: Wang et
/// al., 2023 ("A Closer Look at Self-Supervised Lightweight Vision Transformers", section 2); MoCo v3: Chen et al., 2021,
/// table 4.
const OTHER_HEADS: [(usize, &str, usize); 2] = [(192, "MAE-Lite", 12), (384, "MoCo v3", 12)];

/// The end of a sentence about the file: two published families of one shape have `heads`, and `family` has `other`.
fn doubt(heads: usize, other: usize, family: &'static str) -> Doubt {
    Box::new(move |name| {
        let named = name.map(|name| format!(" or --model {name}")).unwrap_or_default();
        format!(
            "holds a Vision Transformer whose number of attention heads no array shows: published models of these shapes have \
             {heads} (timm, DeiT, DINO) or {other} ({family}); say it with --heads, such as --heads {heads}{named}"
        )
    })
}

pub(super) fn found_in(state: &State, hints: &Hints) -> Result<Option<Found>, DescribeError> {
    let hugging_face =
        state.keys().any(|name| name.ends_with("embeddings.patch_embeddings.projection.weight"));
    let torchvision = state.contains_key("conv_proj.weight");
    let hub_registers = shape(state, "register_tokens").map(|shape| shape.get(1).copied().unwrap_or(0));
    let state = &match hugging_face || torchvision {
        true => renamed(state.clone()),
        false => state.clone(),
    };
    let Some(patches) = shape(state, "patch_embed.proj.weight") else { return Ok(None) };
    check_channels("patch_embed.proj.weight", patches)?;
    let &[width, _, patch_size, other_side] = patches else { return Ok(None) };
    let any = |names: [&str; 2]| names.iter().find_map(|name| shape(state, name)).map(<[usize]>::to_vec);
    let rows = any(["blocks.0.mlp.fc1.weight", "blocks.0.mlp.w12.weight"]);
    let columns = any(["blocks.0.mlp.fc2.weight", "blocks.0.mlp.w3.weight"]);
    let (Some(&[rows, _]), Some(&[_, mlp_width])) = (rows.as_deref(), columns.as_deref()) else {
        return Ok(None);
    };
    if patch_size != other_side {
        return Err(DescribeError::Unusable(format!(
            "cannot be used: its patches of {patch_size} × {other_side} px are no squares"
        )));
    }
    let feed_forward = match rows {
        rows if rows == mlp_width => FeedForward::Gelu,
        rows if rows == 2 * mlp_width => FeedForward::SwiGlu,
        _ => return Ok(None),
    };
    let depth = count(state, "blocks.");
    let has = |name: &str| state.contains_key(name);
    let head = shape(state, "head.weight").or(shape(state, "linear_head.weight"));
    let mut registers = shape(state, "reg_token").map_or(0, |shape| shape.get(1).copied().unwrap_or(0));
    // A distillation token that no head reads is a register (DeiTForImageClassification of transformers).
    let distilled = has("dist_token") && (has("head_dist.weight") || head.is_none());
    registers += usize::from(has("dist_token") && !distilled);
    let prefix = usize::from(has("cls_token"))
        + usize::from(distilled)
        + if hub_registers.is_some() { 0 } else { registers };
    let (grid, position) = positions(state, prefix, hub_registers.is_some())?;

    let read = head.map_or(width, |head| head.last().copied().unwrap_or(width));
    let pooling = match (has("cls_token"), has("fc_norm.weight")) {
        (true, false) if read == 2 * width => Pooling::ClassTokenAndMean,
        (true, false) => Pooling::ClassToken,
        (true, true) => Pooling::MeanBesideClassToken,
        (false, _) => Pooling::Mean,
    };
    let layer_scale = has("blocks.0.ls1.gamma");
    let mut config = VitConfig {
        image_size: grid * patch_size,
        patch_size,
        width,
        depth,
        heads: 0,
        mlp_width,
        classes: head.map_or(0, |head| head[0]),
        pooling,
        position,
        registers: hub_registers.unwrap_or(registers),
        distilled,
        layer_scale,
        pre_norm: has("norm_pre.weight"),
        norm_after_pooling: has("fc_norm.weight"),
        feed_forward,
        ..VitConfig::default()
    };
    if hugging_face {
        config.resampling = if registers > 0 && layer_scale {
            PositionResampling::Antialiased
        } else {
            PositionResampling::Exact
        };
        config.epsilon = if layer_scale { 1e-6 } else { 1e-12 };
    }
    let (heads, doubt) = heads(&config, torchvision, hints)?;
    config.heads = heads;
    let mut assumed = Vec::new();
    if hints.heads.is_none() {
        assumed.push(match hints.code {
            Some(TrainingCode::MocoV3) => format!("{heads} heads, as MoCo v3 has (--heads says otherwise)"),
            _ => format!("{heads} heads, as no array shows their number (--heads says otherwise)"),
        });
    }
    Ok(Some(Found { network: config.into(), assumed, doubt }))
}

/// The side of the grid of patches, and which tokens have a position.
fn positions(state: &State, prefix: usize, hub_registers: bool) -> Result<(usize, Position), DescribeError> {
    let Some(&[_, tokens, _]) = shape(state, "pos_embed") else {
        return Err(DescribeError::Unusable(
            "holds a Vision Transformer without the array of its positions (`pos_embed`), so that the size of its images is not \
             known; name it with --model (see `archaeo models`)"
                .into(),
        ));
    };
    match (tokens.checked_sub(prefix).and_then(square), square(tokens)) {
        // The hub's class token has a position, its registers have none; once read, only the patches have positions.
        (Some(grid), _) if hub_registers => Ok((grid, Position::LearnedOnPatches)),
        (Some(grid), _) => Ok((grid, Position::Learned)),
        (None, Some(grid)) => Ok((grid, Position::LearnedOnPatches)),
        (None, None) => Err(DescribeError::Unusable(format!(
            "cannot be used: its {} positions of patches form no square, as of a model of rectangular images; models here take \
             squares",
            tokens.saturating_sub(prefix)
        ))),
    }
}

/// The number of heads, which no shape shows: as given, as the training code has it, or that of the standard size of the same
/// width and depth; and whether published models disagree on it.
fn heads(
    config: &VitConfig,
    torchvision: bool,
    hints: &Hints,
) -> Result<(usize, Option<Doubt>), DescribeError> {
    let &VitConfig { width, depth, mlp_width, .. } = config;
    if let Some(heads) = hints.heads {
        return Ok((heads, None));
    }
    let standard = VIT_SIZES.iter().find(|row| (row.1, row.2, row.4) == (width, depth, mlp_width));
    let Some(heads) = standard.map(|row| row.3) else {
        return Err(DescribeError::Unusable(format!(
            "holds a Vision Transformer of {depth} layers, width {width} and MLP width {mlp_width}, which is not a standard size; no \
             array shows its number of attention heads, so say it with --heads, such as --heads {}",
            (width / 64).max(1)
        )));
    };
    let other = OTHER_HEADS.iter().find(|row| row.0 == width);
    // Only the plain ViT is shared by implementations that differ; the other variants come from one each.
    let plain = VitConfig { pooling: Pooling::ClassToken, ..VitConfig::default() };
    let is_plain = (config.pooling, config.position, config.registers, config.distilled, config.layer_scale)
        == (plain.pooling, plain.position, 0, false, false)
        && !config.pre_norm
        && config.feed_forward == FeedForward::Gelu;
    Ok(match (hints.code, other) {
        (Some(TrainingCode::MocoV3), Some(&(_, "MoCo v3", heads))) => (heads, None),
        (Some(TrainingCode::SelfDistillation), _) => (heads, None),
        (_, Some(&(_, family, other))) if is_plain && !torchvision => {
            (heads, Some(doubt(heads, other, family)))
        }
        _ => (heads, None),
    })
}
