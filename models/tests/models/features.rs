//! A model's features are the input of its head: features and logits are computed here in double precision from the output of the
//! last block and the named arrays.

use crate::common::{random_images, random_model, tiny_networks, tiny_vit, values};
use archaeo_models::{
    FeatureSite, NetworkSpec, Pass, Pooling, Probe, State, TokenPlace, TokenSite, VitConfig, state_of,
};
use archaeo_ops::Precision;
use burn::tensor::{Device, Tensor};

const IMAGES: [u64; 3] = [5, 6, 7];

/// Records the output of the last block: rows of tokens, or channels of positions.
#[derive(Default)]
struct LastBlock {
    /// Rows and columns of one image.
    shape: [usize; 2],
    values: Vec<f64>,
}

impl LastBlock {
    fn keep<const D: usize>(&mut self, x: &Tensor<D>, shape: [usize; 2]) {
        self.shape = shape;
        self.values = values(x.clone()).into_iter().map(f64::from).collect();
    }

    fn images(&self) -> Vec<Vec<Vec<f64>>> {
        let [rows, columns] = self.shape;
        let of_image = |image: &[f64]| image.chunks(columns).map(<[f64]>::to_vec).collect();
        self.values.chunks(rows * columns).map(of_image).collect()
    }
}

impl Probe for LastBlock {
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.place == TokenPlace::BlockOutput {
            let [_, count, width] = tokens.dims();
            self.keep(&tokens, [count, width]);
        }
        tokens
    }

    fn features(&mut self, _: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = map.dims();
        self.keep(&map, [channels, height * width]);
        map
    }
}

fn array(state: &State, name: &str) -> Vec<f64> {
    let array = state.get(name).unwrap_or_else(|| panic!("the model has no `{name}`"));
    array.values.iter().map(|&value| f64::from(value)).collect()
}

/// `weight · x + bias` with the arrays of a layer; without a bias where there is none.
fn linear(state: &State, layer: &str, x: &[f64]) -> Vec<f64> {
    let weight = array(state, &format!("{layer}.weight"));
    let bias = format!("{layer}.bias");
    let bias =
        if state.contains_key(&bias) { array(state, &bias) } else { vec![0.0; weight.len() / x.len()] };
    let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    weight.chunks(x.len()).zip(bias).map(|(row, bias)| dot(row) + bias).collect()
}

fn layer_norm(state: &State, layer: &str, epsilon: f64, x: &[f64]) -> Vec<f64> {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let [weight, bias] = ["weight", "bias"].map(|part| array(state, &format!("{layer}.{part}")));
    let normed = x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt());
    normed.zip(weight.iter().zip(&bias)).map(|(x, (weight, bias))| x * weight + bias).collect()
}

fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len()).map(|at| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64).collect()
}

fn unit(x: &[f64]) -> Vec<f64> {
    let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter().map(|x| x / length).collect()
}

/// Pooled tokens of a ViT whose arrays' names begin with `at`.
fn pooled(state: &State, at: &str, config: &VitConfig, tokens: &[Vec<f64>]) -> Vec<f64> {
    let norm = |layer: &str, x: &[f64]| layer_norm(state, &format!("{at}{layer}"), config.epsilon, x);
    let tokens: Vec<Vec<f64>> = match config.norm_after_pooling {
        true => tokens.to_vec(),
        false => tokens.iter().map(|token| norm("norm", token)).collect(),
    };
    let patches = mean(&tokens[config.prefix_tokens()..]);
    let read = match config.pooling {
        Pooling::ClassToken => tokens[0].clone(),
        Pooling::Mean | Pooling::MeanBesideClassToken => patches,
        Pooling::ClassTokenAndMean => [tokens[0].clone(), patches].concat(),
    };
    let read = if config.norm_after_pooling { norm("fc_norm", &read) } else { read };
    if config.distilled && config.classes > 0 { [read, tokens[1].clone()].concat() } else { read }
}

/// Features and logits of one image, from the output of its last block; by default the mean of a map and `head`.
fn reference(network: &NetworkSpec, state: &State, last: &[Vec<f64>]) -> [Vec<f64>; 2] {
    let features = match network {
        NetworkSpec::Vit(config) => pooled(state, "", config, last),
        NetworkSpec::Beit(config) => layer_norm(state, "fc_norm", config.epsilon, &mean(&last[1..])),
        NetworkSpec::Cct(_) => {
            let tokens: Vec<Vec<f64>> =
                last.iter().map(|token| layer_norm(state, "norm", 1e-5, token)).collect();
            let scores = tokens.iter().map(|token| linear(state, "attention_pool", token)[0].exp());
            let scores: Vec<f64> = scores.collect();
            let share = tokens.len() as f64 / scores.iter().sum::<f64>();
            let weighted = tokens
                .iter()
                .zip(&scores)
                .map(|(token, score)| token.iter().map(|x| x * score * share).collect());
            mean(&weighted.collect::<Vec<_>>())
        }
        NetworkSpec::Swin(_) => {
            mean(&last.iter().map(|token| layer_norm(state, "norm", 1e-5, token)).collect::<Vec<_>>())
        }
        NetworkSpec::EfficientVit(_) => {
            let [weight, bias, center, variance] = ["weight", "bias", "running_mean", "running_var"]
                .map(|part| array(state, &format!("head.bn.{part}")));
            let norm = |(at, x): (usize, f64)| {
                (x - center[at]) / (variance[at] + 1e-5).sqrt() * weight[at] + bias[at]
            };
            mean(last).into_iter().enumerate().map(norm).collect()
        }
        NetworkSpec::Airbench(_) => {
            last.iter().map(|channel| channel.iter().copied().fold(f64::MIN, f64::max) / 9.0).collect()
        }
        NetworkSpec::ZeroShot(config) => {
            unit(&linear(state, "visual_projection", &pooled(state, "visual.", &config.image, last)))
        }
        _ => last.iter().map(|channel| channel.iter().sum::<f64>() / channel.len() as f64).collect(),
    };
    let logits = match network {
        _ if network.classes() == 0 => features.clone(),
        NetworkSpec::Vit(config) if config.distilled => {
            let (class, distillation) = features.split_at(config.width);
            let pair = [linear(state, "head", class), linear(state, "head_dist", distillation)];
            mean(&pair)
        }
        NetworkSpec::ZeroShot(_) => {
            let scale = array(state, "logit_scale")[0].exp();
            let prototypes = array(state, "prototypes");
            let cosine = |row: &[f64]| unit(row).iter().zip(&features).map(|(a, b)| a * b).sum::<f64>();
            prototypes.chunks(features.len()).map(|row| scale * cosine(row)).collect()
        }
        NetworkSpec::Swin(_) => linear(state, "head.fc", &features),
        NetworkSpec::EfficientVit(_) => linear(state, "head.linear", &features),
        NetworkSpec::Resnet(_) => linear(state, "fc", &features),
        NetworkSpec::CifarResnet(_) => linear(state, "linear", &features),
        _ => linear(state, "head", &features),
    };
    [features, logits]
}

/// Models of every architecture, and the other poolings of a ViT.
fn networks() -> Vec<(&'static str, NetworkSpec)> {
    let vit = |config: VitConfig| NetworkSpec::Vit(config);
    let others = [
        ("mean", vit(VitConfig { pooling: Pooling::Mean, ..tiny_vit() })),
        (
            "norm after pooling",
            vit(VitConfig { pooling: Pooling::MeanBesideClassToken, norm_after_pooling: true, ..tiny_vit() }),
        ),
        ("class token and mean", vit(VitConfig { pooling: Pooling::ClassTokenAndMean, ..tiny_vit() })),
        ("registers", vit(VitConfig { pooling: Pooling::MeanBesideClassToken, registers: 2, ..tiny_vit() })),
        ("backbone", vit(VitConfig { classes: 0, ..tiny_vit() })),
        ("distilled backbone", vit(VitConfig { classes: 0, distilled: true, ..tiny_vit() })),
    ];
    tiny_networks().into_iter().chain(others).collect()
}

fn assert_close(what: &str, ours: &[f32], exact: &[f64]) {
    assert_eq!(ours.len(), exact.len(), "{what}");
    let largest = exact.iter().fold(0.0f64, |largest, value| value.abs().max(largest));
    for (at, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        assert!((f64::from(*ours) - exact).abs() <= 1e-5 * largest, "{what}[{at}]: {ours}, exactly {exact}");
    }
}

#[test]
fn features_and_logits_are_what_the_last_block_and_the_arrays_say() {
    let device = Device::flex();
    for (name, network) in networks() {
        let model = random_model(network.clone(), 16, 2, &device);
        let mut last = LastBlock::default();
        let images = || random_images(&IMAGES, 16, &device);
        let features = model.features(images(), &mut Pass::evaluate(&mut last));
        assert_eq!(features.dims(), [IMAGES.len(), model.feature_dim()], "{name}");
        let (state, last) = (state_of(&model), last.images());
        let exact: Vec<_> = last.iter().map(|last| reference(&network, &state, last)).collect();
        let all = |part: usize| exact.iter().flat_map(|image| image[part].clone()).collect::<Vec<f64>>();
        assert_close(&format!("features of {name}"), &values(features), &all(0));
        let logits = model.logits(images(), &mut Pass::evaluate(&mut ()));
        assert_close(&format!("logits of {name}"), &values(logits), &all(1));
    }
}

#[test]
fn the_head_makes_of_the_features_the_bits_of_the_logits() {
    let device = Device::flex();
    for (name, network) in networks() {
        for precision in [Precision::F32, Precision::Bf16] {
            let model = random_model(network.clone(), 16, 2, &device).in_precision(precision);
            let images = || random_images(&IMAGES, 16, &device);
            let features = model.features(images(), &mut Pass::evaluate(&mut ()));
            let logits = model.logits(images(), &mut Pass::evaluate(&mut ()));
            assert_eq!(values(model.head(features)), values(logits), "{name} in {precision:?}");
        }
    }
}
