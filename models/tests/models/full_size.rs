//! Published architectures in full size with random weights, compared with timm and torchvision in double precision. The last
//! column is the gradient in PyTorch's own single precision. The fixtures are too large to store: `fixtures/make_full_size.py`
//! makes them and says how this test is run.

use std::path::Path;

use crate::common::{Fixture, card, differences_from_library, largest, largest_difference, values};
use archaeo_models::clip::{ClipConfig, Prompts, tokenize};
use archaeo_models::{NetworkSpec, VitConfig, checkpoint, write_arrays};
use archaeo_ops::Precision;
use burn::tensor::Device;

#[test]
#[ignore = "needs the files that fixtures/make_full_size.py makes"]
fn full_size_models_agree_with_their_libraries() {
    let folder =
        std::env::var("ARCHAEO_FULL_SIZE").expect("ARCHAEO_FULL_SIZE names the folder of the fixtures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    println!(
        "| model | logits | blocks | attention | gradient | PyTorch's own gradient |\n|---|---|---|---|---|---|"
    );
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let fixture = Fixture::read_from(&path);
        let classes = if name.contains("dinov2") { 0 } else { fixture.array("logits").shape[1] };
        let clip = ClipConfig::named(name, 224).ok();
        let network = match &clip {
            Some(config) => NetworkSpec::Vit(VitConfig { classes, ..config.image.clone() }),
            None => NetworkSpec::named(name, classes, 224).unwrap(),
        };
        let differences = differences_from_library(&fixture, card(network, 224));
        let exact = fixture.array("gradient");
        let pytorch = largest_difference(&fixture.array("single.gradient").values, &exact.values)
            / largest(&exact.values);
        let cells = differences.map(|(_, difference)| format!("{difference:.1e}"));
        println!("| {name} | {} | {pytorch:.1e} |", cells.join(" | "));
        for (what, difference) in differences {
            // A ReLU whose input is within rounding error of zero is on in one program and off in the other.
            let tolerance = if what == "gradient" { (10.0 * pytorch).max(1e-4) } else { 1e-4 };
            assert!(difference <= tolerance, "{name}: {what} differs by {difference:e} of its largest value");
        }
        if let Some(config) = clip {
            compare_text_tower(name, &fixture, &config);
        }
    }
}

/// Features of the texts and prototypes of the classes in `fixtures/make_clip.py`.
fn compare_text_tower(name: &str, fixture: &Fixture, config: &ClipConfig) {
    let folder = tempfile::TempDir::new().unwrap();
    let path: &Path = &folder.path().join("clip.safetensors");
    write_arrays(path, &fixture.part("state"), Default::default()).unwrap();
    let clip = checkpoint::read(path).unwrap().into_clip(name, config, &Device::flex()).unwrap();
    let texts = ["", "a photo of a cat.", "two dogs & three cats", &"it's ".repeat(60)].map(tokenize);
    let classes = ["cat", "Golden Retriever", "fire engine, fire truck", "3 wheels"].map(str::to_owned);
    let prompts = Prompts::parse("a photo of a {}.\na blurry photo of the {}.\nitap of my {}.\n{}").unwrap();
    let relative = |what: &str, ours: Vec<f32>| {
        let theirs = &fixture.array(what).values;
        largest_difference(&ours, theirs) / largest(theirs)
    };
    let features = relative("text_features", values(clip.text_features(&texts, Precision::F32)));
    let prototypes = relative(
        "zero_shot.prototypes",
        values(clip.prototypes(&classes, &prompts, Precision::F32, &mut |_| {})),
    );
    println!("{name}: text features {features:.1e}, prototypes {prototypes:.1e}");
    assert!(features <= 1e-4 && prototypes <= 1e-4, "{name}: {features:e} {prototypes:e}");
}
