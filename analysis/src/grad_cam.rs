//! Grad-CAM (Selvaraju et al., 2017): which places of the last spatial representation speak for a class.

use archaeo_models::{Classifier, Network, Pass};
use burn::tensor::Tensor;

use crate::attention_maps::target_score;
use crate::heatmap::Heatmap;
use crate::probes::FeatureTap;
use crate::tensors::{per_image, values};

/// Grad-CAM of each image for its target class (the predicted class where `targets` is `None`).
///
/// Each channel of the representation is weighted by the spatial mean of the gradient of the target's logit (equation 1);
/// the weighted sum is cut at zero (equation 2) and scaled by [`Heatmap::min_max_scaled`]. The representation is a
/// residual network's last feature map, or a transformer's input to the last block's attention without prefix tokens:
/// under a class-token head, nothing after that has a gradient at the patches. The heatmap has the representation's own
/// resolution; [`Heatmap::resized`] brings it to the image's.
///
/// # Panics
/// If `targets` does not name a class for each image.
pub fn grad_cam(model: &Classifier, images: Tensor<4>, targets: Option<&[usize]>) -> Vec<Heatmap> {
    let last_block = match &model.network {
        Network::Vit(vit) => vit.blocks.len() - 1,
        Network::Resnet(_) | Network::CifarResnet(_) => 0,
    };
    let mut tap = FeatureTap::new(last_block);
    let logits = model.logits(images, &mut Pass::evaluate(&mut tap));
    let gradients = target_score(logits, targets).backward();
    match (tap.features, tap.tokens) {
        (Some(features), _) => class_activation(features.value(), features.gradient(&gradients)),
        (None, Some((site, tokens))) => {
            let spatial = |x: Tensor<3>| {
                let [batch, count, width] = x.dims();
                x.narrow(1, site.prefix_tokens, count - site.prefix_tokens).swap_dims(1, 2).reshape([
                    batch,
                    width,
                    site.grid[0],
                    site.grid[1],
                ])
            };
            class_activation(spatial(tokens.value()), spatial(tokens.gradient(&gradients)))
        }
        (None, None) => unreachable!("every network hands its last representation to the probe"),
    }
}

/// Both `[batch, channels, height, width]`.
fn class_activation(features: Tensor<4>, gradients: Tensor<4>) -> Vec<Heatmap> {
    let [batch, _, height, width] = features.dims();
    let (features, gradients) = (values(features), values(gradients));
    per_image(&features, batch)
        .zip(per_image(&gradients, batch))
        .map(|(features, gradients)| {
            let places = height * width;
            let mut sum = vec![0f64; places];
            for (channel, slope) in features.chunks_exact(places).zip(gradients.chunks_exact(places)) {
                let weight = slope.iter().map(|&value| f64::from(value)).sum::<f64>() / places as f64;
                sum.iter_mut().zip(channel).for_each(|(sum, &value)| *sum += weight * f64::from(value));
            }
            let positive = sum.into_iter().map(|value| value.max(0.0) as f32).collect();
            Heatmap::new(height, width, positive).min_max_scaled()
        })
        .collect()
}
