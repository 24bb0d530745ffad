//! Recomputed blocks give the loss and gradients of the ordinary backward pass, to the last bit.

use std::collections::BTreeMap;

use crate::common::{
    CLASSES, gradients_by_name, random_images, random_model, tiny_cct, tiny_cifar_resnet, tiny_vit, values,
};
use archaeo_models::clip::ZeroShotConfig;
use archaeo_models::{
    BeitConfig, CctConfig, Classifier, FeedForward, NetworkSpec, Pass, Pooling, SwinConfig, TrainingStep,
    VitConfig,
};
use archaeo_ops::{Precision, soft_cross_entropy};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

const IMAGES: [u64; 3] = [21, 22, 23];

/// A loss, and the gradient of every parameter by name.
type Bits = (u32, BTreeMap<String, Vec<u32>>);

/// All of the model's random numbers are drawn in training.
fn restless(config: VitConfig) -> VitConfig {
    VitConfig { depth: 3, dropout: 0.2, attention_dropout: 0.1, drop_path: 0.4, ..config }
}

fn soft_loss(logits: Tensor<2>) -> Tensor<1> {
    let share = |i: usize| ((i * 7 % 5) as f32 + 0.5) / 12.5;
    let targets = (0..IMAGES.len() * CLASSES).map(share).collect::<Vec<f32>>();
    let targets = TensorData::new(targets, [IMAGES.len(), CLASSES]);
    soft_cross_entropy(logits.clone(), Tensor::from_data(targets, &logits.device()))
}

/// Both ways of one training step in the model's precision.
fn both_ways(model: &Classifier, image_size: usize) -> [Bits; 2] {
    let images = || random_images(&IMAGES, image_size, &Device::flex().autodiff());
    let step = || TrainingStep::new(9, 4, IMAGES.to_vec());
    let bits = |loss: Tensor<1>, parts: &[Gradients]| {
        let mut found = BTreeMap::new();
        for (name, array) in parts.iter().flat_map(|part| gradients_by_name(model, part)) {
            let bits = array.values.iter().map(|value| value.to_bits()).collect();
            assert!(found.insert(name.clone(), bits).is_none(), "{name} is in two parts");
        }
        (values(loss)[0].to_bits(), found)
    };
    let logits = model.logits(images(), &mut Pass::train(&mut (), &mut step()));
    let loss = soft_loss(logits);
    let gradients = loss.backward();
    let (recomputed, parts) =
        model.backward_by_block(images(), &mut step(), |features| soft_loss(model.head(features)));
    [bits(loss, &[gradients]), bits(recomputed, &parts)]
}

/// Compares both ways in both precisions; every parameter must have a gradient that is not zero throughout.
fn compare(network: NetworkSpec, image_size: usize) {
    let model = random_model(network.clone(), image_size, 3, &Device::flex().autodiff());
    let [exact, rounded] = [Precision::F32, Precision::Bf16].map(|precision| {
        let [(loss, gradients), (recomputed_loss, recomputed)] =
            both_ways(&model.clone().in_precision(precision), image_size);
        assert_eq!(loss, recomputed_loss, "{network:?}: the losses differ");
        assert_eq!(gradients.len(), archaeo_models::state_of(&model).len());
        assert!(gradients.keys().eq(recomputed.keys()), "{network:?}: {:?}", recomputed.keys());
        for (name, bits) in &gradients {
            assert!(bits.iter().any(|bits| f32::from_bits(*bits) != 0.0), "{network:?}: {name} is all zero");
            assert!(*bits == recomputed[name], "{network:?} in {precision:?}: {name} differs");
        }
        loss
    });
    assert_ne!(exact, rounded, "bf16 was not in force");
}

#[test]
fn vision_transformers() {
    compare(NetworkSpec::Vit(restless(tiny_vit())), 16);
    // Without dropout in the MLPs, another kernel is used.
    compare(NetworkSpec::Vit(VitConfig { dropout: 0.0, attention_dropout: 0.0, ..restless(tiny_vit()) }), 16);
    compare(NetworkSpec::Vit(VitConfig { depth: 1, ..tiny_vit() }), 16);
}

#[test]
fn vision_transformers_with_every_token_norm_and_pooling() {
    let variants = [
        VitConfig { distilled: true, registers: 2, ..tiny_vit() },
        VitConfig { layer_scale: true, feed_forward: FeedForward::SwiGlu, ..tiny_vit() },
        VitConfig { pooling: Pooling::ClassTokenAndMean, norm_after_pooling: true, ..tiny_vit() },
        VitConfig { pooling: Pooling::Mean, pre_norm: true, ..tiny_vit() },
    ];
    for config in variants {
        compare(NetworkSpec::Vit(restless(config)), 16);
    }
}

#[test]
fn beit() {
    let config = BeitConfig {
        image_size: 16,
        patch_size: 4,
        width: 32,
        depth: 3,
        heads: 2,
        mlp_width: 64,
        classes: CLASSES,
        epsilon: 1e-6,
        drop_path: 0.4,
    };
    compare(NetworkSpec::Beit(config), 16);
}

#[test]
fn compact_convolutional_transformer() {
    let restless = CctConfig { depth: 3, dropout: 0.2, attention_dropout: 0.1, drop_path: 0.4, ..tiny_cct() };
    compare(NetworkSpec::Cct(restless), 16);
}

#[test]
fn swin_with_its_merging_between_stages() {
    let config = SwinConfig {
        image_size: 28,
        window_size: 3,
        width: 8,
        depths: vec![2, 1, 2],
        heads: vec![2, 2, 4],
        mlp_ratio: 2,
        classes: CLASSES,
        dropout: 0.2,
        attention_dropout: 0.1,
        drop_path: 0.4,
        ..SwinConfig::default()
    };
    compare(NetworkSpec::Swin(config), 28);
}

#[test]
fn image_tower_of_clip() {
    let image = VitConfig { pre_norm: true, classes: 0, ..restless(tiny_vit()) };
    compare(NetworkSpec::ZeroShot(ZeroShotConfig { image, embedding: 12, classes: CLASSES }), 16);
}

#[test]
fn residual_networks_are_no_sequence_of_blocks() {
    assert!(random_model(tiny_cifar_resnet(), 16, 3, &Device::flex()).network.transformer().is_none());
}
