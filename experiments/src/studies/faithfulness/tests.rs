//! Sentences follow the numbers, of one model or of several.

use super::*;
use crate::report::tests::synthetic::{
    change, chapter_of, claim_of, investigation, of_one, of_three, paired, printed, vit,
};
use archaeo_analysis::faithfulness::Gain;
use archaeo_analysis::statistics::Better;

fn statement(found: &Investigation, topic: &str) -> String {
    claim_of::<FaithfulnessStudy>(found, topic).statement
}

fn gains(found: &mut Investigation, difference: f64, p_value: f64) {
    change::<FaithfulnessStudy>(found, |findings| {
        for score in findings
            .models
            .values_mut()
            .flat_map(|model| &mut model.methods)
            .flat_map(|m| m.scores.values_mut())
        {
            if let Some(gain) = &mut score.over_random {
                let test = paired(difference, 0.05, p_value);
                let better = Better::of(&test.difference, test.p_value);
                *gain = Gain { difference: test.difference, p_value: test.p_value, better };
            }
        }
    });
}

#[test]
fn explanations_are_held_against_random_and_centre() {
    let mut found = investigation();
    assert_eq!(
        statement(&found, "Faithfulness"),
        "By deletion, explanations of the ViT that are better than a random heatmap: Grad-CAM and rollout; better than a blob in the \
         centre: none."
    );
    let evidence = claim_of::<FaithfulnessStudy>(&found, "Faithfulness").evidence;
    assert!(evidence.contains("baselines: centre 0.50; random 0.55"), "{evidence}");
    gains(&mut found, -0.2, 0.001);
    assert!(
        statement(&found, "Faithfulness").ends_with(
            "better than a random heatmap: none; better than a blob in the centre: none. Worse than random: Grad-CAM and rollout."
        ),
        "{}",
        statement(&found, "Faithfulness")
    );
    gains(&mut found, 0.2, 0.2);
    assert!(statement(&found, "Faithfulness").contains("better than a random heatmap: none"));
}

#[test]
fn few_images_tell_nothing() {
    let mut found = of_one();
    change::<FaithfulnessStudy>(&mut found, |findings| {
        for score in findings
            .models
            .values_mut()
            .flat_map(|model| &mut model.methods)
            .flat_map(|m| m.scores.values_mut())
        {
            (score.over_random, score.over_centre) = (None, None);
        }
        findings.models.values_mut().for_each(|model| model.images = 4);
    });
    assert_eq!(
        statement(&found, "Faithfulness"),
        "Whether explanations of the ViT are better than a random heatmap cannot be told from 4\u{a0}images."
    );
}

#[test]
fn every_model_has_its_table_and_the_metrics_are_defined() {
    for (found, models) in [(of_one(), 1), (investigation(), 2), (of_three(), 3)] {
        let chapter = chapter_of::<FaithfulnessStudy>(&found);
        assert_eq!(chapter.definitions.len(), 3);
        assert!(chapter.definitions[2].1 != archaeo_report::document::Text::new());
        let text = printed(chapter);
        assert_eq!(text.matches("| Grad-CAM | 1.5 | ").count(), models, "{text}");
        assert_eq!(text.matches("| Grad-CAM | yes / ? | yes / ? |").count(), models, "{text}");
        assert!(
            text.contains("Random (baseline)") && text.contains("Deletion ↓") && text.contains("Insertion ↑")
        );
    }
    let claim = claim_of::<FaithfulnessStudy>(&investigation(), "Agreement of metrics");
    assert!(
        claim.statement.starts_with("Of 2\u{a0}pairs of metrics, 2 put the explanations in the same order"),
        "{claim:?}"
    );
}

#[test]
fn pictures_say_how_far_they_can_be_believed() {
    let found = investigation();
    let names = Names::of(&found);
    assert_eq!(
        names.believed(vit()),
        "deletion 0.47 (lower is better) over 32\u{a0}images, better than random: yes, than the centre: cannot be told"
    );
    let mut without = investigation();
    without.studies.remove(FaithfulnessStudy::ID);
    assert_eq!(Names::of(&without).believed(vit()), "not measured");
}

#[test]
fn metrics_are_chosen_by_their_ids() {
    let chosen = |ids: &[&str]| {
        let metrics = ids.iter().map(|id| (*id).to_owned()).collect();
        let options = FaithfulnessOptions { metrics, ..FaithfulnessOptions::default() };
        options.check()?;
        Ok::<_, RecipeError>(options.metrics().map(|metric| metric.info().id).collect::<Vec<_>>())
    };
    assert_eq!(chosen(&["road", "deletion"]).unwrap(), ["deletion", "road"]);
    assert!(!chosen(&[]).unwrap().contains(&"auroc") && chosen(&[]).unwrap().len() == 11);
    for unknown in ["no-such", "auroc"] {
        let sentence = chosen(&[unknown]).unwrap_err().to_string();
        assert!(
            sentence.contains("studies.faithfulness.metrics") && sentence.contains(unknown),
            "{sentence}"
        );
    }
}
