//! Grad-CAM (Selvaraju et al., 2017): which places of the last spatial representation speak for a class.

use archaeo_models::{Classifier, Pass};
use burn::tensor::Tensor;

use super::Heatmap;
use crate::attention::target_score;
use crate::probes::FeatureTap;
use crate::tensors::{per_image, values};

/// Grad-CAM of each image for its target class (the predicted class where `targets` is `None`).
///
/// Each channel of the representation is weighted by the spatial mean of the gradient of the target's logit (equation 1);
/// the weighted sum is cut at zero (equation 2) and left in its own scale: [`Heatmap::min_max_scaled`] is for pictures, and
/// would take away mass that lies everywhere. The representation is a residual network's last feature map, or a
/// transformer's input to the last block's attention without prefix tokens: under a class-token head, nothing after that
/// has a gradient at the patches. The heatmap has the representation's own resolution; [`Heatmap::resized`] brings it to
/// the image's.
///
/// # Panics
/// If `targets` does not name a class for each image.
pub fn grad_cam(model: &Classifier, images: Tensor<4>, targets: Option<&[usize]>) -> Vec<Heatmap> {
    let mut tap = FeatureTap::new(model.card().network.attention_layers().saturating_sub(1));
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
            Heatmap::new(height, width, positive)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, assert_close, pooled_vit, random_images};

    fn joined(heatmaps: impl Iterator<Item = Heatmap>) -> Vec<f32> {
        heatmaps.flat_map(|map| map.values).collect()
    }

    #[test]
    fn a_residual_networks_map_is_captums() {
        let fixture = Fixture::load();
        let maps = grad_cam(&fixture.resnet(), fixture.images(), Some(&fixture.targets()));
        assert_close(
            &joined(maps.iter().map(Heatmap::min_max_scaled)),
            fixture.values("grad_cam_resnet"),
            1e-4,
        );
    }

    #[test]
    fn maps_at_image_size_are_pytorch_grad_cams() {
        let fixture = Fixture::load();
        for (name, model) in
            [("grad_cam_vit_full", fixture.vit()), ("grad_cam_resnet_full", fixture.resnet())]
        {
            let maps = grad_cam(&model, fixture.images(), Some(&fixture.targets()));
            // That package scales once more after resizing.
            let full = maps.iter().map(|map| map.resized(32, 32).min_max_scaled());
            assert_close(&joined(full), fixture.values(name), 1e-3);
        }
    }

    #[test]
    fn an_image_gets_its_own_map_in_any_batch_and_the_predicted_class_by_default() {
        let fixture = Fixture::load();
        let images = random_images(4, 2);
        for model in [fixture.vit(), fixture.resnet(), pooled_vit()] {
            let together = grad_cam(&model, images.clone(), None);
            let logits = crate::answers::logits(&model, images.clone());
            let predicted = crate::answers::predicted_classes(&logits, 5);
            for image in 0..4 {
                let alone =
                    grad_cam(&model, images.clone().narrow(0, image, 1), Some(&predicted[image..=image]));
                let scaled = [&alone[0], &together[image]].map(|map| map.min_max_scaled().values);
                assert_close(&scaled[0], &scaled[1], 1e-3);
            }
        }
    }
}
