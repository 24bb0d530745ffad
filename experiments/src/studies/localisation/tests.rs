//! Explanations are held against the centre before chance, and sentences follow the numbers, of one model or of several.

use archaeo_report::document::Block;

use super::*;
use crate::findings::LocalisationScore;
use crate::report::tests::synthetic::{
    change, chapter_of, claim_of, investigation, investigation_of, of_one, of_three, paired, printed,
};
use crate::studies::explained::wants;

const TRUTH: &str = "Explanations against truth";

fn statement(found: &Investigation, topic: &str) -> String {
    claim_of::<LocalisationStudy>(found, topic).statement
}

fn explanations(found: &mut Investigation, mut of: impl FnMut(usize, &mut LocalisationScore)) {
    change::<LocalisationStudy>(found, |findings| {
        let scores = findings.methods.iter_mut().filter(|score| score.model.is_some());
        scores.enumerate().for_each(|(place, score)| of(place, score));
    });
}

#[test]
fn explanations_are_held_against_the_centre_before_chance() {
    let mut found = investigation();
    assert_eq!(
        statement(&found, TRUTH),
        "Grad-CAM (ResNet) finds the object better than a blob in the image's centre by every score. Grad-CAM (ViT) finds the \
         object better than a blob in the image's centre by mass and average precision alone, and less well by AUROC. All 3 \
         explanations find the object better than a random heatmap by every score."
    );
    let evidence = claim_of::<LocalisationStudy>(&found, TRUTH).evidence;
    assert!(
        evidence.contains("on average: centre 38.8\u{a0}%; rollout (ViT) 29.1\u{a0}% (−9.7\u{a0}points"),
        "{evidence}"
    );
    assert!(evidence.contains("AUROC: centre 0.74; rollout (ViT) 0.66; Grad-CAM (ViT) 0.71"), "{evidence}");

    // All beat random, none beats the centre: that is what is said first.
    explanations(&mut found, |_, score| {
        let gains = score.over_centre.as_mut().unwrap();
        gains.mass = paired(-0.009, 0.011, 0.2);
        gains.auroc = paired(-0.03, 0.01, 0.001);
        gains.average_precision = paired(0.01, 0.02, 0.4);
    });
    assert_eq!(
        statement(&found, TRUTH),
        "No explanation is shown to find the object better than a blob in the image's centre, which knows nothing of the \
         image. All 3 explanations find the object better than a random heatmap by every score."
    );
    explanations(&mut found, |place, score| {
        let gains = score.over_random.as_mut().unwrap();
        match place {
            0 => {
                gains.mass = paired(-0.05, 0.01, 0.001);
                (gains.auroc, gains.average_precision) = (gains.mass.clone(), gains.mass.clone());
            }
            1 => gains.auroc = paired(-0.05, 0.01, 0.001),
            _ => {}
        }
    });
    let mixed = statement(&found, TRUTH);
    assert!(
        mixed.ends_with(
            "Grad-CAM (ResNet) finds the object better than a random heatmap by every score. Grad-CAM (ViT) finds the object \
             better than a random heatmap by mass and average precision alone, and less well by AUROC. By every score a random \
             heatmap is better than rollout (ViT)."
        ),
        "{mixed}"
    );
}

#[test]
fn no_sentence_says_what_the_interval_next_to_it_does_not() {
    let mut found = investigation();
    explanations(&mut found, |_, score| {
        let gains = score.over_centre.as_mut().unwrap();
        // A small p-value with an interval over zero.
        gains.mass = paired(0.01, 0.02, 0.01);
        (gains.auroc, gains.average_precision) = (gains.mass.clone(), gains.mass.clone());
    });
    assert!(statement(&found, TRUTH).starts_with("No explanation is shown"));
}

#[test]
fn pointing_takes_direction_and_significance_from_the_paired_test() {
    let mut found = investigation();
    assert_eq!(
        statement(&found, "Pointing"),
        "Compared with the image's centre, Grad-CAM (ResNet) points to the object more often, rollout (ViT) and Grad-CAM (ViT) \
         less often."
    );
    explanations(&mut found, |_, score| {
        score.over_centre.as_mut().unwrap().pointing = paired(0.1, 0.08, 0.06)
    });
    assert!(statement(&found, "Pointing").starts_with("No explanation is shown to point"));
    explanations(&mut found, |_, score| {
        score.over_centre.as_mut().unwrap().pointing = paired(0.1, 0.08, 0.01)
    });
    assert_eq!(
        statement(&found, "Pointing"),
        "All 3 explanations point to the object more often than the image's centre does."
    );
}

#[test]
fn one_image_can_be_scored_and_not_compared() {
    let mut found = investigation();
    explanations(&mut found, |_, score| (score.over_random, score.over_centre) = (None, None));
    change::<LocalisationStudy>(&mut found, |findings| findings.n = 1);
    assert_eq!(
        statement(&found, TRUTH),
        "Whether an explanation finds the object better than chance cannot be tested on 1\u{a0}image."
    );
}

#[test]
fn one_model_is_not_told_apart_from_others() {
    let chapter = chapter_of::<LocalisationStudy>(&of_one());
    assert_eq!(chapter.sample, Some(("explanations against the truth", 500)));
    assert_eq!(chapter.intervals.len(), 3);
    assert!(
        chapter.claims[0]
            .statement
            .ends_with("Both explanations find the object better than a random heatmap by every score."),
        "{}",
        chapter.claims[0].statement
    );
    assert_eq!(
        chapter.claims[1].statement,
        "Both explanations point to the object less often than the image's centre does."
    );
    let text = printed(chapter);
    assert!(text.contains("at the size at which the model sees the images."));
    assert!(!text.contains("first model") && !text.contains("ResNet"));

    let alone = chapter_of::<LocalisationStudy>(&investigation_of(&["cnn"]));
    assert_eq!(
        alone.claims[0].statement,
        "Grad-CAM (ResNet) finds the object better than a blob in the image's centre by every score. Grad-CAM (ResNet) finds the \
         object better than a random heatmap by every score."
    );
}

#[test]
fn several_models_have_rows_of_their_own() {
    let text = printed(chapter_of::<LocalisationStudy>(&of_three()));
    for row in [
        "| rollout | ViT |",
        "| rollout | Swin |",
        "| Grad-CAM | Swin |",
        "| Grad-CAM | ResNet |",
        "| random | baseline |",
    ] {
        assert!(text.contains(row), "{row}");
    }
    assert!(text.contains("| Grad-CAM, Swin | "));
    assert!(text.contains("at which the first model sees the images"));
    assert!(
        statement(&of_three(), "Pointing")
            .contains("rollout (ViT), Grad-CAM (ViT), rollout (Swin) and Grad-CAM (Swin) less often")
    );
}

#[test]
fn of_many_explanations_the_extremes_are_told() {
    let found = investigation_of(&["a", "b", "c", "d", "e", "swin", "cnn"]);
    let pointing = claim_of::<LocalisationStudy>(&found, "Pointing");
    assert_eq!(
        pointing.statement,
        "Compared with the image's centre, Grad-CAM (ResNet) points to the object more often, 12 of 13 explanations less often."
    );
    assert!(
        pointing.evidence.contains("; from Grad-CAM (ResNet) 86.2\u{a0}% (")
            && pointing.evidence.contains(" to rollout ("),
        "{}",
        pointing.evidence
    );
    assert!(statement(&found, TRUTH).contains(" 6 of 13 explanations find the object better"));
}

#[test]
fn explanations_are_chosen_by_their_ids_and_by_cost_where_none_is() {
    let wanted = |methods: &[&str]| {
        let options = LocalisationOptions {
            methods: methods.iter().map(|id| (*id).to_owned()).collect(),
            ..LocalisationOptions::default()
        };
        options.check()?;
        let wanted = archaeo_analysis::attribution::methods()
            .iter()
            .filter(|method| wants(&options.methods, **method));
        Ok(wanted.map(|method| method.info().id).collect::<Vec<_>>())
    };
    let usual = wanted(&[]).unwrap();
    assert!(usual.contains(&"rollout") && usual.contains(&"grad-cam") && usual.contains(&"saliency"));
    assert!(!usual.contains(&"occlusion") && !usual.contains(&"scorecam") && !usual.contains(&"smoothgrad"));
    assert_eq!(wanted(&["occlusion", "rollout"]).unwrap(), ["rollout", "occlusion"]);
    for unknown in ["no-such", "random"] {
        let refused: RecipeError = wanted(&[unknown]).unwrap_err();
        let sentence = refused.to_string();
        assert!(
            sentence.contains("studies.localisation.methods") && sentence.contains(unknown),
            "{sentence}"
        );
    }
}

#[test]
fn what_each_explanation_is_stands_under_method() {
    // After the definition of the scores.
    let defined = |found: &Investigation| {
        let mut chapter = chapter_of::<LocalisationStudy>(found);
        chapter.section.blocks = vec![Block::Definitions(chapter.definitions.split_off(1))];
        printed(chapter)
    };
    let words = defined(&investigation());
    assert!(words.contains("Rollout: attention multiplied through all layers"), "{words}");
    assert!(
        words.contains("Grad-CAM: channels of the last feature map") && !words.contains("Grad-CAM++"),
        "{words}"
    );
    let mut without = investigation();
    change::<LocalisationStudy>(&mut without, |findings| findings.methods.clear());
    assert!(!defined(&without).contains("rollout"));
}

/// The best other explanation of the same model says whether the model looks at the object.
#[test]
fn what_is_below_random_is_set_against_the_best_of_its_model() {
    let mut found = investigation_of(&["vit"]);
    let said = |found: &Investigation| printed(chapter_of::<LocalisationStudy>(found));
    assert!(!said(&found).contains("ranks the object below"));
    // Of rollout and Grad-CAM, the first becomes LeGrad below random.
    explanations(&mut found, |place, score| {
        if place == 0 {
            score.method = "LeGrad".into();
            score.auroc.value = 0.44;
            score.over_random.as_mut().unwrap().auroc = paired(-0.06, 0.02, 0.001);
        }
    });
    let text = said(&found);
    assert!(
        text.contains(
            "LeGrad of the ViT ranks the object below other places (AUROC 0.44), while Grad-CAM is at 0.71"
        ),
        "{text}"
    );
    assert!(text.contains("LeGrad does not count attention"), "{text}");
    explanations(&mut found, |_, score| {
        score.over_random.as_mut().unwrap().auroc = paired(-0.06, 0.02, 0.001)
    });
    assert!(said(&found).contains("no explanation of the ViT is above it"), "{}", said(&found));
}
