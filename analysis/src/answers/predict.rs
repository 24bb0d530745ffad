//! What a model says: logits and probabilities as plain numbers.

use archaeo_models::{Classifier, Pass};
use archaeo_ops::in_pool;
use burn::tensor::Tensor;

use crate::statistics::{first_largest, softmax};
use crate::tensors::values;

/// Logits of a batch, `(batch, classes)` row by row.
///
/// An image's logits depend on that image alone, up to the rounding of the device's matrix product.
pub fn logits(model: &Classifier, images: Tensor<4>) -> Vec<f32> {
    values(in_pool(|| model.logits(images, &mut Pass::evaluate(&mut ()))))
}

/// Softmax of every row of `logits`, `(batch, classes)` row by row.
pub fn probabilities(logits: &[f32], classes: usize) -> Vec<f64> {
    logits.chunks_exact(classes).flat_map(softmax).collect()
}

/// The class of the largest logit of every row; the lowest class among equals.
pub fn predicted_classes(logits: &[f32], classes: usize) -> Vec<usize> {
    logits.chunks_exact(classes).map(first_largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CLASSES, Fixture, assert_close, random_images};

    #[test]
    fn logits_are_pytorchs() {
        let fixture = Fixture::load();
        for (name, model) in [("vit_logits", fixture.vit()), ("resnet_logits", fixture.resnet())] {
            assert_close(&logits(&model, fixture.images()), fixture.values(name), 2e-5);
        }
    }

    #[test]
    fn an_images_logits_do_not_depend_on_its_batch() {
        let fixture = Fixture::load();
        let images = random_images(9, 1);
        for model in [fixture.vit(), fixture.resnet()] {
            let together = logits(&model, images.clone());
            for image in 0..9 {
                let alone = logits(&model, images.clone().narrow(0, image, 1));
                assert_close(&alone, &together[image * CLASSES..][..CLASSES], 1e-5);
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_large_logits_do_not_overflow() {
        let probabilities = probabilities(&[1000.0, 1000.0, 0.0, 0.0], 2);
        assert_eq!(probabilities, [0.5; 4]);
        assert_eq!(predicted_classes(&[1.0, 3.0, 2.0, 2.0], 2), [1, 0]);
    }
}
