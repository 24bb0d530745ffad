//! What tests share: the tiny models of `tests/fixtures/make_attribution.py` and `make_swin_attribution.py` and what other programs say of them.

use std::path::Path;

use archaeo_models::{
    AttentionSite, BranchKind, Classifier, EfficientVitConfig, ModelCard, NetworkSpec, Pooling, PrefixTokens,
    Preprocessing, Probe, ReadOut, ResNetConfig, State, Stem, SwinConfig, VitConfig, read_arrays, state_of,
    with_state,
};
use archaeo_random::{keyed_rng, standard_normal};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::ablation::RemovalPoint;
use crate::attention::{AttentionMaps, LayerMaps};
use crate::attribution::{Attribution, Evidence, Heatmap};
use crate::{AnalysisError, Keys};

pub(crate) const CLASSES: usize = 5;

pub(crate) struct Fixture(State);

impl Fixture {
    pub(crate) fn load() -> Self {
        Self::read("attribution.safetensors")
    }

    /// Of `make_swin_attribution.py`.
    pub(crate) fn load_swin() -> Self {
        Self::read("swin_attribution.safetensors")
    }

    fn read(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
        Self(read_arrays(&path).unwrap().0)
    }

    /// Windows of 3 on grids of 7, 4 and 2 tokens a side, from images of 28 px.
    pub(crate) fn swin(&self) -> Classifier {
        let sizes = SwinConfig {
            image_size: 28,
            window_size: 3,
            width: 8,
            depths: vec![2; 3],
            heads: vec![2, 2, 4],
            mlp_ratio: 2,
            classes: CLASSES,
            ..SwinConfig::default()
        };
        self.model("swin.", NetworkSpec::Swin(sizes))
    }

    pub(crate) fn values(&self, name: &str) -> &[f32] {
        &self.0[name].values
    }

    pub(crate) fn images(&self) -> Tensor<4> {
        let array = &self.0["images"];
        Tensor::from_data(TensorData::new(array.values.clone(), array.shape.clone()), &Device::flex())
    }

    pub(crate) fn targets(&self) -> Vec<usize> {
        self.values("targets").iter().map(|&target| target as usize).collect()
    }

    pub(crate) fn vit(&self) -> Classifier {
        self.model("vit.", NetworkSpec::Vit(vit_config(Pooling::ClassToken)))
    }

    pub(crate) fn resnet(&self) -> Classifier {
        let (stem, branch) = (Stem::Cifar, BranchKind::Basic);
        let config = ResNetConfig { stem, branch, blocks: [1; 4], width: 4, classes: CLASSES };
        self.model("resnet.", NetworkSpec::Resnet(config))
    }

    pub(crate) fn attention(&self, name: &str) -> AttentionMaps {
        let array = &self.0[name];
        let [layers, images, heads, places] = [0, 1, 2, 3].map(|axis| array.shape[axis]);
        let values = array.values.chunks_exact(array.values.len() / layers);
        let layer = |(layer, values): (usize, &[f32])| LayerMaps {
            site: class_token_site(layer, [4, 4]),
            heads,
            windows: 1,
            places,
            values: values.to_vec(),
        };
        AttentionMaps { images, image_size: [32, 32], layers: values.enumerate().map(layer).collect() }
    }

    fn model(&self, prefix: &str, network: NetworkSpec) -> Classifier {
        let arrays = self.0.iter();
        let state =
            arrays.filter_map(|(name, array)| Some((name.strip_prefix(prefix)?.to_owned(), array.clone())));
        with_state(blank(network), state.collect()).unwrap()
    }
}

pub(crate) fn vit_config(pooling: Pooling) -> VitConfig {
    VitConfig {
        image_size: 32,
        patch_size: 8,
        width: 32,
        depth: 3,
        heads: 4,
        mlp_width: 64,
        classes: CLASSES,
        pooling,
        ..VitConfig::default()
    }
}

fn blank(network: NetworkSpec) -> Classifier {
    let classes = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let preprocessing = Preprocessing::plain(network.image_size().unwrap_or(32));
    let card = ModelCard { name: "tiny".into(), network, preprocessing, classes };
    Classifier::new(card, 0, &Device::flex()).unwrap()
}

/// A model with random values in every array, large enough that attention is far from uniform.
pub(crate) fn random_values(network: NetworkSpec) -> Classifier {
    let model = blank(network);
    let mut state = state_of(&model);
    for (name, array) in &mut state {
        let mut rng = keyed_rng(11, name, 0, 1);
        let fan_in: usize = array.shape[1..].iter().product();
        for value in &mut array.values {
            let draw = standard_normal(&mut rng);
            *value = match array.shape.len() {
                1 if name.ends_with("running_var") => 1.0 + 0.2 * draw.abs(),
                1 if name.ends_with("weight") => 1.0 + 0.2 * draw,
                1 => 0.2 * draw,
                2 => 1.7 * draw / (fan_in as f64).sqrt(),
                3 => draw,
                _ => 1.5 * draw / (fan_in as f64).sqrt(),
            } as f32;
        }
    }
    with_state(model, state).unwrap()
}

/// An EfficientViT of random values: two stages with windows of 2 tokens, of which the first has a map of 3 × 3.
pub(crate) fn efficientvit() -> Classifier {
    let sizes = EfficientVitConfig {
        image_size: 48,
        widths: vec![16, 24],
        depths: vec![1, 1],
        heads: vec![2, 3],
        kernels: vec![5, 3, 3],
        key_dim: 4,
        window_size: 2,
        classes: 5,
        ..EfficientVitConfig::default()
    };
    // Without norms in the stream its branches would add up to answers that are certain.
    let model = random_values(NetworkSpec::EfficientVit(sizes));
    let mut state = state_of(&model);
    for (name, array) in state.iter_mut().filter(|(_, array)| array.shape.len() > 1) {
        let factor = if name.starts_with("head") { 0.2 } else { 0.6 };
        array.values.iter_mut().for_each(|value| *value *= factor);
    }
    with_state(model, state).unwrap()
}

/// A model with some of its arrays multiplied: each name with the values that are, and by what.
pub(crate) fn scaled(
    model: &Classifier,
    arrays: &[(String, &dyn Fn(usize) -> bool)],
    factor: f32,
) -> Classifier {
    let mut state = state_of(model);
    for (name, concerned) in arrays {
        let values = &mut state.get_mut(name).unwrap_or_else(|| panic!("the model has no `{name}`")).values;
        values
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| concerned(*at))
            .for_each(|(_, value)| *value *= factor);
    }
    with_state(model.clone(), state).unwrap()
}

/// [`efficientvit`] with what one head returns, or what it adds to the residual stream, multiplied by a factor of at least 0: its values,
/// or its columns of the projection, before which a ReLU stands.
pub(crate) fn with_head_scaled(
    model: &Classifier,
    (layer, head): (usize, usize),
    point: RemovalPoint,
    factor: f32,
) -> Classifier {
    let (width, heads, attn) =
        ([16, 24][layer], [2, 3][layer], format!("stages.{layer}.blocks.0.mixer.m.attn"));
    let value_dim = width / heads;
    match point {
        RemovalPoint::Output => {
            let of_values = |at: usize| at >= 8;
            let name = |part| format!("{attn}.qkvs.{head}.bn.{part}");
            scaled(model, &[(name("weight"), &of_values), (name("bias"), &of_values)], factor)
        }
        RemovalPoint::Contribution => {
            let of_head = |at: usize| (at % width) / value_dim == head;
            scaled(model, &[(format!("{attn}.proj.1.conv.weight"), &of_head)], factor)
        }
    }
}

/// Random images of a side of `size` pixels.
pub(crate) fn images_of(count: usize, size: usize) -> Tensor<4> {
    let mut pixels = Vec::new();
    for image in 0..count as u64 {
        let mut rng = keyed_rng(5, "image of a size", image, 0);
        pixels.extend((0..3 * size * size).map(|_| (0.5 + 0.2 * standard_normal(&mut rng)) as f32));
    }
    Tensor::from_data(TensorData::new(pixels, [count, 3, size, size]), &Device::flex())
}

/// A freshly initialised ViT without a class token.
pub(crate) fn pooled_vit() -> Classifier {
    blank(NetworkSpec::Vit(vit_config(Pooling::Mean)))
}

/// Random images of 8 bits a channel.
pub(crate) fn random_images(count: usize, seed: u64) -> Tensor<4> {
    let mut rng = keyed_rng(seed, "test images", 0, 0);
    let values: Vec<f32> = (0..count * 3 * 32 * 32).map(|_| f32::from(rng.random::<u8>()) / 255.0).collect();
    Tensor::from_data(TensorData::new(values, [count, 3, 32, 32]), &Device::flex())
}

/// A site of a model that reads a class token, its only prefix token.
pub(crate) fn class_token_site(layer: usize, grid: [usize; 2]) -> AttentionSite {
    let (prefix, read_out) = (PrefixTokens::CLASS, ReadOut::ClassToken);
    AttentionSite { layer, grid, prefix, read_out, window: None }
}

/// Attention with random rows that sum to one, over 2 × 3 patches.
pub(crate) fn random_attention(
    images: usize,
    heads: usize,
    prefix: PrefixTokens,
    read_out: ReadOut,
) -> AttentionMaps {
    let tokens = prefix.count() + 6;
    let mut rng = keyed_rng(3, "test attention", 0, 0);
    let mut layer = |layer: usize| {
        let rows = (0..images * heads * tokens).flat_map(|_| {
            let weights: Vec<f32> = (0..tokens).map(|_| rng.random::<f32>().powi(4)).collect();
            let sum: f32 = weights.iter().sum();
            weights.into_iter().map(move |weight| weight / sum)
        });
        let site = AttentionSite { layer, grid: [2, 3], prefix, read_out, window: None };
        LayerMaps { site, heads, windows: 1, places: tokens, values: rows.collect() }
    };
    AttentionMaps { images, image_size: [16, 24], layers: (0..3).map(&mut layer).collect() }
}

impl AttentionMaps {
    pub(crate) fn record(model: &Classifier, images: Tensor<4>) -> Result<Self, AnalysisError> {
        with_evidence(model, images, |evidence| evidence.attention().cloned())
    }

    pub(crate) fn record_with_gradients(
        model: &Classifier,
        images: Tensor<4>,
        targets: &[usize],
    ) -> Result<(Self, Self), AnalysisError> {
        with_evidence(model, images, |evidence| {
            let gradients = evidence.attention_gradients(targets)?;
            Ok((evidence.attention()?.clone(), AttentionMaps::clone(&gradients)))
        })
    }
}

/// Of images that are numbered from 0.
pub(crate) fn with_evidence<T>(model: &Classifier, images: Tensor<4>, ask: impl FnOnce(&Evidence) -> T) -> T {
    let ids: Vec<u64> = (0..images.dims()[0] as u64).collect();
    ask(&Evidence::new(model, images, Keys { seed: 0, images: &ids }))
}

/// A model without a head.
pub(crate) fn headless_vit() -> Classifier {
    let network = NetworkSpec::Vit(VitConfig { classes: 0, ..vit_config(Pooling::ClassToken) });
    let preprocessing = Preprocessing::plain(32);
    let card = ModelCard { name: "headless".into(), network, preprocessing, classes: Vec::new() };
    Classifier::new(card, 0, &Device::flex()).unwrap()
}

/// Values of all heatmaps, one after the other.
pub(crate) fn joined(heatmaps: &[Heatmap]) -> Vec<f32> {
    heatmaps.iter().flat_map(|map| map.values.iter().copied()).collect()
}

/// What other programs say of methods, by `make_methods.py`, with the tiny models that it says it of.
pub(crate) struct MethodFixture {
    own: Fixture,
    vit_and_resnet: Fixture,
    swin: Fixture,
}

/// A tiny model with what it is asked about.
pub(crate) struct Subject {
    pub name: &'static str,
    pub model: Classifier,
    pub images: Tensor<4>,
    pub targets: Vec<usize>,
}

impl MethodFixture {
    pub(crate) fn load() -> Self {
        Self {
            own: Fixture::read("methods.safetensors"),
            vit_and_resnet: Fixture::load(),
            swin: Fixture::load_swin(),
        }
    }

    /// A ViT that reads its class token first.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let (first, images) = (&self.vit_and_resnet, self.vit_and_resnet.images().narrow(0, 0, 2));
        let small = |pooling, distilled| {
            let sizes =
                VitConfig { width: 16, depth: 2, heads: 2, mlp_width: 32, distilled, ..vit_config(pooling) };
            NetworkSpec::Vit(sizes)
        };
        let of = |name, model| Subject {
            name,
            model,
            images: images.clone(),
            targets: first.targets()[..2].to_vec(),
        };
        let (mean, distilled) = (small(Pooling::Mean, false), small(Pooling::ClassToken, true));
        vec![
            of("vit", first.vit()),
            of("mean", self.own.model("mean_model.", mean)),
            of("distilled", self.own.model("distilled_model.", distilled)),
            of("resnet", first.resnet()),
            Subject {
                name: "swin",
                model: self.swin.swin(),
                images: self.swin.images(),
                targets: self.swin.targets(),
            },
        ]
    }

    /// What is known of `name` by `method`; `None` where nothing is.
    pub(crate) fn find(&self, name: &str) -> Option<&[f32]> {
        self.own.0.get(name).map(|array| array.values.as_slice())
    }

    pub(crate) fn values(&self, name: &str) -> &[f32] {
        self.own.values(name)
    }
}

/// A method's heatmaps of images numbered from 0, for the class that the model names where `targets` is `None`.
pub(crate) fn explained(
    method: &dyn Attribution,
    model: &Classifier,
    images: Tensor<4>,
    targets: Option<&[usize]>,
) -> Vec<Heatmap> {
    with_evidence(model, images, |evidence| match targets {
        Some(targets) => method.explain(evidence, targets),
        None => method.explain_predicted(evidence),
    })
    .unwrap()
}

/// Absolute and relative tolerance alike.
#[track_caller]
pub(crate) fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len());
    for (index, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "at {index}: {a} is not within {tolerance} of {b}"
        );
    }
}

/// Within `tolerance` of the largest magnitude that is expected.
#[track_caller]
pub(crate) fn assert_relative(actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len());
    let scale = expected.iter().map(|value| value.abs()).fold(0.0, f32::max);
    assert!(scale > 0.0, "nothing but zeros tells nothing");
    for (index, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "at {index}: {a}, not {b}, on a scale of {scale}");
    }
}

/// Sets head `.1` of layer `.0` to zero by multiplication, from the first layer on: another way than the ablation's.
pub(crate) struct Silenced(pub usize, pub usize);

impl Probe for Silenced {
    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if site.layer != self.0 {
            return outputs;
        }
        let heads = outputs.dims()[1];
        let mask: Vec<f32> = (0..heads).map(|head| f32::from(u8::from(head != self.1))).collect();
        let mask: Tensor<4> = Tensor::from_data(TensorData::new(mask, [1, heads, 1, 1]), &outputs.device());
        outputs * mask
    }
}
