//! Models as other libraries load them: `model.safetensors` under timm's or torchvision's names, and a `config.json` in
//! timm's form that says how to build the model and how its images are prepared.

use std::fs;
use std::path::Path;

use archaeo_store::StoreError;
use serde_json::{Map, Value, json};

use crate::beit::BeitConfig;
use crate::checkpoint::{WeightsError, save};
use crate::classifier::{Classifier, ModelCard};
use crate::preprocessing::Fit;
use crate::spec::NetworkSpec;
use crate::swin::SwinConfig;
use crate::transformer::FeedForward;
use crate::vit::{Pooling, Position, VitConfig};

/// Epsilon of timm's layer norms, but for CLIP's.
const TIMM_EPSILON: f64 = 1e-6;

/// Which library builds an exported model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `timm.create_model("local-dir:FOLDER", pretrained=True)`
    Timm,
    /// torchvision's `ResNet` with another stem or other widths; `docs/export.md` shows how.
    Torchvision,
    /// None of them has this model; the file is read by `archaeo` alone.
    Archaeo,
}

/// Writes `model.safetensors` and `config.json` into `folder`, each to a temporary name first, and says who can load them.
///
/// # Errors
/// What the file system says, with the path.
pub fn export(folder: &Path, model: &Classifier) -> Result<Library, WeightsError> {
    fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
    save(&folder.join("model.safetensors"), model, &[])?;
    write_configuration(folder, model.card())
}

/// Writes `config.json` into `folder`, to a temporary name first, and says who can load the `model.safetensors` next to it.
///
/// # Errors
/// What the file system says, with the path.
pub fn write_configuration(folder: &Path, card: &ModelCard) -> Result<Library, WeightsError> {
    let (library, config) = configuration(card);
    let text = serde_json::to_string_pretty(&config).expect("a configuration is plain data") + "\n";
    archaeo_store::write(&folder.join("config.json"), text.as_bytes())?;
    Ok(library)
}

/// timm's `config.json` for a model, and who can build it.
pub fn configuration(card: &ModelCard) -> (Library, Value) {
    let (library, architecture, arguments) = match &card.network {
        NetworkSpec::Vit(config) => vit(config),
        NetworkSpec::Beit(config) => beit(config),
        NetworkSpec::Swin(config) => swin(config),
        // Logits that are cosines are no layer of theirs.
        NetworkSpec::ZeroShot(_) => (Library::Archaeo, "clip_zero_shot".into(), Map::new()),
        NetworkSpec::Resnet(_) | NetworkSpec::CifarResnet(_) => residual(card),
    };
    let preprocessing = &card.preprocessing;
    let side = preprocessing.image_size;
    let mut config = json!({
        "architecture": architecture,
        "num_classes": card.network.classes(),
        "label_names": card.classes,
        "pretrained_cfg": {
            "input_size": [3, side, side],
            "fixed_input_size": card.network.image_size().is_some(),
            "interpolation": preprocessing.interpolation,
            "crop_pct": preprocessing.crop,
            "crop_mode": match preprocessing.fit {
                Fit::Crop => "center",
                Fit::Squash => "squash",
            },
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "num_classes": card.network.classes(),
            "custom_load": false,
        },
    });
    if !arguments.is_empty() {
        config["model_args"] = Value::Object(arguments);
    }
    (library, config)
}

fn arguments(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(arguments) => arguments,
        _ => unreachable!("arguments are written as an object"),
    }
}

/// What timm calls the sizes of a transformer of equal blocks.
fn sizes([image_size, patch_size, width, depth, heads, mlp_width]: [usize; 6]) -> Map<String, Value> {
    arguments(json!({
        "img_size": image_size,
        "patch_size": patch_size,
        "embed_dim": width,
        "depth": depth,
        "num_heads": heads,
        "mlp_ratio": mlp_width as f64 / width as f64,
    }))
}

/// timm's constructor takes every size, but not the epsilon of the norms nor the kind of a gated perceptron: those come with
/// an architecture's name.
fn vit(config: &VitConfig) -> (Library, String, Map<String, Value>) {
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
    (if known { Library::Timm } else { Library::Archaeo }, architecture.into(), made)
}

fn beit(config: &BeitConfig) -> (Library, String, Map<String, Value>) {
    let BeitConfig { image_size, patch_size, width, depth, heads, mlp_width, .. } = *config;
    let made = sizes([image_size, patch_size, width, depth, heads, mlp_width]);
    let library = if config.epsilon == TIMM_EPSILON { Library::Timm } else { Library::Archaeo };
    (library, "beit_base_patch16_224".into(), made)
}

fn swin(config: &SwinConfig) -> (Library, String, Map<String, Value>) {
    let made = arguments(json!({
        "img_size": config.image_size,
        "patch_size": config.patch_size,
        "window_size": config.window_size,
        "embed_dim": config.width,
        "depths": config.depths,
        "num_heads": config.heads,
        "mlp_ratio": config.mlp_ratio,
    }));
    (Library::Timm, "swin_tiny_patch4_window7_224".into(), made)
}

/// The standard sizes are timm's and torchvision's own; stems for small images and other widths are built from torchvision's
/// blocks.
fn residual(card: &ModelCard) -> (Library, String, Map<String, Value>) {
    let classes = card.network.classes();
    let same = |name: &String| NetworkSpec::named(name, classes, 224).ok().as_ref() == Some(&card.network);
    let named = NetworkSpec::names().into_iter().find(same);
    let library = match &named {
        Some(name) if !name.contains('_') => Library::Timm,
        _ => Library::Torchvision,
    };
    (library, named.unwrap_or_else(|| card.name.clone()), Map::new())
}
