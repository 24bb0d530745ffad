//! Vision Transformers under the names of Hugging Face `transformers`, torchvision, DINOv2's hub and the original release.

use super::google;
use super::{Position, VitConfig, are_fixed, resample_positions};
use crate::architectures::clip::names as clip;
use crate::names::rules::{Rule, rename, stack};
use crate::names::without_prefix;
use crate::state::{Array, State};

/// Prefixes of Hugging Face and DINOv2's hub for a model with a head next to it.
const MODELS_BESIDE_HEADS: [&str; 5] = ["vit.", "deit.", "dinov2.", "dinov2_with_registers.", "backbone."];

/// From `transformers`, whose names changed with version 5: both are listed.
const HUGGING_FACE: &[Rule] = &[
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.distillation_token", "dist_token"),
    ("embeddings.register_tokens", "reg_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    // Replaces masked patches in masked-image pretraining; unused otherwise.
    ("embeddings.mask_token", ""),
    ("encoder.layer.*.layernorm_before", "blocks.*.norm1"),
    ("encoder.layer.*.norm1", "blocks.*.norm1"),
    ("encoder.layer.*.attention.attention.query", "blocks.*.attn.query"),
    ("encoder.layer.*.attention.attention.key", "blocks.*.attn.key"),
    ("encoder.layer.*.attention.attention.value", "blocks.*.attn.value"),
    ("encoder.layer.*.attention.output.dense", "blocks.*.attn.proj"),
    ("encoder.layer.*.attention.q_proj", "blocks.*.attn.query"),
    ("encoder.layer.*.attention.k_proj", "blocks.*.attn.key"),
    ("encoder.layer.*.attention.v_proj", "blocks.*.attn.value"),
    ("encoder.layer.*.attention.o_proj", "blocks.*.attn.proj"),
    ("encoder.layer.*.layer_scale1.lambda1", "blocks.*.ls1.gamma"),
    ("encoder.layer.*.layernorm_after", "blocks.*.norm2"),
    ("encoder.layer.*.norm2", "blocks.*.norm2"),
    ("encoder.layer.*.intermediate.dense", "blocks.*.mlp.fc1"),
    ("encoder.layer.*.output.dense", "blocks.*.mlp.fc2"),
    ("encoder.layer.*.mlp.fc1", "blocks.*.mlp.fc1"),
    ("encoder.layer.*.mlp.fc2", "blocks.*.mlp.fc2"),
    ("encoder.layer.*.mlp.weights_in", "blocks.*.mlp.fc1"),
    ("encoder.layer.*.mlp.weights_out", "blocks.*.mlp.fc2"),
    ("encoder.layer.*.mlp.gate_proj", "blocks.*.mlp.gate"),
    ("encoder.layer.*.mlp.up_proj", "blocks.*.mlp.value"),
    ("encoder.layer.*.mlp.down_proj", "blocks.*.mlp.fc2"),
    ("encoder.layer.*.layer_scale2.lambda1", "blocks.*.ls2.gamma"),
    ("layers.*.layernorm_before", "blocks.*.norm1"),
    ("layers.*.attention.q_proj", "blocks.*.attn.query"),
    ("layers.*.attention.k_proj", "blocks.*.attn.key"),
    ("layers.*.attention.v_proj", "blocks.*.attn.value"),
    ("layers.*.attention.o_proj", "blocks.*.attn.proj"),
    ("layers.*.layernorm_after", "blocks.*.norm2"),
    ("layers.*.mlp", "blocks.*.mlp"),
    ("layernorm", "norm"),
    // A layer over the class token that no classifier reads.
    ("pooler", ""),
    ("classifier", "head"),
    ("cls_classifier", "head"),
    ("distillation_classifier", "head_dist"),
];

/// From torchvision.
const TORCHVISION: &[Rule] = &[
    ("class_token", "cls_token"),
    ("conv_proj", "patch_embed.proj"),
    ("encoder.pos_embedding", "pos_embed"),
    ("encoder.layers.encoder_layer_*.ln_1", "blocks.*.norm1"),
    ("encoder.layers.encoder_layer_*.self_attention.in_proj_weight", "blocks.*.attn.qkv.weight"),
    ("encoder.layers.encoder_layer_*.self_attention.in_proj_bias", "blocks.*.attn.qkv.bias"),
    ("encoder.layers.encoder_layer_*.self_attention.out_proj", "blocks.*.attn.proj"),
    ("encoder.layers.encoder_layer_*.ln_2", "blocks.*.norm2"),
    // Since torchvision 0.12; `mlp.linear_1` and `mlp.linear_2` before.
    ("encoder.layers.encoder_layer_*.mlp.0", "blocks.*.mlp.fc1"),
    ("encoder.layers.encoder_layer_*.mlp.3", "blocks.*.mlp.fc2"),
    ("encoder.layers.encoder_layer_*.mlp.linear_1", "blocks.*.mlp.fc1"),
    ("encoder.layers.encoder_layer_*.mlp.linear_2", "blocks.*.mlp.fc2"),
    ("encoder.ln", "norm"),
    ("heads.head", "head"),
];

/// From DINOv2's hub, whose names are timm's except for these.
const DINOV2: &[Rule] = &[
    ("register_tokens", "reg_token"),
    ("mask_token", ""),
    // Training in chunks puts the chunk's number before the block's.
    ("blocks.#.*.mlp.w12", "blocks.*.mlp.fc1"),
    ("blocks.#.*.mlp.w3", "blocks.*.mlp.fc2"),
    ("blocks.#.*", "blocks.*"),
    ("blocks.*.mlp.w12", "blocks.*.mlp.fc1"),
    ("blocks.*.mlp.w3", "blocks.*.mlp.fc2"),
    ("linear_head", "head"),
];

/// The arrays of a Vision Transformer under timm's names, its positions resampled to the number of patches.
pub(crate) fn canonical(mut state: State, config: &VitConfig) -> State {
    if clip::recognises(&state) {
        state = clip::image_tower(state, config);
    }
    if google::recognises(&state) {
        state = google::renamed(state);
    }
    state = renamed(state);
    if config.registers == 1
        && !config.distilled
        && let Some(token) = state.remove("dist_token")
    {
        // A token that takes part in attention and that no head reads is a register.
        state.insert("reg_token".into(), token);
    }
    if config.position == Position::Sine
        && state.get("pos_embed").is_some_and(|positions| are_fixed(positions, config))
    {
        // Written for libraries that have no fixed positions; the model computes them.
        state.remove("pos_embed");
    }
    if let Some(positions) = state.remove("pos_embed") {
        let positions = on_patches(positions, &mut state, config);
        state.insert("pos_embed".into(), fitted(positions, config));
    }
    state
}

/// The arrays under timm's names, whose values may be missing.
pub(super) fn renamed(mut state: State) -> State {
    state = without_prefix(state, &MODELS_BESIDE_HEADS);
    for rules in [HUGGING_FACE, TORCHVISION, DINOV2] {
        state = rename(state, rules);
    }
    state = stack(state, &["query", "key", "value"], "qkv");
    stack(state, &["gate", "value"], "fc1")
}

/// Where the model has positions only on its patches, a position of the class token is added to the token itself, which
/// is the same sum (DINOv2 with registers).
fn on_patches(mut positions: Array, state: &mut State, config: &VitConfig) -> Array {
    let &[1, tokens, width] = positions.shape.as_slice() else { return positions };
    let Some(token) = state.get_mut("cls_token") else { return positions };
    let placed = tokens > 1 && is_square(tokens - 1);
    if config.position == Position::LearnedOnPatches && placed && token.values.len() == width {
        token.values.iter_mut().zip(&positions.values).for_each(|(token, &position)| *token += position);
        positions.values.drain(..width);
        positions.shape[1] -= 1;
    }
    positions
}

/// Positions for the model's number of patches; those of prefix tokens are unchanged.
fn fitted(positions: Array, config: &VitConfig) -> Array {
    let &[1, tokens, width] = positions.shape.as_slice() else { return positions };
    let prefix = config.placed_prefix_tokens();
    let grid = config.grid();
    let patches = tokens.saturating_sub(prefix);
    if width != config.width || patches == grid * grid || patches == 0 || !is_square(patches) {
        return positions;
    }
    let (prefix_values, patch_values) = positions.values.split_at(prefix * width);
    let resampled = resample_positions(patch_values, width, patches.isqrt(), grid, config.resampling);
    let values = prefix_values.iter().copied().chain(resampled).collect();
    Array { shape: vec![1, prefix + grid * grid, width], values }
}

fn is_square(number: usize) -> bool {
    number.isqrt().pow(2) == number
}
