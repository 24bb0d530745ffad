//! What a probe sees and may change, and the correctness of tapped gradients.

use crate::common::{
    CLASSES, largest_difference, random_images, random_model, tiny_cifar_resnet, tiny_resnet, tiny_vit,
    values,
};
use archaeo_models::{
    Array, AttentionSite, BranchKind, Classifier, FeatureSite, NetworkSpec, Pass, PrefixTokens, Probe,
    ReadOut, Stem, TokenPlace, TokenSite, TrainingStep, scaled_dot_product_attention, state_of, with_state,
};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};

fn vit(device: &Device) -> Classifier {
    random_model(NetworkSpec::Vit(tiny_vit()), 16, 3, device)
}

fn every_architecture(device: &Device) -> Vec<Classifier> {
    let specs = [
        tiny_resnet(Stem::Imagenet, BranchKind::Basic),
        tiny_resnet(Stem::Cifar, BranchKind::Bottleneck),
        tiny_cifar_resnet(),
    ];
    let mut models = vec![vit(device)];
    models.extend(specs.into_iter().map(|spec| random_model(spec, 16, 3, device)));
    models
}

fn evaluate(model: &Classifier, images: &Tensor<4>, probe: &mut dyn Probe) -> Vec<f32> {
    values(model.logits(images.clone(), &mut Pass::evaluate(probe)))
}

/// Records everything, changes nothing.
#[derive(Default)]
struct Recorder {
    attention: Vec<(AttentionSite, Tensor<4>)>,
    heads: Vec<(AttentionSite, [usize; 4])>,
    tokens: Vec<(TokenSite, [usize; 3])>,
    features: Vec<(FeatureSite, [usize; 4])>,
}

impl Probe for Recorder {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.attention.push((*site, weights.clone()));
        weights
    }
    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.heads.push((*site, outputs.dims()));
        outputs
    }
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        self.tokens.push((*site, tokens.dims()));
        tokens
    }
    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        self.features.push((*site, map.dims()));
        map
    }
}

#[test]
fn an_idle_probe_changes_nothing_to_the_last_bit() {
    let device = Device::flex();
    let images = random_images(&[0, 1, 2], 16, &device);
    for model in every_architecture(&device) {
        let unwatched = evaluate(&model, &images, &mut ());
        assert_eq!(unwatched, evaluate(&model, &images, &mut Recorder::default()));
        let train = |probe: &mut dyn Probe| {
            let mut step = TrainingStep::new(1, 0, vec![0, 1, 2]);
            values(model.logits(images.clone(), &mut Pass::train(probe, &mut step)))
        };
        assert_eq!(train(&mut ()), train(&mut Recorder::default()));
    }
}

#[test]
fn a_recorder_meets_every_site_of_a_vit_in_order() {
    let device = Device::flex();
    let mut seen = Recorder::default();
    evaluate(&vit(&device), &random_images(&[0, 1, 2], 16, &device), &mut seen);

    let (prefix, read_out) = (PrefixTokens::CLASS, ReadOut::ClassToken);
    let site = |layer| AttentionSite { layer, grid: [4, 4], prefix, read_out, window: None };
    assert_eq!(seen.attention.iter().map(|(site, _)| *site).collect::<Vec<_>>(), [site(0), site(1)]);
    assert_eq!(seen.heads, [(site(0), [3, 2, 17, 16]), (site(1), [3, 2, 17, 16])]);
    let places: Vec<_> = seen.tokens.iter().map(|(site, _)| (site.layer, site.place)).collect();
    let each = [
        TokenPlace::BlockInput,
        TokenPlace::AttentionInput,
        TokenPlace::AfterAttention,
        TokenPlace::BlockOutput,
    ];
    assert_eq!(
        places,
        [0, 1].into_iter().flat_map(|layer| each.map(|place| (layer, place))).collect::<Vec<_>>()
    );
    assert!(seen.tokens.iter().all(|(_, shape)| *shape == [3, 17, 32]));

    for (_, weights) in &seen.attention {
        assert_eq!(weights.dims(), [3, 2, 17, 17]);
        let sums = values(weights.clone().sum_dim(3));
        assert!(
            largest_difference(&sums, &vec![1.0; sums.len()]) < 1e-6,
            "a row of attention must sum to one"
        );
        assert!(values(weights.clone()).iter().all(|weight| *weight >= 0.0));
    }
}

#[test]
fn a_recorder_meets_every_block_of_a_resnet_in_order() {
    let device = Device::flex();
    let model = random_model(tiny_resnet(Stem::Imagenet, BranchKind::Basic), 32, 3, &device);
    let mut seen = Recorder::default();
    evaluate(&model, &random_images(&[0, 1], 32, &device), &mut seen);
    let site = |stage, block, last| FeatureSite { stage, block, last };
    let expected = [
        (site(1, 0, false), [2, 4, 8, 8]),
        (site(1, 1, false), [2, 4, 8, 8]),
        (site(2, 0, false), [2, 8, 4, 4]),
        (site(3, 0, false), [2, 16, 2, 2]),
        (site(4, 0, true), [2, 32, 1, 1]),
    ];
    assert_eq!(seen.features, expected);
}

/// Replaces the chosen values by zeros.
enum Silence {
    Attention,
    Heads,
    FirstTokens,
    LastFeatures,
}

impl Probe for Silence {
    fn attention(&mut self, _: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        if matches!(self, Self::Attention) { weights.zeros_like() } else { weights }
    }
    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if matches!(self, Self::Heads) { outputs.zeros_like() } else { outputs }
    }
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        let first = site.layer == 0 && site.place == TokenPlace::BlockInput;
        if matches!(self, Self::FirstTokens) && first { tokens.zeros_like() } else { tokens }
    }
    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        if matches!(self, Self::LastFeatures) && site.last { map.zeros_like() } else { map }
    }
}

#[test]
fn silenced_heads_leave_the_bias_of_their_mixer() {
    let device = Device::flex();
    let images = random_images(&[0, 1, 2], 16, &device);
    let model = vit(&device);
    let mut state = state_of(&model);
    for layer in 0..2 {
        let Array { values, .. } = state.get_mut(&format!("blocks.{layer}.attn.proj.weight")).unwrap();
        values.fill(0.0);
    }
    let expected = evaluate(&with_state(model.clone(), state).unwrap(), &images, &mut ());
    assert!(
        largest_difference(&expected, &evaluate(&model, &images, &mut ())) > 0.1,
        "the heads must matter"
    );
    for mut probe in [Silence::Attention, Silence::Heads] {
        assert!(largest_difference(&expected, &evaluate(&model, &images, &mut probe)) < 1e-6);
    }
}

#[test]
fn replaced_tokens_and_features_are_what_the_model_goes_on_with() {
    let device = Device::flex();
    let images = random_images(&[0, 1, 2], 16, &device);
    let logits = evaluate(&vit(&device), &images, &mut Silence::FirstTokens);
    assert_eq!(logits[..CLASSES], logits[CLASSES..2 * CLASSES], "blank tokens hide which image it is");
    for model in every_architecture(&device).into_iter().skip(1) {
        let state = state_of(&model);
        let bias = &state.get("fc.bias").or(state.get("linear.bias")).expect("a head").values;
        let logits = evaluate(&model, &images, &mut Silence::LastFeatures);
        assert!(largest_difference(&logits[..CLASSES], bias) < 1e-6);
    }
}

/// Where [`Nudge`] adds its offset.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Attention(usize),
    Heads(usize),
    Tokens(usize, TokenPlace),
    Features(usize, usize),
}

/// Adds a flat offset at one place: with an offset of zeros that needs a gradient, the way to the gradient there.
struct Nudge {
    place: Place,
    offset: Option<Tensor<1>>,
    size: usize,
}

impl Nudge {
    fn at<const D: usize>(&mut self, place: Place, value: Tensor<D>) -> Tensor<D> {
        if place != self.place {
            return value;
        }
        let shape = value.dims();
        self.size = shape.iter().product();
        match &self.offset {
            Some(offset) => value + offset.clone().reshape(shape),
            None => value,
        }
    }
}

impl Probe for Nudge {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.at(Place::Attention(site.layer), weights)
    }
    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.at(Place::Heads(site.layer), outputs)
    }
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        self.at(Place::Tokens(site.layer, site.place), tokens)
    }
    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        self.at(Place::Features(site.stage, site.block), map)
    }
}

/// The gradient that an additive zero leaf taps at `place` of a frozen model, compared with central differences of the
/// same logits, along the gradient itself and along alternating signs.
fn check_zero_leaf(model: &Classifier, image_size: usize, place: Place) {
    let device = Device::flex().autodiff();
    let images = random_images(&[0, 1], image_size, &device);
    let objective = |offset: Option<Tensor<1>>| {
        let mut probe = Nudge { place, offset, size: 0 };
        let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut probe));
        (logits.slice([0..2, 1..2]).sum(), probe.size)
    };
    let (_, size) = objective(None);
    assert!(size > 0, "the pass never met {place:?}");

    let zero = Tensor::<1>::zeros([size], &device).require_grad();
    let (value, _) = objective(Some(zero.clone()));
    let gradient = values(zero.grad(&value.backward()).expect("the leaf has a gradient"));
    let norm = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
    assert!(norm > 1e-3, "the gradient at {place:?} vanishes");

    let along = gradient.iter().map(|g| (f64::from(*g) / norm) as f32).collect::<Vec<_>>();
    let alternating = (0..size).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 } / (size as f32).sqrt()).collect();
    for direction in [along, alternating] {
        let exact: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
        let step = 1e-2;
        let shifted = |sign: f32| {
            let offset: Vec<f32> = direction.iter().map(|d| sign * step * d).collect();
            let offset = Tensor::from_data(TensorData::new(offset, [size]), &device);
            f64::from(values(objective(Some(offset)).0)[0])
        };
        let difference = (shifted(1.0) - shifted(-1.0)) / f64::from(2.0 * step);
        assert!(
            (exact - difference).abs() < 5e-3 * norm,
            "{place:?}: gradient {exact}, finite difference {difference}, norm {norm}"
        );
    }
}

#[test]
fn zero_leaf_gradients_match_finite_differences_in_a_vit() {
    let model = vit(&Device::flex().autodiff()).freeze();
    for layer in 0..2 {
        for place in [
            Place::Attention(layer),
            Place::Heads(layer),
            Place::Tokens(layer, TokenPlace::BlockInput),
            Place::Tokens(layer, TokenPlace::AttentionInput),
            Place::Tokens(layer, TokenPlace::AfterAttention),
            Place::Tokens(layer, TokenPlace::BlockOutput),
        ] {
            check_zero_leaf(&model, 16, place);
        }
    }
}

#[test]
fn zero_leaf_gradients_match_finite_differences_in_residual_networks() {
    let device = Device::flex().autodiff();
    let basic = random_model(tiny_resnet(Stem::Imagenet, BranchKind::Basic), 32, 3, &device).freeze();
    let bottleneck = random_model(tiny_resnet(Stem::Cifar, BranchKind::Bottleneck), 16, 3, &device).freeze();
    let cifar = random_model(tiny_cifar_resnet(), 16, 3, &device).freeze();
    check_zero_leaf(&basic, 32, Place::Features(4, 0));
    check_zero_leaf(&basic, 32, Place::Features(2, 0));
    check_zero_leaf(&bottleneck, 16, Place::Features(4, 0));
    check_zero_leaf(&bottleneck, 16, Place::Features(3, 0));
    check_zero_leaf(&cifar, 16, Place::Features(3, 1));
    check_zero_leaf(&cifar, 16, Place::Features(2, 0));
}

#[test]
fn masked_keys_are_as_if_absent_and_a_wholly_masked_query_gathers_zeros() {
    let device = Device::flex().autodiff();
    let draw = |stream: &str| {
        let mut rng = archaeo_random::keyed_rng(5, stream, 0, 0);
        let draws = (0..2 * 2 * 4 * 8).map(|_| archaeo_random::standard_normal(&mut rng) as f32);
        Tensor::<4>::from_data(TensorData::new(draws.collect::<Vec<_>>(), [2, 2, 4, 8]), &device)
            .require_grad()
    };
    let (query, key, value) = (draw("query"), draw("key"), draw("value"));
    // The first image may attend to its first three keys, the second to none.
    let mask = TensorData::new(vec![true, true, true, false, false, false, false, false], [2, 1, 1, 4]);
    let mask = Tensor::<4, Bool>::from_data(mask, &device);
    let (context, weights) =
        scaled_dot_product_attention(query.clone(), key.clone(), value.clone(), Some(mask));

    let part = |tensor: &Tensor<4>, keys| tensor.clone().slice([0..1, 0..2, 0..keys, 0..8]);
    let (expected, _) = scaled_dot_product_attention(part(&query, 4), part(&key, 3), part(&value, 3), None);
    assert!(largest_difference(&values(context.clone().narrow(0, 0, 1)), &values(expected)) < 1e-6);
    assert!(values(context.clone().narrow(0, 1, 1)).iter().all(|value| *value == 0.0));
    assert!(values(weights.narrow(0, 1, 1)).iter().all(|weight| *weight == 0.0));

    let gradients = (context.clone() * context).sum().backward();
    for (name, input) in [("query", query), ("key", key), ("value", value)] {
        let gradient = input.grad(&gradients).expect("every input has a gradient");
        assert!(values(gradient.clone()).iter().all(|g| g.is_finite()), "{name}");
        assert!(values(gradient.clone().narrow(0, 0, 1)).iter().any(|g| *g != 0.0), "{name}");
        assert!(values(gradient.narrow(0, 1, 1)).iter().all(|g| *g == 0.0), "{name} of a masked image");
    }
}
