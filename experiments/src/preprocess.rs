//! From an image of any size to what a model takes.

use archaeo_models::{Interpolation, Preprocessing};
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{Image, Mask};
use crate::data::resize::{Filter, center_crop, resize_shorter_side};

/// Resizes the shorter side to `⌊image_size / crop⌋` and cuts out the centre.
pub fn fit(image: &Image, preprocessing: &Preprocessing) -> Image {
    let Preprocessing { image_size, crop, interpolation, .. } = *preprocessing;
    let shorter = (image_size as f64 / crop).floor() as usize;
    if [image.width, image.height] == [image_size; 2] && shorter == image_size {
        return image.clone();
    }
    let filter = match interpolation {
        Interpolation::Bilinear => Filter::Bilinear,
        Interpolation::Bicubic => Filter::Bicubic,
    };
    center_crop(&resize_shorter_side(image, shorter, filter), image_size, image_size)
}

/// Images of one size as `[batch, 3, height, width]` with values in [0, 1].
///
/// # Panics
/// If the images differ in size.
pub fn to_tensor(images: &[Image], device: &Device) -> Tensor<4> {
    let (height, width) = images.first().map_or((0, 0), |image| (image.height, image.width));
    let mut values = Vec::with_capacity(images.len() * 3 * height * width);
    for image in images {
        assert_eq!((image.height, image.width), (height, width), "images of a batch have one size");
        for channel in 0..3 {
            values.extend(image.pixels.iter().skip(channel).step_by(3).map(|&value| f32::from(value) / 255.0));
        }
    }
    Tensor::from_data(TensorData::new(values, [images.len(), 3, height, width]), device)
}

/// An object mask under the same resize and crop as [`fit`] gives the image: the model's image size, and whether each
/// pixel is at least half object.
pub fn fit_mask(mask: &Mask, preprocessing: &Preprocessing) -> (usize, Vec<bool>) {
    let pixels = mask.inside.iter().flat_map(|&inside| [if inside { 255 } else { 0 }; 3]).collect();
    let fitted = fit(&Image { width: mask.width, height: mask.height, pixels }, preprocessing);
    (preprocessing.image_size, fitted.pixels.iter().step_by(3).map(|&value| value >= 128).collect())
}
