//! Whole models on devices without kernels of ours, against the same models on the CPU: logits, and the gradient of every
//! array in training.
//!
//! Without one of the features `ndarray` and `vulkan` there is no such device, and this file is empty.
#![cfg(any(feature = "ndarray", feature = "vulkan"))]

#[path = "../../../ops/tests/common/devices.rs"]
mod devices;

use crate::common::{
    CLASSES, gradients_by_name, largest, largest_difference, random_images, random_model, tiny_cifar_resnet,
    tiny_efficientvit, tiny_resnet, tiny_vit, tiny_vit_comer, values,
};
use archaeo_models::{
    BranchKind, EfficientVitConfig, NetworkSpec, Pass, Probe, State, Stem, SwinConfig, TrainingStep,
    VitConfig,
};
use archaeo_ops::cross_entropy;
use burn::tensor::{Device, Int, Tensor};
use devices::other_devices;

/// A probe that requests every attention matrix, so that none may be skipped.
struct Watch;

impl Probe for Watch {
    fn attention(&mut self, _: &archaeo_models::AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        weights
    }
}

/// Results of a model on one device.
struct Outcome {
    logits: Vec<f32>,
    watched: Vec<f32>,
    gradients: State,
}

fn outcome(network: &NetworkSpec, size: usize, device: &Device) -> Outcome {
    let numbers = [1, 2, 3];
    let logits = |probe: &mut dyn Probe| {
        let model = random_model(network.clone(), size, 5, device);
        values(model.logits(random_images(&numbers, size, device), &mut Pass::evaluate(probe)))
    };
    let (logits, watched) = (logits(&mut ()), logits(&mut Watch));

    let device = device.clone().autodiff();
    let model = random_model(network.clone(), size, 5, &device);
    let mut step = TrainingStep::new(0, 0, numbers.to_vec());
    let labels = Tensor::<1, Int>::from_data([0, 1, 2], &device);
    let answers = model.logits(random_images(&numbers, size, &device), &mut Pass::train(&mut (), &mut step));
    let gradients = gradients_by_name(&model, &cross_entropy(answers, labels).backward());
    Outcome { logits, watched, gradients }
}

fn compare(what: &str, network: NetworkSpec, size: usize) {
    let ours = outcome(&network, size, &Device::flex());
    assert_eq!(ours.logits.len(), 3 * CLASSES);
    for device in other_devices() {
        let theirs = outcome(&network, size, &device);
        for (ours, theirs) in [(&ours.logits, &theirs.logits), (&ours.watched, &theirs.watched)] {
            let difference = largest_difference(theirs, ours);
            assert!(difference <= 1e-5, "{what} on {device:?}: logits differ by {difference:e}");
        }
        assert!(theirs.gradients.keys().eq(ours.gradients.keys()), "{what} on {device:?}");
        let overall = ours.gradients.values().map(|array| largest(&array.values)).fold(0.0, f32::max);
        for (name, array) in &ours.gradients {
            let difference = largest_difference(&theirs.gradients[name].values, &array.values) / overall;
            // Through the many batch norms of an EfficientViT rounding errors grow most.
            assert!(difference <= 2e-5, "{what} on {device:?}: gradient of {name} differs by {difference:e}");
        }
    }
}

#[test]
fn vit() {
    compare("ViT", NetworkSpec::Vit(VitConfig { drop_path: 0.5, dropout: 0.1, ..tiny_vit() }), 16);
}

#[test]
fn swin() {
    let config = SwinConfig {
        image_size: 28,
        window_size: 3,
        width: 8,
        depths: vec![2, 2],
        heads: vec![2, 4],
        mlp_ratio: 2,
        classes: CLASSES,
        drop_path: 0.5,
        ..SwinConfig::default()
    };
    compare("Swin", NetworkSpec::Swin(config), 28);
}

#[test]
fn efficientvit() {
    let config = EfficientVitConfig { window_size: 2, drop_path: 0.5, dropout: 0.1, ..tiny_efficientvit(48) };
    compare("EfficientViT", NetworkSpec::EfficientVit(config), 48);
}

#[test]
fn vit_comer() {
    compare("ViT-CoMer", NetworkSpec::VitComer(tiny_vit_comer(16, 4)), 16);
}

#[test]
fn resnets() {
    compare("ResNet", tiny_resnet(Stem::Imagenet, BranchKind::Basic), 40);
    compare("bottleneck ResNet", tiny_resnet(Stem::Cifar, BranchKind::Bottleneck), 16);
    compare("CIFAR ResNet", tiny_cifar_resnet(), 16);
}
