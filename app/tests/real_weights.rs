//! A checkpoint of timm on real photographs, through the program itself.

mod support;

use support::{archaeo, json, real_data};

#[test]
fn a_vit_of_timm_scores_on_photographs_as_timm_does() {
    let (Some(weights), Some(photographs)) =
        (real_data("vit_tiny_patch16_224.safetensors"), real_data("imagenet-photos-128.tar"))
    else {
        return;
    };
    let mut command = archaeo(["evaluate", "--model", "vit_tiny_patch16_224"]);
    let scores = json(command.arg("--weights").arg(weights).arg("--data").arg(photographs));
    assert_eq!(scores["n"], 128);
    // Counted with timm and Pillow: 114 and 126 of 128.
    let hits = ["top1", "top5"].map(|score| scores[score].as_f64().unwrap() * 128.0);
    assert_eq!(hits, [114.0, 126.0]);
}

#[test]
fn published_cifar_resnets_load_from_their_pickles() {
    for (file, model, expected) in [
        ("resnet20-12fca82f.th", "resnet20_cifar", 3992.0),
        ("resnet56-4bfd9763.th", "resnet56_cifar", 4000.0),
    ] {
        let (Some(weights), Some(records)) = (real_data(file), real_data("cifar-10-batches-bin")) else {
            return;
        };
        let mut command = archaeo(["evaluate", "--model", model, "--split", "all", "--weights"]);
        let scores = json(command.arg(weights).arg("--data").arg(records));
        assert_eq!(scores["n"], 4000);
        // What PyTorch's own operations give for the first on the same records.
        assert_eq!(scores["top1"].as_f64().unwrap() * 4000.0, expected);
    }
}
