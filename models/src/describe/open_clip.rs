//! The `open_clip_config.json` of open_clip: `model_cfg` and `preprocess_cfg`.

use serde_json::{Value, json};

use super::json::{channels, text, truth};
use super::{Configured, hugging_face};
use crate::preprocessing::{Fit, Interpolation};

/// The keys differ from those of `transformers`, the models do not.
pub(super) fn read(config: &Value) -> Result<Configured, String> {
    let model = config.get("model_cfg").unwrap_or(&Value::Null);
    let vision = model.get("vision_cfg").unwrap_or(&Value::Null);
    if let Some(name) = text(vision, "timm_model_name") {
        return Err(format!("its image tower, `{name}` of timm, is not known here within a CLIP"));
    }
    if vision.get("layers").is_some_and(Value::is_array) {
        return Err("its image tower is a residual network, which is not known here within a CLIP".into());
    }
    let activation = if truth(model, "quick_gelu", false) { "quick_gelu" } else { "gelu" };
    let translated = json!({
        "hidden_size": vision.get("width"),
        "patch_size": vision.get("patch_size"),
        "image_size": vision.get("image_size"),
        "hidden_act": activation,
    });
    let mut configured = hugging_face::read(&json!({ "model_type": "clip", "vision_config": translated }))?;
    let Some(preprocess) = config.get("preprocess_cfg") else { return Ok(configured) };
    let choice = &mut configured.preprocessing;
    choice.mean = channels(preprocess, "mean")?;
    choice.std = channels(preprocess, "std")?;
    choice.interpolation = match text(preprocess, "interpolation") {
        None => None,
        Some("bicubic") => Some(Interpolation::Bicubic),
        Some("bilinear") => Some(Interpolation::Bilinear),
        Some(other) => return Err(format!("its interpolation, `{other}`, is not known here")),
    };
    choice.fit = match text(preprocess, "resize_mode") {
        None => None,
        Some("shortest") => Some(Fit::Crop),
        Some("squash") => Some(Fit::Squash),
        Some(other) => return Err(format!("its resize_mode, `{other}`, is not known here")),
    };
    Ok(configured)
}
