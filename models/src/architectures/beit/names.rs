//! BEiT under the names of Hugging Face `transformers` and of the original release (timm's, except for the shared table).

use super::BeitConfig;
use crate::names::rules::{Rule, rename, stack};
use crate::names::without_prefix;
use crate::position_bias::fitted_table;
use crate::state::{Array, State};

/// From `transformers`, whose names changed with version 5: both are listed.
const HUGGING_FACE: &[Rule] = &[
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.mask_token", ""),
    ("encoder.layer.*.layernorm_before", "blocks.*.norm1"),
    ("encoder.layer.*.attention.attention.query.bias", "blocks.*.attn.q_bias"),
    ("encoder.layer.*.attention.attention.value.bias", "blocks.*.attn.v_bias"),
    ("encoder.layer.*.attention.attention.relative_position_bias.relative_position_index", ""),
    ("encoder.layer.*.attention.attention.relative_position_bias", "blocks.*.attn"),
    ("encoder.layer.*.attention.attention", "blocks.*.attn"),
    ("encoder.layer.*.attention.output.dense", "blocks.*.attn.proj"),
    ("encoder.layer.*.lambda_1", "blocks.*.gamma_1"),
    ("encoder.layer.*.layernorm_after", "blocks.*.norm2"),
    ("encoder.layer.*.intermediate.dense", "blocks.*.mlp.fc1"),
    ("encoder.layer.*.output.dense", "blocks.*.mlp.fc2"),
    ("encoder.layer.*.lambda_2", "blocks.*.gamma_2"),
    ("encoder.relative_position_bias.relative_position_bias_table", SHARED_TABLE),
    ("layers.*.layernorm_before", "blocks.*.norm1"),
    ("layers.*.attention.q_proj.bias", "blocks.*.attn.q_bias"),
    ("layers.*.attention.v_proj.bias", "blocks.*.attn.v_bias"),
    ("layers.*.attention.q_proj", "blocks.*.attn.query"),
    ("layers.*.attention.k_proj", "blocks.*.attn.key"),
    ("layers.*.attention.v_proj", "blocks.*.attn.value"),
    ("layers.*.attention.o_proj", "blocks.*.attn.proj"),
    ("layers.*.relative_position_bias", "blocks.*.attn"),
    ("layers.*.lambda_1", "blocks.*.gamma_1"),
    ("layers.*.layernorm_after", "blocks.*.norm2"),
    ("layers.*.mlp", "blocks.*.mlp"),
    ("layers.*.lambda_2", "blocks.*.gamma_2"),
    ("pooler.layernorm", "fc_norm"),
    ("classifier", "head"),
];

/// One table for all blocks, as in pretraining.
const SHARED_TABLE: &str = "rel_pos_bias.relative_position_bias_table";

/// Rows of the table for the class token.
const OF_CLASS_TOKEN: usize = 3;

/// The arrays of a BEiT under timm's names, its position biases resampled to the number of patches.
pub(super) fn canonical(state: State, config: &BeitConfig) -> State {
    let state = rename(without_prefix(state, &["beit."]), HUGGING_FACE);
    let mut state = stack(state, &["query", "key", "value"], "qkv");
    if let Some(table) = state.remove(SHARED_TABLE) {
        for layer in 0..config.depth {
            state.insert(format!("blocks.{layer}.attn.relative_position_bias_table"), table.clone());
        }
    }
    // Computed from the grid, not learned; older files contain it.
    state.retain(|name, _| !name.ends_with(".relative_position_index"));
    let fitted = |(name, array): (String, Array)| match name.ends_with(".relative_position_bias_table") {
        true => (name, fitted_table(array, config.grid(), OF_CLASS_TOKEN)),
        false => (name, array),
    };
    state.into_iter().map(fitted).collect()
}
