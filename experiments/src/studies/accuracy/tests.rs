//! Sentences follow the numbers: each flips when its numbers flip.

use archaeo_report::Claim;

use super::AccuracyStudy;
use crate::findings::Investigation;
use crate::report::tests::synthetic::{
    change, chapter_of, claim_of, estimate, investigation, of_one, of_three, printed, split,
};

fn claim(found: &Investigation, topic: &str) -> Claim {
    claim_of::<AccuracyStudy>(found, topic)
}

fn statement(found: &Investigation, topic: &str) -> String {
    claim(found, topic).statement
}

#[test]
fn accuracy_names_the_better_model_or_none() {
    let mut found = investigation();
    assert_eq!(
        statement(&found, "Accuracy"),
        "The ResNet is more accurate than the ViT: 93.1\u{a0}% against 84.2\u{a0}%."
    );
    let evidence = claim(&found, "Accuracy").evidence;
    assert!(evidence.contains("2,000\u{a0}images of the test split"), "{evidence}");
    assert!(
        evidence.contains(
            "−8.9\u{a0}points (95\u{a0}% interval −10.5 to −7.3); exact McNemar p\u{a0}<\u{a0}0.001"
        ),
        "{evidence}"
    );
    assert!(evidence.contains("On aligned, neither is shown to be ahead"), "{evidence}");
    assert!(evidence.contains("On conflict, the ResNet is ahead"), "{evidence}");

    change::<AccuracyStudy>(&mut found, |accuracy| {
        accuracy.splits[0] = split("test", [1624, 238, 60, 78], 1.3e-25)
    });
    assert!(statement(&found, "Accuracy").starts_with("The ViT is more accurate than the ResNet"));

    change::<AccuracyStudy>(&mut found, |accuracy| {
        accuracy.splits[0] = split("test", [1700, 100, 110, 90], 0.53)
    });
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
}

#[test]
fn accuracy_needs_both_the_test_and_the_interval() {
    let mut found = investigation();
    change::<AccuracyStudy>(&mut found, |accuracy| accuracy.splits[0].pairs[0].mcnemar_p = 0.2);
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
    change::<AccuracyStudy>(&mut found, |accuracy| {
        let pair = &mut accuracy.splits[0].pairs[0];
        pair.mcnemar_p = 0.001;
        pair.difference = estimate(-0.05, 0.06, 2000);
    });
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
}

#[test]
fn calibration_is_judged_by_its_interval() {
    let with = |vit: f64, cnn: f64, half_width: f64| {
        let mut found = investigation();
        change::<AccuracyStudy>(&mut found, |accuracy| {
            for (scores, ece) in accuracy.splits[0].models.values_mut().zip([vit, cnn]) {
                scores.ece = estimate(ece, half_width, 2000);
            }
        });
        statement(&found, "Calibration")
    };
    let further = "The probabilities that the ViT gives its answers are further from the truth";
    assert!(with(0.07, 0.02, 0.01).starts_with(further));
    assert!(with(0.02, 0.07, 0.01).starts_with(&further.replace("ViT", "ResNet")));
    let close = with(0.02, 0.025, 0.01);
    assert!(
        close.contains("is on average within 5.0\u{a0}points of how often it is right, for both models"),
        "{close}"
    );
    assert!(
        close.ends_with("the gap is 2.0\u{a0}points for the ViT and 2.5\u{a0}points for the ResNet."),
        "{close}"
    );
    assert!(with(0.02, 0.04, 0.02).starts_with("Only for the ViT is it shown"));
    assert!(
        with(0.07, 0.07, 0.01)
            .starts_with("For neither model can the probability of its answer be relied on")
    );
    assert!(with(0.06, 0.06, 0.02).starts_with("For neither model is it shown"));
    let evidence = claim(&investigation(), "Calibration").evidence;
    assert!(
        evidence.contains("of the top label") && evidence.contains("by chance: ViT 1.9\u{a0}points"),
        "{evidence}"
    );
}

#[test]
fn a_model_alone_is_not_compared() {
    let found = of_one();
    let claim = claim(&found, "Accuracy");
    assert!(claim.statement.starts_with("The ViT is right on 84.2\u{a0}%"), "{}", claim.statement);
    assert!(claim.evidence.starts_with("Over 2,000\u{a0}images of the test split."), "{}", claim.evidence);
    assert!(statement(&found, "Calibration").starts_with("The probability that the ViT gives its answer"));
    let text = printed(chapter_of::<AccuracyStudy>(&found));
    for word in ["McNemar", "Difference", "paired"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn several_models_are_ranked_and_compared_two_by_two() {
    let found = of_three();
    let claim = claim(&found, "Accuracy");
    assert!(claim.statement.starts_with("The ResNet comes out most accurate, and"), "{}", claim.statement);
    for pair in ["ViT − Swin", "ViT − ResNet"] {
        assert!(
            claim.evidence.contains(pair) || claim.evidence.contains("right on the very same images"),
            "{pair}: {}",
            claim.evidence
        );
    }
    let text = printed(chapter_of::<AccuracyStudy>(&found));
    assert!(!text.to_lowercase().contains("both models"), "{text}");
    for model in ["ViT", "Swin", "ResNet"] {
        assert!(text.contains(&format!("| test | {model} |")), "{model}: {text}");
    }
}
