//! What is recommended follows from tests, and nothing else does.

use super::markdown;
use super::synthetic::{change, cnn, investigation, investigation_of, of_one, of_three, vit};
use crate::findings::Investigation;
use crate::studies::AccuracyStudy;

/// The rows of the table: what decides, the choice, the evidence.
fn rows(found: &Investigation) -> Vec<[String; 3]> {
    let text = markdown(found);
    let Some(section) = text.split("\n## Recommendations\n").nth(1) else { return Vec::new() };
    let section = section.split("\n## ").next().unwrap();
    let cells = |line: &str| -> Option<[String; 3]> {
        let cells: Vec<String> =
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().ok()
    };
    section.lines().filter(|line| line.starts_with("| ")).skip(2).filter_map(cells).collect()
}

fn choice(found: &Investigation, decides: &str) -> Option<String> {
    rows(found).into_iter().find(|[what, ..]| what == decides).map(|[_, choice, _]| choice)
}

const ACCURACY: &str = "right answers on images like these count";

/// The investigation with this difference in accuracy, ViT − ResNet, on the main split.
fn with_difference(value: f64, p_value: f64) -> Investigation {
    let mut found = investigation();
    change::<AccuracyStudy>(&mut found, |accuracy| {
        let main = accuracy.main_split.clone();
        let split = accuracy.splits.iter_mut().find(|split| split.split == main).unwrap();
        let pair = &mut split.pairs[0];
        assert_eq!(pair.models, [vit(), cnn()]);
        let difference = &mut pair.difference;
        (difference.value, difference.low, difference.high) = (value, value - 0.02, value + 0.02);
        pair.mcnemar_p = p_value;
    });
    found
}

#[test]
fn the_choice_follows_the_test_and_changes_with_it() {
    assert_eq!(choice(&with_difference(0.05, 0.001), ACCURACY).as_deref(), Some("**the ViT**"));
    assert_eq!(choice(&with_difference(-0.05, 0.001), ACCURACY).as_deref(), Some("**the ResNet**"));
    for (value, p_value) in [(0.01, 0.2), (0.05, 0.2), (-0.01, 0.001)] {
        assert_eq!(
            choice(&with_difference(value, p_value), ACCURACY).as_deref(),
            Some("not shown"),
            "{value}, p {p_value}"
        );
    }
}

#[test]
fn every_row_has_its_evidence_and_the_rows_are_summed_up() {
    let found = investigation();
    let rows = rows(&found);
    let decides: Vec<&str> = rows.iter().map(|[what, ..]| what.as_str()).collect();
    for wanted in [
        ACCURACY,
        "somebody may tamper with the images",
        "images may be noisy, blurred or damaged",
        "answers of the ViT are to be explained",
        "textures may mislead and the shape counts",
        "computing decides",
    ] {
        assert!(decides.contains(&wanted), "{wanted} in {decides:?}");
    }
    for [what, _, evidence] in &rows {
        assert!(evidence.contains(|letter: char| letter.is_ascii_digit()), "{what}: {evidence}");
    }
    let text = markdown(&found);
    assert!(text.contains("This holds for these models and this data, and for no others."));
}

#[test]
fn a_model_alone_is_not_compared_and_of_several_one_must_be_ahead_of_all() {
    let alone = rows(&of_one());
    assert!(alone.iter().all(|[what, ..]| what.ends_with("are to be explained")), "{alone:?}");
    let three = of_three();
    assert!(choice(&three, ACCURACY).is_some());
    assert!(choice(&three, "computing decides").is_some());
    assert!(rows(&investigation_of(&["cnn"])).iter().all(|[what, ..]| !what.contains("computing")));
}

/// Only what this run used is among the related methods.
#[test]
fn related_methods_are_those_of_this_run() {
    let related = |found: &Investigation| {
        let text = markdown(found);
        let section = text.split("\n## Related methods\n").nth(1).expect("a section").to_owned();
        section.split("\n## ").next().unwrap().to_owned()
    };
    let text = related(&investigation());
    assert!(text.contains("ViT ([Dosovitskiy et al. 2021](https://arxiv.org/abs/2010.11929))"), "{text}");
    assert!(text.contains("[He et al. 2016](https://arxiv.org/abs/1512.03385)"), "{text}");
    assert!(text.contains("**Under attack**") && text.contains("Goodfellow"), "{text}");
    let mut without = investigation();
    without.studies.remove("attacks");
    assert!(!related(&without).contains("**Under attack**"));
    assert!(!related(&investigation_of(&["cnn"])).contains("Dosovitskiy"));
}
