//! The models that are known by name, with the sizes that their papers state.
//!
//! Names are timm's and torchvision's. `_cifar` is a residual network's stem for small images, `micro` a size for images of
//! 32 pixels that a laptop trains in minutes; the ViT of that size has fixed positions.

use crate::beit::BeitConfig;
use crate::clip::{ClipConfig, TextConfig};
use crate::nearest::nearest;
use crate::resnet::{BranchKind, ResNetConfig, Stem};
use crate::resnet_cifar::CifarResNetConfig;
use crate::spec::{NetworkSpec, SpecError};
use crate::swin::SwinConfig;
use crate::transformer::FeedForward;
use crate::vit::{Pooling, Position, PositionResampling, VitConfig};

/// Name, width, depth, heads and perceptron width of the standard ViT sizes (Dosovitskiy et al., 2021, table 1;
/// tiny and small: Touvron et al., 2021, table 1; giant, whose perceptrons are gated: Oquab et al., 2024, table 17).
pub(crate) const VIT_SIZES: [(&str, usize, usize, usize, usize); 6] = [
    ("micro", 96, 4, 3, 192),
    ("tiny", 192, 12, 3, 768),
    ("small", 384, 12, 6, 1536),
    ("base", 768, 12, 12, 3072),
    ("large", 1024, 24, 16, 4096),
    ("giant", 1536, 40, 24, 4096),
];

const PATCH_SIZES: [usize; 5] = [4, 8, 14, 16, 32];

/// The descendants of the ViT that are known in some sizes: what comes before and after the size in their names.
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
    ("beit", &["base", "large"], "patch16"),
    ("beitv2", &["base", "large"], "patch16"),
];

/// Image tower, width of the text tower and of the common space, depth of the text tower (Radford et al., 2021, table 20);
/// heads are 64 wide, perceptrons four times the width. `micro` is for images of 32 px.
const CLIP_SIZES: [(&str, usize, usize); 4] = [
    ("vit_micro_patch4", 64, 2),
    ("vit_base_patch32", 512, 12),
    ("vit_base_patch16", 512, 12),
    ("vit_large_patch14", 768, 12),
];

/// DINOv2's hub names, and timm's for the same sizes.
const DINOV2_NAMES: [(&str, &str); 4] = [
    ("dinov2_vits14", "vit_small_patch14"),
    ("dinov2_vitb14", "vit_base_patch14"),
    ("dinov2_vitl14", "vit_large_patch14"),
    ("dinov2_vitg14", "vit_giant_patch14"),
];

/// Name, width, depths and heads of the standard Swin sizes (Liu et al., 2021, section 3.3), for patches of 4 px.
const SWIN_SIZES: [(&str, usize, [usize; 4], [usize; 4]); 4] = [
    ("tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24]),
    ("small", 96, [2, 2, 18, 2], [3, 6, 12, 24]),
    ("base", 128, [2, 2, 18, 2], [4, 8, 16, 32]),
    ("large", 192, [2, 2, 18, 2], [6, 12, 24, 48]),
];

/// Windows of the published Swin models: 7 tokens for images of 224 px, 12 for 384 px.
const SWIN_WINDOWS: [usize; 2] = [7, 12];

/// Name, branch and blocks of the standard ResNets (He et al., 2016, table 1); `micro` is for 32-pixel images.
pub(crate) const RESNET_SIZES: [(&str, BranchKind, [usize; 4], usize); 6] = [
    ("resnet_micro", BranchKind::Basic, [1, 1, 1, 1], 16),
    ("resnet18", BranchKind::Basic, [2, 2, 2, 2], 64),
    ("resnet34", BranchKind::Basic, [3, 4, 6, 3], 64),
    ("resnet50", BranchKind::Bottleneck, [3, 4, 6, 3], 64),
    ("resnet101", BranchKind::Bottleneck, [3, 4, 23, 3], 64),
    ("resnet152", BranchKind::Bottleneck, [3, 8, 36, 3], 64),
];

impl NetworkSpec {
    /// The model of a name: one of [`NetworkSpec::names`], for transformers with `_PIXELS` after it where `image_size` is not
    /// meant.
    ///
    /// # Errors
    /// [`SpecError::Unknown`] for any other name, [`SpecError::Sizes`] for patches that do not tile the image.
    pub fn named(name: &str, classes: usize, image_size: usize) -> Result<Self, SpecError> {
        let (stem, image_size) = with_pixels(name).unwrap_or((name, image_size));
        let zero_shot = |clip: ClipConfig| Self::ZeroShot(clip.zero_shot(classes));
        let spec = dinov2_named(stem, classes, image_size)
            .or_else(|| clip_named(stem, image_size).map(zero_shot))
            .or_else(|| swin_named(stem, classes, image_size))
            .or_else(|| transformer_named(stem, classes, image_size))
            .or_else(|| resnet_named(name, classes))
            .ok_or_else(|| SpecError::unknown(name))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Every name that [`NetworkSpec::named`] knows, without the optional `_PIXELS`.
    pub fn names() -> Vec<String> {
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
        for (tower, ..) in CLIP_SIZES {
            names.extend(["", "_gelu"].map(|ending| format!("clip_{tower}{ending}")));
        }
        for (size, ..) in &SWIN_SIZES {
            names.extend(SWIN_WINDOWS.iter().map(|window| format!("swin_{size}_patch4_window{window}")));
        }
        names.extend(RESNET_SIZES.iter().map(|row| row.0.to_owned()));
        names.extend(RESNET_SIZES[1..].iter().map(|row| format!("{}_cifar", row.0)));
        names.extend(["resnet20_cifar".to_owned(), "resnet56_cifar".to_owned()]);
        names
    }
}

impl SpecError {
    /// An unknown name, with the known one that it may be a slip of.
    pub(crate) fn unknown(name: &str) -> Self {
        let (stem, _) = with_pixels(name).unwrap_or((name, 0));
        let near = nearest(stem, NetworkSpec::names().iter().map(String::as_str)).map(str::to_owned);
        Self::Unknown { name: name.to_owned(), near }
    }
}

/// A name without the pixels at its end, and those.
fn with_pixels(name: &str) -> Option<(&str, usize)> {
    let (stem, pixels) = name.rsplit_once('_')?;
    Some((stem, pixels.parse().ok()?))
}

/// DINOv2 under its hub's names; `_lc` is a linear classifier over the class token and the mean of the patches.
fn dinov2_named(name: &str, classes: usize, image_size: usize) -> Option<NetworkSpec> {
    let (backbone, classifies) = name.strip_suffix("_lc").map_or((name, false), |backbone| (backbone, true));
    let (hub, registers) = backbone.strip_suffix("_reg").map_or((backbone, ""), |hub| (hub, "_reg4"));
    let (_, timm) = DINOV2_NAMES.iter().find(|(known, _)| *known == hub)?;
    let mut spec = transformer_named(&format!("{timm}{registers}_dinov2"), classes, image_size)?;
    if let (NetworkSpec::Vit(config), true) = (&mut spec, classifies) {
        config.pooling = Pooling::ClassTokenAndMean;
    }
    Some(spec)
}

fn transformer_named(name: &str, classes: usize, image_size: usize) -> Option<NetworkSpec> {
    let mut parts = name.splitn(3, '_');
    let (family, size) = (parts.next()?, parts.next()?);
    let variant = parts.next().unwrap_or(if size == "micro" { "patch4" } else { "patch16" });
    let &(_, width, depth, heads, mlp_width) = VIT_SIZES.iter().find(|row| row.0 == size)?;
    let (patch, variant) = match variant.strip_prefix("distilled_") {
        Some(patch) => (patch, "distilled"),
        None => variant.split_once('_').unwrap_or((variant, "")),
    };
    let patch_size = patch.strip_prefix("patch")?.parse().ok().filter(|p| PATCH_SIZES.contains(p))?;
    if family.starts_with("beit") {
        let known = matches!(family, "beit" | "beitv2") && variant.is_empty();
        let drop_path = 0.0;
        let config = BeitConfig {
            image_size,
            patch_size,
            width,
            depth,
            heads,
            mlp_width,
            classes,
            epsilon: 1e-6,
            drop_path,
        };
        return known.then_some(NetworkSpec::Beit(config));
    }
    let plain =
        VitConfig { image_size, patch_size, width, depth, heads, mlp_width, classes, ..VitConfig::default() };
    let dinov2 = VitConfig {
        layer_scale: true,
        feed_forward: if size == "giant" { FeedForward::SwiGlu } else { FeedForward::Gelu },
        ..plain.clone()
    };
    let clip = VitConfig { pre_norm: true, epsilon: 1e-5, ..plain.clone() };
    Some(NetworkSpec::Vit(match (family, variant) {
        // With fixed positions a small model learns from few images what it else spends epochs on.
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
    }))
}

/// CLIP; OpenAI's with QuickGELU, `_gelu` those of open_clip that are trained with the exact one.
pub(crate) fn clip_named(name: &str, image_size: usize) -> Option<ClipConfig> {
    let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
    let name = name.strip_prefix("clip_")?;
    let (tower, variant) =
        name.strip_suffix("_gelu").map_or((name, "clip_quickgelu"), |tower| (tower, "clip"));
    let &(_, width, depth) = CLIP_SIZES.iter().find(|row| row.0 == tower)?;
    let NetworkSpec::Vit(image) = transformer_named(&format!("{tower}_{variant}"), 0, image_size)? else {
        return None;
    };
    let text = TextConfig { width, depth, heads: width / 64, mlp_width: 4 * width };
    Some(ClipConfig { image, text, embedding: width })
}

fn swin_named(name: &str, classes: usize, image_size: usize) -> Option<NetworkSpec> {
    let (size, window) = name.strip_prefix("swin_")?.split_once("_patch4_window")?;
    let &(_, width, depths, heads) = SWIN_SIZES.iter().find(|row| row.0 == size)?;
    let window_size = window.parse().ok().filter(|window| SWIN_WINDOWS.contains(window))?;
    let (depths, heads) = (depths.into(), heads.into());
    let sizes =
        SwinConfig { image_size, window_size, width, depths, heads, classes, ..SwinConfig::default() };
    Some(NetworkSpec::Swin(sizes))
}

fn resnet_named(name: &str, classes: usize) -> Option<NetworkSpec> {
    let sizes = |blocks| CifarResNetConfig { blocks, width: 16, projection: false, classes };
    let cifar = |blocks| Some(NetworkSpec::CifarResnet(sizes(blocks)));
    match name {
        "resnet20_cifar" => return cifar(3),
        "resnet56_cifar" => return cifar(9),
        _ => {}
    }
    let (name, small) = name.strip_suffix("_cifar").map_or((name, false), |name| (name, true));
    let &(name, branch, blocks, width) = RESNET_SIZES.iter().find(|row| row.0 == name)?;
    let stem = if small || name == "resnet_micro" { Stem::Cifar } else { Stem::Imagenet };
    Some(NetworkSpec::Resnet(ResNetConfig { stem, branch, blocks, width, classes }))
}
