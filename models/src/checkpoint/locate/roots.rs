//! Prefixes of the arrays of a known architecture.

use std::collections::BTreeMap;

use super::Shapes;

/// Naming scheme of the arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// timm's transformers, which DINO, DINOv2's hub, BEiT and Microsoft's Swin share.
    Timm,
    /// torchvision's Vision Transformer.
    TorchvisionVit,
    /// torchvision's Swin Transformer.
    TorchvisionSwin,
    /// Transformers of Hugging Face.
    HuggingFace,
    /// Residual networks of Hugging Face.
    HuggingFaceResnet,
    /// Residual networks as torchvision, timm and most codes for CIFAR name them.
    Resnet,
    /// Both towers of CLIP, or the image tower, as OpenAI names them.
    OpenaiClip,
    /// The same of Hugging Face.
    HuggingFaceClip,
    /// Both towers of CLIP under our own names.
    Clip,
}

/// The array by which each is recognised, and the prefix of others that must exist as well.
const ANCHORS: [(&str, &str, Naming); 10] = [
    ("patch_embed.proj.weight", "blocks.", Naming::Timm),
    ("patch_embed.proj.weight", "layers.0.blocks.", Naming::Timm),
    ("conv_proj.weight", "encoder.layers.encoder_layer_0.", Naming::TorchvisionVit),
    ("features.0.0.weight", "features.1.0.attn.relative_position_bias_table", Naming::TorchvisionSwin),
    ("embeddings.patch_embeddings.projection.weight", "", Naming::HuggingFace),
    ("embedder.embedder.convolution.weight", "encoder.stages.0.", Naming::HuggingFaceResnet),
    ("conv1.weight", "layer1.0.conv1.weight", Naming::Resnet),
    ("visual.conv1.weight", "visual.class_embedding", Naming::OpenaiClip),
    ("vision_model.embeddings.patch_embedding.weight", "vision_model.", Naming::HuggingFaceClip),
    ("visual.patch_embed.proj.weight", "visual_projection.", Naming::Clip),
];

/// Prefixes of the model's own arrays, excluding its classifier.
const BODIES: [(Naming, &[&str]); 6] = [
    (
        Naming::Timm,
        &[
            "patch_embed.",
            "cls_token",
            "dist_token",
            "reg_token",
            "register_tokens",
            "pos_embed",
            "norm_pre.",
            "blocks.",
            "layers.",
            "norm.",
            "fc_norm.",
            "rel_pos_bias.",
            "absolute_pos_embed",
            "attn_pool.",
            "rope",
        ],
    ),
    (Naming::TorchvisionVit, &["class_token", "conv_proj.", "encoder."]),
    (Naming::TorchvisionSwin, &["features.", "norm."]),
    (Naming::HuggingFace, &["embeddings.", "encoder.", "layers.", "layernorm.", "pooler."]),
    (Naming::HuggingFaceResnet, &["embedder.", "encoder."]),
    (Naming::Resnet, &["conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."]),
];

/// Segments that wrappers insert into names.
const INNER_WRAPPERS: [&str; 4] =
    ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];

/// A prefix of a model's arrays.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    /// With the dot at its end, or empty.
    pub(super) prefix: String,
    pub(super) naming: Naming,
    /// Feature widths that a classifier may read.
    pub(super) features: Vec<usize>,
    /// Stages of a residual network, or of a Swin Transformer, else 0.
    pub(super) stages: usize,
    /// Names and shapes of the body, without the prefix: equal for copies of one model.
    pub(super) signature: Vec<(String, Vec<usize>)>,
}

/// Every name without the segments inserted by wrappers, and the file's own name. If two would coincide, all are left unchanged.
pub(super) fn without_inner_wrappers(shapes: &Shapes) -> BTreeMap<String, String> {
    let bare = |name: &String| {
        let kept = name.split('.').filter(|segment| !INNER_WRAPPERS.contains(segment));
        kept.collect::<Vec<_>>().join(".")
    };
    let cleaned: BTreeMap<String, String> = shapes.keys().map(|name| (bare(name), name.clone())).collect();
    match cleaned.len() == shapes.len() {
        true => cleaned,
        false => shapes.keys().map(|name| (name.clone(), name.clone())).collect(),
    }
}

/// Every root of a file, sorted by prefix.
pub(super) fn find(shapes: &Shapes) -> Vec<Root> {
    let mut roots: BTreeMap<String, Root> = BTreeMap::new();
    for (anchor, companion, naming) in ANCHORS {
        for name in shapes.keys() {
            let Some(prefix) = name.strip_suffix(anchor) else { continue };
            if !(prefix.is_empty() || prefix.ends_with('.')) || roots.contains_key(prefix) {
                continue;
            }
            let start = format!("{prefix}{companion}");
            if shapes.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start)) {
                roots.insert(prefix.to_owned(), Root::new(prefix, naming, shapes));
            }
        }
    }
    // An image tower under timm's names is not a separate model if there is a text tower too.
    let clips: Vec<String> =
        roots.values().filter(|root| root.naming == Naming::Clip).map(|root| root.prefix.clone()).collect();
    let in_clip = |prefix: &str| clips.iter().any(|clip| prefix != clip && prefix.starts_with(clip.as_str()));
    roots.into_values().filter(|root| !in_clip(&root.prefix)).collect()
}

impl Root {
    fn new(prefix: &str, naming: Naming, shapes: &Shapes) -> Self {
        let mut root = Self {
            prefix: prefix.to_owned(),
            naming,
            features: Vec::new(),
            stages: 0,
            signature: Vec::new(),
        };
        root.signature = root.body(shapes).map(|name| (root.bare(name), shapes[name].clone())).collect();
        root.stages = root.count_stages();
        root.features = root.readable_features();
        root
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        let found = self.signature.iter().find(|(known, _)| known == name);
        found.map(|(_, shape)| shape.as_slice())
    }

    fn count_stages(&self) -> usize {
        let starts = |start: String| self.signature.iter().any(|(name, _)| name.starts_with(&start));
        match self.naming {
            Naming::Resnet => (1..).take_while(|stage| starts(format!("layer{stage}."))).count(),
            Naming::HuggingFaceResnet => (0..).take_while(|i| starts(format!("encoder.stages.{i}."))).count(),
            Naming::TorchvisionSwin => 4,
            Naming::Timm | Naming::HuggingFace => {
                let stage = |i: usize| {
                    starts(format!("layers.{i}.blocks.")) || starts(format!("encoder.layers.{i}.blocks."))
                };
                (0..).take_while(|i| stage(*i)).count()
            }
            Naming::TorchvisionVit | Naming::OpenaiClip | Naming::HuggingFaceClip | Naming::Clip => 0,
        }
    }

    fn readable_features(&self) -> Vec<usize> {
        let rows = |name: &str| self.shape(name).and_then(|shape| shape.first().copied());
        let widest = || {
            let convolutions = self.signature.iter().filter(|(_, shape)| shape.len() == 4);
            convolutions.filter_map(|(_, shape)| shape.first().copied()).max()
        };
        let width = match self.naming {
            Naming::Resnet | Naming::HuggingFaceResnet => widest(),
            _ if self.stages > 0 => rows("norm.weight").or(rows("layernorm.weight")),
            Naming::Timm => rows("patch_embed.proj.weight"),
            Naming::TorchvisionVit => rows("conv_proj.weight"),
            Naming::HuggingFace => rows("embeddings.patch_embeddings.projection.weight"),
            Naming::TorchvisionSwin => rows("norm.weight"),
            Naming::OpenaiClip | Naming::HuggingFaceClip | Naming::Clip => None,
        };
        match width {
            None => Vec::new(),
            // The class token, or it and the mean of the patches.
            Some(width) if self.stages == 0 => vec![width, 2 * width],
            Some(width) => vec![width],
        }
    }

    /// Whether this is a convolutional network.
    pub(super) fn is_convolutional(&self) -> bool {
        matches!(self.naming, Naming::Resnet | Naming::HuggingFaceResnet)
    }

    /// The model's arrays without its classifier, under the file's names.
    pub(super) fn body<'a>(&'a self, shapes: &'a Shapes) -> impl Iterator<Item = &'a String> {
        let below = shapes.range(self.prefix.clone()..).map(|(name, _)| name);
        below.take_while(|name| name.starts_with(&self.prefix)).filter(|name| self.owns(name))
    }

    /// Whether a name is one of the body.
    pub(super) fn owns(&self, name: &str) -> bool {
        let Some(bare) = name.strip_prefix(&self.prefix) else { return false };
        let starts = BODIES.iter().find(|(naming, _)| *naming == self.naming).map(|(_, starts)| *starts);
        // Nothing but the two towers of a CLIP lies below its prefix.
        starts.is_none_or(|starts| starts.iter().any(|start| bare.starts_with(start)))
    }

    /// A name from the file without the prefix, and with torchvision's term where there are several.
    pub(super) fn bare(&self, name: &str) -> String {
        let bare = &name[self.prefix.len()..];
        match self.naming {
            Naming::Resnet => bare.replacen(".shortcut.", ".downsample.", 1),
            _ => bare.to_owned(),
        }
    }

    /// The model's name for the classifier.
    pub(super) fn head(&self) -> &'static str {
        match self.naming {
            Naming::Resnet if self.stages == 3 => "linear",
            Naming::Resnet | Naming::HuggingFaceResnet => "fc",
            _ if self.stages > 0 => "head.fc",
            _ => "head",
        }
    }

    /// The prefix for use in a message.
    pub(super) fn called(&self) -> String {
        match self.prefix.trim_end_matches('.') {
            "" => "the file itself".to_owned(),
            prefix => format!("`{}`", super::super::printable(prefix)),
        }
    }
}
