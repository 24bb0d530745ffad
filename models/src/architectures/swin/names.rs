//! Swin Transformers under the names of Microsoft's release, torchvision and Hugging Face `transformers`.

use super::SwinConfig;
use crate::names::rules::{Rule, rename, stack};
use crate::names::without_prefix;
use crate::position_bias::fitted_table;
use crate::state::{Array, State};

/// From Microsoft's release, whose names are timm's except for these. Masks and indices follow from the sizes.
const MICROSOFT: &[Rule] = &[
    ("layers.*.blocks.*.attn_mask", ""),
    ("layers.*.blocks.*.attn.relative_position_index", ""),
    ("head.weight", "head.fc.weight"),
    ("head.bias", "head.fc.bias"),
];

/// From torchvision, where stages and mergings alternate: they are distinguished by their contents.
const TORCHVISION: &[Rule] = &[
    ("features.0.0", "patch_embed.proj"),
    ("features.0.2", "patch_embed.norm"),
    ("features.*.*.attn.relative_position_index", ""),
    ("features.*.*.mlp.0", "features.*.blocks.*.mlp.fc1"),
    ("features.*.*.mlp.3", "features.*.blocks.*.mlp.fc2"),
    ("features.*.*", "features.*.blocks.*"),
    ("features.*.norm", "features.*.downsample.norm"),
    ("features.*.reduction", "features.*.downsample.reduction"),
];

/// From `transformers`, whose names changed with version 5: both are listed.
const HUGGING_FACE: &[Rule] = &[
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.norm", "patch_embed.norm"),
    // Replaces masked patches in masked-image pretraining; unused otherwise.
    ("embeddings.mask_token", ""),
    ("encoder.layers.*.downsample", "layers.*.downsample"),
    ("encoder.layers.*.blocks.*.layernorm_before", "layers.*.blocks.*.norm1"),
    ("encoder.layers.*.blocks.*.attention.self.relative_position_index", ""),
    (
        "encoder.layers.*.blocks.*.attention.self.relative_position_bias_table",
        "layers.*.blocks.*.attn.relative_position_bias_table",
    ),
    ("encoder.layers.*.blocks.*.attention.self", "layers.*.blocks.*.attn"),
    ("encoder.layers.*.blocks.*.attention.output.dense", "layers.*.blocks.*.attn.proj"),
    ("encoder.layers.*.blocks.*.attention.relative_position_bias.relative_position_index", ""),
    (
        "encoder.layers.*.blocks.*.attention.relative_position_bias.relative_position_bias_table",
        "layers.*.blocks.*.attn.relative_position_bias_table",
    ),
    ("encoder.layers.*.blocks.*.attention.q_proj", "layers.*.blocks.*.attn.query"),
    ("encoder.layers.*.blocks.*.attention.k_proj", "layers.*.blocks.*.attn.key"),
    ("encoder.layers.*.blocks.*.attention.v_proj", "layers.*.blocks.*.attn.value"),
    ("encoder.layers.*.blocks.*.attention.o_proj", "layers.*.blocks.*.attn.proj"),
    ("encoder.layers.*.blocks.*.layernorm_after", "layers.*.blocks.*.norm2"),
    ("encoder.layers.*.blocks.*.intermediate.dense", "layers.*.blocks.*.mlp.fc1"),
    ("encoder.layers.*.blocks.*.output.dense", "layers.*.blocks.*.mlp.fc2"),
    ("encoder.layers.*.blocks.*.mlp", "layers.*.blocks.*.mlp"),
    ("layernorm", "norm"),
    ("classifier", "head.fc"),
];

/// The arrays of a Swin Transformer under timm's names, its position biases resampled to the windows of its images.
pub(super) fn canonical(state: State, config: &SwinConfig) -> State {
    let stage_of = |name: &str| {
        let number = name.strip_suffix(".relative_position_bias_table")?.strip_prefix("layers.")?;
        number.split('.').next()?.parse().ok().filter(|stage| *stage < config.depths.len())
    };
    let fitted = |(name, array): (String, Array)| match stage_of(&name) {
        Some(stage) => {
            let side = config.side(stage).min(config.window_size);
            (name, fitted_table(array, side, 0))
        }
        None => (name, array),
    };
    renamed(state, config).into_iter().map(fitted).collect()
}

fn renamed(mut state: State, config: &SwinConfig) -> State {
    let torchvision = state.keys().any(|name| name.starts_with("features."));
    state = without_prefix(state, &["swin."]);
    for rules in [HUGGING_FACE, TORCHVISION, MICROSOFT] {
        state = rename(state, rules);
    }
    state = stack(state, &["query", "key", "value"], "qkv");
    let stages = config.depths.len();
    if torchvision {
        return (0..stages).rev().fold(state, |state, stage| {
            let state = renumbered(state, "features.", 2 * stage, "downsample", stage);
            renumbered(state, "features.", 2 * stage + 1, "blocks", stage)
        });
    }
    // All libraries except timm merge patches at the end of a stage, so the first stage has a merging and the last has none.
    match state.keys().any(|name| name.starts_with("layers.0.downsample.")) {
        true => (0..stages)
            .rev()
            .fold(state, |state, stage| renumbered(state, "layers.", stage, "downsample", stage + 1)),
        false => state,
    }
}

/// Names `BEFORE FROM . PART …` as `layers . TO . PART …`.
fn renumbered(state: State, before: &str, from: usize, part: &str, to: usize) -> State {
    let (from, to) = (format!("{before}{from}.{part}."), format!("layers.{to}.{part}."));
    let renamed = |name: String| match name.strip_prefix(&from) {
        Some(rest) => format!("{to}{rest}"),
        None => name,
    };
    state.into_iter().map(|(name, array)| (renamed(name), array)).collect()
}
