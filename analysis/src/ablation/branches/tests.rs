//! Against full passes with a probe, and closed forms.

use archaeo_models::{NetworkSpec, Pass, Pooling, Probe, TokenPlace, TokenSite, state_of, with_state};

use super::*;
use crate::statistics::Predictions;
use crate::testing::{Fixture, random_images, random_values, vit_config};

fn means(model: &Classifier, images: Tensor<4>, batch: usize) -> BranchMeans {
    let mut means = BranchMeans::default();
    images.split(batch, 0).into_iter().for_each(|part| means.add(model, part).unwrap());
    means
}

fn close(found: &[f64], expected: &[f64]) -> bool {
    found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0))
}

/// What a block adds, replaced by constants in a pass that computes everything.
struct Replaced<'a> {
    layer: usize,
    branch: Branch,
    means: &'a BranchMeans,
    received: Option<Tensor<3>>,
}

impl Probe for Replaced<'_> {
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer != self.layer {
            return tokens;
        }
        let [attention, mlp] = self.means.of(self.layer, &tokens.device());
        match (site.place, self.branch) {
            (TokenPlace::BlockInput, Branch::Attention | Branch::Layer) => {
                self.received = Some(tokens.clone());
                tokens
            }
            (TokenPlace::AfterAttention, Branch::Attention | Branch::Layer) => {
                self.received.take().unwrap() + attention
            }
            (TokenPlace::AfterAttention, Branch::Mlp) => {
                self.received = Some(tokens.clone());
                tokens
            }
            (TokenPlace::BlockOutput, Branch::Mlp) => self.received.take().unwrap() + mlp,
            _ => tokens,
        }
    }
}

#[test]
fn replaced_branches_equal_full_passes() {
    let swin = Fixture::load_swin();
    let vit = |pooling| random_values(NetworkSpec::Vit(vit_config(pooling)));
    let kinds = [
        (vit(Pooling::ClassToken), random_images(3, 4)),
        (vit(Pooling::ClassTokenAndMean), random_images(3, 4)),
        (swin.swin(), swin.images().narrow(0, 0, 2)),
    ];
    for (model, images) in kinds {
        let labels = &[0, 3, 1][..images.dims()[0]];
        let means = means(&model, images.clone().flip([2]), 2);
        let (baseline, found) = ablate_branches(&model, images.clone(), labels, &means).unwrap();
        assert_eq!(found.len(), 3 * model.card().network.attention_layers());
        for AblatedBranch { layer, branch, answers } in found {
            assert!(!close(&answers.losses, &baseline.losses), "layer {layer}, {branch:?}");
            if branch == Branch::Layer {
                continue;
            }
            let mut probe = Replaced { layer, branch, means: &means, received: None };
            let logits = values(model.logits(images.clone(), &mut Pass::evaluate(&mut probe)));
            let expected = Predictions::new(&logits, 5, labels).unwrap().nll();
            assert!(close(&answers.losses, &expected), "layer {layer}, {branch:?}");
        }
    }
}

#[test]
fn a_branch_that_adds_nothing_or_its_mean_is_worth_nothing() {
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let mut state = state_of(&vit);
    for part in ["weight", "bias"] {
        state.get_mut(&format!("blocks.1.mlp.fc2.{part}")).unwrap().values.fill(0.0);
    }
    let vit = with_state(vit, state).unwrap();
    let (images, labels) = (random_images(3, 4), [0, 3, 1]);
    let others = means(&vit, random_images(4, 5), 3);
    let (baseline, found) = ablate_branches(&vit, images.clone(), &labels, &others).unwrap();
    for AblatedBranch { layer, branch, answers } in &found {
        let nothing = (*layer, *branch) == (1, Branch::Mlp);
        assert_eq!(close(&answers.losses, &baseline.losses), nothing, "layer {layer}, {branch:?}");
    }
    // Without an MLP, the layer is its attention.
    let of = |branch| &found.iter().find(|of| of.layer == 1 && of.branch == branch).unwrap().answers.losses;
    assert!(close(of(Branch::Layer), of(Branch::Attention)));

    // The mean over one image is that image's.
    let only = images.narrow(0, 1, 1);
    let own = means(&vit, only.clone(), 1);
    let (baseline, found) = ablate_branches(&vit, only, &labels[1..2], &own).unwrap();
    assert!(found.iter().all(|of| close(&of.answers.losses, &baseline.losses)));
}

#[test]
fn a_residual_network_has_no_such_branches() {
    let fixture = Fixture::load();
    assert!(BranchMeans::default().add(&fixture.resnet(), fixture.images()).is_err());
}
