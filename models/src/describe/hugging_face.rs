//! The `config.json` of Hugging Face `transformers`.

use serde_json::Value;

use super::json::{needed, number, real, text, truth};
use super::{Configured, processor};
use crate::beit::BeitConfig;
use crate::clip::ClipConfig;
use crate::preprocessing::PreprocessingChoice;
use crate::resnet::{BranchKind, ResNetConfig, Stem};
use crate::spec::NetworkSpec;
use crate::swin::SwinConfig;
use crate::transformer::FeedForward;
use crate::vit::{Pooling, Position, PositionResampling, VitConfig};
use crate::window::WindowPadding;

/// The `model_type`s that are read.
const KNOWN: &str = "vit, deit, dinov2, dinov2_with_registers, beit, swin, clip and resnet";

pub(super) fn read(config: &Value) -> Result<Configured, String> {
    let kind = text(config, "model_type")
        .ok_or("it has neither `architecture` (timm) nor `model_type` (transformers)")?;
    let network = match kind {
        "vit" | "deit" | "dinov2" | "dinov2_with_registers" => NetworkSpec::Vit(vit(config, kind)?),
        "beit" => NetworkSpec::Beit(beit(config)?),
        "swin" => NetworkSpec::Swin(swin(config)?),
        "clip" => return clip(config),
        "resnet" => NetworkSpec::Resnet(resnet(config)?),
        other => return Err(format!("its model_type, `{other}`, is not known here; known are {KNOWN}")),
    };
    network.validate().map_err(|error| error.to_string())?;
    if network.classes() == 1 && text(config, "problem_type") != Some("multi_label_classification") {
        return Err(
            "it has one label, which transformers trains as a regression; models here tell classes apart"
                .into(),
        );
    }
    let preprocessing = match config.get("preprocessor") {
        Some(preprocessor) => processor::read(preprocessor, kind)?,
        None => PreprocessingChoice { image_size: number(config, "image_size")?, ..Default::default() },
    };
    let name = text(config, "_name_or_path").filter(|name| !name.is_empty()).unwrap_or(kind).to_owned();
    let class_names = class_names(config);
    Ok(Configured { name, catalogue_name: kind.to_owned(), class_names, network, preprocessing })
}

/// CLIP goes by the name of its sizes: its head is made of prompts, for which both towers are built anew.
fn clip(config: &Value) -> Result<Configured, String> {
    let vision = config.get("vision_config").unwrap_or(&Value::Null);
    let [width, patch_size, side] = [("hidden_size", 768), ("patch_size", 32), ("image_size", 224)]
        .map(|(key, usual)| number(vision, key).map(|number| number.unwrap_or(usual)));
    let (width, patch_size, side) = (width?, patch_size?, side?);
    let feed_forward = match text(vision, "hidden_act").unwrap_or("quick_gelu") {
        "quick_gelu" => FeedForward::QuickGelu,
        "gelu" => FeedForward::Gelu,
        other => return Err(format!("its hidden_act, `{other}`, is not known here")),
    };
    let fits = |name: &String| {
        ClipConfig::named(name, side).is_ok_and(|clip| {
            let tower = (clip.image.width, clip.image.patch_size, clip.image.feed_forward);
            tower == (width, patch_size, feed_forward)
        })
    };
    let name = NetworkSpec::names().into_iter().filter(|name| name.starts_with("clip_")).find(fits);
    let name = name.ok_or_else(|| {
        format!("no CLIP with an image tower of width {width} and patches of {patch_size} px is known here")
    })?;
    let network = NetworkSpec::named(&name, 0, side).map_err(|error| error.to_string())?;
    let preprocessing = match config.get("preprocessor") {
        Some(preprocessor) => processor::read(preprocessor, "clip")?,
        None => PreprocessingChoice { image_size: Some(side), ..Default::default() },
    };
    Ok(Configured { catalogue_name: name.clone(), name, class_names: None, network, preprocessing })
}

/// Whether the architecture that was saved ends in a classifier.
fn classifies(config: &Value) -> bool {
    let named = |list: &Vec<Value>| {
        list.iter().filter_map(Value::as_str).any(|name| name.contains("ForImageClassification"))
    };
    config.get("architectures").and_then(Value::as_array).is_none_or(named)
}

fn classes(config: &Value) -> Result<usize, String> {
    if !classifies(config) {
        return Ok(0);
    }
    let named = config.get("id2label").and_then(Value::as_object).map(serde_json::Map::len);
    // transformers leaves the names out where there are two classes without a name.
    Ok(named.or(number(config, "num_labels")?).unwrap_or(2))
}

fn class_names(config: &Value) -> Option<Vec<String>> {
    let names = config.get("id2label")?.as_object()?;
    let name = |class: usize| names.get(&class.to_string())?.as_str().map(str::to_owned);
    (0..names.len()).map(name).collect()
}

fn vit(config: &Value, kind: &str) -> Result<VitConfig, String> {
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
    Ok(VitConfig {
        image_size: needed(config, "image_size")?,
        patch_size: needed(config, "patch_size")?,
        width,
        depth: needed(config, "num_hidden_layers")?,
        heads: needed(config, "num_attention_heads")?,
        // Of a gated perceptron two thirds, rounded up to a multiple of eight.
        mlp_width: if gated { (hidden * 2 / 3).div_ceil(8) * 8 } else { hidden },
        classes: classes(config)?,
        pooling: if read_patches { Pooling::ClassTokenAndMean } else { Pooling::ClassToken },
        position: if registers > 0 { Position::LearnedOnPatches } else { Position::Learned },
        resampling: match kind {
            "dinov2_with_registers" => PositionResampling::Antialiased,
            _ => PositionResampling::Exact,
        },
        // Without its teacher's head a DeiT keeps the distillation token, which nobody reads then.
        registers: if kind == "deit" && !with_teacher { 1 } else { registers },
        distilled: kind == "deit" && with_teacher,
        layer_scale: dinov2,
        feed_forward,
        epsilon: real(config, "layer_norm_eps", if dinov2 { 1e-6 } else { 1e-12 })?,
        ..VitConfig::default()
    })
}

fn beit(config: &Value) -> Result<BeitConfig, String> {
    if truth(config, "use_absolute_position_embeddings", false) || !truth(config, "use_mean_pooling", true) {
        return Err(
            "only BEiTs with relative positions that read the mean of the patches are known here".into()
        );
    }
    Ok(BeitConfig {
        image_size: needed(config, "image_size")?,
        patch_size: needed(config, "patch_size")?,
        width: needed(config, "hidden_size")?,
        depth: needed(config, "num_hidden_layers")?,
        heads: needed(config, "num_attention_heads")?,
        mlp_width: needed(config, "intermediate_size")?,
        classes: classes(config)?,
        epsilon: real(config, "layer_norm_eps", 1e-12)?,
        drop_path: 0.0,
    })
}

fn swin(config: &Value) -> Result<SwinConfig, String> {
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
    Ok(SwinConfig {
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
    })
}

fn resnet(config: &Value) -> Result<ResNetConfig, String> {
    let branch = match text(config, "layer_type").unwrap_or("bottleneck") {
        "basic" => BranchKind::Basic,
        "bottleneck" => BranchKind::Bottleneck,
        other => return Err(format!("its layer_type, `{other}`, is not known here")),
    };
    let list = |key: &str| -> Option<[usize; 4]> {
        let numbers = config.get(key)?.as_array()?.iter().map(|x| x.as_u64().map(|x| x as usize));
        numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
    };
    let blocks = list("depths").ok_or("its `depths` must be four whole numbers")?;
    let width = needed(config, "embedding_size")?;
    let expansion = if branch == BranchKind::Bottleneck { 4 } else { 1 };
    let expected = [0, 1, 2, 3].map(|stage| (width * expansion) << stage);
    if list("hidden_sizes").is_some_and(|sizes| sizes != expected)
        || truth(config, "downsample_in_first_stage", false)
        || truth(config, "downsample_in_bottleneck", false)
    {
        return Err("its widths or strides are not those of the standard residual networks".into());
    }
    Ok(ResNetConfig { stem: Stem::Imagenet, branch, blocks, width, classes: classes(config)? })
}
