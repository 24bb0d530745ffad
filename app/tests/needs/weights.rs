//! Published checkpoints: they load, and score on real images as their authors' programs have them score.

use archaeo_models::{IMAGENET_MOMENTS, ModelCard, NetworkSpec, Preprocessing, load};
use burn::tensor::Device;

use crate::real_data;
use crate::support::{archaeo, json};

fn card(network: NetworkSpec, image_size: usize) -> ModelCard {
    let (mean, std) = IMAGENET_MOMENTS;
    ModelCard {
        name: "published".into(),
        classes: (0..network.classes()).map(|class| format!("class {class}")).collect(),
        network,
        preprocessing: Preprocessing { mean, std, ..Preprocessing::plain(image_size) },
    }
}

pub fn the_vit_of_timm_loads() {
    let path = real_data("vit_tiny_patch16_224.safetensors");
    let named = |name: &str, classes| card(NetworkSpec::named(name, classes, 224).unwrap(), 224);
    let model = load(&path, Some(named("vit_tiny_patch16_224", 1000)), &Device::flex()).unwrap();
    assert_eq!(model.parameter_count(), 5_717_416);
    let error = load(&path, Some(named("vit_tiny_patch16", 10)), &Device::flex()).expect_err("another head");
    assert!(error.to_string().contains("misshapen   head.bias: expected [10], found [1000]"), "{error}");
}

pub fn the_vit_of_timm_scores_on_photographs_as_timm_does() {
    let mut command = archaeo(["evaluate", "--model", "vit_tiny_patch16_224", "--weights"]);
    command.arg(real_data("vit_tiny_patch16_224.safetensors"));
    let scores = json(command.arg("--data").arg(real_data("imagenet-photos-128.tar")));
    assert_eq!(scores["n"], 128);
    // Counted with timm and Pillow: 114 and 126 of 128.
    let hits = ["top1", "top5"].map(|score| scores[score].as_f64().unwrap() * 128.0);
    assert_eq!(hits, [114.0, 126.0]);
}

pub fn cifar_resnets_load_from_their_pickles() {
    for (file, name, parameters) in [
        ("resnet20-12fca82f.th", "resnet20_cifar", 269_722),
        ("resnet56-4bfd9763.th", "resnet56_cifar", 853_018),
    ] {
        let card = card(NetworkSpec::named(name, 10, 32).unwrap(), 32);
        let model = load(&real_data(file), Some(card), &Device::flex()).unwrap();
        assert_eq!(model.parameter_count(), parameters);
    }
}

pub fn cifar_resnets_score_as_in_pytorch() {
    for (file, model, expected) in [
        ("resnet20-12fca82f.th", "resnet20_cifar", 3992.0),
        ("resnet56-4bfd9763.th", "resnet56_cifar", 4000.0),
    ] {
        let mut command = archaeo(["evaluate", "--model", model, "--split", "all", "--weights"]);
        command.arg(real_data(file)).arg("--data").arg(real_data("cifar-10-batches-bin"));
        let scores = json(&mut command);
        assert_eq!(scores["n"], 4000);
        // What PyTorch's own operations give for the first on the same records.
        assert_eq!(scores["top1"].as_f64().unwrap() * 4000.0, expected);
    }
}
