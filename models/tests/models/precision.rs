//! A model computes in its own precision in every kind of pass.

use crate::common;
use crate::common::{gradients_by_name, random_images, random_model, tiny_networks, tiny_vit, values};
use archaeo_models::clip::{Clip, ClipConfig, Prompts, TextConfig};
use archaeo_models::{Classifier, FeedForward, Pass, TrainingStep, VitConfig, initialize};
use archaeo_ops::Precision;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

const IMAGES: [u64; 2] = [3, 4];

/// The bits of logits at evaluation, of the gradient at the images, and of every parameter's gradient in a training step.
fn bits(model: &Classifier) -> Vec<Vec<u32>> {
    let device = Device::flex().autodiff();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();

    let images = random_images(&IMAGES, 16, &device).require_grad();
    let logits = model.valid().logits(images.clone(), &mut Pass::evaluate(&mut ()));
    let at_images = images.grad(&logits.clone().powi_scalar(2).sum().backward()).expect("they are leaves");

    let mut step = TrainingStep::new(0, 0, IMAGES.to_vec());
    let images = random_images(&IMAGES, 16, &device);
    let trained = model.logits(images, &mut Pass::train(&mut (), &mut step));
    let gradients = gradients_by_name(model, &trained.powi_scalar(2).sum().backward());
    let of_parameters = gradients.into_values().map(|array| bits(array.values));
    [bits(values(logits)), bits(values(at_images))].into_iter().chain(of_parameters).collect()
}

fn on_a_new_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("it does not panic"))
}

#[test]
fn a_pass_on_a_new_thread_has_the_bits_of_one_on_this() {
    for (name, network) in tiny_networks() {
        let model = random_model(network, 16, 1, &Device::flex().autodiff());
        let [exact, rounded] = [Precision::F32, Precision::Bf16].map(|precision| {
            let model = model.clone().in_precision(precision);
            let here = bits(&model);
            assert!(here == on_a_new_thread(|| bits(&model)), "{name} in {precision:?}");
            here
        });
        assert_ne!(exact[0], rounded[0], "{name}: the logits are not rounded");
        assert_ne!(exact[1], rounded[1], "{name}: the gradient at the images is not rounded");
    }
}

#[test]
fn the_precision_goes_with_the_model_and_not_with_the_pass() {
    let (_, network) = tiny_networks().swap_remove(0);
    let model = random_model(network, 16, 1, &Device::flex());
    let rounded = model.clone().in_precision(Precision::Bf16);
    let logits = |model: &Classifier, precision| {
        let mut nobody = ();
        let mut pass = Pass::evaluate(&mut nobody).in_precision(precision);
        values(model.logits(random_images(&IMAGES, 16, &Device::flex()), &mut pass))
    };
    assert_eq!(logits(&model, Precision::Bf16), logits(&model, Precision::F32));
    assert_eq!(logits(&rounded, Precision::Bf16), logits(&rounded, Precision::F32));
    assert_ne!(logits(&model, Precision::F32), logits(&rounded, Precision::F32));
    let names = (0..common::CLASSES).map(|class| class.to_string()).collect();
    assert_eq!(rounded.with_outputs(&[1, 0, 2, 3, 4], names).precision(), Precision::Bf16);
}

#[test]
fn prompts_are_read_in_the_precision_of_the_classifier_that_they_become() {
    let config = ClipConfig {
        image: VitConfig { classes: 0, pre_norm: true, feed_forward: FeedForward::QuickGelu, ..tiny_vit() },
        text: TextConfig { width: 16, depth: 2, heads: 2, mlp_width: 32 },
        embedding: 12,
    };
    let clip = initialize(Clip::new(&config, &Device::flex()).unwrap(), 5);
    let classes = ["cat".to_owned(), "dog".to_owned()];
    let prompts = Prompts::parse("a photo of a {}.").unwrap();
    let prototypes = |precision| -> Vec<f32> {
        let prototypes: Tensor<2> = clip.prototypes(&classes, &prompts, precision, &mut |_| {});
        values(prototypes)
    };
    let [exact, rounded] = [Precision::F32, Precision::Bf16].map(|precision| {
        let here = prototypes(precision);
        assert_eq!(here, on_a_new_thread(|| prototypes(precision)), "{precision:?}");
        here
    });
    assert_ne!(exact, rounded);

    let mut card = common::card(archaeo_models::NetworkSpec::ZeroShot(config.zero_shot(2)), 16);
    card.classes = classes.to_vec();
    let classifier = clip.clone().classifier(card, &prompts, Precision::Bf16, &mut |_| {}).unwrap();
    assert_eq!(classifier.precision(), Precision::Bf16);
    assert_eq!(archaeo_models::state_of(&classifier)["prototypes"].values, rounded);
}
