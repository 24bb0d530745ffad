//! The named Vision Transformers, with the sizes from their papers.
//!
//! Names are timm's. `micro` is a size for images of 32 pixels that trains on a laptop in minutes, with fixed positions.

use super::{Pooling, Position, PositionResampling, VitConfig};
use crate::catalogue::{HALF, Published, Torchvision};
use crate::preprocessing::{CLIP_MOMENTS, IMAGENET_MOMENTS, Interpolation};
use crate::spec::with_pixels;
use crate::transformer::FeedForward;

/// Name, width, depth, heads and MLP width of the standard ViT sizes (Dosovitskiy et al., 2021, table 1;
/// tiny and small: Touvron et al., 2021, table 1; giant, whose MLPs are gated: Oquab et al., 2024, table 17).
pub(crate) const VIT_SIZES: [(&str, usize, usize, usize, usize); 6] = [
    ("micro", 96, 4, 3, 192),
    ("tiny", 192, 12, 3, 768),
    ("small", 384, 12, 6, 1536),
    ("base", 768, 12, 12, 3072),
    ("large", 1024, 24, 16, 4096),
    ("giant", 1536, 40, 24, 4096),
];

const PATCH_SIZES: [usize; 5] = [4, 8, 14, 16, 32];

/// Named ViT variants: what precedes and follows the size in their names, and the sizes.
const VIT_VARIANTS: &[(&str, &[&str], &str)] = &[
    ("deit", &["tiny", "small", "base"], "patch16"),
    ("deit", &["tiny", "small", "base"], "distilled_patch16"),
    ("deit3", &["small", "base", "large"], "patch16"),
    ("vit", &["small", "base", "large", "giant"], "patch14_dinov2"),
    ("vit", &["small", "base", "large", "giant"], "patch14_reg4_dinov2"),
    ("vit", &["base"], "patch32_clip"),
    ("vit", &["base"], "patch32_clip_quickgelu"),
    ("vit", &["base"], "patch16_clip"),
    ("vit", &["base"], "patch16_clip_quickgelu"),
    ("vit", &["large"], "patch14_clip"),
    ("vit", &["large"], "patch14_clip_quickgelu"),
];

/// DINOv2's hub names, and timm's for the same sizes.
const DINOV2_NAMES: [(&str, &str); 4] = [
    ("dinov2_vits14", "vit_small_patch14"),
    ("dinov2_vitb14", "vit_base_patch14"),
    ("dinov2_vitl14", "vit_large_patch14"),
    ("dinov2_vitg14", "vit_giant_patch14"),
];

/// timm's `pretrained_cfg` of the default weights.
pub(super) const PUBLISHED: &[Published] = &[
    ("vit_micro", "", 32, 1.0, Interpolation::Bicubic, HALF),
    ("dinov2", "", 224, 0.875, Interpolation::Bicubic, IMAGENET_MOMENTS),
    // The published weights of this size are DINO's.
    ("vit_small_patch8", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("vit_", "_dinov2", 518, 1.0, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("vit_", "_clip", 224, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ("vit_", "_clip_quickgelu", 224, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ("deit", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("vit", "", 224, 0.9, Interpolation::Bicubic, HALF),
];

pub(super) const TORCHVISION: Torchvision = Torchvision {
    mark: "conv_proj.weight",
    rows: &[("vit_large_patch16", 242, Interpolation::Bilinear), ("vit_", 256, Interpolation::Bilinear)],
};

pub(super) fn names() -> Vec<String> {
    let mut names = vec!["vit_micro".to_owned()];
    for (size, ..) in &VIT_SIZES[1..5] {
        names.extend(PATCH_SIZES.iter().map(|patch| format!("vit_{size}_patch{patch}")));
    }
    for (family, sizes, variant) in VIT_VARIANTS {
        names.extend(sizes.iter().map(|size| format!("{family}_{size}_{variant}")));
    }
    for (hub, _) in DINOV2_NAMES {
        names.extend(["", "_reg", "_lc", "_reg_lc"].map(|ending| format!("{hub}{ending}")));
    }
    names
}

pub(super) fn named(name: &str, classes: usize, image_size: usize) -> Option<VitConfig> {
    let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
    dinov2_named(name, classes, image_size).or_else(|| timm_named(name, classes, image_size))
}

/// DINOv2 under its hub's names; `_lc` is a linear classifier over the class token and the mean of the patches.
fn dinov2_named(name: &str, classes: usize, image_size: usize) -> Option<VitConfig> {
    let (backbone, classifies) = name.strip_suffix("_lc").map_or((name, false), |backbone| (backbone, true));
    let (hub, registers) = backbone.strip_suffix("_reg").map_or((backbone, ""), |hub| (hub, "_reg4"));
    let (_, timm) = DINOV2_NAMES.iter().find(|(known, _)| *known == hub)?;
    let mut config = timm_named(&format!("{timm}{registers}_dinov2"), classes, image_size)?;
    if classifies {
        config.pooling = Pooling::ClassTokenAndMean;
    }
    Some(config)
}

/// The parts of a name such as `deit_base_distilled_patch16`.
pub(crate) struct Parts<'a> {
    /// Part of the name before the size.
    pub(crate) family: &'a str,
    /// One of [`VIT_SIZES`].
    pub(crate) size: (&'static str, usize, usize, usize, usize),
    /// Side of a patch, in pixels.
    pub(crate) patch_size: usize,
    /// Part of the name after the patch size.
    pub(crate) variant: &'a str,
}

/// Splits the name of a transformer with equal blocks.
pub(crate) fn parts(name: &str) -> Option<Parts<'_>> {
    let mut parts = name.splitn(3, '_');
    let (family, size) = (parts.next()?, parts.next()?);
    let variant = parts.next().unwrap_or(if size == "micro" { "patch4" } else { "patch16" });
    let &size = VIT_SIZES.iter().find(|row| row.0 == size)?;
    let (patch, variant) = match variant.strip_prefix("distilled_") {
        Some(patch) => (patch, "distilled"),
        None => variant.split_once('_').unwrap_or((variant, "")),
    };
    let patch_size = patch.strip_prefix("patch")?.parse().ok().filter(|p| PATCH_SIZES.contains(p))?;
    Some(Parts { family, size, patch_size, variant })
}

fn timm_named(name: &str, classes: usize, image_size: usize) -> Option<VitConfig> {
    let Parts { family, size: (size, width, depth, heads, mlp_width), patch_size, variant } = parts(name)?;
    let plain =
        VitConfig { image_size, patch_size, width, depth, heads, mlp_width, classes, ..VitConfig::default() };
    let dinov2 = VitConfig {
        layer_scale: true,
        feed_forward: if size == "giant" { FeedForward::SwiGlu } else { FeedForward::Gelu },
        ..plain.clone()
    };
    let clip = VitConfig { pre_norm: true, epsilon: 1e-5, ..plain.clone() };
    Some(match (family, variant) {
        // With learned positions a small model spends epochs on learning the layout of the image.
        ("vit", "") if size == "micro" => VitConfig { position: Position::Sine, ..plain },
        ("vit", "") if size != "giant" => plain,
        ("vit", "dinov2") => VitConfig { resampling: PositionResampling::Offset, ..dinov2 },
        ("vit", "reg4_dinov2") => VitConfig { registers: 4, position: Position::LearnedOnPatches, ..dinov2 },
        ("vit", "clip") => clip,
        ("vit", "clip_quickgelu") => VitConfig { feed_forward: FeedForward::QuickGelu, ..clip },
        ("deit", "") => plain,
        ("deit", "distilled") => VitConfig { distilled: true, ..plain },
        ("deit3", "") => VitConfig { layer_scale: true, position: Position::LearnedOnPatches, ..plain },
        _ => return None,
    })
}
