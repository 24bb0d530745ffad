//! Investigations at the edges: few and many classes, loaded models, missing studies, undefined numbers, hostile names.

use archaeo_analysis::statistics::{Estimate, Measured, Resampling};
use archaeo_training::{Ended, EpochRecord, TrainingEnd};

use super::page::{assert_tables_well_formed, assert_well_formed};
use super::pictures::stand_in;
use super::synthetic::{
    both, change, cnn, estimate, investigation, investigation_of, model, of_one, of_three, share, trust,
    uniform, vit,
};
use super::{claims, html, markdown};
use crate::findings::*;
use crate::regimes::{AttentionShift, LayerShift, Regime, RegimeKind, RegimeRun, RegimesCompared};
use crate::studies::*;
use crate::study::Study;
use crate::subjects::ByModel;

/// Every variant with its name.
pub fn all() -> Vec<(&'static str, Investigation)> {
    vec![
        ("full", investigation()),
        ("one", of_one()),
        ("one-without-attention", investigation_of(&["cnn"])),
        ("three", of_three()),
        ("alike", investigation_of(&["vit", "vit-2"])),
        ("five", investigation_of(&["vit", "a", "b", "swin", "cnn"])),
        ("regimes", regimes()),
        ("bare", bare()),
        ("two-classes", with_classes((0..2).map(|class| format!("class {class}")).collect())),
        ("many-classes", with_classes((0..200).map(|class| format!("species number {class}")).collect())),
        ("thousand-classes", with_classes((0..1000).map(|class| format!("synset {class}")).collect())),
        ("hostile", with_classes(hostile_names())),
        ("loaded", loaded()),
        ("undefined", undefined()),
        ("no-images", no_images()),
    ]
}

/// Two ViTs that differ in their training.
fn regimes() -> Investigation {
    let regime = |name: &str, kind: RegimeKind, course: [f64; 4], right: usize| {
        let epoch = |(place, validation_accuracy): (usize, f64)| EpochRecord {
            epoch: place + 1,
            step: 94 * (place as u64 + 1),
            learning_rate: 1e-3,
            train_loss: 2.0 - validation_accuracy,
            validation_loss: 2.1 - validation_accuracy,
            validation_accuracy,
            images_per_second: 900.0,
            waiting: None,
            exchanging: None,
            seconds: 13.4,
        };
        let run = RegimeRun {
            share: 1.0,
            images: 12_000,
            weights: format!("{name}/model.safetensors"),
            history: course.into_iter().enumerate().map(epoch).collect(),
            step_images: 128,
            accuracy: share(right, 2000),
            correct: (0..2000).map(|image| image < right).collect(),
        };
        Regime { name: name.into(), kind, model: "vit_micro".into(), runs: vec![run] }
    };
    let layer = |layer: usize| LayerShift {
        layer,
        distance: [16.0, 12.0 + layer as f64],
        entropy: [3.9, 3.1],
        divergence: 0.05 * layer as f64,
        between_images: Some(0.12),
        heads: Vec::new(),
    };
    let attention = AttentionShift { regime: "tuned".into(), n: 64, layers: (1..=6).map(layer).collect() };
    let regimes = vec![
        regime("tuned", RegimeKind::FineTuned, [0.8, 0.9, 0.92, 0.93], 1860),
        regime("scratch", RegimeKind::Scratch, [0.3, 0.55, 0.7, 0.78], 1560),
    ];
    let resampling = Resampling { resamples: 400, ..Resampling::new(1) };
    let compared = RegimesCompared::of(regimes, vec![attention], &resampling).unwrap();
    let mut found = investigation_of(&["scratch", "tuned"]);
    found.not_applicable.remove(RegimesStudy::ID);
    found.insert::<RegimesStudy>(&RegimesFindings {
        compared,
        left_out: Vec::new(),
        without_attention: Vec::new(),
    });
    found
}

#[test]
fn regimes_have_their_chapter_and_their_sentences() {
    let found = regimes();
    let said = claims(&found).into_iter().filter(|claim| claim.section == RegimesStudy::ID);
    let said: Vec<String> = said.map(|claim| claim.statement).collect();
    assert!(said.contains(&"Tuned is more accurate than every other regime.".to_owned()), "{said:?}");
    assert!(said.iter().any(|statement| statement.contains("the attention of tuned")), "{said:?}");
    assert!(markdown(&found).contains(&format!("\n## {}\n", RegimesStudy::TITLE)));
}

fn hostile_names() -> Vec<String> {
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "pipe | and `tick` and *star* [link](javascript:alert(1))",
        "日本語のとても長いクラス名がここにある",
        "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenfabrik",
        "two\nlines",
        "",
        "naïve café ✓ 🏺",
        "a very long class name with many words that goes on and on until nobody reads it any more at all",
        "&amp; &lt;",
    ];
    names.map(str::to_owned).into()
}

/// Only data and models: nothing has run yet.
fn bare() -> Investigation {
    Investigation { studies: [].into(), ..investigation() }
}

fn with_classes(classes: Vec<String>) -> Investigation {
    let mut found = investigation();
    let n = classes.len();
    found.models = vec![model(vit(), n), model(cnn(), n)];
    found.data.counts.values_mut().for_each(|counts| *counts = vec![20; n]);
    let confusion = |stream: u64| -> Vec<Vec<usize>> {
        let row = |truth: usize| {
            let mut row = vec![0; n];
            row[truth] = 15;
            row[(uniform(stream, truth) * n as f64) as usize] += 5;
            row
        };
        (0..n).map(row).collect()
    };
    let right = |right: usize| vec![(20, right); n];
    let common = MostCommonClass { split: "test".into(), class: 0, images: 20, n: 20 * n };
    found.insert::<TrustStudy>(&TrustFindings {
        split: "test".into(),
        most_common: vec![common],
        models: both(trust(&right(15), n - 1, (15 * n, 20 * n)), trust(&right(17), 0, (20 * n, 20 * n))),
    });
    change::<AccuracyStudy>(&mut found, |accuracy| {
        accuracy.confusion = both(confusion(1), confusion(2));
        accuracy.per_class = both(vec![Some(share(15, 20)); n], vec![Some(share(17, 20)); n]);
        if n <= 5 {
            let scores = accuracy.splits.iter_mut().flat_map(|split| split.models.values_mut());
            scores.for_each(|scores| scores.top5 = None);
        }
    });
    change::<ComparisonsStudy>(&mut found, |comparisons| {
        for item in &mut comparisons.items {
            item.label %= n;
            item.predictions.values_mut().for_each(|(class, _)| *class %= n);
        }
    });
    change::<ErrorsStudy>(&mut found, |errors| {
        for confusion in errors.groups.iter_mut().flat_map(|group| &mut group.confusions) {
            (confusion.truth, confusion.predicted) = (confusion.truth % n, confusion.predicted % n);
        }
        errors.by_class =
            (0..n).map(|class| ClassErrors { class, n: 20, counts: vec![class % 5, class % 3, 1] }).collect();
    });
    found.data.classes = classes;
    found
}

/// Checkpoints trained elsewhere, on data without masks, in a quick run with skipped images.
fn loaded() -> Investigation {
    let mut found = investigation();
    found.models.iter_mut().for_each(|model| model.history.clear());
    found.models[1].parameters *= 4;
    found.provenance.command =
        "archaeo excavate --quick --vit a.safetensors --cnn b.safetensors --data photos".into();
    for study in [LocalisationStudy::ID, ShapeBiasStudy::ID] {
        found.studies.remove(study);
        found.not_applicable.insert(study.into(), "the data has no object masks".into());
    }
    found.data.skipped =
        (0..30).map(|i| (format!("cats/{i:03}.jpg"), "the file ends too early".into())).collect();
    found
}

fn nowhere() -> Estimate {
    Estimate { low: f64::NAN, high: f64::NAN, ..estimate(f64::NAN, 0.0, 0) }
}

/// Every number that can be undefined is; p-values always exist.
fn undefined() -> Investigation {
    let mut found = investigation();
    change::<TrustStudy>(&mut found, |found| {
        for trust in found.models.values_mut() {
            trust.n = 1;
            (trust.accuracy, trust.constant.gain) = (nowhere(), nowhere());
            trust.balanced = Measured::undefined("every image is of one class");
            (trust.classes, trust.too_small) = (Vec::new(), 1);
            trust.gap = Measured::undefined("the data has no split that the model was chosen on");
            trust.confident.share_of_errors = Measured::undefined("there is no error");
            trust.confident.wrong = Measured::undefined("no answer is that confident");
        }
    });
    change::<AccuracyStudy>(&mut found, |accuracy| {
        for split in &mut accuracy.splits {
            for scores in split.models.values_mut() {
                (scores.top1, scores.nll, scores.ece) = (nowhere(), nowhere(), nowhere());
                (scores.top5, scores.ece_by_chance) = (Some(nowhere()), None);
            }
            for pair in &mut split.pairs {
                pair.kappa = Measured::undefined("both models are right on every image");
                (pair.difference, pair.mcnemar_p) = (nowhere(), 1.0);
            }
        }
        accuracy.per_class.values_mut().flatten().for_each(|estimate| *estimate = Some(nowhere()));
    });
    change::<AttentionStudy>(&mut found, |models| {
        for attention in models.values_mut() {
            attention.trend = Measured::undefined("it takes 5 or more layers to show one");
            for layer in &mut attention.layers {
                (layer.diversity, layer.relative_distance, layer.mean_distance) = (nowhere(), None, None);
                for head in &mut layer.heads {
                    (head.distance, head.entropy, head.normalised_entropy) =
                        (nowhere(), nowhere(), nowhere());
                    (head.hoyer, head.below_uniform, head.class_token_mass) = (nowhere(), nowhere(), None);
                }
            }
        }
    });
    change::<ComparisonsStudy>(&mut found, |comparisons| {
        let agreements = comparisons.items.iter_mut().flat_map(|item| &mut item.agreements);
        agreements.for_each(|agreement| *agreement = Measured::undefined("the rollout is constant"));
        for pair in &mut comparisons.pairs {
            pair.constant = comparisons.items.len();
            pair.agreement = Measured::undefined("there are 0 images");
        }
    });
    change::<HeadsStudy>(&mut found, |models| {
        for heads in models.values_mut() {
            (heads.baseline, heads.gradient_agreement) = (nowhere(), Some(nowhere()));
            let selected = heads.selected.as_mut().unwrap();
            (selected.mean, selected.accuracy_drop, selected.p_value) = (nowhere(), nowhere(), 1.0);
            for head in &mut heads.ranking {
                (head.mean, head.zero, head.resample) = (nowhere(), nowhere(), nowhere());
                (head.accuracy_drop, head.gradient, head.adjusted_p) = (nowhere(), nowhere(), 1.0);
            }
        }
    });
    change::<AttacksStudy>(&mut found, |attacks| {
        let points = attacks.curves.iter_mut().flat_map(|curve| &mut curve.points);
        points.for_each(|point| point.accuracy = nowhere());
    });
    change::<ErrorsStudy>(&mut found, |errors| {
        for pair in &mut errors.pairs {
            pair.same_wrong_class = Some(nowhere());
            pair.same_answer = Measured::undefined("no class has two images that both have wrong");
        }
        errors.groups.iter_mut().for_each(|group| group.share = nowhere());
    });
    change::<LocalisationStudy>(&mut found, |localisation| {
        localisation.object_share = nowhere();
        for score in &mut localisation.methods {
            (score.pointing, score.mass, score.auroc) = (nowhere(), nowhere(), nowhere());
            (score.average_precision, score.over_random, score.over_centre) = (nowhere(), None, None);
        }
    });
    change::<ShapeBiasStudy>(&mut found, |shape_bias| {
        for pair in &mut shape_bias.pairs {
            pair.difference = Measured::undefined("the ViT never decides for either cue");
        }
        shape_bias.training_correlation = None;
        for shape in shape_bias.models.values_mut() {
            (shape.bias, shape.aligned_gain) = (Measured::undefined("it never decides for either cue"), None);
            shape.texture_following = Measured::undefined("there is no image in conflict");
            shape.accuracy.clear();
        }
    });
    let history = found.models.iter_mut().flat_map(|model| &mut model.history);
    history.for_each(|epoch| epoch.train_loss = f64::NAN);
    found
}

/// Studies that ran on nothing.
fn no_images() -> Investigation {
    let mut found = undefined();
    found.data.classes.clear();
    found.data.counts.clear();
    found.models.clear();
    found.provenance.seconds.clear();
    change::<TrustStudy>(&mut found, |trust| {
        (trust.models, trust.most_common) = (ByModel::default(), Vec::new());
    });
    change::<AccuracyStudy>(&mut found, |accuracy| {
        accuracy.splits.clear();
        (accuracy.confusion, accuracy.per_class) = (ByModel::default(), ByModel::default());
    });
    change::<AttentionStudy>(&mut found, |models| {
        models.values_mut().for_each(|attention| (attention.n, attention.layers) = (0, Vec::new()));
    });
    change::<ComparisonsStudy>(&mut found, |comparisons| comparisons.items.clear());
    change::<HeadsStudy>(&mut found, |models| {
        for heads in models.values_mut() {
            heads.ranking.clear();
            (heads.selected, heads.gradient_agreement) = (None, None);
        }
    });
    change::<AttacksStudy>(&mut found, |attacks| {
        (attacks.curves, attacks.comparisons) = (Vec::new(), Vec::new());
        (attacks.example_attack, attacks.example_answers) = (None, Vec::new());
    });
    change::<ErrorsStudy>(&mut found, |errors| {
        (errors.n, errors.pairs, errors.groups, errors.by_class) = (0, Vec::new(), Vec::new(), Vec::new());
    });
    change::<LocalisationStudy>(&mut found, |localisation| localisation.methods.clear());
    change::<ShapeBiasStudy>(&mut found, |shape_bias| shape_bias.models = ByModel::default());
    found
}

#[test]
fn every_variant_gives_well_formed_reports() {
    for (name, found) in all() {
        println!("{name}");
        assert_well_formed(&html(&found, &stand_in));
        assert_tables_well_formed(&markdown(&found));
        claims(&found);
    }
}

#[test]
fn hostile_names_are_text_in_both_formats() {
    let found = with_classes(hostile_names());
    let page = html(&found, &stand_in);
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("<img src=x"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(page.matches("<script>").count(), 1);
    let text = markdown(&found);
    assert!(!text.contains("<script>") && text.contains("\\<script\\>"));
    assert!(text.contains("\\[link\\](javascript:alert(1))"), "the brackets of a link are escaped");
}

#[test]
fn many_classes_fall_back_from_matrices_and_bars_to_tables() {
    let page =
        |classes: usize| html(&with_classes((0..classes).map(|c| format!("c{c}")).collect()), &|_| None);
    let matrix = "Confusion matrix of the ViT";
    assert!(page(2).contains(matrix) && page(30).contains(matrix));
    for classes in [31, 200, 1000] {
        let page = page(classes);
        assert!(!page.contains(matrix), "{classes} classes");
        assert!(page.contains("Most common confusions on the test split"), "{classes} classes");
        assert!(page.len() < 3_000_000, "{classes} classes make {} bytes", page.len());
    }
}

#[test]
fn missing_studies_leave_no_section_but_a_line() {
    let page = html(&bare(), &stand_in);
    for id in
        ["accuracy", "attention", "comparisons", "heads", "attacks", "errors", "localisation", "shape-bias"]
    {
        assert!(!page.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(page.contains("No study has finished yet."));
    assert!(
        page.contains("Not part of this report: “What heads and layers are worth”, because it has not run.")
    );
    assert!(!page.contains("findings/heads.json"));
    let found = investigation();
    let page = html(&found, &stand_in);
    assert!(page.contains("Not part of this report: “From seed to seed”, because every model is there once"));
    assert!(page.contains("Not part of this report: “Which training pays”, because no two models whose"));
    let missing = STUDIES.iter().filter(|study| !found.studies.contains_key(study.id())).count();
    assert_eq!(page.matches("Not part of this report").count(), missing);
}

#[test]
fn limitations_follow_from_what_was_done() {
    let page = |found: &Investigation| html(found, &stand_in);
    let (trained, loaded) = (page(&investigation()), page(&loaded()));
    assert!(trained.contains("trained once, with seed 7") && !loaded.contains("trained once"));
    assert!(!trained.contains("This is a quick run") && loaded.contains("This is a quick run"));
    assert!(!trained.contains("were loaded") && loaded.contains("vit_micro and resnet_micro were loaded"));
    assert!(!trained.contains("differ in size") && loaded.contains("differ in size"));
    assert!(!trained.contains("were left out") && loaded.contains("30\u{a0}images could not be used"));
    assert!(trained.contains("ablation 1,000"), "studies on fewer images are named");
    let mut early = investigation();
    early.models[0].training_end =
        Some(TrainingEnd { change: -0.11, lowest_before: 11, ended: Ended::StillFalling });
    let (early, rested) = (page(&early), page(&investigation()));
    assert!(early.contains("vit_micro had not come to rest") && !rested.contains("had not come to rest"));
    assert!(
        early.contains("still falling: 11.0\u{a0}% below epoch 11") && rested.contains("at rest: within")
    );
    assert!(!trained.contains("no object masks") && loaded.contains("no object masks"));
}

#[test]
fn nobody_speaks_of_two_models_where_there_are_not_two() {
    for found in [of_one(), investigation_of(&["cnn"])] {
        let text = markdown(&found);
        for two in ["both models", "Both models", "the other model", "Two models"] {
            assert!(!text.contains(two), "{two} in:\n{text}");
        }
    }
    assert!(!markdown(&of_three()).contains("Two models on one data set"));
}
