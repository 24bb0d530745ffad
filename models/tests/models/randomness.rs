//! An image's results do not depend on other images of the batch, in evaluation or in training.

use crate::common::{
    CLASSES, largest_difference, random_images, random_model, tiny_cifar_resnet, tiny_resnet, tiny_vit,
    values,
};
use archaeo_models::{BranchKind, Classifier, NetworkSpec, Pass, Stem, TrainingStep, VitConfig};
use burn::tensor::Device;

fn restless_vit() -> Classifier {
    let config = VitConfig { dropout: 0.2, attention_dropout: 0.2, drop_path: 0.4, ..tiny_vit() };
    random_model(NetworkSpec::Vit(config), 16, 1, &Device::flex())
}

fn train(model: &Classifier, step: u64, images: &[u64]) -> Vec<f32> {
    let mut training = TrainingStep::new(9, step, images.to_vec());
    let pixels = random_images(images, 16, &Device::flex());
    values(model.logits(pixels, &mut Pass::train(&mut (), &mut training)))
}

#[test]
fn dropout_and_stochastic_depth_are_keyed_by_image_and_step() {
    let model = restless_vit();
    let together = train(&model, 4, &[10, 11, 12, 13]);
    for (row, image) in [10, 11, 12, 13].into_iter().enumerate() {
        let alone = train(&model, 4, &[image]);
        let row = &together[row * CLASSES..(row + 1) * CLASSES];
        assert!(largest_difference(&alone, row) < 1e-5, "image {image} depends on its batch");
        assert!(largest_difference(&alone, &train(&model, 5, &[image])) > 1e-2, "every step draws anew");
    }
    let reversed = train(&model, 4, &[13, 12, 11, 10]);
    assert!(largest_difference(&reversed[..CLASSES], &together[3 * CLASSES..]) < 1e-5);
}

#[test]
fn two_images_of_equal_pixels_draw_apart() {
    let model = restless_vit();
    let device = Device::flex();
    let pixels = random_images(&[10, 10], 16, &device);
    let mut training = TrainingStep::new(9, 0, vec![1, 2]);
    let logits = values(model.logits(pixels, &mut Pass::train(&mut (), &mut training)));
    assert!(largest_difference(&logits[..CLASSES], &logits[CLASSES..]) > 1e-2);
}

#[test]
fn evaluation_draws_nothing() {
    let device = Device::flex();
    let images = random_images(&[1, 2, 3], 16, &device);
    let calm = random_model(NetworkSpec::Vit(tiny_vit()), 16, 1, &device);
    let evaluate = |model: &Classifier| values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
    assert_eq!(evaluate(&restless_vit()), evaluate(&calm));
}

#[test]
fn logits_do_not_depend_on_the_batch_size() {
    let device = Device::flex();
    let numbers: Vec<u64> = (0..64).collect();
    let specs = [
        NetworkSpec::Vit(tiny_vit()),
        tiny_resnet(Stem::Imagenet, BranchKind::Basic),
        tiny_resnet(Stem::Cifar, BranchKind::Bottleneck),
        tiny_cifar_resnet(),
    ];
    for spec in specs {
        let model = random_model(spec.clone(), 16, 2, &device);
        let evaluate = |numbers: &[u64]| {
            values(model.logits(random_images(numbers, 16, &device), &mut Pass::evaluate(&mut ())))
        };
        let alone: Vec<f32> = numbers.iter().flat_map(|number| evaluate(&[*number])).collect();
        assert!(largest_difference(&evaluate(&numbers), &alone) <= 1e-5, "{spec:?}");
    }
}
