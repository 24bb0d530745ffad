//! CLIP under the names of OpenAI's release, which are open_clip's, and of Hugging Face `transformers`.

use crate::architectures::vit::VitConfig;
use crate::architectures::vit::names as vit;
use crate::names::rules::{Rule, permuted, rename, stack};
use crate::names::without_prefix;
use crate::state::{Array, State};

/// From OpenAI and open_clip.
const OPENAI: &[Rule] = &[
    ("visual.class_embedding", "visual.cls_token"),
    ("visual.positional_embedding", "visual.pos_embed"),
    ("visual.conv1", "visual.patch_embed.proj"),
    ("visual.ln_pre", "visual.norm_pre"),
    ("visual.ln_post", "visual.norm"),
    ("visual.transformer.resblocks.*.ln_1", "visual.blocks.*.norm1"),
    ("visual.transformer.resblocks.*.attn.in_proj_weight", "visual.blocks.*.attn.qkv.weight"),
    ("visual.transformer.resblocks.*.attn.in_proj_bias", "visual.blocks.*.attn.qkv.bias"),
    ("visual.transformer.resblocks.*.attn.out_proj", "visual.blocks.*.attn.proj"),
    ("visual.transformer.resblocks.*.ln_2", "visual.blocks.*.norm2"),
    ("visual.transformer.resblocks.*.mlp.c_fc", "visual.blocks.*.mlp.fc1"),
    ("visual.transformer.resblocks.*.mlp.c_proj", "visual.blocks.*.mlp.fc2"),
    ("visual.proj", VISUAL_PROJECTION),
    ("token_embedding.weight", "text.token_embedding"),
    ("positional_embedding", "text.positional_embedding"),
    ("transformer.resblocks.*.ln_1", "text.blocks.*.norm1"),
    ("transformer.resblocks.*.attn.in_proj_weight", "text.blocks.*.attn.qkv.weight"),
    ("transformer.resblocks.*.attn.in_proj_bias", "text.blocks.*.attn.qkv.bias"),
    ("transformer.resblocks.*.attn.out_proj", "text.blocks.*.attn.proj"),
    ("transformer.resblocks.*.ln_2", "text.blocks.*.norm2"),
    ("transformer.resblocks.*.mlp.c_fc", "text.blocks.*.mlp.fc1"),
    ("transformer.resblocks.*.mlp.c_proj", "text.blocks.*.mlp.fc2"),
    ("ln_final", "text.norm"),
    ("text_projection", TEXT_PROJECTION),
    // Hides the tokens that come later; here it is computed.
    ("attn_mask", ""),
];

/// From `transformers`.
const HUGGING_FACE: &[Rule] = &[
    ("vision_model.embeddings.class_embedding", "visual.cls_token"),
    ("vision_model.embeddings.position_embedding.weight", "visual.pos_embed"),
    ("vision_model.embeddings.patch_embedding", "visual.patch_embed.proj"),
    ("vision_model.embeddings.position_ids", ""),
    ("vision_model.pre_layrnorm", "visual.norm_pre"),
    ("vision_model.post_layernorm", "visual.norm"),
    ("vision_model.encoder.layers.*.layer_norm1", "visual.blocks.*.norm1"),
    ("vision_model.encoder.layers.*.self_attn.q_proj", "visual.blocks.*.attn.query"),
    ("vision_model.encoder.layers.*.self_attn.k_proj", "visual.blocks.*.attn.key"),
    ("vision_model.encoder.layers.*.self_attn.v_proj", "visual.blocks.*.attn.value"),
    ("vision_model.encoder.layers.*.self_attn.out_proj", "visual.blocks.*.attn.proj"),
    ("vision_model.encoder.layers.*.layer_norm2", "visual.blocks.*.norm2"),
    ("vision_model.encoder.layers.*.mlp", "visual.blocks.*.mlp"),
    ("text_model.embeddings.token_embedding.weight", "text.token_embedding"),
    ("text_model.embeddings.position_embedding.weight", "text.positional_embedding"),
    ("text_model.embeddings.position_ids", ""),
    ("text_model.encoder.layers.*.layer_norm1", "text.blocks.*.norm1"),
    ("text_model.encoder.layers.*.self_attn.q_proj", "text.blocks.*.attn.query"),
    ("text_model.encoder.layers.*.self_attn.k_proj", "text.blocks.*.attn.key"),
    ("text_model.encoder.layers.*.self_attn.v_proj", "text.blocks.*.attn.value"),
    ("text_model.encoder.layers.*.self_attn.out_proj", "text.blocks.*.attn.proj"),
    ("text_model.encoder.layers.*.layer_norm2", "text.blocks.*.norm2"),
    ("text_model.encoder.layers.*.mlp", "text.blocks.*.mlp"),
    ("text_model.final_layer_norm", "text.norm"),
];

const VISUAL_PROJECTION: &str = "visual_projection.weight";
const TEXT_PROJECTION: &str = "text_projection.weight";

/// What the image tower's names begin with.
const VISUAL: &str = "visual.";

/// Whether these are arrays of a CLIP, or of its image tower, under one of its libraries' names.
pub(crate) fn recognises(state: &State) -> bool {
    let marks = ["visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"];
    marks.iter().any(|mark| state.contains_key(*mark))
}

/// The arrays of both towers under the names of [`Clip`](crate::architectures::clip::Clip); positions resampled to the number of
/// patches.
pub(crate) fn canonical(state: State, image: &VitConfig) -> State {
    // open_clip's newer files keep the text tower apart.
    let state = match state.contains_key("text.token_embedding.weight") {
        true => without_prefix(state, &["text."]),
        false => state,
    };
    let state = match state.contains_key("visual.conv1.weight") {
        true => projections_turned(rename(state, OPENAI)),
        false => rename(state, HUGGING_FACE),
    };
    let mut state = stack(state, &["query", "key", "value"], "qkv");
    for (name, axes) in [("visual.cls_token", 3), ("visual.pos_embed", 3), ("logit_scale", 1)] {
        if let Some(Array { shape, .. }) = state.get_mut(name) {
            shape.splice(0..0, std::iter::repeat_n(1, axes - axes.min(shape.len())));
        }
    }
    let (tower, mut rest): (State, State) = state.into_iter().partition(|(name, _)| name.starts_with(VISUAL));
    let tower = vit::canonical(without_prefix(tower, &[VISUAL]), image);
    rest.extend(tower.into_iter().map(|(name, array)| (format!("{VISUAL}{name}"), array)));
    rest
}

/// OpenAI multiplies features by its projections from the right; a linear layer's weight is the transpose.
fn projections_turned(mut state: State) -> State {
    for name in [VISUAL_PROJECTION, TEXT_PROJECTION] {
        if let Some(array) = state.get_mut(name)
            && array.shape.len() == 2
        {
            *array = permuted(array, &[1, 0]);
        }
    }
    state
}

/// The image tower alone, under timm's names: a model with a head has CLIP's projection as its weight, and zeros as its bias.
pub(crate) fn image_tower(state: State, config: &VitConfig) -> State {
    let state = canonical(state, &VitConfig { classes: 0, ..config.clone() });
    let mut tower = State::new();
    for (name, array) in state {
        if let Some(name) = name.strip_prefix(VISUAL) {
            tower.insert(name.to_owned(), array);
        } else if name == VISUAL_PROJECTION && config.classes > 0 {
            let features = array.shape.first().copied().unwrap_or(0);
            tower.insert("head.bias".into(), Array { shape: vec![features], values: vec![0.0; features] });
            tower.insert("head.weight".into(), array);
        }
    }
    tower
}
