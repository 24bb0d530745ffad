//! Against full passes with a probe, and closed forms.

use archaeo_models::{NetworkSpec, Pass, Pooling, Probe, TokenPlace, TokenSite, state_of, with_state};

use super::*;
use crate::statistics::Predictions;
use crate::testing::{Fixture, efficientvit, images_of, random_images, random_values, scaled, vit_config};

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
    replacement: Replacement,
    means: &'a BranchMeans,
    received: Option<Tensor<3>>,
}

impl Probe for Replaced<'_> {
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer != self.layer {
            return tokens;
        }
        let [attention, mlp] = match self.replacement {
            Replacement::Mean => [0, 1].map(|part| self.means.of::<3>(self.layer, part, &tokens.device())),
            _ => [0, 1].map(|_| tokens.zeros_like().narrow(0, 0, 1)),
        };
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
        let (baseline, found) =
            ablate_branches(&model, images.clone(), labels, &means, &Branch::ALL).unwrap();
        assert_eq!(found.len(), 3 * 2 * model.card().network.attention_layers());
        for AblatedBranch { layer, branch, replacement, answers } in found {
            assert!(!close(&answers.losses, &baseline.losses), "layer {layer}, {branch:?}");
            if branch == Branch::Layer {
                continue;
            }
            let mut probe = Replaced { layer, branch, replacement, means: &means, received: None };
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
    let (baseline, found) = ablate_branches(&vit, images.clone(), &labels, &others, &Branch::ALL).unwrap();
    for AblatedBranch { layer, branch, answers, .. } in &found {
        let nothing = (*layer, *branch) == (1, Branch::Mlp);
        assert_eq!(close(&answers.losses, &baseline.losses), nothing, "layer {layer}, {branch:?}");
    }
    // Without an MLP, the layer is its attention.
    let of = |branch| &found.iter().find(|of| of.layer == 1 && of.branch == branch).unwrap().answers.losses;
    assert!(close(of(Branch::Layer), of(Branch::Attention)));

    // The mean over one image is that image's.
    let only = images.narrow(0, 1, 1);
    let own = means(&vit, only.clone(), 1);
    let (baseline, found) = ablate_branches(&vit, only, &labels[1..2], &own, &Branch::ALL).unwrap();
    for of in found {
        assert_eq!(
            close(&of.answers.losses, &baseline.losses),
            of.replacement == Replacement::Mean || (of.layer, of.branch) == (1, Branch::Mlp)
        );
    }
}

#[test]
fn only_branches_that_are_asked_for_are_replaced() {
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let means = means(&vit, random_images(4, 5), 3);
    let (images, labels) = (random_images(3, 4), [0, 3, 1]);
    let ask =
        |branches: &[Branch]| ablate_branches(&vit, images.clone(), &labels, &means, branches).unwrap().1;
    let (all, some) = (ask(&Branch::ALL), ask(&[Branch::Layer, Branch::Mlp]));
    let expected: Vec<_> = all.into_iter().filter(|of| of.branch != Branch::Attention).collect();
    assert_eq!(some, expected);
    assert!(ask(&[]).is_empty());
}

#[test]
fn a_skipped_residual_block_hands_on_its_shortcut() {
    let fixture = Fixture::load();
    let (resnet, images, labels) = (fixture.resnet(), fixture.images(), fixture.targets());
    let others = means(&resnet, images.clone().flip([2]), 1);
    assert_eq!(Branch::of_model(&resnet, &Branch::ALL), [Branch::Layer]);
    let (baseline, found) = ablate_branches(&resnet, images.clone(), &labels, &others, &Branch::ALL).unwrap();
    let logits = values(resnet.logits(images.clone(), &mut Pass::evaluate(&mut ())));
    assert!(close(&baseline.losses, &Predictions::new(&logits, 5, &labels).unwrap().nll()));
    let keys: Vec<_> = found.iter().map(|of| (of.layer, of.replacement)).collect();
    let expected: Vec<_> = (0..4).flat_map(|layer| BRANCH_REPLACEMENTS.map(|by| (layer, by))).collect();
    assert_eq!(keys, expected);
    assert!(found.iter().all(|of| !close(&of.answers.losses, &baseline.losses)));

    // A branch that ends in zeros: the same network as one whose block is skipped, whatever the block.
    for block in 0..4 {
        let mut state = state_of(&resnet);
        for part in ["weight", "bias"] {
            state.get_mut(&format!("layer{}.0.bn2.{part}", block + 1)).unwrap().values.fill(0.0);
        }
        let silent = with_state(resnet.clone(), state).unwrap();
        let logits = values(silent.logits(images.clone(), &mut Pass::evaluate(&mut ())));
        let expected = Predictions::new(&logits, 5, &labels).unwrap().nll();
        let skipped = &found[2 * block + 1];
        assert_eq!((skipped.layer, skipped.replacement), (block, Replacement::Zero));
        assert!(close(&skipped.answers.losses, &expected), "block {block}");
    }

    // The mean over one image is that image's own, and means do not depend on batches.
    let only = images.clone().narrow(0, 1, 1);
    let own = means(&resnet, only.clone(), 1);
    let (baseline, found) = ablate_branches(&resnet, only, &labels[1..2], &own, &Branch::ALL).unwrap();
    let by_mean = found.iter().filter(|of| of.replacement == Replacement::Mean);
    assert!(
        by_mean.clone().count() == 4 && by_mean.clone().all(|of| close(&of.answers.losses, &baseline.losses))
    );
    let [one, two] = [1, 2].map(|batch| means(&resnet, images.clone(), batch));
    let tensor = |means: &BranchMeans| values(means.of::<4>(2, 0, &images.device()));
    assert_eq!(tensor(&one), tensor(&two));
}

/// In an EfficientViT, by setting to zero the norms that end its branches.
#[test]
fn branches_around_and_between_convolutions_equal_changed_arrays() {
    let (model, images, labels) = (efficientvit(), images_of(2, 48), [3, 1]);
    let means = means(&model, images.clone(), 2);
    let (baseline, found) = ablate_branches(&model, images.clone(), &labels, &means, &Branch::ALL).unwrap();
    let full = |model: &Classifier| {
        let logits = values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
        Predictions::new(&logits, 5, &labels).unwrap().nll()
    };
    assert!(close(&baseline.losses, &full(&model)));
    let (before, attention, after) =
        (&["dw0.m", "ffn0.m.pw2"][..], &["mixer.m.attn.proj.1"][..], &["dw1.m", "ffn1.m.pw2"][..]);
    for ablated in found.iter().filter(|ablated| ablated.replacement == Replacement::Zero) {
        let ends = match ablated.branch {
            Branch::Attention => attention.to_vec(),
            Branch::Mlp => after.to_vec(),
            Branch::Layer => [before, attention, after].concat(),
        };
        let all = |_: usize| true;
        let named = |end: &&str| {
            ["weight", "bias"]
                .map(|part| (format!("stages.{}.blocks.0.{end}.bn.{part}", ablated.layer), &all as _))
        };
        let arrays: Vec<(String, &dyn Fn(usize) -> bool)> = ends.iter().flat_map(named).collect();
        let without = full(&scaled(&model, &arrays, 0.0));
        assert!(close(&ablated.answers.losses, &without), "{:?} of layer {}", ablated.branch, ablated.layer);
        assert!(!close(&without, &baseline.losses));
    }
    // The mean over one image is what the image itself adds.
    let one = images.clone().narrow(0, 0, 1);
    let mut own = BranchMeans::default();
    own.add(&model, one.clone()).unwrap();
    let (baseline, found) = ablate_branches(&model, one, &labels[..1], &own, &Branch::ALL).unwrap();
    for ablated in found.iter().filter(|ablated| ablated.replacement == Replacement::Mean) {
        assert!(close(&ablated.answers.losses, &baseline.losses), "{:?}", ablated.branch);
    }
}
