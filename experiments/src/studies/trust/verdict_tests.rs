//! The verdicts: each rule, its threshold, and what is said of it.

use archaeo_analysis::statistics::Measured;
use archaeo_report::Claim;

use super::TrustStudy;
use super::findings::{MostCommonClass, Trust, TrustFindings};
use crate::findings::Investigation;
use crate::report::tests::pictures::stand_in;
use crate::report::tests::synthetic::{both, change, estimate, investigation, share, trust, vit};
use crate::report::tests::{claims, html, markdown};

/// An investigation of two classes in which both models have these headline numbers.
fn with(names: [&str; 2], model: Trust) -> Investigation {
    let mut found = investigation();
    found.data.classes = names.map(str::to_owned).into();
    let common = |split: &str, images, n| MostCommonClass { split: split.into(), class: 1, images, n };
    found.insert::<TrustStudy>(&TrustFindings {
        split: "test".into(),
        most_common: vec![common("train", 900, 1000), common("test", 390, 624)],
        models: both(model.clone(), model),
    });
    found
}

/// As PneumoniaMNIST: 98 of 234 normal films right, 385 of 390 of pneumonia.
fn films() -> Trust {
    trust(&[(234, 98), (390, 385)], 1, (497, 524))
}

fn first(found: &Investigation) -> Claim {
    claims(found).remove(0)
}

fn verdict(change: impl FnOnce(&mut Trust)) -> String {
    let mut model = films();
    change(&mut model);
    first(&with(["normal", "pneumonia"], model)).statement
}

#[test]
fn a_class_that_is_missed_more_often_than_not_comes_first() {
    let found = with(["normal", "pneumonia"], films());
    let claim = first(&found);
    assert_eq!(
        claim.statement,
        "The ViT should not be trusted on class “normal”: it gets 41.9\u{a0}% (95\u{a0}% interval 34.9 to 49.2) of its \
         234\u{a0}images right and calls 58.1\u{a0}% of them “pneumonia”."
    );
    for said in [
        "It is right on 77.4\u{a0}% of the 624\u{a0}images of the test split",
        "always answering “pneumonia”, the most common class, would be right on 62.5\u{a0}%, 14.9\u{a0}points less",
        "Balanced accuracy is 70.3\u{a0}%",
        "Sensitivity for “pneumonia” is 98.7\u{a0}%",
        "specificity 41.9\u{a0}%",
        "the area under the ROC curve 0.93",
        "Warning: on the validation split, which models are chosen on, it is right on 94.8\u{a0}%, 17.4\u{a0}points more",
        "Of its 141\u{a0}errors, 28 (19.9\u{a0}%) were given a probability of 90\u{a0}% or more",
    ] {
        assert!(claim.evidence.contains(said), "{said} is not in: {}", claim.evidence);
    }
    // The page and the Markdown open with it.
    let page = html(&found, &stand_in);
    let heading = page.find("<h2 id=\"trust-title\">Can it be trusted, and when does it fail?</h2>").unwrap();
    assert!(
        page.find("<h2").unwrap() <= heading && page[heading..].find("should not be trusted").unwrap() < 400
    );
    let text = markdown(&found);
    let (question, verdict) =
        (text.find("## Can it be trusted").unwrap(), text.find("should not be trusted").unwrap());
    assert_eq!(text.find("## "), Some(question));
    assert!(verdict - question < 120, "{}", &text[question..verdict]);
    for said in [
        "| Always answering “pneumonia” |",
        "| Specificity for “pneumonia” |",
        "90.0\u{a0}% of the train images",
    ] {
        assert!(text.contains(said), "{said}");
    }
}

#[test]
fn each_rule_has_its_sentence() {
    assert!(
        verdict(|model| model.n = 29)
            .starts_with("29\u{a0}images are too few for a verdict on the ViT: its accuracy may be")
    );
    assert_eq!(
        verdict(|model| model.constant.images = 624),
        "Whether the ViT can be trusted cannot be seen here, because every image is of class “pneumonia”."
    );
    assert_eq!(
        verdict(|model| model.usual.share = share(624, 624)),
        "The ViT should not be trusted: it answers “pneumonia” to every image."
    );
    let mut few = films();
    (few.n, few.usual.share) = (20, share(20, 20));
    let evidence = first(&with(["normal", "pneumonia"], few)).evidence;
    assert!(
        evidence.starts_with("It answers “pneumonia” to every image."),
        "said however few they are: {evidence}"
    );
    let nearly = |model: &mut Trust| {
        model.usual.share = share(605, 624);
        model.usual.truth = 0.625;
    };
    assert_eq!(
        verdict(nearly),
        "The ViT should not be trusted: it answers “pneumonia” to 97.0\u{a0}% of the images, although 62.5\u{a0}% are of that class."
    );
    let common = verdict(|model| {
        nearly(model);
        model.usual.truth = 0.96;
    });
    assert!(
        common.starts_with("The ViT should not be trusted on class"),
        "most images are of that class: {common}"
    );
    let constant = "always answering “pneumonia” would be.";
    assert_eq!(
        verdict(|model| model.constant.gain = estimate(0.01, 0.02, 624)),
        format!("The ViT should not be trusted: it is not shown to be right more often than {constant}")
    );
    assert!(verdict(|model| model.constant.p_value = 0.2).contains("is not shown to be right more often"));
    assert_eq!(
        verdict(|model| model.constant.gain = estimate(-0.05, 0.02, 624)),
        format!("The ViT should not be trusted: it is right less often than {constant}")
    );
}

#[test]
fn a_class_counts_as_failed_by_its_share_and_as_doubtful_by_its_interval() {
    let of =
        |right: usize| first(&with(["a", "b"], trust(&[(234, right), (390, 385)], 1, (497, 524)))).statement;
    assert!(
        of(117).starts_with("The ViT should not be trusted on class “a”: it gets 50.0\u{a0}%"),
        "{}",
        of(117)
    );
    assert!(
        of(120)
            .starts_with("The ViT is not shown to be right more often than wrong on class “a”: it gets 51.3")
    );
    assert!(
        of(180).starts_with(
            "On images like these, the ViT is right in 90.5\u{a0}% of cases, and in every class"
        )
    );
    // Many classes: they are counted, the worst is named.
    let ten = |each: [usize; 10]| {
        let mut found = investigation();
        let ten = trust(&each.map(|right| (200, right)), 3, (840, 1000));
        change::<TrustStudy>(&mut found, |trust| trust.models.insert(vit(), ten));
        first(&found).statement
    };
    assert_eq!(
        ten([180, 175, 60, 160, 182, 90, 110, 162, 167, 170]),
        "The ViT should not be trusted on 2 of 10\u{a0}classes, where it is not right more often than wrong. On 1 more it is not \
         shown to be right more often than wrong. The worst is “triangle”: it gets 30.0\u{a0}% (95\u{a0}% interval 21.8 to 39.7) \
         of its 200\u{a0}images right and calls 70.0\u{a0}% of them “star”."
    );
}

#[test]
fn a_model_that_holds_is_praised_with_its_warnings_and_for_these_images_only() {
    let good = || trust(&[(200, 190), (200, 192)], 1, (190, 200));
    let found = with(["a", "b"], good());
    assert_eq!(
        first(&found).statement,
        "On images like these, the ViT is right in 95.5\u{a0}% of cases, and in every class more often right than wrong."
    );
    assert!(first(&found).evidence.contains("The worst class is “a”: it gets 95.0\u{a0}%"));
    let mut flawless = trust(&[(200, 200), (200, 199)], 1, (200, 200));
    flawless.confident.errors = 0;
    assert_eq!(
        first(&with(["a", "b"], flawless)).statement,
        "On images like these, the ViT made no error in 400."
    );
    let mut warned = trust(&[(200, 180), (200, 182)], 1, (200, 200));
    warned.confident.wrong = share(36, 200).into();
    let claim = first(&with(["a", "b"], warned));
    assert!(
        claim.statement.ends_with(
            "But on the validation split it was right on 9.5\u{a0}points more and 18.0\u{a0}% of the answers it gives \
             90\u{a0}% or more are wrong."
        ),
        "{}",
        claim.statement
    );
    assert!(claim.evidence.contains("Warning: it is surer than it should be."), "{}", claim.evidence);
    // Neither warning where its interval allows the harmless value.
    let mut unclear = good();
    unclear.confident.wrong = share(22, 200).into();
    assert!(!first(&with(["a", "b"], unclear)).evidence.contains("Warning"));
    let scope = claims(&found).into_iter().rfind(|claim| claim.section == "trust").unwrap();
    assert_eq!(scope.statement, "Nothing here shows that a model can be trusted outside data like this.");
    let small = |model: &mut Trust| model.too_small = 3;
    let mut few = good();
    small(&mut few);
    assert!(first(&with(["a", "b"], few)).statement.contains("in every class with 10 or more images"));
}

#[test]
fn what_has_no_value_is_left_out_or_explained() {
    let mut model = films();
    model.balanced = Measured::undefined("every image is of one class");
    model.binary.as_mut().unwrap().auc = Measured::undefined("every image is of one class");
    model.gap = Measured::undefined("the data has no split that the model was chosen on");
    (model.confident.errors, model.confident.confident_errors) = (0, 0);
    let found = with(["normal", "pneumonia"], model);
    let evidence = first(&found).evidence;
    assert!(
        evidence.contains("Balanced accuracy cannot be computed, because every image is of one class."),
        "{evidence}"
    );
    assert!(evidence.ends_with("None of its 624\u{a0}answers is wrong."), "{evidence}");
    assert!(!evidence.contains("Sensitivity") && !evidence.contains("n/a"), "{evidence}");
    let text = markdown(&found);
    assert!(text.contains("n/a: every image is of one class"), "the table gives the reason");
    assert!(text.contains("none: the data has no split that the model was chosen on"));
}

#[test]
fn the_thresholds_stand_in_the_method() {
    let text = markdown(&investigation());
    for said in [
        "Fewer than 30 images",
        "to 95\u{a0}% of them where less than 90\u{a0}% are of that class",
        "10 or more images",
        "at most 50\u{a0}%",
    ] {
        assert!(text.contains(said), "{said}");
    }
}
