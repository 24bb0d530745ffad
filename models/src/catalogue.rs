//! What the published checkpoints of a named model expect.

use crate::preprocessing::{CLIP_MOMENTS, IMAGENET_MOMENTS, Interpolation, Preprocessing, crop_share};
use crate::state::State;

/// What a named model is usually made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Usual {
    /// Number of classes.
    pub classes: usize,
    /// How images are prepared.
    pub preprocessing: Preprocessing,
}

/// Beginning and end of a name (of a model, or of a family in the words of `transformers`), and what its published
/// checkpoints were trained with: side, crop, filter, moments. The first row that fits counts. timm's `pretrained_cfg` of
/// the default weights; torchvision's first weights (`IMAGENET1K_V1`); OpenAI's CLIP.
const ROWS: &[(&str, &str, usize, f64, Interpolation, Moments)] = &[
    ("vit_micro", "", 32, 1.0, Interpolation::Bicubic, HALF),
    ("clip_vit_micro", "", 32, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ("resnet_micro", "", 32, 1.0, Interpolation::Bicubic, HALF),
    ("resnet", "_cifar", 32, 1.0, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("resnet", "", 224, 0.875, Interpolation::Bilinear, IMAGENET_MOMENTS),
    ("dinov2", "", 224, 0.875, Interpolation::Bicubic, IMAGENET_MOMENTS),
    // Those of that size are DINO's.
    ("vit_small_patch8", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("vit_", "_dinov2", 518, 1.0, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("vit_", "_clip", 224, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ("vit_", "_clip_quickgelu", 224, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ("clip", "", 224, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ("deit", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("swin", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("beitv2_large", "", 224, 0.95, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("beitv2", "", 224, 0.9, Interpolation::Bicubic, IMAGENET_MOMENTS),
    ("beit", "", 224, 0.9, Interpolation::Bicubic, HALF),
    ("vit", "", 224, 0.9, Interpolation::Bicubic, HALF),
];

type Moments = ([f32; 3], [f32; 3]);

const HALF: Moments = ([0.5; 3], [0.5; 3]);

/// Sides from which on timm's checkpoints see the whole image.
const LARGE_IMAGE: usize = 384;

/// What the model of `name` is usually made for; `_PIXELS` at the end of a name says the side.
pub fn usual(name: &str) -> Usual {
    let (stem, pixels) = match name.rsplit_once('_').map(|(stem, pixels)| (stem, pixels.parse::<usize>())) {
        Some((stem, Ok(pixels))) => (stem, Some(pixels)),
        _ => (name, None),
    };
    let row = ROWS.iter().find(|(start, end, ..)| stem.starts_with(start) && stem.ends_with(end));
    let Some(&(_, _, side, crop, interpolation, (mean, std))) = row else {
        return Usual { classes: 1000, preprocessing: Preprocessing::plain(pixels.unwrap_or(224)) };
    };
    let image_size = pixels.unwrap_or(side);
    let crop = if image_size >= LARGE_IMAGE { 1.0 } else { crop };
    let classes = if side == 32 { 10 } else { 1000 };
    let preprocessing = Preprocessing { crop, interpolation, mean, std, ..Preprocessing::plain(image_size) };
    Usual { classes, preprocessing }
}

/// torchvision's transformers at 224 px: beginning of the name, shorter side before the crop, filter. Its first weights
/// (`IMAGENET1K_V1`).
const TORCHVISION: &[(&str, usize, Interpolation)] = &[
    ("vit_large_patch16", 242, Interpolation::Bilinear),
    ("vit_", 256, Interpolation::Bilinear),
    ("swin_tiny_", 232, Interpolation::Bicubic),
    ("swin_small_", 246, Interpolation::Bicubic),
    ("swin_base_", 238, Interpolation::Bicubic),
];

/// What the model of `name` with these arrays is usually made for. Where their names are torchvision's, so is the
/// preprocessing; its residual networks cannot be told from timm's.
pub(crate) fn usual_of(name: &str, state: &State) -> Usual {
    let usual = usual(name);
    let torchvision = |name: &String| {
        name.ends_with("conv_proj.weight") || name.ends_with("features.1.0.attn.relative_position_bias_table")
    };
    let row = TORCHVISION.iter().find(|(start, ..)| name.starts_with(start));
    let Some(&(_, resized, interpolation)) =
        row.filter(|_| usual.preprocessing.image_size == 224 && state.keys().any(torchvision))
    else {
        return usual;
    };
    let (mean, std) = IMAGENET_MOMENTS;
    let crop = crop_share(224, resized);
    let preprocessing = Preprocessing { crop, interpolation, mean, std, ..Preprocessing::plain(224) };
    Usual { preprocessing, ..usual }
}
