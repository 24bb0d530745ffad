use super::findings::*;
use super::*;
use crate::findings::{AccuracyFindings, ExplainedImage, PairComparison, SplitAccuracy};
use crate::studies::AccuracyStudy;
use crate::studies::made_up::{
    assert_speaks_of, each, estimate, everything, heatmaps, image, investigation, names, share,
};
use archaeo_analysis::statistics::{AnswerAgreement, Enrichment, Estimate, SignFlipTest};
use archaeo_report::Claim;
use archaeo_report::document::{Block, Panel};

#[test]
fn groups_are_sorted_by_how_many_err() {
    let models = ["a", "b", "c"].map(ModelName::new);
    let found: Vec<String> = subsets(&models)
        .iter()
        .map(|erring| erring.iter().map(|name| name.as_str()).collect::<String>())
        .collect();
    assert_eq!(found, ["a", "b", "c", "ab", "ac", "bc", "abc"]);
    assert_eq!(subsets(&models[..1]), [[models[0]]]);
}

const TEST: usize = 2000;

/// What two models share, and what independent ones would.
fn agreement(observed: usize, excess: f64, half_width: f64, p_value: f64) -> AnswerAgreement {
    AnswerAgreement {
        observed: share(observed, 77),
        expected: 0.237,
        excess: estimate(excess, half_width, 77),
        p_value,
        alone: 1,
    }
}

/// Errors of the first few models: 238 of the first alone, 60 of the next alone and so on.
fn found(models: usize) -> ErrorFindings {
    let all = names(models);
    let counts = [238, 60, 78, 40, 33, 21, 12, 9, 8, 7, 6, 5, 4, 3, 2];
    let group = |(place, erring): (usize, Vec<ModelName>)| {
        let surest = |at: usize| {
            let image = image(counts[place] + at);
            let answer = |of: usize| (image.label + usize::from(erring.contains(&all[of]))) % 5;
            ExplainedImage {
                predictions: each(models, |of| (answer(of), 0.97 - 0.01 * at as f64)),
                heatmaps: heatmaps(models, counts[place] + at),
                image,
            }
        };
        ErrorGroup {
            count: counts[place],
            share: share(counts[place], TEST),
            confusions: vec![
                Confusion { truth: 2, predicted: 0, count: counts[place] / 2 },
                Confusion { truth: 3, predicted: 4, count: counts[place] / 3 },
            ],
            confidence: Some(0.4 + 0.001 * counts[place] as f64),
            surest: (0..3).map(surest).collect(),
            erring: erring.clone(),
        }
    };
    let groups: Vec<ErrorGroup> = subsets(&all).into_iter().enumerate().map(group).collect();
    let shared = |models| SharedErrors {
        models,
        same_wrong_class: Some(share(41, 78)),
        same_answer: Measured::Known(agreement(40, 0.282, 0.11, 0.0004)),
    };
    let of_class = |class: usize| ClassErrors {
        class,
        n: 400,
        counts: groups.iter().map(|group| group.count * (class + 1) / 15).collect(),
    };
    ErrorFindings {
        n: TEST,
        by_class: (0..5).map(of_class).collect(),
        pairs: crate::subjects::pairs(&all).into_iter().map(shared).collect(),
        groups,
        factors: factors(&all),
    }
}

/// Less contrast marks the errors of the first model, and nothing those of the others; each is less sure where it errs.
pub(crate) fn factors(models: &[ModelName]) -> ErrorFactors {
    let effect = |value: f64, adjusted_p: f64| {
        let enrichment = Enrichment {
            superiority: estimate(value, 0.04, 238),
            p_value: adjusted_p / 2.0,
            errors: 238,
            right: 1500,
            mean_of_errors: 0.21,
            mean_of_right: 0.25,
        };
        Measured::Known(FactorEffect { enrichment, adjusted_p })
    };
    let finding = |factor: Factor, of: &dyn Fn(usize) -> (f64, f64)| FactorFinding {
        factor,
        models: models
            .iter()
            .enumerate()
            .map(|(place, &name)| (name, effect(of(place).0, of(place).1)))
            .collect(),
        pairs: (crate::subjects::pairs(models).into_iter())
            .map(|pair| {
                let [first, second] =
                    pair.map(|name| of(models.iter().position(|known| *known == name).unwrap()).0);
                let difference = first - second;
                let p_value = if difference.abs() > 0.05 { 0.001 } else { 0.6 };
                let test = SignFlipTest { difference: estimate(difference, 0.05, 2000), p_value };
                FactorPair { models: pair, difference: Measured::Known(test), adjusted_p: Some(p_value) }
            })
            .collect(),
    };
    let example = FactorExample { image: image(7), answer: 3, value: 0.08 };
    let kind = ErrorKind {
        factor: Factor::Contrast,
        larger: false,
        count: 107,
        expected: 0.25,
        examples: vec![example],
    };
    ErrorFactors {
        images: 2000,
        training_images: Measured::Known(2000),
        factors: vec![
            finding(Factor::Contrast, &|place| if place == 0 { (0.36, 0.001) } else { (0.49, 0.7) }),
            finding(Factor::ObjectSize, &|_| (0.51, 0.8)),
            finding(Factor::Confidence, &|_| (0.22, 0.0005)),
        ],
        left_out: vec![
            (Factor::Occlusion, "it is known of Sherds alone".into()),
            (Factor::ForeignTexture, "it is known of Sherds alone".into()),
        ],
        kinds: models
            .iter()
            .take(1)
            .map(|&name| (name, ErrorKinds { errors: 238, of_no_kind: 131, kinds: vec![kind.clone()] }))
            .collect(),
        doubted: Measured::Known(DoubtedLabels {
            count: 3,
            right_by_construction: false,
            examples: vec![DoubtedLabel { image: image(11), class: 2, of_label: 0.04, of_class: 0.91 }],
        }),
    }
}

/// An investigation in which every two models have this κ.
fn asked(models: usize, kappa: Measured) -> Investigation {
    let mut found = investigation(models);
    let pair = |models| PairComparison {
        models,
        both_right: 1624,
        only_first_right: 60,
        only_second_right: 238,
        both_wrong: 78,
        mcnemar_p: 0.001,
        difference: estimate(-0.089, 0.016, TEST),
        kappa: kappa.clone(),
    };
    let pairs = crate::subjects::pairs(&names(models)).into_iter().map(pair).collect();
    let split = SplitAccuracy { split: "test".into(), n: TEST, models: ByModel::default(), pairs };
    found.insert::<AccuracyStudy>(&AccuracyFindings {
        main_split: "test".into(),
        splits: vec![split],
        confusion: ByModel::default(),
        per_class: ByModel::default(),
    });
    found
}

fn usual() -> Measured {
    estimate(0.31, 0.06, TEST).into()
}

fn chapter_of(models: usize, found: &ErrorFindings, kappa: Measured) -> Chapter {
    let investigation = asked(models, kappa);
    ErrorsStudy::chapter(found, &investigation, &Names::of(&investigation))
}

fn claims_about(topic: &str, chapter: Chapter) -> Vec<Claim> {
    chapter.claims.into_iter().filter(|claim| claim.topic == topic).collect()
}

#[test]
fn error_overlap_follows_kappa() {
    let with = |kappa: Measured| claims_about("Errors", chapter_of(2, &found(2), kappa)).remove(0);
    let known = |value: f64| with(estimate(value, 0.05, TEST).into());
    assert_eq!(known(0.3).statement, "The models tend to fail on the same images.");
    assert_eq!(known(-0.3).statement, "The models tend to fail on different images.");
    assert!(known(0.02).statement.contains("cannot be shown"));
    assert_eq!(
        known(0.3).evidence,
        "Error consistency κ = 0.30 (95\u{a0}% interval 0.25 to 0.35). Of 2,000 images, 238 are wrong for the ViT only, 60 for the \
         ResNet only, 78 for both. When only the ViT is wrong, it gives its wrong answer a probability of 63.8\u{a0}% on average. \
         When only the ResNet is wrong, it gives its wrong answer a probability of 46.0\u{a0}% on average."
    );
    let undefined = with(Measured::undefined("both models are right on every image"));
    assert_eq!(
        undefined.statement,
        "Whether the models tend to fail on the same images cannot be computed, because both models are right on every image."
    );
    assert!(undefined.evidence.starts_with("Of 2,000 images"), "{}", undefined.evidence);
    let nowhere = Estimate { low: f64::NAN, high: f64::NAN, ..estimate(f64::NAN, 0.0, 0) };
    assert!(with(nowhere.into()).statement.contains("cannot be shown"));
}

#[test]
fn shared_mistakes_are_held_against_independent_models_with_these_confusions() {
    let with = |excess: f64, half_width: f64, p_value: f64| {
        let mut found = found(2);
        found.pairs[0].same_answer = Measured::Known(agreement(40, excess, half_width, p_value));
        claims_about("Shared mistakes", chapter_of(2, &found, usual())).remove(0)
    };
    let more = with(0.282, 0.11, 0.0004);
    assert_eq!(
        more.statement,
        "Where both are wrong, they name the same wrong class more often than independent models with the same confusions would: \
         51.9\u{a0}% against 23.7\u{a0}%."
    );
    assert!(
        more.evidence
            .contains("a difference of 28.2\u{a0}points (95\u{a0}% interval 17.2 to 39.2); permutation p"),
        "{}",
        more.evidence
    );
    assert!(
        more.evidence.ends_with("One more image is the only such image of its class and cannot be compared.")
    );
    let open = "they are not shown to name the same wrong class more or less often";
    assert!(with(0.1, 0.2, 0.3).statement.contains(open));
    // Test and interval must agree.
    assert!(with(0.282, 0.11, 0.06).statement.contains(open));
    assert!(with(0.1, 0.2, 0.001).statement.contains(open));
    assert!(with(-0.1, 0.05, 0.001).statement.contains("less often than independent models"));

    let mut found = found(2);
    found.pairs[0].same_answer = Measured::undefined("no class has two images that both have wrong");
    let said = |found: &ErrorFindings| claims_about("Shared mistakes", chapter_of(2, found, usual()));
    assert_eq!(
        said(&found)[0].statement,
        "Whether the models share wrong answers beyond their habits cannot be computed, because no class has two images that both \
         have wrong."
    );
    found.pairs[0].same_wrong_class = None;
    assert!(said(&found).is_empty());
}

#[test]
fn with_two_classes_no_wrong_answer_is_shared_by_choice() {
    for models in 2..=4 {
        let mut found = found(models);
        found.by_class.truncate(2);
        let text = everything(chapter_of(models, &found, usual()));
        assert!(
            !text.contains("Shared mistakes") && !text.contains("Wrong answers that every two models share")
        );
    }
}

#[test]
fn two_models_err_alone_or_both() {
    let text = everything(chapter_of(2, &found(2), usual()));
    for said in [
        "Errors among 2,000\u{a0}images. Confidence: mean probability given to the wrong answer (of the ViT where both err); \
         confusions: true class → answer, with how often. Of 78\u{a0}images that both have wrong, ",
        "Independent models with the same confusions would agree on 23.7\u{a0}% of the 77 that can be compared.",
        "| Only ViT wrong | 238 |",
        "| Only ResNet wrong | 60 |",
        "| Both wrong | 78 |",
        "triangle → circle (119)",
        "Who is wrong, and where.",
        "Share of all images, with intervals, and of the images of each class, in each group. All classes",
        "where both models err, by the more confident of the two: 3 of 238 that only the ViT has wrong, 3 of 60 that only the \
         ResNet has wrong and 3 of 78 that both models have wrong. Each with its true class, the image's number and name, both \
         answers with their probability, and what each model looked at: the rollout of the ViT, which belongs to no class, and the \
         Grad-CAM of the ResNet for the class that it named. Heatmaps are drawn",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn one_model_errs_without_anyone_to_share_it() {
    let chapter = chapter_of(1, &found(1), usual());
    let said: Vec<&str> = chapter.claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert_eq!(
        said[..1],
        ["The ViT has 238 of 2,000\u{a0}images wrong; most often it takes “triangle” for “circle”."]
    );
    assert!(chapter.claims[0].evidence.contains("It takes “triangle” for “circle” in 119\u{a0}images."));
    let shared = "Shared wrong answers";
    assert!(chapter.definitions.iter().all(|(term, _)| term != shared));
    assert!(chapter.intervals.iter().all(|(quantity, _)| *quantity != shared));
    let text = everything(chapter);
    assert!(text.contains("| Wrong | 238 |"), "{text}");
    assert!(
        text.contains(
            "the largest first: 3 of 238 that the ViT has wrong. Each with its true class, the image's number and name, the \
             answer with its probability, and what the model looked at: the rollout of the ViT, which belongs to no class."
        ),
        "{text}"
    );
    assert_speaks_of(1, &text);
}

#[test]
fn three_models_are_told_together_and_two_by_two() {
    let chapter = chapter_of(3, &found(3), usual());
    let said: Vec<&str> = chapter.claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert_eq!(said.len(), 10, "{said:?}");
    assert_eq!(
        said[0],
        "All 3 models have 12 of 2,000\u{a0}images wrong; 470 are wrong for some of them only."
    );
    assert_eq!(said[2], "The ViT and the Swin tend to fail on the same images.");
    assert!(chapter.claims[2].evidence.contains("238 are wrong for the ViT but not for the Swin"));
    assert!(
        said[5].starts_with(
            "Where both the ViT and the Swin are wrong, they name the same wrong class more often"
        )
    );
    let charted = chapter.section.blocks.iter().find_map(|block| match block {
        Block::Figure(figure) => figure.panels.first(),
        _ => None,
    });
    let Some(Panel::Chart(chart)) = charted else { panic!("no chart") };
    for name in ["One wrong", "Two wrong", "All wrong"] {
        assert!(chart.wide.contains(name), "{name}");
    }
    let text = everything(chapter);
    for said in [
        "(where several err, of the first of them in the order ViT, ResNet, Swin)",
        "| Only ViT wrong | 238 |",
        "| Only ViT and Swin wrong | 33 |",
        "| All wrong | 12 |",
        "| ResNet and Swin | 78 |",
        "3 of 12 that all 3 models have wrong",
        "3 of 40 that only the ViT and the ResNet have wrong",
        "where several models err, by the most confident of them",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_speaks_of(3, &text);
}

#[test]
fn of_many_models_the_claims_say_the_extremes() {
    let mut found = found(4);
    found.pairs[4].same_answer = Measured::Known(agreement(60, 0.5, 0.1, 0.0001));
    let chapter = chapter_of(4, &found, usual());
    let said: Vec<&str> = chapter.claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(said[0].starts_with("All 4 models have 2 of 2,000\u{a0}images wrong"));
    assert_eq!(said[1], "Of 6 pairs of models, 6 tend to fail on the same images.");
    assert!(said[2].starts_with(
        "Where both of a pair are wrong, 6 of 6 pairs of models name the same wrong class more often"
    ));
    assert!(
        chapter.claims[2].evidence.contains("largest for “cnn” and “cnn-2” (77.9\u{a0}% against"),
        "{:?}",
        chapter.claims[2]
    );
    let text = everything(chapter);
    assert!(text.contains("up to 18 of each group"), "{text}");
    assert_speaks_of(4, &text);
}

#[test]
fn no_errors_are_told_without_a_panic() {
    for models in 0..=4 {
        let mut found = found(models);
        found.n = 0;
        found.groups.clear();
        found.by_class.clear();
        found.pairs.iter_mut().for_each(|pair| {
            pair.same_wrong_class = None;
            pair.same_answer = Measured::undefined("there is no error");
        });
        assert!(!everything(chapter_of(models, &found, usual())).contains("NaN"));
    }
}

/// What is said of factors of the models `first` and `second`, as of a ViT and a ResNet.
pub(super) fn claims_of(factors: &ErrorFactors) -> String {
    let [first, second] = ["first", "second"].map(ModelName::new);
    let names_of = [(first, names(2)[0]), (second, names(2)[1])];
    let text = serde_json::to_string(factors).unwrap();
    let renamed = names_of
        .iter()
        .fold(text, |text, (own, as_shown)| text.replace(&format!("\"{own}\""), &format!("\"{as_shown}\"")));
    let factors: ErrorFactors = serde_json::from_str(&renamed).unwrap();
    let claims = apart_claims::claims(&factors, &Names::of(&investigation(2)));
    claims.into_iter().map(|claim| format!("{} {}\n", claim.statement, claim.evidence)).collect()
}

#[test]
fn what_sets_errors_apart_is_told_with_its_null() {
    for models in 1..=4 {
        let chapter =
            ErrorsStudy::chapter(&found(models), &investigation(models), &Names::of(&investigation(models)));
        let text = everything(chapter);
        assert_speaks_of(models, &text);
        assert!(text.contains("the errors of the ViT are more often images with less contrast."), "{text}");
        assert!(text.contains("0.5 if the factor tells nothing"), "{text}");
        assert!(
            text.contains(
                "Not measured: occlusion and texture of another class, because it is known of Sherds alone."
            ),
            "{text}"
        );
        assert!(text.contains("mages with less contrast, 107 of 238 errors (45.0\u{a0}% against 25.0\u{a0}% of right answers)"), "{text}");
        assert!(text.contains("A doubted label is a reason to look, and no proof."), "{text}");
        let more = "Images with less contrast are more typical of the errors of the ViT than of those of the ResNet.";
        assert_eq!(text.contains(more), [2, 3].contains(&models), "{text}");
        assert_eq!(
            text.contains("The like is shown of 3\u{a0}pairs of models in all."),
            models == 4,
            "{text}"
        );
        let nothing = "Nothing that was measured is shown to set the errors of";
        assert_eq!(text.contains(nothing), models > 1, "{text}");
    }
}
