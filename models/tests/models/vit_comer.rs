//! ViT-CoMer compared with its definition in PyTorch (`fixtures/make_vit_comer.py`): logits, masks, tokens after each stage, gradients.

use crate::common::{
    CLASSES, Fixture, card, compare_with_library, gradients_by_name, largest, largest_difference,
    random_images, random_model, tiny_vit_comer, values,
};
use archaeo_models::{Classifier, NetworkSpec, Pass, TrainingStep, load, save, state_of, with_state};
use burn::tensor::{Device, Tensor};

fn network(image_size: usize, patch_size: usize) -> NetworkSpec {
    NetworkSpec::VitComer(tiny_vit_comer(image_size, patch_size))
}

/// The model of a fixture.
fn stored(fixture: &Fixture, image_size: usize, patch_size: usize, device: &Device) -> Classifier {
    let model = Classifier::new(card(network(image_size, patch_size), image_size), 0, device).unwrap();
    with_state(model, fixture.part("state")).unwrap()
}

#[test]
fn logits_and_stages_are_those_of_the_definition() {
    compare_with_library("vit_comer", network(16, 4), 16);
    compare_with_library("vit_comer_strided", network(32, 16), 32);
}

#[test]
fn masks_and_the_gradient_of_every_array_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    for (name, image_size, patch_size) in [("vit_comer", 16, 4), ("vit_comer_strided", 32, 16)] {
        let fixture = Fixture::read(name);
        let model = stored(&fixture, image_size, patch_size, &device);
        let images = fixture.tensor::<4>("images", &device);
        let (masks, features) = model.masks(images.clone(), &mut Pass::evaluate(&mut ())).unwrap();
        let expected = &fixture.array("masks").values;
        let difference = largest_difference(&values(masks.clone()), expected) / largest(expected);
        assert!(difference <= 1e-5, "{name}: masks differ by {difference:e}");
        let alone = model.features(images, &mut Pass::evaluate(&mut ()));
        assert_eq!(values(features), values(alone), "{name}: one pass gives both");

        let loss = (masks * fixture.tensor::<3>("masks_cotangent", &device)).sum();
        let ours = gradients_by_name(&model, &loss.backward());
        let theirs = fixture.part("by_array");
        assert!(ours.keys().eq(theirs.keys()), "{name}: every array but the head's has a gradient");
        for (array, theirs) in theirs {
            let difference =
                largest_difference(&ours[&array].values, &theirs.values) / largest(&theirs.values);
            assert!(difference <= 1e-4, "{name}: the gradient at {array} differs by {difference:e}");
        }
    }
}

#[test]
fn neither_logits_nor_masks_depend_on_the_batch() {
    let device = Device::flex();
    let model = random_model(network(16, 4), 16, 4, &device);
    let answers = |numbers: &[u64]| {
        let images = || random_images(numbers, 16, &device);
        let (masks, _) = model.masks(images(), &mut Pass::evaluate(&mut ())).unwrap();
        (values(model.logits(images(), &mut Pass::evaluate(&mut ()))), values(masks))
    };
    let (logits, masks) = answers(&[1, 2, 3, 4]);
    for (place, number) in [1, 2, 3, 4].into_iter().enumerate() {
        let (own, mask) = answers(&[number]);
        assert_eq!(own, logits[place * CLASSES..][..CLASSES]);
        assert_eq!(mask, masks[place * 256..][..256]);
    }
}

#[test]
fn a_fresh_transformer_reads_nothing_of_the_pyramid() {
    let device = Device::flex();
    let network = network(16, 4);
    let model = Classifier::new(card(network.clone(), 16), 3, &device).unwrap();
    let mut state = state_of(&model);
    for (name, array) in &mut state {
        if name.starts_with("stem.") {
            array.values.iter_mut().for_each(|value| *value += 0.5);
        }
    }
    let other = with_state(model.clone(), state).unwrap();
    /// Tokens after each stage.
    #[derive(Default)]
    struct Stages(Vec<Vec<f32>>);
    impl archaeo_models::Probe for Stages {
        fn features(&mut self, site: &archaeo_models::FeatureSite, map: Tensor<4>) -> Tensor<4> {
            if !site.last {
                self.0.push(values(map.clone()));
            }
            map
        }
    }
    let stages = |model: &Classifier| {
        let mut stages = Stages::default();
        model.logits(random_images(&[1], 16, &device), &mut Pass::evaluate(&mut stages));
        stages.0
    };
    assert_eq!(stages(&model).len(), 2);
    assert_eq!(stages(&model), stages(&other), "γ begins at zero");
}

#[test]
fn training_collects_the_moments_of_every_norm_that_the_answer_passes() {
    let device = Device::flex().autodiff();
    let model = random_model(network(16, 4), 16, 4, &device);
    let mut step = TrainingStep::new(0, 0, vec![1, 2]);
    let images = || random_images(&[1, 2], 16, &device);
    model.masks(images(), &mut Pass::train(&mut (), &mut step)).unwrap();
    // Six of the stem, two for each of three maps in each of two stages, four of the answer.
    assert_eq!(step.moments.len(), 6 + 12 + 4);
    let mut step = TrainingStep::new(0, 0, vec![1, 2]);
    model.logits(images(), &mut Pass::train(&mut (), &mut step));
    assert_eq!(step.moments.len(), 6 + 12 + 1, "logits need the middle map alone");
}

#[test]
fn a_saved_model_is_read_back_and_recognised() {
    let device = Device::flex();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("comer.safetensors");
    let written = random_model(network(16, 4), 16, 4, &device);
    save(&path, &written, &[]).unwrap();
    let images = || random_images(&[1, 2], 16, &device);
    let logits = |model: &Classifier| values(model.logits(images(), &mut Pass::evaluate(&mut ())));
    let read = load(&path, None, &device).unwrap();
    assert_eq!(logits(&read), logits(&written));
    assert!(read.has_masks());
}

#[test]
fn multiply_adds_are_those_counted_by_hand() {
    // Maps of 8, 4 and 2 places along a side: 84 places; width 8.
    let exchange = 84 * (2 * 64 + 3 * 24 * 8 + 3 * 4 * 4 * 8 + 2 * (2 * 8 + 9));
    let mrfp = 84 * (2 * 8 * 4 + 2 * 9 + 2 * 25);
    let blocks = 2 * (16 * (4 * 64 + 8 * 64) + 2 * 16 * 16 * 8);
    let stem = 16 * 16 * 9 * (3 * 4 + 2 * 4 * 4)
        + 8 * 8 * (9 * 4 * 8 + 8 * 8)
        + 4 * 4 * (9 * 8 * 16 + 16 * 8)
        + 2 * 2 * (9 * 16 * 16 + 16 * 8);
    let patches = 4 * 4 * 3 * 16 * 8;
    let expected = stem + patches + 2 * (mrfp + 2 * exchange) + blocks + 8 * CLASSES as u64;
    assert_eq!(network(16, 4).multiply_adds(16), expected);
}

#[test]
fn sizes_that_do_not_fit_get_a_sentence() {
    let sentence = |config| NetworkSpec::VitComer(config).validate().unwrap_err().to_string();
    let tiny = tiny_vit_comer(16, 4);
    for (config, expected) in [
        (tiny_vit_comer(12, 4), "take an image_size that is a multiple of 8"),
        (tiny_vit_comer(28, 14), "patch_size must be 4, 8 or 16, not 14"),
        (
            archaeo_models::VitComerConfig { stages: 3, ..tiny.clone() },
            "3 stages do not divide a depth of 2 evenly",
        ),
        (archaeo_models::VitComerConfig { width: 6, ..tiny }, "width must be a multiple of 4, not 6"),
    ] {
        assert!(sentence(config).contains(expected), "{expected}");
    }
}
