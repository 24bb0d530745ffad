//! The list of methods, and that evidence is gathered once.

use std::collections::BTreeSet;

use archaeo_models::Classifier;

use super::*;
use crate::testing::{Fixture, assert_close, headless_vit, pooled_vit, random_images, with_evidence};

fn models() -> Vec<Classifier> {
    let fixture = Fixture::load();
    vec![fixture.vit(), pooled_vit(), Fixture::load_swin().swin(), fixture.resnet(), headless_vit()]
}

fn images(model: &Classifier) -> burn::tensor::Tensor<4> {
    let side = model.card().preprocessing.image_size;
    random_images(2, 7).narrow(2, 0, side).narrow(3, 0, side)
}

#[test]
fn every_method_has_a_name_of_its_own() {
    let ids: BTreeSet<_> = methods().iter().map(|method| method.info().id).collect();
    let titles: BTreeSet<_> = methods().iter().map(|method| method.info().title).collect();
    assert_eq!((ids.len(), titles.len()), (methods().len(), methods().len()));
    for listed in methods() {
        let info = listed.info();
        assert!(info.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", info.id);
        assert_eq!(method(info.id).unwrap().info(), info);
        assert!(!info.summary.is_empty() && !info.summary.ends_with('.'), "{}", info.id);
        assert!(info.paper.is_none_or(|paper| paper.url.starts_with("https://")), "{}", info.id);
    }
    assert!(method("no-such").is_none());
}

#[test]
fn every_method_runs_where_it_applies_and_refuses_with_its_reason_elsewhere() {
    let mut refused = 0;
    for model in models() {
        let classes = model.card().classes.len();
        with_evidence(&model, images(&model), |evidence| {
            for method in methods() {
                let info = method.info();
                let found = method.explain(evidence, &vec![0; if classes > 0 { 2 } else { 0 }]);
                match method.applies(&model) {
                    Applicability::Applies => {
                        let [_, _, height, width] = evidence.images().dims();
                        let maps = found.unwrap();
                        assert_eq!(maps.len(), 2, "{}", info.id);
                        let [rows, columns] = match info.resolution {
                            Resolution::Pixels => [height, width],
                            Resolution::Patches => evidence.attention().unwrap().grid(),
                            Resolution::FeatureMap => {
                                let [_, _, rows, columns] = evidence.features().dims();
                                [rows, columns]
                            }
                        };
                        assert!(
                            maps.iter().all(|map| (map.height, map.width) == (rows, columns)),
                            "{}",
                            info.id
                        );
                    }
                    Applicability::DoesNot(reason) => {
                        refused += 1;
                        assert_eq!(found.unwrap_err(), reason, "{}", info.id);
                        assert!(!info.needs.is_empty());
                    }
                }
            }
        });
    }
    let needing = |need| methods().iter().filter(|method| method.info().needs.contains(&need)).count();
    // Of the residual network those of attention, of the headless one those of gradients.
    assert_eq!(refused, needing(Capability::Attention) + needing(Capability::Gradients));
}

#[test]
fn a_reason_names_the_model_and_what_it_lacks() {
    let refuses = |id: &str, model: &Classifier| method(id).unwrap().applies(model).reason().unwrap();
    assert_eq!(
        refuses("rollout", &Fixture::load().resnet()),
        "tiny has no attention heads; this study needs a vision transformer"
    );
    assert!(refuses("grad-cam", &headless_vit()).starts_with("headless has no head"));
    let usual = |model: &Classifier| methods_for(model, Kind::Explanation)[0].info().id;
    assert_eq!(usual(&Fixture::load().vit()), "rollout");
    assert_eq!(usual(&Fixture::load().resnet()), "grad-cam");
    assert_eq!(usual(&headless_vit()), "rollout");
    for id in ["random", "centre"] {
        let baselines = methods_for(&headless_vit(), Kind::Baseline);
        assert!(baselines.iter().any(|method| method.info().id == id), "studies compare with {id}");
    }
}

/// Whether a method says the truth about its dependence on the class.
#[test]
fn another_class_gives_another_heatmap_only_where_the_method_says_so() {
    for model in models().iter().take(4) {
        with_evidence(model, images(model), |evidence| {
            for method in methods().iter().filter(|method| method.applies(model).holds()) {
                let [first, second] =
                    [[0, 0], [1, 1]].map(|classes| method.explain(evidence, &classes).unwrap());
                // Attention that raises no logit leaves nothing to see, whatever the class.
                let same = first == second || first.iter().chain(&second).all(Heatmap::is_constant);
                assert!(same || method.info().depends_on_class, "{}", method.info().id);
                assert!(!same || !method.info().depends_on_class, "{} of {model:?}", method.info().id);
            }
        });
    }
}

#[test]
fn evidence_is_gathered_when_it_is_first_asked_for_and_once() {
    let fixture = Fixture::load();
    let (vit, resnet) = (fixture.vit(), fixture.resnet());
    with_evidence(&vit, fixture.images(), |evidence| {
        assert_eq!(evidence.passes(), 0);
        let classes = evidence.predicted().unwrap();
        assert_eq!(evidence.passes(), 1);
        // The logits' pass serves Grad-CAM; one with gradients serves all that need attention.
        let all = explain_all(methods(), evidence, &classes).unwrap();
        assert_eq!(evidence.passes(), 2);
        assert_eq!(explain_all(methods(), evidence, &classes).unwrap(), all);
        assert_eq!(evidence.passes(), 2);
        // Other classes take other gradients, each with a pass of its own.
        let others: Vec<usize> = classes.iter().map(|class| (class + 1) % 5).collect();
        assert_ne!(explain_all(methods(), evidence, &others).unwrap(), all);
        assert_eq!(evidence.passes(), 4);
    });
    with_evidence(&resnet, fixture.images(), |evidence| {
        let usual = methods_for(&resnet, Kind::Explanation)[0];
        usual.explain_predicted(evidence).unwrap();
        assert_eq!((usual.info().id, evidence.passes()), ("grad-cam", 1));
    });
    with_evidence(&vit, fixture.images(), |evidence| {
        let usual = methods_for(&vit, Kind::Explanation)[0];
        usual.explain_predicted(evidence).unwrap();
        usual.explain_predicted(evidence).unwrap();
        assert_eq!((usual.info().id, evidence.passes()), ("rollout", 1), "no class is looked up in vain");
        Random.explain(evidence, &[]).unwrap();
        assert_eq!(evidence.passes(), 1);
    });
}

#[test]
fn what_is_kept_is_what_a_fresh_pass_gives() {
    let fixture = Fixture::load();
    for model in [fixture.vit(), fixture.resnet()] {
        let (first, second) = ([0, 1, 2], [3, 4, 0]);
        let fresh = |classes: &[usize]| {
            with_evidence(&model, fixture.images(), |evidence| GradCam.explain(evidence, classes).unwrap())
        };
        with_evidence(&model, fixture.images(), |evidence| {
            assert_eq!(evidence.logits(), crate::answers::logits(&model, fixture.images()));
            for classes in [first, second, first] {
                assert_eq!(GradCam.explain(evidence, &classes).unwrap(), fresh(&classes));
            }
        });
    }
    // With gradients the device may round otherwise.
    let vit = fixture.vit();
    let plain = with_evidence(&vit, fixture.images(), |e| Rollout::USUAL.explain(e, &[]).unwrap());
    let tapped = with_evidence(&vit, fixture.images(), |evidence| {
        evidence.attention_gradients(&[0, 1, 2]).unwrap();
        Rollout::USUAL.explain(evidence, &[]).unwrap()
    });
    for (plain, tapped) in plain.iter().zip(&tapped) {
        assert_close(&plain.values, &tapped.values, 1e-6);
    }
}
