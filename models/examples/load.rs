//! How long a checkpoint takes to load, and how much memory at most.
//!
//!     cargo run --release -p archaeo-models --example load -- FILE MODEL [CLASSES] [IMAGE_SIZE]

use std::path::Path;
use std::time::Instant;

use archaeo_models::{IMAGENET_MOMENTS, ModelCard, NetworkSpec, Preprocessing, load};
use burn::tensor::Device;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, model, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: load FILE MODEL [CLASSES] [IMAGE_SIZE]");
        std::process::exit(2);
    };
    let number =
        |index: usize, default| rest.get(index).map_or(default, |text| text.parse().expect("a number"));
    let (classes, image_size) = (number(0, 1000), number(1, 224));
    let network = NetworkSpec::named(model, classes, image_size).unwrap_or_else(|error| panic!("{error}"));
    let (mean, std) = IMAGENET_MOMENTS;
    let card = ModelCard {
        name: model.clone(),
        network,
        preprocessing: Preprocessing { mean, std, ..Preprocessing::plain(image_size) },
        classes: (0..classes).map(|class| class.to_string()).collect(),
    };
    let start = Instant::now();
    let model = load(Path::new(file), Some(card), &Device::flex()).unwrap_or_else(|error| panic!("{error}"));
    let seconds = start.elapsed().as_secs_f64();
    println!("{} parameters in {seconds:.3} s", model.parameter_count());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        println!("most memory resident at once: {}", peak.trim_start_matches("VmHWM:").trim());
    }
}
