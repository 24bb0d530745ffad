//! Against full passes, and against what each replacement must mean.

use super::*;
use crate::testing::{Fixture, Silenced, random_images};

fn means(model: &Classifier, images: Tensor<4>, batch: usize) -> HeadMeans {
    let mut means = HeadMeans::default();
    for part in images.split(batch, 0) {
        means.add(model, part).unwrap();
    }
    means
}

#[test]
fn resuming_equals_the_full_pass_to_the_last_bit() {
    let fixture = Fixture::load();
    let vit = fixture.vit();
    let full = values(vit.logits(fixture.images(), &mut Pass::evaluate(&mut ())));
    let mut recorder = BlockRecorder::default();
    vit.logits(fixture.images(), &mut Pass::evaluate(&mut recorder));
    assert_eq!(recorder.inputs.len(), 3);
    for (layer, (site, input)) in recorder.inputs.into_iter().enumerate() {
        let resumed = vit.logits_from(layer, input, site.grid, &mut Pass::evaluate(&mut ()));
        assert_eq!(values(resumed), full);
    }
}

#[test]
fn silenced_heads_equal_full_passes() {
    let fixture = Fixture::load();
    let (vit, labels, images) = (fixture.vit(), fixture.targets(), fixture.images());
    let found = ablate_heads(&vit, images.clone(), &labels, &[Substitute::Zero]).unwrap();
    assert_eq!(found.heads.len(), 12);
    for ablated in &found.heads {
        let mut probe = Silenced(ablated.layer, ablated.head);
        let logits = values(vit.logits(images.clone(), &mut Pass::evaluate(&mut probe)));
        let losses = Predictions::new(&logits, 5, &labels).unwrap().nll();
        assert_eq!(ablated.answers.losses, losses, "layer {}, head {}", ablated.layer, ablated.head);
        assert_ne!(ablated.answers.losses, found.baseline.losses);
    }
}

#[test]
fn replacing_a_head_by_its_own_output_changes_nothing() {
    let fixture = Fixture::load();
    let (vit, labels, images) = (fixture.vit(), fixture.targets(), fixture.images());
    // An image is its own donor, and the mean over one image is that image's output.
    let only = images.clone().narrow(0, 1, 1);
    let means = means(&vit, only.clone(), 1);
    let substitutes = [Substitute::Mean(&means), Substitute::Resample(&only)];
    let found = ablate_heads(&vit, only.clone(), &labels[1..2], &substitutes).unwrap();
    assert!(found.heads.iter().all(|ablated| ablated.answers == found.baseline));
}

#[test]
fn means_are_over_images_for_each_position_whatever_the_batches() {
    let fixture = Fixture::load();
    let (vit, images) = (fixture.vit(), random_images(6, 4));
    let whole = means(&vit, images.clone(), 6);
    let mut recorder = BlockRecorder::default();
    vit.logits(images.clone(), &mut Pass::evaluate(&mut recorder));
    let expected = recorder.heads[1].clone().mean_dim(0);
    let found = whole.outputs(1, &images.device())[1].clone();
    assert!(values((found - expected).abs().max())[0] < 1e-6);

    let parts = means(&vit, images, 4);
    for ((_, whole), (_, parts)) in whole.layers.iter().zip(&parts.layers) {
        assert!(whole.iter().zip(parts).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn a_resampled_head_says_what_it_says_of_the_donor() {
    let fixture = Fixture::load();
    let (vit, labels) = (fixture.vit(), fixture.targets());
    let (images, donors) = (fixture.images(), random_images(3, 9));
    let resample = [Substitute::Resample(&donors)];
    let together = ablate_heads(&vit, images.clone(), &labels, &resample).unwrap();
    for ablated in &together.heads {
        // The donor's output, fed into a full pass.
        let mut recorder = BlockRecorder::default();
        vit.logits(donors.clone(), &mut Pass::evaluate(&mut recorder));
        let (layer, head) = (ablated.layer, ablated.head);
        let output = recorder.heads[layer].clone().slice(s![.., head..head + 1, .., ..]);
        let mut probe = HeadReplacement { layer, head, output };
        let logits = values(vit.logits(images.clone(), &mut Pass::evaluate(&mut probe)));
        assert_eq!(ablated.answers.losses, Predictions::new(&logits, 5, &labels).unwrap().nll());
    }
}

#[test]
fn batches_join_to_the_whole() {
    let fixture = Fixture::load();
    let vit = fixture.vit();
    let (images, labels) = (random_images(5, 6), [0, 1, 2, 3, 4]);
    let means = means(&vit, images.clone(), 5);
    let order: Vec<i64> = donors(5, 11).into_iter().map(|donor| donor as i64).collect();
    let order = Tensor::from_data(TensorData::new(order, [5]), &images.device());
    let donated = images.clone().select(0, order);
    let ablate = |start: usize, count: usize| {
        let part = |x: &Tensor<4>| x.clone().narrow(0, start, count);
        let donors = part(&donated);
        let substitutes = [Substitute::Mean(&means), Substitute::Zero, Substitute::Resample(&donors)];
        ablate_heads(&vit, part(&images), &labels[start..start + count], &substitutes).unwrap()
    };
    let whole = ablate(0, 5);
    let mut joined = HeadAblations::default();
    for (start, count) in [(0, 2), (2, 3)] {
        joined.append(ablate(start, count));
    }
    assert_eq!(joined.heads.len(), 36);
    for (joined, whole) in joined.heads.iter().zip(&whole.heads) {
        assert_eq!(
            (joined.layer, joined.head, joined.replacement),
            (whole.layer, whole.head, whole.replacement)
        );
        assert_eq!(joined.answers.correct.len(), 5);
        for (a, b) in joined.answers.losses.iter().zip(&whole.answers.losses) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }
}

#[test]
fn donors_are_a_cycle_through_all_images() {
    for n in [2, 3, 10, 101] {
        let donors = donors(n, 5);
        let (mut image, mut length) = (0, 0);
        loop {
            assert_ne!(donors[image], image);
            (image, length) = (donors[image], length + 1);
            if image == 0 {
                break;
            }
        }
        assert_eq!(length, n);
    }
    assert_ne!(donors(50, 1), donors(50, 2));
}

#[test]
fn a_residual_network_has_no_heads() {
    let fixture = Fixture::load();
    let (resnet, images) = (fixture.resnet(), fixture.images());
    let refused = ablate_heads(&resnet, images.clone(), &[0, 1, 2], &[Substitute::Zero]);
    assert!(matches!(refused, Err(AnalysisError::NoAttention { .. })));
    assert!(HeadMeans::default().add(&resnet, images).is_err());
}
