//! Against full passes with a probe, and what patching nothing, everything and itself must do.

use archaeo_models::{NetworkSpec, Pass, Pooling, state_of, with_state};
use burn::tensor::s;

use super::*;
use crate::probes::{BlockRecorder, HeadReplacement};
use crate::tensors::values;
use crate::testing::{Fixture, efficientvit, images_of, random_images, random_values, vit_config};

fn vit() -> Classifier {
    random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)))
}

fn close(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2e-5 * b.abs().max(1.0))
}

/// The upper half of the grid.
fn upper(_: usize, site: &TokenSite) -> Vec<bool> {
    let [rows, columns] = site.grid;
    (0..rows * columns).map(|patch| patch / columns < rows / 2).collect()
}

/// The receivers' own answers, and what patching gives.
fn patch(
    model: &Classifier,
    receivers: Tensor<4>,
    donors: Tensor<4>,
    groups: &[TokenGroup],
) -> (Logits, Patched) {
    let receivers = Receivers::record(model, receivers).unwrap();
    let found = receivers.patched(donors, groups, &upper).unwrap();
    (receivers.logits, found)
}

const GROUPS: [TokenGroup; 4] =
    [TokenGroup::Prefix, TokenGroup::Marked, TokenGroup::Unmarked, TokenGroup::All];

#[test]
fn an_image_patched_with_itself_answers_as_before() {
    let images = random_images(2, 4);
    let (own, found) = patch(&vit(), images.clone(), images, &GROUPS);
    let patched = || found.heads.iter().chain(&found.layers).flatten();
    assert_eq!(patched().count(), 3 * 4 + 3 * 4);
    assert!(patched().all(|logits| close(logits, &own)));
}

/// The heads after a patched head of a cascade read what it says for the donor.
#[test]
fn patched_heads_of_a_cascade_equal_full_passes() {
    #[derive(Default)]
    struct Cascade {
        patched: Option<(usize, usize, Tensor<3>)>,
        outputs: Vec<(usize, usize, Tensor<3>)>,
    }
    impl archaeo_models::Probe for Cascade {
        fn cascade_output(
            &mut self,
            site: &archaeo_models::AttentionSite,
            head: usize,
            output: Tensor<3>,
        ) -> Tensor<3> {
            self.outputs.push((site.layer, head, output.clone()));
            match &self.patched {
                Some((layer, of, donor)) if (*layer, *of) == (site.layer, head) => donor.clone(),
                _ => output,
            }
        }
    }
    let (model, images) = (efficientvit(), images_of(4, 48));
    let (receivers, donors) = (images.clone().narrow(0, 0, 2), images.narrow(0, 2, 2));
    let (own, found) = patch(&model, receivers.clone(), donors.clone(), &[]);
    let mut of_donors = Cascade::default();
    model.logits(donors, &mut Pass::evaluate(&mut of_donors));
    assert_eq!(of_donors.outputs.len(), 2 + 3);
    for (layer, head, donor) in of_donors.outputs {
        let mut probe = Cascade { patched: Some((layer, head, donor)), ..Cascade::default() };
        let full = values(model.logits(receivers.clone(), &mut Pass::evaluate(&mut probe)));
        assert!(close(&found.heads[layer][head], &full), "layer {layer}, head {head}");
        assert!(!close(&full, &own), "layer {layer}, head {head}");
    }
}

#[test]
fn patching_all_tokens_of_a_layer_gives_the_donors_answer() {
    let swin = Fixture::load_swin();
    let (images, donors) = (random_images(2, 4), random_images(2, 5));
    let swin_donors = swin.images().narrow(0, 0, 2);
    for (model, images, donors) in [
        (vit(), images, donors),
        (swin.swin(), swin_donors.clone().flip([3]), swin_donors),
        (efficientvit(), images_of(4, 48).narrow(0, 0, 2), images_of(4, 48).narrow(0, 2, 2)),
    ] {
        let (own, found) = patch(&model, images, donors, &GROUPS);
        for groups in &found.layers {
            assert!(close(&groups[3], &found.donors));
            assert!(!close(&groups[3], &own));
            assert!(!close(&groups[1], &found.donors) || groups[1] == groups[3]);
        }
    }
    // After the last layer the class token alone is read, and no patch matters.
    let (own, found) = patch(&vit(), random_images(2, 4), random_images(2, 5), &GROUPS);
    let [prefix, marked, unmarked, _] = [0, 1, 2, 3].map(|group| &found.layers[2][group]);
    assert!(close(prefix, &found.donors) && close(marked, &own) && close(unmarked, &own));
}

#[test]
fn a_patched_head_equals_a_full_pass_and_exchanging_the_images_matters() {
    let (model, images, donors) = (vit(), random_images(2, 4), random_images(2, 5));
    let (own, found) = patch(&model, images.clone(), donors.clone(), &[]);
    let (other, exchanged) = patch(&model, donors.clone(), images.clone(), &[]);
    assert_eq!((&own, &found.donors), (&exchanged.donors, &other));
    let mut recorder = BlockRecorder::default();
    model.logits(donors, &mut Pass::evaluate(&mut recorder));
    for (layer, heads) in found.heads.iter().enumerate() {
        for (head, logits) in heads.iter().enumerate() {
            let output = recorder.heads[layer].clone().slice(s![.., head..head + 1, .., ..]);
            let mut probe = HeadReplacement { layer, head, output };
            let full = values(model.logits(images.clone(), &mut Pass::evaluate(&mut probe)));
            assert!(close(logits, &full), "layer {layer}, head {head}");
            assert!(!close(logits, &exchanged.heads[layer][head]), "layer {layer}, head {head}");
        }
    }
}

#[test]
fn a_residual_network_has_nothing_to_patch() {
    let fixture = Fixture::load();
    assert!(Receivers::record(&fixture.resnet(), fixture.images()).is_err());
}

/// What a head adds goes through its own columns of the projection: without them, its output makes no difference.
#[test]
fn a_head_whose_projection_is_zero_carries_nothing() {
    let model = vit();
    let mut state = state_of(&model);
    let projection = state.get_mut("blocks.1.attn.proj.weight").unwrap();
    let (width, head_dim, head) = (32, 8, 2);
    for row in projection.values.chunks_exact_mut(width) {
        row[head * head_dim..(head + 1) * head_dim].fill(0.0);
    }
    let model = with_state(model, state).unwrap();
    let (own, found) = patch(&model, random_images(2, 4), random_images(2, 5), &[]);
    assert!(close(&found.heads[1][head], &own) && !close(&found.heads[1][head - 1], &own));
}
