//! Against the studies, which replace one part at a time and resume from a kept stream.

use archaeo_models::{NetworkSpec, Pass, Pooling};

use super::*;
use crate::ablation::{
    Branch, HeadMeans, RemovalPoint, Replacement, Substitute, ablate_branches, ablate_some_heads,
    remove_heads,
};
use crate::statistics::Predictions;
use crate::tensors::values;
use crate::testing::{Fixture, efficientvit, random_images, random_values, vit_config};

fn means(model: &Classifier, images: &Tensor<4>) -> PartMeans {
    let mut means = PartMeans::default();
    means.add(model, images.clone()).unwrap();
    means
}

fn loss(model: &Classifier, image: &Tensor<4>, parts: &[(Part, Instead)], means: &PartMeans) -> f64 {
    let found = intervene(model, image.clone(), parts, Some(means)).unwrap();
    Predictions::new(&found.logits, found.logits.len(), &[1]).unwrap().nll()[0]
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1.0)
}

#[test]
fn one_part_at_a_time_is_what_the_studies_find() {
    let (swin, resnet) = (Fixture::load_swin(), Fixture::load());
    let kinds = [
        (random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken))), random_images(3, 4)),
        (swin.swin(), swin.images()),
        (efficientvit(), crate::testing::images_of(2, 64)),
        (resnet.resnet(), resnet.images()),
    ];
    for (model, images) in kinds {
        let (image, others) = (images.clone().narrow(0, 0, 1), images.flip([2]));
        let (means, name) = (means(&model, &others), &model.card().name);
        let (_, found) = ablate_branches(&model, image.clone(), &[1], &means.branches, &Branch::ALL).unwrap();
        assert!(!found.is_empty());
        for of in found {
            let part = match (of.branch, model.has_attention()) {
                (Branch::Attention, _) => Part::Attention(of.layer),
                (Branch::Mlp, _) => Part::Mlp(of.layer),
                (Branch::Layer, true) => Part::Layer(of.layer),
                (Branch::Layer, false) => Part::Block(of.layer),
            };
            let instead = if of.replacement == Replacement::Mean { Instead::Mean } else { Instead::Zero };
            let own = loss(&model, &image, &[(part, instead)], &means);
            assert!(close(own, of.answers.losses[0]), "{name}: {} {:?}", part.describe(), of.replacement);
        }
        if !model.has_attention() {
            continue;
        }
        let other = others.narrow(0, 1, 1);
        let substitutes = [Substitute::Mean(&means.heads), Substitute::Zero, Substitute::Resample(&other)];
        let point = RemovalPoint::Output;
        let found =
            ablate_some_heads(&model, image.clone(), &[1], &substitutes, point, &|_, _| true).unwrap();
        for of in found.heads {
            let instead = match of.replacement {
                Replacement::Mean => Instead::Mean,
                Replacement::Zero => Instead::Zero,
                Replacement::Resample => Instead::Of(Box::new(other.clone())),
            };
            let part = Part::Head { layer: of.layer, head: of.head };
            let own = loss(&model, &image, &[(part, instead)], &means);
            assert!(close(own, of.answers.losses[0]), "{name}: {} {:?}", part.describe(), of.replacement);
        }
    }
}

#[test]
fn several_heads_at_once_are_what_the_study_finds_and_none_is_the_model() {
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let (image, others) = (random_images(1, 4), random_images(4, 5));
    let all = means(&vit, &others);
    let set = [(0, 1), (1, 0), (1, 1)];
    let mut heads = HeadMeans::new(RemovalPoint::Output);
    heads.add(&vit, others).unwrap();
    let expected = remove_heads(&vit, image.clone(), &[1], &heads, &[set.to_vec()]).unwrap();
    let parts: Vec<_> =
        set.iter().map(|&(layer, head)| (Part::Head { layer, head }, Instead::Mean)).collect();
    assert!(close(loss(&vit, &image, &parts, &all), expected[0].losses[0]));

    let found = intervene(&vit, image.clone(), &[], None).unwrap();
    assert_eq!(found.logits, values(vit.logits(image.clone(), &mut Pass::evaluate(&mut ()))));
    assert_eq!(found.attention, Some(AttentionMaps::record(&vit, image).unwrap()));
}

#[test]
fn a_head_patched_with_its_own_image_changes_nothing_and_attention_follows() {
    let vit = random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken)));
    let image = random_images(1, 4);
    let head = Part::Head { layer: 0, head: 1 };
    let plain = intervene(&vit, image.clone(), &[], None).unwrap();
    let own = intervene(&vit, image.clone(), &[(head, Instead::Of(Box::new(image.clone())))], None).unwrap();
    assert_eq!(own.logits, plain.logits);
    // A head that is off changes the attention of later layers alone.
    let off = intervene(&vit, image, &[(head, Instead::Zero)], None).unwrap();
    let [off, plain] = [off, plain].map(|found| found.attention.unwrap().layers);
    assert_eq!(off[0], plain[0]);
    assert_ne!(off[1], plain[1]);
}

#[test]
fn what_is_not_there_is_refused() {
    let (vit, resnet) = (random_values(NetworkSpec::Vit(vit_config(Pooling::ClassToken))), Fixture::load());
    let image = random_images(1, 4);
    let refused = |model: &Classifier, part, instead| {
        intervene(model, image.clone(), &[(part, instead)], None).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&vit, Part::Head { layer: 0, head: 9 }, Instead::Zero),
        format!("{} does not have head 10 of layer 1", vit.card().name)
    );
    assert_eq!(
        refused(&resnet.resnet(), Part::Mlp(0), Instead::Zero),
        "tiny does not have the MLP of layer 1"
    );
    assert_eq!(
        refused(&vit, Part::Mlp(0), Instead::Of(Box::new(image.clone()))),
        "only a head can take its output from another image, not the MLP of layer 1"
    );
}
