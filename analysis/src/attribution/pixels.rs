//! What methods with a value for each pixel share.

use serde::{Deserialize, Serialize};

use super::Heatmap;
use crate::tensors::{per_image, values};
use burn::tensor::Tensor;

/// What a method puts where it takes something away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// 0 in every channel.
    Black,
    /// One half in every channel.
    Grey,
    /// The mean of each of the image's channels.
    #[default]
    Mean,
}

impl Fill {
    /// One value for each channel of an image `(3, height, width)`.
    pub(super) fn colour(self, image: &[f32]) -> [f32; 3] {
        let plane = image.len() / 3;
        let mean = |channel: usize| {
            let pixels = &image[channel * plane..][..plane];
            (pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / plane as f64) as f32
        };
        match self {
            Self::Black => [0.0; 3],
            Self::Grey => [0.5; 3],
            Self::Mean => [mean(0), mean(1), mean(2)],
        }
    }

    /// Images of nothing but the fill, like `images`, `[batch, 3, height, width]`.
    pub(super) fn images(self, images: &Tensor<4>) -> Tensor<4> {
        match self {
            Self::Black => images.zeros_like(),
            Self::Grey => images.full_like(0.5),
            Self::Mean => images.zeros_like() + images.clone().mean_dim(2).mean_dim(3),
        }
    }
}

/// One heatmap for each image of `[batch, 3, height, width]`: what `combine` makes of the three channels' values at each pixel.
pub(super) fn over_channels(attributions: Tensor<4>, combine: impl Fn([f32; 3]) -> f32) -> Vec<Heatmap> {
    let [batch, _, height, width] = attributions.dims();
    let attributions = values(attributions);
    let of_image = |image: &[f32]| {
        let plane = height * width;
        let at = |pixel: usize| combine([image[pixel], image[plane + pixel], image[2 * plane + pixel]]);
        Heatmap::new(height, width, (0..plane).map(at).collect())
    };
    per_image(&attributions, batch).map(of_image).collect()
}

/// The largest magnitude.
pub(super) fn largest([red, green, blue]: [f32; 3]) -> f32 {
    red.abs().max(green.abs()).max(blue.abs())
}

/// The sum.
pub(super) fn sum(channels: [f32; 3]) -> f32 {
    channels.map(f64::from).iter().sum::<f64>() as f32
}
