//! A model reads exactly the tokens it declares: those of the last block with a nonzero gradient of the logits.

use crate::common::{random_images, random_model, tiny_beit, tiny_swin, tiny_vit, tiny_zero_shot, values};
use archaeo_models::{
    AttentionSite, Classifier, NetworkSpec, Pass, Pooling, Position, Probe, TokenPlace, TokenSite, VitConfig,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Adds zeros that require a gradient to the output of the last block.
struct LastTokens {
    depth: usize,
    zeros: Option<Tensor<3>>,
    site: Option<AttentionSite>,
}

impl Probe for LastTokens {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.site = Some(*site);
        weights
    }
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer + 1 != self.depth || site.place != TokenPlace::BlockOutput {
            return tokens;
        }
        let zeros = tokens.clone().inner().zeros_like().autodiff().require_grad();
        self.zeros = Some(zeros.clone());
        tokens + zeros
    }
}

/// The declared share of each token of the last block, and the size of its gradient.
fn told_and_found(network: NetworkSpec) -> (Vec<f64>, Vec<f32>) {
    let device = Device::flex().autodiff();
    let image_size = network.image_size().unwrap();
    let depth = network.attention_layers();
    let model: Classifier = random_model(network, image_size, 3, &device).freeze();
    let mut probe = LastTokens { depth, zeros: None, site: None };
    let logits = model.logits(random_images(&[0], image_size, &device), &mut Pass::evaluate(&mut probe));
    let gradients = logits.narrow(1, 1, 1).sum().backward();
    let gradient = probe.zeros.unwrap().grad(&gradients).unwrap();
    let [_, tokens, width] = gradient.dims();
    let sizes = values(gradient).chunks(width).map(|row| row.iter().map(|g| g.abs()).sum()).collect();
    let site = probe.site.unwrap();
    let told = site.read_out_weights();
    assert_eq!(told.len(), tokens);
    let transformer = model.network.transformer().unwrap();
    assert_eq!((transformer.prefix(), transformer.read_out()), (site.prefix, site.read_out));
    (told, sizes)
}

/// Heads of models for 4 × 4 patches, by name; of each the shares of class token, distillation token and registers (as far
/// as it has them) and of one patch.
fn kinds() -> Vec<(&'static str, NetworkSpec, Vec<f64>, f64)> {
    let vit = |change: VitConfig| NetworkSpec::Vit(change);
    let position = Position::LearnedOnPatches;
    let mean = 1.0 / 16.0;
    vec![
        ("class token", vit(tiny_vit()), vec![1.0], 0.0),
        ("mean", vit(VitConfig { pooling: Pooling::Mean, ..tiny_vit() }), vec![], mean),
        (
            "mean next to a class token",
            vit(VitConfig { pooling: Pooling::MeanBesideClassToken, ..tiny_vit() }),
            vec![0.0],
            mean,
        ),
        (
            "mean next to a class token, norm after pooling",
            vit(VitConfig { pooling: Pooling::MeanBesideClassToken, norm_after_pooling: true, ..tiny_vit() }),
            vec![0.0],
            mean,
        ),
        (
            "class token and mean",
            vit(VitConfig { pooling: Pooling::ClassTokenAndMean, ..tiny_vit() }),
            vec![0.5],
            mean / 2.0,
        ),
        ("distilled", vit(VitConfig { distilled: true, ..tiny_vit() }), vec![0.5, 0.5], 0.0),
        (
            "distilled, a backbone",
            vit(VitConfig { distilled: true, classes: 0, ..tiny_vit() }),
            vec![1.0, 0.0],
            0.0,
        ),
        (
            "registers next to a class token",
            vit(VitConfig { registers: 2, position, ..tiny_vit() }),
            vec![1.0, 0.0, 0.0],
            0.0,
        ),
        (
            "registers without a class token",
            vit(VitConfig { pooling: Pooling::Mean, registers: 3, position, ..tiny_vit() }),
            vec![0.0; 3],
            mean,
        ),
        (
            "distilled with registers",
            vit(VitConfig { distilled: true, registers: 1, ..tiny_vit() }),
            vec![0.5, 0.5, 0.0],
            0.0,
        ),
        ("BEiT", NetworkSpec::Beit(tiny_beit()), vec![0.0], mean),
        ("Swin", NetworkSpec::Swin(tiny_swin()), vec![], mean),
        ("CLIP", NetworkSpec::ZeroShot(tiny_zero_shot()), vec![1.0], 0.0),
    ]
}

#[test]
fn every_kind_of_model_reads_the_tokens_that_it_says_it_reads() {
    for (name, network, prefix, patch) in kinds() {
        let (told, found) = told_and_found(network);
        let expected: Vec<f64> = prefix.into_iter().chain([patch; 16]).collect();
        assert_eq!(told, expected, "{name}");
        for (token, (share, gradient)) in told.iter().zip(&found).enumerate() {
            assert_eq!(*share > 0.0, *gradient > 0.0, "{name}, token {token}: {share} but {gradient}");
        }
        assert!((told.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{name}");
    }
}
