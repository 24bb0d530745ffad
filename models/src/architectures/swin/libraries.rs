//! A Swin Transformer in the configurations of timm and of `transformers`.

use serde_json::{Value, json};

use super::SwinConfig;
use crate::describe::FromConfig;
use crate::describe::hugging_face::classes;
use crate::describe::json::{needed, number, numbers, real, text, truth};
use crate::export::{Library, TimmModel, arguments};
use crate::window::WindowPadding;

pub(super) fn timm(config: &SwinConfig) -> TimmModel {
    let arguments = arguments(json!({
        "img_size": config.image_size,
        "patch_size": config.patch_size,
        "window_size": config.window_size,
        "embed_dim": config.width,
        "depths": config.depths,
        "num_heads": config.heads,
        "mlp_ratio": config.mlp_ratio,
    }));
    let architecture = "swin_tiny_patch4_window7_224".into();
    TimmModel { library: Library::Timm, architecture, arguments }
}

pub(super) fn apply_timm(swin: &mut SwinConfig, arguments: &Value, side: usize) -> Result<(), String> {
    swin.image_size = side;
    let sizes = [&mut swin.patch_size, &mut swin.window_size, &mut swin.width, &mut swin.mlp_ratio];
    for (key, size) in ["patch_size", "window_size", "embed_dim", "mlp_ratio"].into_iter().zip(sizes) {
        *size = number(arguments, key)?.unwrap_or(*size);
    }
    swin.depths = numbers(arguments, "depths")?.unwrap_or(std::mem::take(&mut swin.depths));
    swin.heads = numbers(arguments, "num_heads")?.unwrap_or(std::mem::take(&mut swin.heads));
    Ok(())
}

pub(super) fn from_transformers(config: &Value) -> Result<FromConfig, String> {
    let mlp_ratio = real(config, "mlp_ratio", 4.0)?;
    let usual = truth(config, "qkv_bias", true)
        && !truth(config, "use_absolute_embeddings", false)
        && text(config, "hidden_act").unwrap_or("gelu") == "gelu"
        && real(config, "layer_norm_eps", 1e-5)? == 1e-5
        && mlp_ratio.fract() == 0.0;
    if !usual {
        return Err("only Swin Transformers with relative positions, biases, GELU, a layer_norm_eps of 1e-5 and a whole \
                    mlp_ratio are known here"
            .into());
    }
    let list = |key: &str| -> Result<Vec<usize>, String> {
        let numbers = config.get(key).and_then(Value::as_array);
        let numbers = numbers.map(|list| list.iter().map(|x| Some(x.as_u64()? as usize)).collect());
        numbers.flatten().ok_or_else(|| format!("its `{key}` must be whole numbers, one a stage"))
    };
    Ok(FromConfig::of(SwinConfig {
        image_size: needed(config, "image_size")?,
        patch_size: needed(config, "patch_size")?,
        window_size: needed(config, "window_size")?,
        width: needed(config, "embed_dim")?,
        depths: list("depths")?,
        heads: list("num_heads")?,
        mlp_ratio: mlp_ratio as usize,
        classes: classes(config)?,
        window_padding: WindowPadding::BeforeShift,
        ..SwinConfig::default()
    }))
}
