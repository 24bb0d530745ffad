//! Grad-CAM (Selvaraju et al., 2017): which places of the last spatial representation speak for a class.

use super::{Attribution, Capability, Cost, Evidence, Heatmap, Kind, MethodInfo, Resolution, channels};
use crate::{AnalysisError, Paper};

/// Each channel of the last spatial representation ([`Evidence::features`]) is weighted by the spatial mean of the gradient of
/// the class's logit (equation 1); the weighted sum is cut at zero (equation 2) and left in its own scale:
/// [`Heatmap::min_max_scaled`] is for pictures, and would take away mass that lies everywhere. The heatmap has the
/// representation's own resolution; [`Heatmap::resized`] brings it to the image's.
#[derive(Clone, Copy, Debug)]
pub struct GradCam;

static GRAD_CAM: MethodInfo = MethodInfo {
    id: "grad-cam",
    title: "Grad-CAM",
    summary: "channels of the last feature map, weighted by the mean gradient of the class's logit",
    kind: Kind::Explanation,
    paper: Some(Paper { citation: "Selvaraju et al., 2017", url: "https://arxiv.org/abs/1610.02391" }),
    needs: &[Capability::FeatureMaps, Capability::Gradients],
    depends_on_class: true,
    signed: false,
    resolution: Resolution::FeatureMap,
    cost: Cost::Shared,
};

impl Attribution for GradCam {
    fn info(&self) -> &'static MethodInfo {
        &GRAD_CAM
    }

    fn explain(&self, evidence: &Evidence, targets: &[usize]) -> Result<Vec<Heatmap>, AnalysisError> {
        channels::summed(evidence, targets, |channel, slopes, sum| {
            let weight = slopes.iter().map(|&value| f64::from(value)).sum::<f64>() / slopes.len() as f64;
            sum.iter_mut().zip(channel).for_each(|(sum, &value)| *sum += weight * f64::from(value));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, assert_close, explained, pooled_vit, random_images};

    fn joined(heatmaps: impl Iterator<Item = Heatmap>) -> Vec<f32> {
        heatmaps.flat_map(|map| map.values).collect()
    }

    #[test]
    fn a_residual_networks_map_is_captums() {
        let fixture = Fixture::load();
        let maps = explained(&GradCam, &fixture.resnet(), fixture.images(), Some(&fixture.targets()));
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
            let maps = explained(&GradCam, &model, fixture.images(), Some(&fixture.targets()));
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
            let together = explained(&GradCam, &model, images.clone(), None);
            let logits = crate::answers::logits(&model, images.clone());
            let predicted = crate::answers::predicted_classes(&logits, 5);
            for image in 0..4 {
                let image_alone = images.clone().narrow(0, image, 1);
                let alone = explained(&GradCam, &model, image_alone, Some(&predicted[image..=image]));
                let scaled = [&alone[0], &together[image]].map(|map| map.min_max_scaled().values);
                assert_close(&scaled[0], &scaled[1], 1e-3);
            }
        }
    }
}
