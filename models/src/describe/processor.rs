//! How `transformers` prepares images: its image processors, as modified by a `preprocessor_config.json`.

use serde_json::Value;

use super::json::{channels, number, real, text, truth};
use crate::preprocessing::{CLIP_MOMENTS, Fit, Interpolation, PreprocessingChoice, crop_share};

/// A class of processors with its defaults.
struct Processor {
    /// Its name without `ImageProcessor`, or `FeatureExtractor`, the older suffix.
    name: &'static str,
    /// The `model_type`s that use it when the file names no class.
    models: &'static [&'static str],
    /// Default size to which an image is resized, and the meaning of a bare number.
    size: usize,
    fit: Fit,
    /// Side of the centre crop, in pixels.
    crop: Option<usize>,
    interpolation: Interpolation,
    moments: ([f32; 3], [f32; 3]),
}

const HALF: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);

const VIT: Processor = Processor {
    name: "ViT",
    models: &["vit", "swin"],
    size: 224,
    fit: Fit::Squash,
    crop: None,
    interpolation: Interpolation::Bilinear,
    moments: HALF,
};
const DEIT: Processor = Processor {
    name: "DeiT",
    models: &["deit"],
    size: 256,
    crop: Some(224),
    interpolation: Interpolation::Bicubic,
    ..VIT
};
const BEIT: Processor =
    Processor { name: "Beit", models: &["beit"], interpolation: Interpolation::Bicubic, ..VIT };
const CLIP: Processor = Processor {
    name: "CLIP",
    models: &["clip"],
    size: 224,
    fit: Fit::Crop,
    crop: Some(224),
    interpolation: Interpolation::Bicubic,
    moments: CLIP_MOMENTS,
};
const BIT: Processor = Processor { name: "Bit", models: &["dinov2", "dinov2_with_registers"], ..CLIP };
const CONVNEXT: Processor =
    Processor { name: "ConvNext", models: &["resnet"], size: 384, crop: None, moments: HALF, ..CLIP };

const PROCESSORS: [Processor; 6] = [VIT, DEIT, BEIT, CLIP, BIT, CONVNEXT];

/// From this size, ConvNeXt's processor resizes without regard to proportions; below it, it crops the share `crop_pct`.
const CONVNEXT_SQUASHES_FROM: usize = 384;

/// Preprocessing from the file for a model of type `kind`.
///
/// # Errors
/// The end of a sentence about it.
pub(super) fn read(config: &Value, kind: &str) -> Result<PreprocessingChoice, String> {
    let processor = processor(config, kind)?;
    if !truth(config, "do_resize", true) {
        return Err("its images are not resized, which is not known here".into());
    }
    if !truth(config, "do_rescale", true)
        || (real(config, "rescale_factor", 1.0 / 255.0)? * 255.0 - 1.0).abs() > 1e-3
    {
        return Err("its images are not brought to values from 0 to 1, which is not known here".into());
    }
    let (image_size, crop, fit) = shape(config, processor)?;
    let interpolation = match number(config, "resample")? {
        None => processor.interpolation,
        Some(1) => Interpolation::Lanczos,
        Some(2) => Interpolation::Bilinear,
        Some(3) => Interpolation::Bicubic,
        Some(other) => {
            return Err(format!(
                "its `resample`, {other}, is neither Lanczos (1), bilinear (2) nor bicubic (3)"
            ));
        }
    };
    let (mean, std) = match truth(config, "do_normalize", true) {
        true => (
            channels(config, "image_mean")?.unwrap_or(processor.moments.0),
            channels(config, "image_std")?.unwrap_or(processor.moments.1),
        ),
        false => ([0.0; 3], [1.0; 3]),
    };
    Ok(PreprocessingChoice {
        image_size: Some(image_size),
        crop: Some(crop),
        fit: Some(fit),
        interpolation: Some(interpolation),
        mean: Some(mean),
        std: Some(std),
    })
}

fn processor(config: &Value, kind: &str) -> Result<&'static Processor, String> {
    let class = text(config, "image_processor_type").or(text(config, "feature_extractor_type"));
    let Some(class) = class else {
        let usual = PROCESSORS.iter().find(|processor| processor.models.contains(&kind));
        return Ok(usual.unwrap_or(&VIT));
    };
    let name = ["ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor"]
        .iter()
        .find_map(|ending| class.strip_suffix(ending));
    PROCESSORS.iter().find(|processor| name == Some(processor.name)).ok_or_else(|| {
        let known: Vec<&str> = PROCESSORS.iter().map(|processor| processor.name).collect();
        format!("its image processor, `{class}`, is not known here; known are those of {}", known.join(", "))
    })
}

/// The side of the model's input, its share of the resized image, and how that is resized.
fn shape(config: &Value, processor: &Processor) -> Result<(usize, f64, Fit), String> {
    let (resized, fit) = match config.get("size").filter(|size| !size.is_null()) {
        None => (processor.size, processor.fit),
        Some(size) => match (number(size, "shortest_edge")?, side(size, "size")?) {
            (Some(shortest), _) => (shortest, Fit::Crop),
            (None, Some(side)) if size.is_object() => (side, Fit::Squash),
            (None, Some(side)) => (side, processor.fit),
            (None, None) => return Err(format!("its `size`, {size}, is not known here")),
        },
    };
    if processor.name == CONVNEXT.name {
        let share = real(config, "crop_pct", 0.875)?;
        return Ok(match resized < CONVNEXT_SQUASHES_FROM {
            true => (resized, share, Fit::Crop),
            false => (resized, 1.0, Fit::Squash),
        });
    }
    // A crop next to a shorter side is applied, whatever the default of the class.
    let crops = processor.crop.is_some() || (fit == Fit::Crop && config.get("crop_size").is_some());
    let cropped = match truth(config, "do_center_crop", crops) {
        false => None,
        true => match config.get("crop_size").filter(|size| !size.is_null()) {
            None => processor.crop,
            Some(size) => side(size, "crop_size")?,
        },
    };
    match cropped {
        // A model takes squares, so an image that is only resized is cropped to its centre.
        None => Ok((resized, 1.0, fit)),
        Some(cropped) if (1..=resized).contains(&cropped) => Ok((cropped, crop_share(cropped, resized), fit)),
        Some(cropped) => Err(format!("{cropped} px cannot be cut out of {resized} px")),
    }
}

/// The side of a square: a number, or a height and the same width.
fn side(size: &Value, key: &str) -> Result<Option<usize>, String> {
    let whole = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
    let (Some(height), Some(width)) = (size.get("height"), size.get("width")) else { return Ok(whole(size)) };
    match height == width {
        true => Ok(whole(height)),
        false => Err(format!("its `{key}` is not square, and only models for square images are supported")),
    }
}
