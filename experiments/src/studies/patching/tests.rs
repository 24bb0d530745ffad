//! Models of random weights and known wiring, and what the chapter says of known findings.

use archaeo_analysis::statistics::{Better, Measured};
use archaeo_models::{Classifier, state_of, with_state};

use super::claims::{handed_over, verdict};
use super::findings::{Carried, FactorPatching, SceneFactor};
use super::*;
use crate::report::tests::synthetic::{
    change, chapter_of, cnn, estimate, findings, investigation, investigation_of, paired, printed, vit,
};
use crate::studies::table_models::{in_scene, name, right};
use crate::study::Study;
use crate::units::ask;

/// What is found of a small ViT, with other weights.
fn asked(batch_size: usize, wired: impl Fn(Classifier) -> Classifier) -> Vec<FactorPatching> {
    in_scene(&[&[right]], |scene| {
        let mut options = scene.options.clone().with::<PatchingStudy>(&PatchingOptions { pairs: 8 });
        options.batch_size = batch_size;
        let model = wired(scene.model(name(0)).clone());
        let scene = Scene { options: &options, subjects: &[Subject::new(name(0), &model)], ..*scene };
        assert_eq!(PatchingStudy::applies(&scene).unwrap(), Applicability::Applies);
        let found = ask::<PatchingStudy>(&scene, None).unwrap();
        assert_eq!(found.pairs, 8);
        found.models[name(0)].clone()
    })
}

fn share(carried: &Carried) -> f64 {
    carried.share.known().expect("pairs differ").value
}

#[test]
fn the_last_layer_s_read_tokens_carry_everything_and_a_head_without_a_way_out_nothing() {
    // Head 2 of layer 2 writes nothing into the stream, and no head of layer 3.
    let wired = |model: Classifier| {
        let mut state = state_of(&model);
        let width = 96;
        let projection = |block: usize| format!("blocks.{block}.attn.proj.weight");
        for row in state.get_mut(&projection(1)).unwrap().values.chunks_exact_mut(width) {
            row[32..64].fill(0.0);
        }
        state.get_mut(&projection(2)).unwrap().values.fill(0.0);
        with_state(model, state).unwrap()
    };
    let found = asked(64, wired);
    assert_eq!(found.iter().map(|of| of.factor).collect::<Vec<_>>(), SceneFactor::ALL);
    for of in &found {
        assert!(of.change.value > 0.0, "{}", of.factor);
        // What a silent head moves is rounding.
        let mut largest = [0.0_f64; 2];
        for head in &of.heads {
            let silent = head.layer == 2 || (head.layer, head.head) == (1, 1);
            let moved = share(&head.carried).abs().max(head.carried.unrelated.known().unwrap().abs());
            let largest = &mut largest[usize::from(silent)];
            *largest = largest.max(moved);
            assert!(!silent || verdict(&head.carried) == Better::CannotBeTold, "{}: {head:?}", of.factor);
        }
        assert!(largest[1] < 1e-3 && largest[0] > 10.0 * largest[1], "{}: {largest:?}", of.factor);
        for layer in of.layers.iter().filter(|layer| layer.layer == 3) {
            let all = layer.tokens == PatchedTokens::Prefix;
            let expected = if all { 1.0 } else { 0.0 };
            assert!((share(&layer.carried) - expected).abs() < 1e-4, "{}: {layer:?}", of.factor);
        }
        assert_eq!(of.layers.len(), 4 * 3);
    }
}

#[test]
fn findings_do_not_depend_on_batches() {
    let json = |batch_size| serde_json::to_string(&asked(batch_size, |model| model)).unwrap();
    assert_eq!(json(8), json(3));
}

#[test]
fn it_applies_to_sherds_and_attention_alone() {
    in_scene(&[&[right], &[right]], |scene| {
        let scene = Scene { subjects: &scene.subjects[1..], ..*scene };
        let no = Applicability::No("no model here has attention heads".into());
        assert_eq!(PatchingStudy::applies(&scene).unwrap(), no);
    });
}

#[test]
fn a_verdict_takes_a_share_above_none_and_above_the_null() {
    let carried = |share: f64, difference: f64, p_value: f64| Carried {
        share: estimate(share, 0.02, 90).into(),
        unrelated: Measured::Known(share - difference),
        over_unrelated: paired(difference, 0.02, p_value),
    };
    for (share, difference, p_value, expected) in [
        (0.2, 0.1, 0.001, Better::Yes),
        (0.2, 0.1, 0.06, Better::CannotBeTold),
        (0.2, -0.1, 0.001, Better::CannotBeTold),
        (0.01, 0.1, 0.001, Better::CannotBeTold),
        (-0.2, -0.1, 0.001, Better::No),
        (-0.2, 0.1, 0.001, Better::CannotBeTold),
    ] {
        assert_eq!(
            verdict(&carried(share, difference, p_value)),
            expected,
            "{share}, {difference}, {p_value}"
        );
    }
}

#[test]
fn claims_count_the_heads_that_carry_each_factor() {
    let mut found = investigation();
    let claims = chapter_of::<PatchingStudy>(&found).claims;
    assert_eq!(
        claims[0].statement,
        "Of the 24\u{a0}heads of the ViT, 4 are shown to carry shape, 3 texture, 2 place, 1 rotation and 1 occluders."
    );
    assert!(
        claims[0]
            .evidence
            .contains("for shape layer 3, head 1: 13.0\u{a0}% (11.0 to 15.0), unrelated 4.0\u{a0}%")
    );
    assert!(
        claims[0].evidence.contains(
            "head 4: 13.0\u{a0}% (11.0 to 15.0), unrelated 12.0\u{a0}% (p\u{a0}=\u{a0}0.310, not shown to differ)"
        ),
        "{}",
        claims[0].evidence
    );
    assert!(
        claims[1].statement.starts_with("After layer 5 of 6, the tokens before the patches of the ViT hold more of the difference in shape, "),
        "{}",
        claims[1].statement
    );
    change::<PatchingStudy>(&mut found, |found| {
        let of_vit = found.models.values_mut().next().unwrap();
        let heads = of_vit.iter_mut().flat_map(|of| &mut of.heads);
        heads.for_each(|head| head.carried.over_unrelated.p_value = 0.4);
        of_vit[1].layers.retain(|layer| layer.layer < 3);
    });
    let claims = chapter_of::<PatchingStudy>(&found).claims;
    assert_eq!(claims[0].statement, "No head of the ViT is shown to carry any of the factors.");
    assert!(claims[1].statement.contains("after no layer of the ViT is it shown"), "{}", claims[1].statement);
    let of_vit = &findings::<PatchingStudy>(&found).models[vit()];
    assert_eq!((handed_over(&of_vit[0]), handed_over(&of_vit[1])), (Some(4), None));
}

#[test]
fn models_without_class_tokens_and_factors_that_change_nothing_are_results() {
    let mut found = investigation_of(&["vit", "swin"]);
    change::<PatchingStudy>(&mut found, |found| {
        let of_swin = found.models.values_mut().nth(1).unwrap();
        for of in of_swin.iter_mut() {
            of.layers.retain(|layer| layer.tokens != PatchedTokens::Prefix);
        }
        let still = || Measured::undefined("no pair of images changes the logit difference");
        for head in &mut of_swin[2].heads {
            (head.carried.share, head.carried.unrelated) = (still(), Measured::undefined("nothing changes"));
        }
        for layer in &mut of_swin[2].layers {
            layer.carried.share = still();
        }
    });
    let chapter = chapter_of::<PatchingStudy>(&found);
    assert_eq!(chapter.claims.len(), 3, "one of where the difference is, and two of heads");
    let text = printed(chapter);
    assert!(text.contains("\n### ViT\n") && text.contains("\n### Swin\n"));
    assert!(text.contains("| Swin | 24 | 4 | 3 | 0 | 1 | 1 |"), "{text}");
    assert!(text.contains("n/a: no pair of images changes the logit difference") && !text.contains("NaN"));
    assert!(findings::<PatchingStudy>(&investigation()).models.get(cnn()).is_none());
}
