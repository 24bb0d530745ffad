use super::*;
use crate::studies::made_up::{self, assert_speaks_of, each, everything, heatmaps, investigation, names};
use archaeo_report::Claim;

/// A map of 3 × 3 with a peak at one place.
fn peak(place: usize) -> Heatmap {
    Heatmap::new(3, 3, (0..9).map(|at| (at as f32 - place as f32).abs()).collect())
}

fn flat() -> Heatmap {
    Heatmap::new(3, 3, vec![0.25; 9])
}

fn pair(first: Heatmap, second: Heatmap, same_answer: bool) -> Pair {
    Pair { called: ["the rollout".into(), "the Grad-CAM".into()], first, second, same_answer }
}

fn agreement_of(pairs: &[Pair]) -> Measured<Agreement> {
    agreement(pairs, &Resampling::new(0)).unwrap()
}

#[test]
fn maps_that_are_alike_for_all_images_agree_and_show_nothing() {
    let pairs: Vec<Pair> = (0..8).map(|i| pair(peak(4), peak(4), i % 2 == 0)).collect();
    let found = agreement_of(&pairs);
    let pairing = &found.known().unwrap().pairing;
    for value in [pairing.together.value, pairing.apart.value, 1.0 - pairing.difference.value] {
        assert!((value - 1.0).abs() < 1e-12, "{pairing:?}");
    }
    assert_eq!(pairing.p_value, 1.0);
}

#[test]
fn maps_that_follow_their_image_agree_beyond_those_of_others() {
    let pairs: Vec<Pair> = (0..9).map(|i| pair(peak(i), peak(i), i < 6)).collect();
    let found = agreement_of(&pairs);
    let found = found.known().unwrap();
    assert!((found.pairing.together.value - 1.0).abs() < 1e-12);
    assert!(found.pairing.difference.low > 0.0 && found.pairing.p_value < 0.001, "{found:?}");
    assert_eq!((found.same_answer.n, found.other_answer.n), (6, 3));
    assert!(agreement_of(&pairs[..6]).known().unwrap().other_answer.difference.is_none());
}

#[test]
fn constant_maps_are_left_out_with_a_reason() {
    let constant = pair(flat(), peak(1), true);
    assert_eq!(constant.agreement().reason(), Some("the rollout is constant"));
    assert_eq!(pair(peak(1), flat(), true).agreement().reason(), Some("the Grad-CAM is constant"));
    assert_eq!(pair(flat(), flat(), true).agreement().reason(), Some("both heatmaps are constant"));
    let pairs = [pair(peak(0), peak(0), true), constant];
    assert_eq!(
        agreement_of(&pairs).reason(),
        Some("it takes two or more images with heatmaps that are not constant, and there is 1")
    );
    assert!(agreement_of(&[]).reason().unwrap().ends_with("there are 0"));
    let pairs = [pair(peak(0), peak(0), true), pair(flat(), flat(), true), pair(peak(8), peak(8), true)];
    assert_eq!(agreement_of(&pairs).known().unwrap().pairing.together.n, 2);
}

#[test]
fn the_middle_half_lies_between_the_values_nearest_to_the_quartiles() {
    let found = spread(vec![0.5, 0.1, f64::NAN, 0.3, 0.2, 0.4]).unwrap();
    assert_eq!(found, Spread { median: 0.3, lower: 0.2, upper: 0.4 });
    assert_eq!(spread(vec![f64::NAN]), None);
}

/// Twenty images, of which model `place` has every one wrong whose number is a multiple of `place + 3`.
fn found(models: usize) -> ComparisonFindings {
    let pairs = crate::subjects::pairs(&names(models));
    let item = |index: usize| {
        let image = made_image(index);
        let answer = |place: usize| {
            if index.is_multiple_of(place + 3) { (image.label + 1 + place) % 5 } else { image.label }
        };
        let agreement = |(place, _)| Measured::Known(0.1 * place as f64 + 0.02 * index as f64);
        Comparison {
            index,
            identifier: image.identifier.clone(),
            label: image.label,
            predictions: each(models, |place| (answer(place), 0.9)),
            explains: each(models, |place| (place % 2 == 1).then(|| answer(place))),
            agreements: pairs.iter().enumerate().map(agreement).collect(),
            picture: image.picture,
            heatmaps: heatmaps(models, index),
        }
    };
    let pair = |(place, models): (usize, &[ModelName; 2])| HeatmapAgreement {
        models: *models,
        constant: 0,
        agreement: made_up::agreement(0.21 + 0.1 * place as f64, 0.13, 0.0004),
        spread: Some(Spread { median: 0.2, lower: 0.1, upper: 0.3 }),
    };
    ComparisonFindings {
        depth: ByModel::default(),
        selection: "20 images of the test split, drawn at random".into(),
        items: (0..20).map(item).collect(),
        methods: each(models, |place| ["rollout", "Grad-CAM"][place % 2].to_owned()),
        pairs: pairs.iter().enumerate().map(pair).collect(),
    }
}

fn made_image(index: usize) -> crate::findings::ImageShown {
    made_up::image(index)
}

fn chapter_of(models: usize, found: &ComparisonFindings) -> Chapter {
    let investigation = investigation(models);
    ComparisonsStudy::chapter(found, &investigation, &Names::of(&investigation))
}

fn claims_of(models: usize, found: &ComparisonFindings) -> Vec<Claim> {
    chapter_of(models, found).claims
}

#[test]
fn agreement_of_heatmaps_is_held_against_different_images() {
    let with = |agreement, constant| {
        let mut found = found(2);
        (found.pairs[0].agreement, found.pairs[0].constant) = (agreement, constant);
        claims_of(2, &found).remove(0)
    };
    let more = with(made_up::agreement(0.21, 0.13, 0.0004), 0);
    assert_eq!(
        more.statement,
        "The explanations of the ViT and the ResNet agree more on the same image than on different images."
    );
    for said in [
        "Mean rank correlation of rollout and Grad-CAM over 50\u{a0}images: 0.21",
        "for heatmaps of different images 0.13; difference 0.08",
        "Where both models name the same class (33\u{a0}images)",
        "Rollout belongs to no class; Grad-CAM explains the class that the ResNet names. Selection: 20 images",
    ] {
        assert!(more.evidence.contains(said), "{said}: {}", more.evidence);
    }
    // A high agreement that maps of different images have as well is none.
    let none = with(made_up::agreement(0.6, 0.59, 0.3), 3);
    assert_eq!(
        none.statement,
        "It cannot be shown that the explanations of the ViT and the ResNet agree more on the same image than on different \
         images."
    );
    assert!(none.evidence.contains("3\u{a0}images have a constant heatmap"), "{}", none.evidence);
    assert!(with(made_up::agreement(0.1, 0.3, 0.001), 0).statement.contains("agree less on the same image"));
    let undefined = with(Measured::undefined("there is 1"), 49);
    assert!(
        undefined.statement.ends_with("cannot be computed, because there is 1."),
        "{}",
        undefined.statement
    );
    let mut empty = found(2);
    empty.items.clear();
    assert!(claims_of(2, &empty).is_empty());
}

#[test]
fn two_models_are_shown_side_by_side() {
    let text = everything(chapter_of(2, &found(2)));
    for said in [
        "Do both look at the same places?",
        "Rank correlation of the heatmaps for 20\u{a0}images. The median is 0.20, the middle half lies between 0.10 and 0.30. \
         Agreement has to be held against",
        "20\u{a0}comparisons: 20 images of the test split, drawn at random. Each shows the image, the rollout of the ViT, which \
         belongs to no class, and the Grad-CAM of the ResNet for the class that it named. Heatmaps are drawn",
        "8\u{a0}×\u{a0}8 for the ViT and 4\u{a0}×\u{a0}4 for the ResNet. How far they can be believed: rollout of the ViT, not measured; \
         Grad-CAM of the ResNet, not measured. Agreement is the rank correlation of the two heatmaps",
        "The models name different classes; Grad-CAM explains circle, rollout no class in particular",
        "Agreement 0.02",
        "Both right",
        "Only ViT wrong",
        "Only ResNet wrong",
        "Both wrong",
        "The 20\u{a0}comparisons shown side by side are a selection",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn one_model_is_explained_and_compared_with_none() {
    let chapter = chapter_of(1, &found(1));
    assert!(chapter.claims.is_empty());
    assert_eq!((chapter.section.title, chapter.section.blocks.len()), ("Explanations", 1));
    let terms: Vec<&str> = chapter.definitions.iter().map(|(term, _)| term.as_str()).collect();
    assert_eq!(terms, ["Rollout"]);
    let text = everything(chapter);
    assert!(
        text.contains(
            "20 images of the test split, drawn at random. Each shows the image and the rollout of the \
                       ViT, which belongs to no class. Heatmaps"
        ),
        "{text}"
    );
    assert!(text.contains("The 20\u{a0}images explained are a selection"));
    assert!(!text.contains("Agreement") && !text.contains("Grad-CAM"));
    assert_speaks_of(1, &text);
}

#[test]
fn three_models_are_compared_two_by_two() {
    let chapter = chapter_of(3, &found(3));
    let said: Vec<&str> = chapter.claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert_eq!(said.len(), 3);
    assert!(said[1].contains("the ViT and the Swin agree more"), "{said:?}");
    // Both have attention.
    assert!(
        chapter.claims[1]
            .evidence
            .starts_with("Mean rank correlation of the rollouts of the ViT and the Swin over")
    );
    assert!(chapter.claims[1].evidence.contains("Rollout belongs to no class. Selection"));
    assert!(chapter.claims[0].evidence.contains("Where the two name the same class"));
    let panels = chapter.section.blocks.iter().find_map(|block| match block {
        archaeo_report::document::Block::Figure(figure) => Some(figure.panels.len()),
        _ => None,
    });
    assert_eq!(panels, Some(3));
    let text = everything(chapter);
    for said in [
        "| ViT rollout and ResNet Grad-CAM | 50 |",
        "| ViT rollout and Swin rollout | 50 |",
        "| ResNet Grad-CAM and Swin rollout | 50 |",
        "Each shows the image, the rollout of the ViT and the Swin, which belongs to no class, and the Grad-CAM of the ResNet for \
         the class that it named.",
        "Agreement: ViT and ResNet 0.02; ViT and Swin 0.12; ResNet and Swin 0.22",
        "All right",
        "Only ViT wrong",
        "All wrong",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_speaks_of(3, &text);
}

#[test]
fn of_many_pairs_the_claim_says_the_extremes_and_a_table_the_rest() {
    let mut found = found(4);
    let chapter = chapter_of(4, &found);
    let [claim] = &chapter.claims[..] else { panic!("{:?}", chapter.claims) };
    assert_eq!(
        claim.statement,
        "The explanations of 6 of the 6 pairs of models agree more on the same image than on different images."
    );
    assert!(claim.evidence.contains("most for the Swin and “cnn-2” (0.58"), "{}", claim.evidence);
    assert!(claim.evidence.contains("least for the ViT and “cnn” (0.08"), "{}", claim.evidence);
    assert!(
        !chapter
            .section
            .blocks
            .iter()
            .any(|block| matches!(block, archaeo_report::document::Block::Figure(_)))
    );
    let text = everything(chapter);
    assert!(text.contains("Agreement: most Swin and cnn-2 0.52; least ViT and cnn 0.02"), "{text}");
    assert!(text.contains("Grad-CAM explains"), "{text}");
    assert_speaks_of(4, &text);
    found.pairs.iter_mut().for_each(|pair| pair.agreement = Measured::undefined("there are 0 images"));
    let claim = claims_of(4, &found).remove(0);
    assert!(claim.statement.starts_with("For none of the 6 pairs"));
    assert!(claim.evidence.starts_with("6\u{a0}pairs cannot be compared."), "{}", claim.evidence);
}

#[test]
fn that_there_are_no_masks_is_said_where_the_models_were_scored_and_the_explanations_not() {
    let mut investigation = investigation(2);
    let names = Names::of(&investigation);
    let without = "The explanations were not scored against ground truth, for this data has no object masks.";
    let says = |investigation: &Investigation| {
        let chapter = ComparisonsStudy::chapter(&found(2), investigation, &names);
        chapter.limitations.iter().any(|limitation| limitation == without)
    };
    assert!(!says(&investigation));
    investigation.studies.insert("accuracy".into(), serde_json::Value::Null);
    assert!(says(&investigation));
    investigation.studies.insert("localisation".into(), serde_json::Value::Null);
    assert!(!says(&investigation));
}

#[test]
fn nothing_explained_is_told_without_a_panic() {
    for models in 0..=4 {
        let mut found = found(models);
        found.items.clear();
        found.pairs.iter_mut().for_each(|pair| {
            (pair.agreement, pair.spread) = (Measured::undefined("there are 0 images"), None);
        });
        assert!(!everything(chapter_of(models, &found)).contains("NaN"));
    }
}

#[test]
fn one_image_through_every_layer_of_every_model_follows_the_verdict() {
    let found = crate::report::tests::synthetic::investigation();
    let page = crate::report::tests::markdown(&found);
    let titles = ["## Can it be trusted", "## At a glance", "## What was found"];
    let [trust, glance, found_out] = titles.map(|title| page.find(title).unwrap());
    assert!(trust < glance && glance < found_out);
    let glance = &page[glance..found_out];
    for (model, layers) in [("vit", "layer"), ("cnn", "stage")] {
        let pictures: Vec<usize> =
            (1..=4).filter_map(|place| glance.find(&format!("depth-{model}-{place:02}.png"))).collect();
        assert!(pictures.len() == 4 && pictures.is_sorted(), "{model}: {glance}");
        assert!(glance.contains(layers), "{glance}");
    }
    let mut without = found.findings::<ComparisonsStudy>().unwrap().unwrap();
    without.depth = ByModel::default();
    let mut found = found;
    found.insert::<ComparisonsStudy>(&without);
    assert!(!crate::report::tests::markdown(&found).contains("At a glance"));
}
