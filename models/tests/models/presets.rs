//! Every named model is the one the field means by that name.

use crate::common;
use std::collections::BTreeMap;

use crate::common::{
    Fixture, card, fixture_path, gradients_by_name, largest, largest_difference, random_images, tiny_resnet,
    tiny_vit, values,
};
use archaeo_models::{
    BranchKind, Classifier, NetworkSpec, Pass, Position, Stem, TrainingStep, VitConfig, sine_positions,
    state_of,
};
use archaeo_ops::cross_entropy;
use burn::tensor::{Device, Int, Tensor};

#[test]
fn every_preset_has_as_many_parameters_as_its_reference() {
    let text = std::fs::read_to_string(fixture_path("parameter_counts.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let reference: BTreeMap<String, usize> = serde_json::from_value(reference["parameters"].clone()).unwrap();
    let ours = NetworkSpec::names().into_iter().map(|name| {
        let for_small_images = name.contains("cifar") || name.contains("micro");
        let (classes, image_size) = if for_small_images { (10, 32) } else { (1000, 224) };
        let spec = NetworkSpec::named(&name, classes, image_size).unwrap();
        (name, spec.parameter_count().unwrap())
    });
    assert_eq!(ours.collect::<BTreeMap<_, _>>(), reference);
}

#[test]
fn an_unknown_name_gets_a_sentence() {
    for name in [
        "vit",
        "vit_huge",
        "vit_tiny_patch5",
        "vit_giant_patch14",
        "deit_huge_patch16",
        "beit3_base_patch16",
        "vit_tiny_patch16_224_extra",
        "resnet19",
        "resnet20",
        "",
    ] {
        let error = NetworkSpec::named(name, 10, 32).unwrap_err().to_string();
        assert!(error.contains(&format!("no model is called `{name}`")), "{error}");
    }
    let error = NetworkSpec::named("vit_tiny_patch16", 10, 40).unwrap_err().to_string();
    assert_eq!(error, "patches of 16 px do not tile an image of 40 px");
    let error = NetworkSpec::named("resnet18", 0, 32).unwrap_err().to_string();
    assert_eq!(error, "classes must be from 1 to 65536, not 0");
}

#[test]
fn sine_positions_are_those_of_timm() {
    let device = Device::flex();
    let fixture = Fixture::read("sine_positions");
    let positions = sine_positions([3, 5], 2, 16, &device);
    assert_eq!(positions.dims(), [1, 2 + 15, 16]);
    let (prefix, patches) = (positions.clone().slice([0..1, 0..2]), positions.slice([0..1, 2..17]));
    assert_eq!(largest(&values(prefix)), 0.0, "prefix tokens have no place in the image");
    let difference = largest_difference(&values(patches), &fixture.array("grid_3x5_width_16").values);
    assert!(difference < 1e-6, "{difference}");
}

#[test]
fn a_vit_knows_where_its_patches_are_only_by_their_positions() {
    let device = Device::flex();
    let images = random_images(&[1, 2], 16, &device);
    // Two patches change places: the upper left and the lower right.
    let (first, last) =
        (images.clone().slice([0..2, 0..3, 0..4, 0..4]), images.clone().slice([0..2, 0..3, 12..16, 12..16]));
    let swapped = images.clone().slice_assign([0..2, 0..3, 0..4, 0..4], last);
    let swapped = swapped.slice_assign([0..2, 0..3, 12..16, 12..16], first);
    for (position, sees) in [(Position::None, false), (Position::Sine, true), (Position::Learned, true)] {
        let spec = NetworkSpec::Vit(VitConfig { position, ..tiny_vit() });
        let model = common::random_model(spec, 16, 0, &device);
        let logits = |images: &Tensor<4>| values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
        let difference = largest_difference(&logits(&images), &logits(&swapped));
        assert_eq!(difference > 1e-3, sees, "{position:?}: {difference}");
        assert!(sees || difference < 1e-5, "{difference}");
    }
}

#[test]
fn a_fresh_residual_block_is_the_identity_yet_every_branch_learns() {
    let device = Device::flex().autodiff();
    for branch in [BranchKind::Basic, BranchKind::Bottleneck] {
        let model = Classifier::new(card(tiny_resnet(Stem::Cifar, branch), 16), 0, &device).unwrap();
        let last = if branch == BranchKind::Basic { "bn2.weight" } else { "bn3.weight" };
        for (name, array) in state_of(&model) {
            let expected = if name.ends_with(last) { 0.0 } else { 1.0 };
            if name.contains("bn") && name.ends_with(".weight") {
                assert!(array.values.iter().all(|value| *value == expected), "{name}");
            }
        }
        let mut training = TrainingStep::new(0, 0, (0..4).collect());
        let images = random_images(&[0, 1, 2, 3], 16, &device);
        let logits = model.logits(images, &mut Pass::train(&mut (), &mut training));
        let labels = Tensor::<1, Int>::from_data([0, 1, 2, 3], &device);
        let gradients = gradients_by_name(&model, &cross_entropy(logits, labels).backward());
        for (name, gradient) in gradients.iter().filter(|(name, _)| name.ends_with(last)) {
            assert!(
                largest(&gradient.values) > 1e-6,
                "{name} gets no gradient, so its branch can never learn"
            );
        }
    }
}

#[test]
fn initial_values_have_the_stated_deviation_and_depend_on_the_seed() {
    let device = Device::flex();
    let spec = NetworkSpec::named("vit_micro", 10, 32).unwrap();
    let states =
        [0, 0, 1].map(|seed| state_of(&Classifier::new(card(spec.clone(), 32), seed, &device).unwrap()));
    assert_eq!(states[0], states[1]);
    let weights = &states[0]["blocks.3.mlp.fc1.weight"].values;
    assert_ne!(*weights, states[2]["blocks.3.mlp.fc1.weight"].values);
    let deviation = (weights.iter().map(|w| f64::from(w * w)).sum::<f64>() / weights.len() as f64).sqrt();
    assert!((deviation - 0.02).abs() < 5e-4, "{deviation}");

    let spec = NetworkSpec::named("resnet18_cifar", 10, 32).unwrap();
    let state = state_of(&Classifier::new(card(spec, 32), 0, &device).unwrap());
    let weights = &state["layer2.1.conv2.weight"].values;
    let deviation = (weights.iter().map(|w| f64::from(w * w)).sum::<f64>() / weights.len() as f64).sqrt();
    let expected = (2.0f64 / (128.0 * 9.0)).sqrt();
    assert!((deviation / expected - 1.0).abs() < 0.02, "{deviation}, expected {expected}");
}

#[test]
fn multiply_adds_are_those_of_fvcore_within_a_hundredth() {
    let text = std::fs::read_to_string(fixture_path("multiply_adds.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = reference["models"].as_array().unwrap();
    assert_eq!(rows.len(), 45);
    for row in rows {
        let number = |key: &str| row[key].as_u64().unwrap();
        let (name, side) = (row["name"].as_str().unwrap(), number("image_size") as usize);
        let network = NetworkSpec::named(name, number("classes") as usize, side).unwrap();
        let ours = network.multiply_adds(side);
        assert_eq!(ours, number("products"), "{name}");
        // fvcore's sum has norms and pooling in it as well, which weigh only in narrow networks.
        let narrow = side < 224 || name.starts_with("efficientvit");
        let smallest = if narrow { 0.975 } else { 0.99 };
        let ratio = ours as f64 / number("fvcore") as f64;
        assert!((smallest..=1.0).contains(&ratio), "{name}: {ratio}");
    }
    // Hassani et al. (2021), tables 2 and 8, whose counter does not see the two products of attention.
    for (name, parameters, multiply_adds, width, depth, tokens) in [
        ("cct_2_3x2", 0.28e6, 33e6, 128, 2, 64),
        ("cct_4_3x2", 0.48e6, 46e6, 128, 4, 64),
        ("cct_7_3x1", 3.76e6, 947e6, 256, 7, 256),
    ] {
        let network = NetworkSpec::named(name, 10, 32).unwrap();
        let seen = network.multiply_adds(32) - (depth * 2 * tokens * tokens * width) as u64;
        for (ours, published) in
            [(seen as f64, multiply_adds), (network.parameter_count().unwrap() as f64, parameters)]
        {
            assert!((ours / published - 1.0).abs() < 0.015, "{name}: {ours} of {published}");
        }
    }
    // Liu et al. (2021), equations 1 and 2: 2(hw)²C and 2M²hwC in each block.
    let products = |name: &str| NetworkSpec::named(name, 10, 224).unwrap().attention_multiply_adds(224);
    assert_eq!(products("vit_small_patch16_224"), 12 * 2 * 197 * 197 * 384);
    let of_stage = |depth: u64, side: u64, width: u64| depth * 2 * 49 * side * side * width;
    let swin = of_stage(2, 56, 96) + of_stage(2, 28, 192) + of_stage(6, 14, 384) + of_stage(2, 7, 768);
    assert_eq!(products("swin_tiny_patch4_window7_224"), swin);
    // Liu et al. (2023): in each window q · k of 16 channels a head and weights · v of the head's share, on 14, 7 and 4 tokens a side.
    let of_stage =
        |depth: u64, tokens: u64, window: u64, width: u64| depth * tokens * window * (4 * 16 + width);
    let m0 = of_stage(1, 196, 49, 64) + of_stage(2, 49, 49, 128) + of_stage(3, 16, 16, 192);
    assert_eq!(products("efficientvit_m0"), m0);
    assert_eq!(products("resnet50"), 0);
    // Computed by hand: He et al. (2016) give 41 million for ResNet-20 on 32 × 32 pixels.
    let cifar = NetworkSpec::named("resnet20_cifar", 10, 32).unwrap().multiply_adds(32);
    assert!((40.0e6..41.5e6).contains(&(cifar as f64)), "{cifar}");
}
