//! Attacks that look inside a model, on tiny ones.

use burn::tensor::Tensor;

use super::*;
use crate::Keys;
use crate::answers::{logits, predicted_classes};
use crate::attribution::{AttentionMap, Attribution, Evidence};
use crate::tensors::{per_image, values};
use crate::testing::{CLASSES, Fixture, random_images};

const EIGHT: f64 = 8.0 / 255.0;

fn with(id: &str, norm: Norm, size: f64) -> Box<dyn Attack> {
    by_id(id).unwrap().with(&Settings::new(norm, size)).unwrap()
}

/// The share of images on which an attack of a transformer fools the transformer itself.
#[test]
fn paying_no_attention_fools_the_model_itself_and_depends_on_no_batch() {
    let model = Fixture::load().vit();
    let images = random_images(8, 3);
    let labels = predicted_classes(&logits(&model, images.clone()), CLASSES);
    let ids: Vec<u64> = (0..8).collect();
    let chosen = with("pna-patchout", Norm::Linf, 8.0);
    let found = chosen.run(&model, &Batch::new(images.clone(), &labels), &Keys { seed: 1, images: &ids });
    let fallen = found.iter().filter(|outcome| outcome.success).count();
    assert!(fallen >= 4, "{fallen} of 8");
    assert!(found.iter().all(|outcome| outcome.linf <= EIGHT + 1e-6 && outcome.linf >= 0.9 * EIGHT));
    let alone = images.clone().narrow(0, 5, 1);
    let alone = chosen.run(&model, &Batch::new(alone, &labels[5..6]), &Keys { seed: 1, images: &ids[5..6] });
    assert_eq!(alone[0].image, found[5].image);
    // It is not the plain gradient's image, nor another seed's.
    let plain = with("mi-fgsm", Norm::Linf, 8.0);
    let plain = plain.run(&model, &Batch::new(images.clone(), &labels), &Keys { seed: 1, images: &ids });
    assert!(plain.iter().zip(&found).any(|(a, b)| a.image != b.image));
    let other = chosen.run(&model, &Batch::new(images, &labels), &Keys { seed: 2, images: &ids });
    assert!(other.iter().zip(&found).any(|(a, b)| a.image != b.image));
}

#[test]
fn attacks_that_look_inside_refuse_what_has_no_attention() {
    let fixture = Fixture::load();
    for id in ["pna-patchout", "attention-fool"] {
        let chosen = by_id(id).unwrap().sized(48.0, 2);
        assert!(chosen.applies(&fixture.vit()).is_ok());
        assert!(
            chosen.applies(&fixture.resnet()).unwrap_err().to_string().contains("attention")
                || id == "attention-fool"
        );
    }
}

/// A patch made to draw attention draws more of it than one made for the answer alone, where neither fools.
#[test]
fn a_patch_that_draws_attention_draws_more_than_another() {
    let model = Fixture::load().vit();
    let images = random_images(6, 4);
    let before = logits(&model, images.clone());
    // The target is the least likely class: nearly all walks go to their end.
    let least = |row: &[f32]| (0..CLASSES).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let targets: Vec<usize> = before.chunks(CLASSES).map(least).collect();
    let labels = predicted_classes(&before, CLASSES);
    let ids: Vec<u64> = (0..6).collect();
    let side = 32 / fixture_grid(&model, &images);
    let size = (3 * side * side) as f64;
    let drawn = |id: &str| -> f64 {
        let chosen = with(id, Norm::L0, size);
        let batch = Batch { images: images.clone(), labels: &labels, targets: Some(&targets) };
        let found = chosen.run(&model, &batch, &Keys { seed: 1, images: &ids });
        let attacked = super::images(&found, &images);
        let evidence = Evidence::new(&model, attacked.clone(), Keys { seed: 1, images: &ids });
        let maps = AttentionMap::USUAL.explain(&evidence, &[]).unwrap();
        let (attacked, clean) = (values(attacked), values(images.clone()));
        let of_image = |((attacked, clean), map): ((&[f32], &[f32]), &crate::attribution::Heatmap)| {
            let place = (0..attacked.len()).find(|&i| attacked[i] != clean[i]).unwrap_or(0) % 1024;
            let columns = 32 / side;
            f64::from(map.values[place / 32 / side * columns + place % 32 / side])
        };
        per_image(&attacked, 6).zip(per_image(&clean, 6)).zip(&maps).map(of_image).sum()
    };
    let (plain, fooling) = (drawn("patch"), drawn("attention-fool"));
    assert!(fooling > plain, "{fooling} {plain}");
}

/// Patches along a side.
fn fixture_grid(model: &archaeo_models::Classifier, images: &Tensor<4>) -> usize {
    let evidence = Evidence::new(model, images.clone(), Keys { seed: 0, images: &[0, 1, 2, 3, 4, 5] });
    evidence.attention().unwrap().grid()[0]
}

/// One image for both models; where it fools both, no more steps are taken.
#[test]
fn saga_makes_images_that_fool_both() {
    let fixture = Fixture::load();
    let (vit, resnet) = (fixture.vit(), fixture.resnet());
    let images = random_images(96, 3);
    let [one, other] =
        [&vit, &resnet].map(|model| predicted_classes(&logits(model, images.clone()), CLASSES));
    let agreed: Vec<usize> = (0..96).filter(|&i| one[i] == other[i]).collect();
    assert!(agreed.len() >= 3, "{agreed:?}");
    let batch = Tensor::cat(agreed.iter().map(|&i| images.clone().narrow(0, i, 1)).collect(), 0);
    let labels: Vec<usize> = agreed.iter().map(|&i| one[i]).collect();
    let ids: Vec<u64> = agreed.iter().map(|&i| i as u64).collect();
    let keys = Keys { seed: 1, images: &ids };
    let attacked = Batch::new(batch, &labels);
    let both = |weight: f64| {
        let saga = Saga { weight, ..Saga::usual(Threat::Linf(EIGHT)) };
        let [vit, resnet] = saga.run([&vit, &resnet], [&attacked, &attacked], &keys).unwrap();
        for (a, b) in vit.iter().zip(&resnet) {
            assert!(a.image == b.image && a.linf <= EIGHT + 1e-6);
        }
        vit.iter().zip(&resnet).filter(|(a, b)| a.success && b.success).count()
    };
    let blended = both(0.5);
    assert!(blended * 2 > labels.len(), "{blended} of {}", labels.len());
    assert!(blended >= both(0.0) && blended >= both(1.0));
    assert!(Saga::usual(Threat::Linf(EIGHT)).run([&resnet, &vit], [&attacked, &attacked], &keys).is_err());
}
