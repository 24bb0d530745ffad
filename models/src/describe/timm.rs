//! timm's `config.json`: `architecture`, `num_classes`, `model_args` and `pretrained_cfg`.

use serde_json::Value;

use super::Configured;
use super::json::{channels, needed, number, numbers, real, text, truth};
use crate::catalogue::usual;
use crate::preprocessing::{Fit, Interpolation, PreprocessingChoice};
use crate::spec::NetworkSpec;
use crate::transformer::FeedForward;
use crate::vit::{Pooling, Position, VitConfig};

/// `head` is the number of classes that the arrays themselves show, which goes before the file's word.
pub(super) fn read(config: &Value, head: Option<usize>) -> Result<Configured, String> {
    let name = text(config, "architecture").ok_or("it has no `architecture`")?.to_owned();
    let pretrained = config.get("pretrained_cfg").unwrap_or(config);
    let preprocessing = preprocessing(pretrained)?;
    let classes = match (head, number(config, "num_classes")?) {
        (Some(outputs), _) => outputs,
        (None, stated) => stated.unwrap_or(0),
    };
    let arguments = config.get("model_args").filter(|arguments| arguments.is_object());
    let side = arguments.and_then(|arguments| side_of(arguments.get("img_size")?));
    let side = side.or(preprocessing.image_size).unwrap_or_else(|| usual(&name).preprocessing.image_size);
    let mut network = NetworkSpec::named(&name, classes, side).map_err(|error| error.to_string())?;
    if let NetworkSpec::Vit(vit) = &mut network {
        vit.image_size = side;
        if text(config, "global_pool") == Some("avg") && vit.pooling == Pooling::ClassToken {
            (vit.pooling, vit.norm_after_pooling) = (Pooling::MeanBesideClassToken, true);
        }
        if let Some(arguments) = arguments {
            apply(vit, arguments)?;
        }
    }
    if let (NetworkSpec::Beit(beit), Some(arguments)) = (&mut network, arguments) {
        beit.image_size = side;
        let sizes = [&mut beit.patch_size, &mut beit.width, &mut beit.depth, &mut beit.heads];
        for (key, size) in ["patch_size", "embed_dim", "depth", "num_heads"].into_iter().zip(sizes) {
            *size = number(arguments, key)?.unwrap_or(*size);
        }
        beit.mlp_width = (beit.width as f64 * real(arguments, "mlp_ratio", 4.0)?) as usize;
    }
    if let (NetworkSpec::Swin(swin), Some(arguments)) = (&mut network, arguments) {
        swin.image_size = side;
        let sizes = [&mut swin.patch_size, &mut swin.window_size, &mut swin.width, &mut swin.mlp_ratio];
        for (key, size) in ["patch_size", "window_size", "embed_dim", "mlp_ratio"].into_iter().zip(sizes) {
            *size = number(arguments, key)?.unwrap_or(*size);
        }
        swin.depths = numbers(arguments, "depths")?.unwrap_or(std::mem::take(&mut swin.depths));
        swin.heads = numbers(arguments, "num_heads")?.unwrap_or(std::mem::take(&mut swin.heads));
    }
    let label_names = config.get("label_names").or(pretrained.get("label_names")).and_then(Value::as_array);
    let class_names = label_names
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    let own_name = name_of(&name, &network, side);
    Ok(Configured { name: own_name, catalogue_name: name, network, preprocessing, class_names })
}

/// The architecture's name unless its arguments made another model of it: that model's name, or else its family's.
fn name_of(architecture: &str, network: &NetworkSpec, side: usize) -> String {
    let is_this =
        |name: &str| NetworkSpec::named(name, network.classes(), side).is_ok_and(|named| named == *network);
    if is_this(architecture) {
        return architecture.to_owned();
    }
    let found = NetworkSpec::names().into_iter().find(|name| is_this(name));
    found.unwrap_or_else(|| network.family().to_owned())
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

/// A side, or height and width of a square.
fn side_of(value: &Value) -> Option<usize> {
    let side = value.as_u64().or_else(|| value.as_array()?.last()?.as_u64())?;
    usize::try_from(side).ok()
}

fn preprocessing(config: &Value) -> Result<PreprocessingChoice, String> {
    let interpolation = text(config, "interpolation").map(|name| {
        Interpolation::named(name).ok_or_else(|| format!("its interpolation, `{name}`, is not known here"))
    });
    let fit = text(config, "crop_mode").map(|mode| match mode {
        "center" => Ok(Fit::Crop),
        "squash" => Ok(Fit::Squash),
        other => Err(format!("its crop_mode, `{other}`, is not known here")),
    });
    let crop = config.get("crop_pct").filter(|crop| !crop.is_null());
    Ok(PreprocessingChoice {
        image_size: config.get("input_size").and_then(side_of),
        crop: crop.map(|_| real(config, "crop_pct", 1.0)).transpose()?,
        fit: fit.transpose()?,
        interpolation: interpolation.transpose()?,
        mean: channels(config, "mean")?,
        std: channels(config, "std")?,
    })
}
