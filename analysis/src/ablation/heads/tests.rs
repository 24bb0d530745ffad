//! Against full passes, and against what each replacement must mean.

use super::*;
use archaeo_models::{NetworkSpec, Pooling, state_of, with_state};

use crate::probes::{BlockRecorder, HeadReplacement};
use crate::statistics::Predictions;
use crate::testing::{
    Fixture, Silenced, efficientvit, images_of, random_images, random_values, vit_config, with_head_scaled,
};

/// How far two ways of computing the same loss may differ.
const ROUNDING: f64 = 1e-5;

fn close(found: &[f64], expected: &[f64]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= ROUNDING * b.abs().max(1.0))
}

fn losses(model: &Classifier, images: Tensor<4>, labels: &[usize], probe: &mut dyn Probe) -> Vec<f64> {
    let logits = values(model.logits(images, &mut Pass::evaluate(probe)));
    Predictions::new(&logits, 5, labels).unwrap().nll()
}

/// A ViT of each kind of read-out, and a Swin whose grids shrink.
fn kinds() -> Vec<(Classifier, Tensor<4>)> {
    let vits =
        [Pooling::ClassToken, Pooling::Mean, Pooling::MeanBesideClassToken, Pooling::ClassTokenAndMean];
    let vit = |pooling| random_values(NetworkSpec::Vit(vit_config(pooling)));
    let scaled = random_values(NetworkSpec::Vit(archaeo_models::VitConfig {
        layer_scale: true,
        distilled: true,
        ..vit_config(Pooling::ClassToken)
    }));
    let swin = Fixture::load_swin();
    let mut kinds: Vec<_> = vits.into_iter().map(|pooling| (vit(pooling), random_images(3, 4))).collect();
    kinds.push((scaled, random_images(3, 4)));
    kinds.push((swin.swin(), swin.images().narrow(0, 0, 2)));
    kinds
}

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
        let full = losses(&vit, images.clone(), &labels, &mut Silenced(ablated.layer, ablated.head));
        assert!(close(&ablated.answers.losses, &full), "layer {}, head {}", ablated.layer, ablated.head);
        assert!(!close(&ablated.answers.losses, &found.baseline.losses));
    }
}

/// Of every kind of model: single heads by their means, and sets of heads within one layer, across layers and up to the last.
#[test]
fn replaced_heads_equal_full_passes_whatever_the_model_reads() {
    for (model, images) in kinds() {
        let labels = &[0, 3, 1][..images.dims()[0]];
        let means = means(&model, images.clone().flip([2]), 2);
        let outputs = means.outputs(&images.device());
        let full = |set: &[(usize, usize)]| {
            let mut probe = HeadsReplacement { heads: set, outputs: &outputs };
            losses(&model, images.clone(), labels, &mut probe)
        };
        let found = ablate_heads(&model, images.clone(), labels, &[Substitute::Mean(&means)]).unwrap();
        for head in &found.heads {
            let expected = full(&[(head.layer, head.head)]);
            assert!(close(&head.answers.losses, &expected), "{} {}", head.layer, head.head);
            assert!(!close(&head.answers.losses, &found.baseline.losses), "{} {}", head.layer, head.head);
        }
        let last = outputs.len() - 1;
        let sets = [
            vec![],
            vec![(0, 0), (0, 1)],
            vec![(0, 1), (1, 0)],
            vec![(1, 0), (1, 1), (last, 1)],
            vec![(last, 0), (last, 1)],
        ];
        let removed = remove_heads(&model, images.clone(), labels, &means, &sets).unwrap();
        for (set, found) in sets.iter().zip(&removed) {
            assert!(close(&found.losses, &full(set)), "{set:?}: {:?} {:?}", found.losses, full(set));
        }
    }
}

#[test]
fn a_head_whose_projection_is_zero_is_worth_nothing() {
    let fixture = Fixture::load();
    let (vit, images, labels) = (fixture.vit(), fixture.images(), fixture.targets());
    let mut state = state_of(&vit);
    // Head 3 of layer 2: columns 16 to 23 of the 32 of its output projection.
    let weight = state.get_mut("blocks.1.attn.proj.weight").unwrap();
    weight.values.chunks_mut(32).for_each(|row| row[16..24].fill(0.0));
    let vit = with_state(vit, state).unwrap();
    let means = means(&vit, random_images(4, 4), 4);
    let donors = random_images(3, 9);
    let substitutes = [Substitute::Mean(&means), Substitute::Zero, Substitute::Resample(&donors)];
    let found = ablate_heads(&vit, images, &labels, &substitutes).unwrap();
    for head in &found.heads {
        let unchanged = close(&head.answers.losses, &found.baseline.losses);
        assert_eq!(unchanged, (head.layer, head.head) == (1, 2), "{} {}", head.layer, head.head);
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
    for ablated in &found.heads {
        assert!(close(&ablated.answers.losses, &found.baseline.losses));
        assert_eq!(ablated.answers.correct, found.baseline.correct);
    }
}

#[test]
fn means_are_over_images_for_each_position_whatever_the_batches() {
    let fixture = Fixture::load();
    let (vit, images) = (fixture.vit(), random_images(6, 4));
    let whole = means(&vit, images.clone(), 6);
    let mut recorder = BlockRecorder::default();
    vit.logits(images.clone(), &mut Pass::evaluate(&mut recorder));
    let expected = recorder.heads[1].clone().mean_dim(0);
    let found = whole.outputs(&images.device())[1].clone();
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
        assert!(close(&ablated.answers.losses, &losses(&vit, images.clone(), &labels, &mut probe)));
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

/// In an EfficientViT, by setting to zero what a head's values, or its columns of the projection, follow from.
#[test]
fn heads_of_a_cascade_are_taken_away_for_the_heads_after_them_or_for_the_projection_alone() {
    let (model, images, labels) = (efficientvit(), images_of(3, 48), [3, 1, 0]);
    let full = |model: &Classifier| losses(model, images.clone(), &labels, &mut ());
    let mut apart = 0;
    for point in [RemovalPoint::Output, RemovalPoint::Contribution] {
        let mut own = HeadMeans::new(point);
        own.add(&model, images.clone().narrow(0, 0, 1)).unwrap();
        let of_itself = images.clone();
        let substitutes = [Substitute::Zero, Substitute::Mean(&own), Substitute::Resample(&of_itself)];
        let found =
            ablate_some_heads(&model, images.clone(), &labels, &substitutes, point, &|_, _| true).unwrap();
        assert!(close(&found.baseline.losses, &full(&model)));
        assert_eq!(found.heads.len(), 3 * (2 + 3));
        for of_head in found.heads.chunks(3) {
            let place = (of_head[0].layer, of_head[0].head);
            let without = full(&with_head_scaled(&model, place, point, 0.0));
            assert!(close(&of_head[0].answers.losses, &without), "{point:?} {place:?}");
            assert!(!close(&without, &found.baseline.losses), "{point:?} {place:?}");
            // The mean over one image, and what the image itself says, change nothing for that image.
            assert!(
                close(&of_head[1].answers.losses[..1], &found.baseline.losses[..1]),
                "{point:?} {place:?}"
            );
            assert!(close(&of_head[2].answers.losses, &found.baseline.losses), "{point:?} {place:?}");
            let elsewhere = full(&with_head_scaled(&model, place, other(point), 0.0));
            let last = place.1 + 1 == [2, 3][place.0];
            assert_eq!(close(&without, &elsewhere), last, "no head reads the last one: {place:?}");
            apart += usize::from(!last);
        }
    }
    assert_eq!(apart, 6);
}

fn other(point: RemovalPoint) -> RemovalPoint {
    match point {
        RemovalPoint::Output => RemovalPoint::Contribution,
        RemovalPoint::Contribution => RemovalPoint::Output,
    }
}

/// Sets of heads, whose means over other images are read by the heads after them or not.
#[test]
fn sets_of_heads_of_a_cascade_equal_full_passes() {
    struct Replaced<'a> {
        point: RemovalPoint,
        set: &'a [(usize, usize)],
        means: Vec<Tensor<4>>,
    }
    impl Probe for Replaced<'_> {
        fn cascade_output(&mut self, site: &AttentionSite, head: usize, output: Tensor<3>) -> Tensor<3> {
            let replaced = self.point == RemovalPoint::Output && self.set.contains(&(site.layer, head));
            let mean = || self.means[site.layer].clone().narrow(1, head, 1).squeeze_dim::<3>(1);
            if replaced { mean().expand(output.dims()) } else { output }
        }
        fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
            let [batch, heads, tokens, width] = outputs.dims();
            let of_head = |head: usize| {
                let replaced =
                    self.point == RemovalPoint::Contribution && self.set.contains(&(site.layer, head));
                match replaced {
                    true => {
                        self.means[site.layer].clone().narrow(1, head, 1).expand([batch, 1, tokens, width])
                    }
                    false => outputs.clone().narrow(1, head, 1),
                }
            };
            Tensor::cat((0..heads).map(of_head).collect(), 1)
        }
    }
    let (model, images, labels) = (efficientvit(), images_of(3, 48), [3, 1, 0]);
    let sets = [vec![], vec![(0, 0)], vec![(1, 1)], vec![(0, 1), (1, 0), (1, 2)], vec![(0, 0), (0, 1)]];
    for point in [RemovalPoint::Output, RemovalPoint::Contribution] {
        let mut means = HeadMeans::new(point);
        means.add(&model, images.clone().flip([2])).unwrap();
        let found = remove_heads(&model, images.clone(), &labels, &means, &sets).unwrap();
        for (set, found) in sets.iter().zip(&found) {
            let mut probe = Replaced { point, set, means: means.outputs(&images.device()) };
            let full = losses(&model, images.clone(), &labels, &mut probe);
            assert!(close(&found.losses, &full), "{point:?} {set:?}");
        }
    }
}
