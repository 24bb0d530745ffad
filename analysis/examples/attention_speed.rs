//! Time of a forward pass of ViT-Ti/16 at 224 px, and of one that gathers all attention statistics and rollout:
//! `cargo run --release --example attention_speed`.

use std::time::Instant;

use archaeo_analysis::attention::{DistanceConvention, observe};
use archaeo_models::{Classifier, ModelCard, NetworkSpec, Pass, Preprocessing, VitConfig};
use archaeo_ops::in_pool;
use burn::tensor::{Device, Tensor, TensorData};

const IMAGES: usize = 32;

fn main() {
    let sizes = VitConfig {
        image_size: 224,
        patch_size: 16,
        width: 192,
        depth: 12,
        heads: 3,
        mlp_width: 768,
        classes: 1000,
        ..VitConfig::default()
    };
    let card = ModelCard {
        name: "ViT-Ti/16".into(),
        network: NetworkSpec::Vit(sizes),
        preprocessing: Preprocessing::plain(224),
        classes: (0..1000).map(|class| class.to_string()).collect(),
    };
    let device = Device::flex();
    let model = Classifier::new(card, 0, &device).expect("sizes are valid");
    let values = (0..IMAGES * 3 * 224 * 224).map(|i| (i * 7919 % 1013) as f32 / 1013.0).collect::<Vec<_>>();
    let images: Tensor<4> = Tensor::from_data(TensorData::new(values, [IMAGES, 3, 224, 224]), &device);
    let plain = || {
        in_pool(|| model.logits(images.clone(), &mut Pass::evaluate(&mut ()))).into_data();
    };
    let observed = || {
        let found = observe(&model, images.clone(), DistanceConvention::Renormalised, true, None);
        found.expect("a ViT has attention").0.rollout();
    };
    let seconds = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let (mut forward, mut both) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..7 {
        forward = forward.min(seconds(&plain));
        both = both.min(seconds(&observed));
    }
    println!(
        "{IMAGES} images: forward {forward:.3} s, with statistics and rollout {both:.3} s, {:.2} times",
        both / forward
    );
}
