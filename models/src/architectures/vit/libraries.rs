//! A Vision Transformer in the configurations of timm and of `transformers`.

use serde_json::{Value, json};

use super::{Pooling, Position, PositionResampling, VitConfig};
use crate::describe::FromConfig;
use crate::describe::hugging_face::{classes, classifies};
use crate::describe::json::{needed, number, real, text, truth};
use crate::export::{Library, TIMM_EPSILON, TimmModel, sizes};
use crate::transformer::FeedForward;

/// timm's constructor takes every size, but neither the epsilon of the norms nor the kind of a gated MLP: those come with the
/// name of the architecture.
pub(super) fn timm(config: &VitConfig) -> TimmModel {
    let architecture = match (config.distilled, config.pre_norm) {
        (true, _) => "deit_tiny_distilled_patch16_224",
        (false, true) => "vit_base_patch32_clip_224",
        (false, false) => "vit_tiny_patch16_224",
    };
    let mean = !matches!(config.pooling, Pooling::ClassToken | Pooling::ClassTokenAndMean);
    let VitConfig { image_size, patch_size, width, depth, heads, mlp_width, .. } = *config;
    let mut made = sizes([image_size, patch_size, width, depth, heads, mlp_width]);
    let mut add = |needed: bool, key: &str, value: Value| {
        if needed {
            made.insert(key.into(), value);
        }
    };
    add(!config.has_class_token(), "class_token", json!(false));
    add(mean, "global_pool", json!("avg"));
    add(mean || config.norm_after_pooling, "fc_norm", json!(config.norm_after_pooling));
    add(config.registers > 0, "reg_tokens", json!(config.registers));
    add(config.layer_scale, "init_values", json!(1e-5));
    add(config.position == Position::LearnedOnPatches, "no_embed_class", json!(true));
    add(config.position == Position::None, "pos_embed", json!("none"));
    add(config.feed_forward == FeedForward::QuickGelu, "act_layer", json!("quick_gelu"));
    let epsilon = if config.pre_norm { 1e-5 } else { TIMM_EPSILON };
    let known = config.feed_forward != FeedForward::SwiGlu
        && config.pooling != Pooling::ClassTokenAndMean
        && config.epsilon == epsilon;
    let library = if known { Library::Timm } else { Library::Archaeo };
    TimmModel { library, architecture: architecture.into(), arguments: made }
}

/// What a `config.json` of timm says besides the architecture.
pub(super) fn apply_timm(
    vit: &mut VitConfig,
    config: &Value,
    arguments: Option<&Value>,
    side: usize,
) -> Result<(), String> {
    vit.image_size = side;
    if text(config, "global_pool") == Some("avg") && vit.pooling == Pooling::ClassToken {
        (vit.pooling, vit.norm_after_pooling) = (Pooling::MeanBesideClassToken, true);
    }
    match arguments {
        Some(arguments) => apply(vit, arguments),
        None => Ok(()),
    }
}

/// What timm's `VisionTransformer` was built with besides the architecture's own sizes.
fn apply(vit: &mut VitConfig, arguments: &Value) -> Result<(), String> {
    for key in arguments.as_object().expect("seen to be an object").keys() {
        match key.as_str() {
            "img_size" | "num_classes" => {}
            "patch_size" => vit.patch_size = needed(arguments, key)?,
            "embed_dim" => vit.width = needed(arguments, key)?,
            "depth" => vit.depth = needed(arguments, key)?,
            "num_heads" => vit.heads = needed(arguments, key)?,
            "reg_tokens" => vit.registers = needed(arguments, key)?,
            "init_values" => vit.layer_scale = !arguments[key].is_null(),
            "pre_norm" => vit.pre_norm = truth(arguments, key, false),
            "no_embed_class" => {
                let patches_only = truth(arguments, key, false);
                vit.position = if patches_only { Position::LearnedOnPatches } else { Position::Learned };
            }
            "pos_embed" => match text(arguments, key) {
                Some("none") => vit.position = Position::None,
                Some("learn") => {}
                _ => return Err(format!("its position embedding, {}, is not known here", arguments[key])),
            },
            "act_layer" => match text(arguments, key) {
                Some("gelu") => vit.feed_forward = FeedForward::Gelu,
                Some("quick_gelu") => vit.feed_forward = FeedForward::QuickGelu,
                _ => return Err(format!("its activation, {}, is not known here", arguments[key])),
            },
            // These decide together, below.
            "mlp_ratio" | "class_token" | "global_pool" | "fc_norm" => {}
            other => return Err(format!("its model_args hold `{other}`, which is not known here")),
        }
    }
    if arguments.get("mlp_ratio").is_some() {
        vit.mlp_width = (vit.width as f64 * real(arguments, "mlp_ratio", 4.0)?) as usize;
    }
    let class_token = truth(arguments, "class_token", vit.has_class_token());
    let mean =
        text(arguments, "global_pool").map_or(vit.pooling != Pooling::ClassToken, |pool| pool == "avg");
    vit.pooling = match (class_token, mean) {
        (true, false) => Pooling::ClassToken,
        (true, true) => Pooling::MeanBesideClassToken,
        (false, true) => Pooling::Mean,
        (false, false) => return Err("its model reads a class token that it does not have".into()),
    };
    vit.norm_after_pooling = truth(arguments, "fc_norm", mean);
    Ok(())
}

pub(super) fn from_transformers(config: &Value, kind: &str) -> Result<FromConfig, String> {
    let width = needed(config, "hidden_size")?;
    let dinov2 = kind.starts_with("dinov2");
    let gated = dinov2 && truth(config, "use_swiglu_ffn", false);
    let hidden = match number(config, "intermediate_size")? {
        Some(hidden) => hidden,
        None => (width as f64 * real(config, "mlp_ratio", 4.0)?) as usize,
    };
    let feed_forward = match (text(config, "hidden_act").unwrap_or("gelu"), gated) {
        (_, true) => FeedForward::SwiGlu,
        ("gelu", false) => FeedForward::Gelu,
        ("quick_gelu", false) => FeedForward::QuickGelu,
        (other, false) => return Err(format!("its hidden_act, `{other}`, is not known here")),
    };
    if !truth(config, "qkv_bias", true) {
        return Err("it has no qkv_bias, and attention without bias is not known here".into());
    }
    let with_teacher =
        config.get("architectures").is_some_and(|names| names.to_string().contains("WithTeacher"));
    let registers =
        if kind == "dinov2_with_registers" { number(config, "num_register_tokens")?.unwrap_or(4) } else { 0 };
    let read_patches = dinov2 && classifies(config);
    let vit = VitConfig {
        image_size: needed(config, "image_size")?,
        patch_size: needed(config, "patch_size")?,
        width,
        depth: needed(config, "num_hidden_layers")?,
        heads: needed(config, "num_attention_heads")?,
        // Two thirds for a gated MLP, rounded up to a multiple of eight.
        mlp_width: if gated { (hidden * 2 / 3).div_ceil(8) * 8 } else { hidden },
        classes: classes(config)?,
        pooling: if read_patches { Pooling::ClassTokenAndMean } else { Pooling::ClassToken },
        position: if registers > 0 { Position::LearnedOnPatches } else { Position::Learned },
        resampling: match kind {
            "dinov2_with_registers" => PositionResampling::Antialiased,
            _ => PositionResampling::Exact,
        },
        // Without its teacher's head a DeiT keeps the distillation token, which no head reads then.
        registers: if kind == "deit" && !with_teacher { 1 } else { registers },
        distilled: kind == "deit" && with_teacher,
        layer_scale: dinov2,
        feed_forward,
        epsilon: real(config, "layer_norm_eps", if dinov2 { 1e-6 } else { 1e-12 })?,
        ..VitConfig::default()
    };
    Ok(FromConfig::of(vit))
}
