//! BEiT and Swin Transformers, whose every size but that of the image is in their arrays.

use super::{count, outputs, shape, square};
use crate::beit::BeitConfig;
use crate::spec::NetworkSpec;
use crate::state::State;
use crate::swin::SwinConfig;

pub(super) fn beit(state: &State) -> Option<NetworkSpec> {
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

pub(super) fn swin(state: &State) -> Option<NetworkSpec> {
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
