//! Logits, loss, every gradient and ten AdamW steps, compared with what timm and torchvision compute in double
//! precision (`fixtures/make_parity.py`, which chose models whose ten steps single precision can follow).

use std::collections::BTreeMap;

use crate::common::{
    Fixture, card, gradients_by_name, largest, largest_difference, tiny_airbench, tiny_cct,
    tiny_cifar_resnet, tiny_efficientvit, tiny_resnet, tiny_vit, values,
};
use archaeo_models::{
    BranchKind, Classifier, NetworkSpec, Pass, Pooling, State, Stem, TrainingStep, VitConfig, state_of,
    with_state,
};
use archaeo_ops::cross_entropy;
use burn::tensor::{Device, Int, Tensor, TensorData};

const BATCH: usize = 8;

/// Compares a tiny model with its fixture; `unsettled` names values whose exact gradient is zero (see [`vit`]).
fn compare(fixture: &str, network: NetworkSpec, image_size: usize, unsettled: impl Fn(&str, usize) -> bool) {
    let fixture = Fixture::read(fixture);
    let device = Device::flex().autodiff();
    let blank = Classifier::new(card(network, image_size), 0, &device).unwrap();
    let mut model =
        with_state(blank, fixture.part("state")).unwrap_or_else(|mismatch| panic!("\n{mismatch}"));
    let labels: Vec<i64> = fixture.array("labels").values.iter().map(|&label| label as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);

    let images = fixture.tensor::<4>("images", &device).require_grad();
    let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut ()));
    assert_close("logits at evaluation", &values(logits.clone()), &fixture.array("eval.logits").values, 1e-5);
    let gradients = cross_entropy(logits, labels.clone()).backward();
    let gradient = values(images.grad(&gradients).expect("the images have a gradient"));
    assert_relative(
        "gradient.images at evaluation",
        &gradient,
        &fixture.array("eval.gradient.images").values,
    );

    let mut adamw = AdamW::default();
    let mut last_loss = f32::NAN;
    for step in 0..10 {
        let images = fixture.tensor::<4>("images", &device).require_grad();
        let mut training = TrainingStep::new(0, step, (0..BATCH as u64).collect());
        let logits = model.logits(images.clone(), &mut Pass::train(&mut (), &mut training));
        let loss = cross_entropy(logits.clone(), labels.clone());
        last_loss = values(loss.clone())[0];
        let gradients = loss.backward();
        let by_name = gradients_by_name(&model, &gradients);
        if step == 0 {
            assert_close("logits at training", &values(logits), &fixture.array("train.logits").values, 1e-5);
            assert_close("loss", &[last_loss], &fixture.array("loss").values, 1e-6);
            let mut expected = fixture.part("gradient");
            let of_images = expected.remove("images").expect("stored");
            let gradient = values(images.grad(&gradients).expect("the images have a gradient"));
            assert_relative("gradient.images", &gradient, &of_images.values);
            assert_eq!(by_name.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for (name, theirs) in &expected {
                let ours = &by_name[name].values;
                match unsettled(name, 0) {
                    true => assert!(largest(ours) < 1e-6, "the gradient of {name} is exactly zero"),
                    false => assert_relative(name, ours, &theirs.values),
                }
            }
        }
        model = model.absorb_moments(training.moments, 0.1);
        let mut state = state_of(&model);
        adamw.step(&mut state, &by_name);
        model = with_state(model, state).expect("the state is the model's own");
    }

    assert_close("loss of the tenth step", &[last_loss], &fixture.array("after.loss").values, 1e-5);
    for (name, theirs) in fixture.part("after") {
        let Some(ours) = state_of(&model).remove(&name) else {
            assert_eq!(name, "loss");
            continue;
        };
        for (index, (ours, theirs)) in ours.values.iter().zip(&theirs.values).enumerate() {
            // Ten steps move a value by up to 1e-2.
            let tolerance = if unsettled(&name, index) { 2e-2 } else { 1e-5 };
            let difference = (ours - theirs).abs() / theirs.abs().max(1.0);
            assert!(difference <= tolerance, "{name}[{index}] after ten steps: {ours}, expected {theirs}");
        }
    }
}

fn assert_close(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    let difference = largest_difference(ours, theirs);
    assert!(difference <= tolerance, "{what} differ by {difference:e}");
}

/// Compares to 1e-4 of the largest value.
fn assert_relative(name: &str, ours: &[f32], theirs: &[f32]) {
    let difference = largest_difference(ours, theirs) / largest(theirs).max(1e-6);
    assert!(difference <= 1e-4, "the gradient of {name} differs by {difference:e} of its largest value");
}

/// AdamW (Loshchilov & Hutter, 2019, algorithm 2) as PyTorch arranges it: decay first, epsilon added to the corrected
/// root. Learning rate 1e-3, decay 0.05 on matrices and kernels alone.
#[derive(Default)]
struct AdamW {
    steps: i32,
    moments: BTreeMap<String, Vec<(f64, f64)>>,
}

impl AdamW {
    fn step(&mut self, state: &mut State, gradients: &State) {
        let (rate, beta1, beta2, epsilon) = (1e-3, 0.9, 0.999, 1e-8);
        self.steps += 1;
        let correction1 = 1.0 - f64::powi(beta1, self.steps);
        let correction2 = 1.0 - f64::powi(beta2, self.steps);
        for (name, gradient) in gradients {
            let array = state.get_mut(name).expect("a gradient belongs to a parameter");
            let decayed = array.shape.len() > 1
                && !["pos_embed", "cls_token"].contains(&name.as_str())
                && !name.ends_with("attention_biases");
            let decay = if decayed { 0.05 } else { 0.0 };
            let moments =
                self.moments.entry(name.clone()).or_insert_with(|| vec![(0.0, 0.0); array.values.len()]);
            for ((value, &g), (first, second)) in array.values.iter_mut().zip(&gradient.values).zip(moments) {
                let g = f64::from(g);
                *first = beta1 * *first + (1.0 - beta1) * g;
                *second = beta2 * *second + (1.0 - beta2) * g * g;
                let denominator = (*second / correction2).sqrt() + epsilon;
                let decayed = f64::from(*value) * (1.0 - rate * decay);
                *value = (decayed - rate * (*first / correction1) / denominator) as f32;
            }
        }
    }
}

/// The softmax does not see a bias of the keys (it adds the same to every score of a row), so its exact gradient is
/// zero; AdamW divides rounding noise by its own size and walks at random.
fn vit(fixture: &str, config: VitConfig) {
    let width = config.width;
    compare(fixture, NetworkSpec::Vit(config), 16, |name, index| {
        name.ends_with("qkv.bias") && (width..2 * width).contains(&index)
    });
}

#[test]
fn vit_with_class_token() {
    vit("vit_class_token", tiny_vit());
}

#[test]
fn vit_with_mean_pooling() {
    vit("vit_mean", VitConfig { pooling: Pooling::Mean, ..tiny_vit() });
}

#[test]
fn resnet_of_basic_blocks() {
    compare("resnet_basic", tiny_resnet(Stem::Imagenet, BranchKind::Basic), 32, |_, _| false);
}

#[test]
fn resnet_of_bottlenecks() {
    compare("resnet_bottleneck", tiny_resnet(Stem::Cifar, BranchKind::Bottleneck), 16, |_, _| false);
}

#[test]
fn airbench() {
    compare("airbench", tiny_airbench(), 16, |_, _| false);
}

#[test]
fn cct() {
    compare("cct", NetworkSpec::Cct(tiny_cct()), 16, |_, _| false);
}

/// Besides the key biases, shifts of the stream have no gradient that reach nothing but batch norms, and the running means of those
/// norms follow them.
#[test]
fn efficientvit() {
    const SHIFTS: [&str; 8] = [
        "downsample.res1.0.m.bn.bias",
        "downsample.res1.1.m.pw1.bn.running_mean",
        "downsample.res1.1.m.pw2.bn.bias",
        "downsample.patchmerge.conv1.bn.running_mean",
        "stages.1.blocks.0.dw1.m.bn.bias",
        "stages.1.blocks.0.ffn1.m.pw1.bn.running_mean",
        "stages.1.blocks.0.ffn1.m.pw2.bn.bias",
        "head.bn.running_mean",
    ];
    let config = tiny_efficientvit(48);
    let keys = config.key_dim..2 * config.key_dim;
    compare("efficientvit", NetworkSpec::EfficientVit(config), 48, |name, index| {
        let key_bias = name.contains(".qkvs.") && name.ends_with("bn.bias") && keys.contains(&index);
        key_bias || SHIFTS.iter().any(|shift| name.ends_with(shift))
    });
}

#[test]
fn cifar_resnet() {
    compare("resnet_cifar", tiny_cifar_resnet(), 16, |_, _| false);
}
