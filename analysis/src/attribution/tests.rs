//! The list of methods, and that evidence is gathered once.

use std::collections::BTreeSet;

use archaeo_models::{Classifier, Pass};
use archaeo_ops::in_pool;

use super::*;
use crate::attention::target_score;
use crate::probes::GradientTap;
use crate::tensors::values;
use crate::testing::{
    Fixture, assert_close, efficientvit, headless_vit, images_of, pooled_vit, random_images, with_evidence,
};

fn models() -> Vec<Classifier> {
    let fixture = Fixture::load();
    let swin = Fixture::load_swin().swin();
    vec![fixture.vit(), pooled_vit(), swin, efficientvit(), fixture.resnet(), headless_vit()]
}

fn images(model: &Classifier) -> burn::tensor::Tensor<4> {
    let side = model.card().preprocessing.image_size;
    match side > 32 {
        true => images_of(2, side),
        false => random_images(2, 7).narrow(2, 0, side).narrow(3, 0, side),
    }
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
    for (earlier, id) in EARLIER_IDS {
        assert!(!ids.contains(earlier) && method(earlier).unwrap().info().id == id);
    }
}

#[test]
fn every_method_has_a_page() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/methods");
    for method in methods() {
        let info = method.info();
        let page = std::fs::read_to_string(pages.join(format!("{}.md", info.id))).expect(info.id);
        assert!(page.lines().count() <= 40, "{}", info.id);
        assert!(info.paper.is_none_or(|paper| page.contains(paper.url)), "{} names its paper", info.id);
        assert_eq!(
            page.contains("does not depend on the class"),
            !info.depends_on_class && info.kind == Kind::Explanation,
            "{}",
            info.id
        );
        assert_eq!(page.contains(", signed"), info.signed, "{}", info.id);
    }
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
                            Resolution::LastLayer => {
                                evidence.attention().unwrap().layers.last().unwrap().site.grid
                            }
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
                        let negative = maps.iter().flat_map(|map| &map.values).any(|&value| value < 0.0);
                        assert!(!negative || info.signed, "{}", info.id);
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
    let needing = |needs: &[Capability]| {
        methods().iter().filter(|method| method.info().needs.iter().any(|need| needs.contains(need))).count()
    };
    let expected = [
        // The ViT and the one without a class token are not residual networks.
        needing(&[Capability::ResidualNetwork]) * 2,
        // Neither is the Swin Transformer, and its tokens change their width.
        needing(&[Capability::ResidualNetwork, Capability::OneStream, Capability::PlainTransformer]),
        // An EfficientViT exchanges information by convolutions as well.
        needing(&[
            Capability::ResidualNetwork,
            Capability::OneStream,
            Capability::PlainTransformer,
            Capability::AttentionAlone,
        ]),
        // The residual network has no attention.
        needing(&[Capability::Attention, Capability::PlainTransformer]),
        // The ViT without a head has no classes.
        needing(&[Capability::Gradients, Capability::Classes, Capability::ResidualNetwork]),
    ];
    assert_eq!(refused, expected.iter().sum::<usize>());
}

#[test]
fn a_reason_names_the_model_and_what_it_lacks() {
    let refuses = |id: &str, model: &Classifier| method(id).unwrap().applies(model).reason().unwrap();
    assert_eq!(
        refuses("rollout", &Fixture::load().resnet()),
        "tiny has no attention heads; this study needs a vision transformer"
    );
    assert_eq!(
        refuses("rollout", &efficientvit()),
        "tiny mixes neighbouring tokens by convolutions between its attention layers, so that their attention multiplied does not say \
         what reached which token"
    );
    assert!(refuses("grad-cam", &headless_vit()).starts_with("headless has no head"));
    let usual = |model: &Classifier| methods_for(model, Kind::Explanation)[0].info().id;
    assert_eq!(usual(&Fixture::load().vit()), "rollout");
    assert_eq!(usual(&Fixture::load().resnet()), "grad-cam");
    assert_eq!(usual(&efficientvit()), "grad-cam");
    assert_eq!(usual(&headless_vit()), "rollout");
    for id in ["random", "centre"] {
        let baselines = methods_for(&headless_vit(), Kind::Baseline);
        assert!(baselines.iter().any(|method| method.info().id == id), "studies compare with {id}");
    }
}

/// Whether a method says the truth about its dependence on the class.
#[test]
fn another_class_gives_another_heatmap_only_where_the_method_says_so() {
    for model in models().iter().take(5) {
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

/// Those that make few passes of a model, and share them.
fn affordable(model: &Classifier) -> Vec<&'static dyn Attribution> {
    let few = |method: &&dyn Attribution| method.info().cost == Cost::Shared && method.applies(model).holds();
    methods().iter().copied().filter(few).collect()
}

#[test]
fn evidence_is_gathered_when_it_is_first_asked_for_and_once() {
    let fixture = Fixture::load();
    let (vit, resnet) = (fixture.vit(), fixture.resnet());
    with_evidence(&vit, fixture.images(), |evidence| {
        assert_eq!(evidence.passes(), 0);
        let classes = evidence.predicted().unwrap();
        assert_eq!(evidence.passes(), 1);
        // The logits' pass serves the maps of class activation; one with gradients serves all that need attention or gradients at
        // the pixels, and gives the residual stream.
        let methods = affordable(&vit);
        let all = explain_all(&methods, evidence, &classes).unwrap();
        assert_eq!(evidence.passes(), 2);
        assert_eq!(explain_all(&methods, evidence, &classes).unwrap(), all);
        assert_eq!(evidence.passes(), 2);
        // Other classes take other gradients, each with a pass of its own.
        let others: Vec<usize> = classes.iter().map(|class| (class + 1) % 5).collect();
        assert_ne!(explain_all(&methods, evidence, &others).unwrap(), all);
        assert_eq!(evidence.passes(), 4);
    });
    with_evidence(&vit, fixture.images(), |evidence| {
        Saliency.explain(evidence, &[0, 1, 2]).unwrap();
        assert_eq!(evidence.passes(), 1, "without attention, where nobody asks for it");
        LogitLens::USUAL.explain(evidence, &[0, 1, 2]).unwrap();
        assert_eq!(evidence.passes(), 2);
        // 25 copies; 50 points and both ends; 16 patches and the image itself, 51 in one pass.
        for (method, passes) in [
            (&SmoothGrad::USUAL as &dyn Attribution, 25),
            (&IntegratedGradients::USUAL, 52),
            (&Occlusion::USUAL, 1),
        ] {
            let before = evidence.passes();
            method.explain(evidence, &[0, 1, 2]).unwrap();
            assert_eq!(evidence.passes() - before, passes, "{}", method.info().id);
        }
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
    let vit = fixture.vit();
    // Gradients at the pixels are those of any pass, in company or alone.
    let [alone, together] = [false, true].map(|together| {
        with_evidence(&vit, fixture.images(), |evidence| {
            if together {
                evidence.attention_gradients(&[0, 1, 2]).unwrap();
            }
            Saliency.explain(evidence, &[0, 1, 2]).unwrap()
        })
    });
    for (alone, together) in alone.iter().zip(&together) {
        assert_close(&alone.values, &together.values, 1e-5);
    }
    // That gradients reach the pixels changes no bit of the attention, nor of its gradients.
    for (model, images) in [
        (fixture.vit(), fixture.images()),
        (Fixture::load_swin().swin(), Fixture::load_swin().images().repeat_dim(0, 2).narrow(0, 0, 3)),
    ] {
        let mut tap = GradientTap::default();
        let logits = in_pool(|| model.logits(images.clone(), &mut Pass::evaluate(&mut tap)));
        let gradients = target_score(logits, &[0, 1, 2]).backward();
        with_evidence(&model, images, |evidence| {
            let found = evidence.attention_gradients(&[0, 1, 2]).unwrap();
            for (layer, (_, alone)) in tap.layers.iter().enumerate() {
                assert_eq!(evidence.attention().unwrap().layers[layer].values, values(alone[0].value()));
                assert_eq!(found.layers[layer].values, values(alone[0].gradient(&gradients)));
            }
        });
    }
    // With gradients the device may round otherwise.
    let plain = with_evidence(&vit, fixture.images(), |e| Rollout::USUAL.explain(e, &[]).unwrap());
    let tapped = with_evidence(&vit, fixture.images(), |evidence| {
        evidence.attention_gradients(&[0, 1, 2]).unwrap();
        Rollout::USUAL.explain(evidence, &[]).unwrap()
    });
    for (plain, tapped) in plain.iter().zip(&tapped) {
        assert_close(&plain.values, &tapped.values, 1e-6);
    }
}
