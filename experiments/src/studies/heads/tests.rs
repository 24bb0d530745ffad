//! A head is not called important for being the luckiest of many, and sentences follow the numbers, of one model or of several.

use archaeo_analysis::ablation::{AblatedHead, Answers, Branch, HeadAblations, Replacement};
use archaeo_analysis::statistics::{Estimate, Resampling};
use archaeo_random::{keyed_rng, standard_normal};
use archaeo_report::Claim;

use super::apart::{agreement, selected};
use super::claims::{Verdict, verdict};
use super::findings::HeadAblation;
use super::*;
use crate::report::tests::synthetic::{
    change, chapter_of, claim_of, cnn, estimate, findings, investigation, investigation_of, of_one, of_three,
    printed, swin, vit,
};

fn ablations(heads: usize, images: usize, loss: impl Fn(usize, usize) -> f64) -> HeadAblations {
    let answers =
        |losses: Vec<f64>| Answers { correct: losses.iter().map(|loss| *loss < 1.0).collect(), losses };
    let head = |head: usize| AblatedHead {
        layer: head / 4,
        head: head % 4,
        replacement: Replacement::Mean,
        answers: answers((0..images).map(|image| 0.5 + loss(head, image)).collect()),
    };
    HeadAblations { baseline: answers(vec![0.5; images]), heads: (0..heads).map(head).collect() }
}

#[test]
fn the_most_important_head_is_measured_on_images_that_did_not_choose_it() {
    let resampling = Resampling::new(3);
    // Nothing but noise: the largest of 48 means over 60 images is far above 0 on them, and is not on others.
    let (mut biased, mut fair) = (0.0, 0.0);
    for trial in 0..20 {
        let noise = |head: usize, image: usize| {
            0.1 * standard_normal(&mut keyed_rng(trial, "noise", head as u64, image as u64))
        };
        let found = ablations(48, 60, noise);
        let largest = found.heads.iter().map(|entry| entry.answers.losses.iter().sum::<f64>() / 60.0 - 0.5);
        biased += largest.fold(f64::MIN, f64::max) / 20.0;
        let selected = selected(&found, &Resampling { seed: trial, ..resampling }).unwrap().unwrap();
        assert_eq!((selected.chosen_on, selected.mean.n, selected.accuracy_drop.n), (30, 30, 30));
        fair += selected.mean.value / 20.0;
    }
    // A mean over 30 images has a deviation of 0.018, and over 20 trials one of 0.004.
    assert!(biased > 0.02 && fair.abs() < 0.015, "on the same images {biased}, on others {fair}");

    // A head that matters is found, and its worth is right.
    let found = ablations(12, 40, |head, image| {
        let noise = 0.01 * standard_normal(&mut keyed_rng(1, "noise", head as u64, image as u64));
        noise + if head == 6 { 0.7 } else { 0.0 }
    });
    let selected = selected(&found, &resampling).unwrap().unwrap();
    assert_eq!((selected.layer, selected.head), (1, 2));
    assert!((selected.mean.value - 0.7).abs() < 0.01 && selected.p_value < 0.001, "{selected:?}");
    assert_eq!(selected.accuracy_drop.value, 1.0);
}

#[test]
fn too_few_images_choose_no_head() {
    let few = |images| selected(&ablations(3, images, |head, _| head as f64), &Resampling::new(0)).unwrap();
    assert!(few(2).is_none() && few(3).is_none());
    assert_eq!(few(4).map(|selected| (selected.layer, selected.head)), Some((0, 2)));
}

#[test]
fn rankings_that_cannot_be_compared_are_a_result() {
    let estimate = |value: f64| estimate(value, 0.0, 9);
    let head = |head: usize, mean: f64| HeadAblation {
        layer: 0,
        head,
        mean: estimate(mean),
        zero: estimate(mean),
        resample: estimate(mean),
        accuracy_drop: estimate(0.0),
        gradient: estimate(head as f64),
        adjusted_p: 1.0,
    };
    let of = |means: &[f64]| {
        let heads: Vec<HeadAblation> = means.iter().enumerate().map(|(i, mean)| head(i, *mean)).collect();
        agreement(&heads, &Resampling::new(0)).unwrap().map(|estimate| estimate.value)
    };
    assert_eq!(of(&[0.1]), None);
    assert_eq!(of(&[0.0; 6]), None);
    assert!((of(&[0.1, 0.2, 0.3, 0.4, 0.5]).unwrap() - 1.0).abs() < 1e-12);
}

fn heads(found: &Investigation) -> Claim {
    claim_of::<HeadsStudy>(found, "Heads")
}

fn set(found: &mut Investigation, of: impl FnOnce(&mut HeadFindings)) {
    change::<HeadsStudy>(found, |models| of(models.values_mut().next().unwrap()));
}

#[test]
fn heads_that_survive_correction_are_counted() {
    let mut found = investigation();
    let of_vit = findings::<HeadsStudy>(&found)[vit()].clone();
    let needed = of_vit.ranking.iter().filter(|head| head.adjusted_p < 0.05).count();
    assert!(needed > 1);
    assert_eq!(heads(&found).statement, format!("The ViT measurably needs {needed} of its 24\u{a0}heads."));
    set(&mut found, |of_vit| {
        let last = of_vit.ranking.last_mut().unwrap();
        (last.mean, last.adjusted_p) = (estimate(-0.02, 0.005, 1000), 0.01);
    });
    assert!(heads(&found).statement.ends_with("Without 1 of them its loss would be lower."));
    let evidence = heads(&found).evidence;
    assert!(
        evidence.contains("sign-flip permutation test of the mean change in loss, adjusted over all heads")
    );
    set(&mut found, |of_vit| of_vit.ranking.iter_mut().for_each(|head| head.adjusted_p = 0.3));
    assert!(heads(&found).statement.starts_with("For none of the 24\u{a0}heads"));
}

#[test]
fn the_worth_of_the_first_head_is_told_from_images_that_did_not_choose_it() {
    let mut found = investigation();
    let evidence = heads(&found).evidence;
    assert!(evidence.contains("The head with the largest increase on 500\u{a0}images (layer "), "{evidence}");
    let raises = "raises the loss by 0.271\u{a0}nats (95\u{a0}% interval 0.237 to 0.305) on the other 500 and costs 6.4\u{a0}points";
    assert!(evidence.contains(raises), "{evidence}");

    set(&mut found, |of_vit| {
        let selected = of_vit.selected.as_mut().unwrap();
        (selected.mean, selected.accuracy_drop) = (estimate(-0.02, 0.01, 500), estimate(0.0, 0.02, 500));
    });
    let evidence = heads(&found).evidence;
    assert!(
        evidence.contains(
            "lowers the loss by 0.020\u{a0}nats (change: 95\u{a0}% interval −0.030 to −0.010) on the other 500 and costs no \
             accuracy that can be shown"
        ),
        "{evidence}"
    );
    set(&mut found, |of_vit| of_vit.selected = None);
    assert!(heads(&found).evidence.contains("chosen as the largest on the same images, it is biased upward"));
}

#[test]
fn a_verdict_on_a_head_has_the_side_of_its_mean() {
    let mut head = findings::<HeadsStudy>(&investigation())[vit()].ranking[0].clone();
    let mut of = |value: f64, adjusted_p: f64| {
        (head.mean, head.adjusted_p) = (estimate(value, 0.001, 100), adjusted_p);
        verdict(&head)
    };
    assert_eq!(of(0.02, 0.01), Verdict::Needed);
    assert_eq!(of(-0.02, 0.01), Verdict::BetterWithout);
    for (value, p) in [(0.02, 0.05), (-0.02, 0.4), (0.0, 0.01), (0.02, f64::NAN), (f64::NAN, 0.01)] {
        assert_eq!(of(value, p), Verdict::Undecided);
    }
}

#[test]
fn gradient_agreement_is_graded_by_its_interval() {
    let with = |agreement: Option<Estimate>| {
        let mut found = investigation();
        set(&mut found, |of_vit| of_vit.gradient_agreement = agreement);
        claim_of::<HeadsStudy>(&found, "Gradient against ablation")
    };
    let graded = |value: f64, half_width: f64| with(Some(estimate(value, half_width, 24))).statement;
    assert_eq!(graded(0.8, 0.1), "The gradient ranks the heads much as taking them away does.");
    assert_eq!(
        graded(0.5, 0.3),
        "The gradient's ranking of heads agrees with taking them away, but is not shown to agree closely."
    );
    assert_eq!(
        graded(0.2, 0.3),
        "No agreement between the gradient's ranking of heads and taking them away can be shown."
    );
    assert!(graded(-0.6, 0.3).contains("against what taking them away shows"));
    let undefined = with(None);
    assert_eq!(
        undefined.statement,
        "Whether the gradient ranks the heads as taking them away does cannot be said."
    );
    assert!(undefined.evidence.contains("is undefined over 24\u{a0}heads"));
}

#[test]
fn one_model_with_attention_reads_the_same_alone_and_next_to_another() {
    let [alone, two] = [of_one(), investigation()].map(|found| chapter_of::<HeadsStudy>(&found));
    assert_eq!(alone.claims, two.claims);
    assert_eq!((alone.sample, alone.intervals.len()), (Some(("ablation", 1000)), 2));
    let (alone, two) = (printed(alone), printed(two));
    assert_eq!(alone, two);
    assert!(alone.contains("With all heads the ViT classifies 84.2\u{a0}%"));
    assert!(!alone.contains("\n### ") && !alone.contains("Each model:"));
}

#[test]
fn several_models_have_a_part_each_and_share_their_claims() {
    let mut found = of_three();
    change::<HeadsStudy>(&mut found, |models| {
        let mut other = models[swin()].clone();
        other.ranking.iter_mut().for_each(|head| head.adjusted_p = 0.3);
        other.gradient_agreement = None;
        models.insert(swin(), other);
    });
    let chapter = chapter_of::<HeadsStudy>(&found);
    assert_eq!(chapter.claims.len(), 4);
    assert!(chapter.claims[2].statement.starts_with("Heads of "), "{}", chapter.claims[2].statement);
    let needed = &chapter.claims[0];
    assert!(needed.statement.starts_with("The ViT measurably needs "), "{}", needed.statement);
    assert!(
        needed.statement.ends_with(" For none of the 24\u{a0}heads can it be shown that the Swin needs it."),
        "{}",
        needed.statement
    );
    assert!(
        needed.evidence.contains(" The Swin: the head with the largest increase on "),
        "{}",
        needed.evidence
    );
    assert_eq!(
        chapter.claims[1].statement,
        "The gradient's ranking of heads of the ViT agrees with taking them away, but is not shown to agree closely; whether the \
         gradient ranks the heads of the Swin as taking them away does cannot be said."
    );
    let text = printed(chapter);
    assert!(text.contains("\n### ViT\n") && text.contains("\n### Swin\n"));
    assert!(text.contains("\n| Swin | 84.2\u{a0}% [81.8, 86.3] | 24 | 0 | 0 | – | 6 of 6 |\n"), "{text}");
    assert!(!text.contains("ResNet"), "a model without attention has no part here");
}

#[test]
fn of_many_models_the_extremes_are_told() {
    let mut found = investigation_of(&["vit", "swin", "a", "b", "cnn"]);
    set(&mut found, |of_vit| of_vit.ranking.iter_mut().for_each(|head| head.adjusted_p = 0.3));
    let claim = heads(&found);
    assert!(
        claim.statement.starts_with("From 0 of the 24\u{a0}heads of “vit” to ")
            && claim.statement.ends_with(" are measurably needed."),
        "{}",
        claim.statement
    );
    assert!(claim.evidence.contains("Needed are: vit 0 of 24, Swin "), "{}", claim.evidence);
}

#[test]
fn nothing_measured_claims_nothing() {
    let found = investigation();
    let mut models = findings::<HeadsStudy>(&found);
    let of_vit = models.values_mut().next().unwrap();
    let nowhere = || estimate(f64::NAN, 0.0, 0);
    (of_vit.baseline, of_vit.gradient_agreement) = (nowhere(), Some(nowhere()));
    for head in &mut of_vit.ranking {
        (head.mean, head.zero, head.resample) = (nowhere(), nowhere(), nowhere());
        (head.accuracy_drop, head.gradient, head.adjusted_p) = (nowhere(), nowhere(), f64::NAN);
    }
    let chapter = HeadsStudy::chapter(&models, &found, &Names::of(&found));
    assert!(chapter.claims[0].statement.starts_with("For none of the 24\u{a0}heads"));
    assert!(chapter.claims[1].statement.starts_with("No agreement between"));
    models.values_mut().for_each(|of| (of.ranking.clear(), of.together = None).1);
    assert!(HeadsStudy::chapter(&models, &found, &Names::of(&found)).claims.is_empty());
}

#[test]
fn a_residual_network_is_told_of_by_its_blocks() {
    let mut found = investigation();
    change::<HeadsStudy>(&mut found, |models| {
        let mut other = models[vit()].clone();
        (other.ranking, other.selected, other.gradient_agreement) = (Vec::new(), None, None);
        let together = other.together.as_mut().unwrap();
        (together.curve, together.pairs, together.chosen_on) = (None, Vec::new(), 0);
        together.branches.retain(|of| of.branch == Branch::Layer);
        together.branches[1].adjusted_p = 0.3;
        models.insert(cnn(), other);
    });
    let chapter = chapter_of::<HeadsStudy>(&found);
    assert_eq!(chapter.claims.len(), 4, "those of heads are of the ViT alone");
    assert!(chapter.claims[0].statement.starts_with("The ViT measurably needs "));
    let layers = claim_of::<HeadsStudy>(&found, "Layers");
    assert_eq!(
        layers.statement,
        "The ViT measurably needs 6 of its 6\u{a0}layers; the ResNet measurably needs 5 of its 6\u{a0}blocks."
    );
    let text = printed(chapter);
    assert!(text.contains("| ResNet | 84.2\u{a0}% [81.8, 86.3] | – | – | – | – | 5 of 6 |"), "{text}");
    let of_resnet = text.split("\n### ResNet\n").nth(1).unwrap();
    assert!(of_resnet.contains("Each of 6\u{a0}blocks is taken away in turn"), "{of_resnet}");
    assert!(of_resnet.contains("Whole layers.") && !of_resnet.contains("All heads in numbers"));
}

#[test]
fn what_was_not_asked_for_leaves_no_trace() {
    let mut found = investigation();
    set(&mut found, |of_vit| {
        let together = of_vit.together.as_mut().unwrap();
        (together.curve, together.pairs) = (None, Vec::new());
        together.branches.retain(|of| of.branch == Branch::Mlp);
    });
    let chapter = chapter_of::<HeadsStudy>(&found);
    assert_eq!(chapter.claims.len(), 2);
    let text = printed(chapter);
    assert!(!text.contains("Accuracy without heads") && !text.contains("Pairs of heads"));
}

#[test]
fn heads_are_written_as_layer_and_head() {
    let options: HeadsOptions = toml::from_str("only = ['3.1', ' 12.10']").unwrap();
    assert_eq!(options.only, [(2, 0).into(), (11, 9).into()]);
    let text = toml::to_string(&options).unwrap();
    assert!(text.contains("only = [\"3.1\", \"12.10\"]"), "{text}");
    assert!(options.asks(2, 0) && !options.asks(0, 0) && HeadsOptions::default().asks(0, 0));
    for wrong in ["3", "0.1", "1.0", "a.b", "1.1.1", "-1.2", ""] {
        let error = toml::from_str::<HeadsOptions>(&format!("only = ['{wrong}']")).unwrap_err().to_string();
        assert!(error.contains("it is not a layer and a head") && error.contains("such as 3.1"), "{error}");
    }
}

/// Through the models themselves: heads that are asked about alone, and blocks of a residual network.
#[test]
fn a_study_of_some_heads_and_of_blocks() {
    use crate::studies::table_models::{in_scene, name, right};
    use crate::units::ask;

    in_scene(&[&[right], &[right]], |scene| {
        let asked = |options: HeadsOptions, batch_size: usize| {
            let mut options = scene.options.clone().with::<HeadsStudy>(&options);
            options.batch_size = batch_size;
            ask::<HeadsStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        };
        let base = HeadsOptions {
            images: 12,
            reference_images: 8,
            random_orders: 2,
            pairs: 2,
            ..HeadsOptions::default()
        };
        let whole = asked(base.clone(), 12);
        assert_eq!(
            serde_json::to_string(&whole).unwrap(),
            serde_json::to_string(&asked(base.clone(), 5)).unwrap()
        );
        let [vit, resnet] = [0, 1].map(|place| &whole[name(place)]);
        let together = vit.together.as_ref().unwrap();
        assert_eq!((vit.n, vit.ranking.len(), together.n, together.chosen_on), (12, 12, 6, 6));
        assert_eq!(together.branches.len(), 4 * 3);
        let curve = together.curve.as_ref().unwrap();
        assert_eq!((curve.removed.len(), curve.gradient_first.len(), together.pairs.len()), (13, 13, 2));
        // With no head, or all, gone, the order does not matter.
        for point in [0, 12] {
            assert_eq!(curve.most_first[point], curve.gradient_first[point]);
        }
        // A residual network has no heads, and needs no images that order them. Its fresh blocks add nothing.
        assert_eq!((resnet.n, resnet.ranking.len()), (12, 0));
        let blocks = resnet.together.as_ref().unwrap();
        assert!(blocks.curve.is_none() && blocks.pairs.is_empty() && !blocks.branches.is_empty());
        assert_eq!((blocks.n, blocks.chosen_on), (12, 0));
        assert!(blocks.branches.iter().all(|of| of.branch == Branch::Layer && of.zero.value.abs() < 1e-9));

        let some = HeadsOptions { only: vec![(1, 2).into(), (3, 0).into(), (9, 9).into()], ..base };
        let some = asked(some, 12);
        let mut found: Vec<Head> = some[name(0)].ranking.iter().map(|of| (of.layer, of.head)).collect();
        found.sort_unstable();
        assert_eq!(found, [(1, 2), (3, 0)]);
        for of in &some[name(0)].ranking {
            let all = vit.ranking.iter().find(|all| (all.layer, all.head) == (of.layer, of.head)).unwrap();
            assert_eq!((&of.mean, &of.gradient), (&all.mean, &all.gradient));
        }
        let together = some[name(0)].together.as_ref().unwrap();
        assert_eq!(
            (together.curve.as_ref().unwrap().removed.as_slice(), together.pairs.len()),
            (&[0, 1, 2][..], 1)
        );

        let nothing = asked(HeadsOptions { reference_images: 8, ..HeadsOptions::single_heads(12) }, 12);
        assert!(nothing.get(name(1)).is_none() && nothing[name(0)].together.is_none());
    });
}
