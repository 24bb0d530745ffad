use super::findings::{AttackComparison, AttackExample, PairedShares};
use super::*;
use crate::studies::made_up::{assert_speaks_of, each, everything, investigation, names, share};
use archaeo_report::Claim;
use archaeo_report::document::{Block, Panel};

const CLEAN: [f64; 4] = [0.84, 0.93, 0.9, 0.7];

fn curve_of(place: usize, attack: &str, decay: f64) -> AttackCurve {
    let points: Vec<AttackPoint> = [0.0, 1.0, 2.0, 4.0, 8.0]
        .map(|epsilon: f64| {
            let robust = (500.0 * CLEAN[place] * (-decay * epsilon).exp()) as usize;
            let kept = Some(share(robust, (500.0 * CLEAN[place]) as usize));
            AttackPoint { epsilon, accuracy: share(robust, 500), kept }
        })
        .into();
    AttackCurve {
        model: names(4)[place],
        attack: attack.into(),
        settings: "one step".into(),
        half_at: halving_epsilon(&points),
        points,
        zero_gradient: 0.0,
    }
}

fn paired(n: usize, [first, second]: [usize; 2], only: [usize; 2], p: f64) -> PairedShares {
    PairedShares {
        first: share(first, n),
        second: share(second, n),
        only_first: only[0],
        only_second: only[1],
        p_value: p,
        adjusted_p: p,
    }
}

/// Of every pair the first keeps more at the two smaller sizes of each attack.
fn found(models: usize) -> AttackFindings {
    let compared = |attack: &str, models: [ModelName; 2], epsilon: f64, kept: [usize; 2], p: f64| {
        let only = [kept[0], kept[1] / 2];
        AttackComparison {
            models,
            attack: attack.into(),
            epsilon,
            robust: paired(500, kept.map(|kept| kept + 10), only, p),
            kept: Some(paired(400, kept, only, p)),
        }
    };
    let sizes =
        [(1.0, [250, 150], 0.0001), (2.0, [150, 50], 0.0001), (4.0, [55, 50], 0.72), (8.0, [7, 5], 0.81)];
    let all = names(models);
    let of_pair = |pair: [ModelName; 2]| {
        let of = move |attack| sizes.map(|(epsilon, kept, p)| compared(attack, pair, epsilon, kept, p));
        ["FGSM", "PGD"].into_iter().flat_map(of)
    };
    let example = |index: usize| AttackExample {
        index,
        identifier: format!("test/{index:05}.png"),
        label: index % 5,
        answers: each(models, |place| [index % 5, if place == 0 { (index + 3) % 5 } else { index % 5 }]),
        pictures: each(models, |place| {
            ["clean", "change", "attacked"]
                .map(|panel| format!("pictures/{index}-{place}-{panel}.png"))
                .into()
        }),
    };
    AttackFindings {
        n: 500,
        unit: epsilon_unit(),
        curves: ["FGSM", "PGD"]
            .into_iter()
            .flat_map(|attack| {
                (0..models).map(move |place| curve_of(place, attack, 0.5 + 0.6 * place as f64))
            })
            .collect(),
        comparisons: crate::subjects::pairs(&all).into_iter().flat_map(of_pair).collect(),
        example_attack: Some(("PGD".into(), 4.0)),
        example_answers: [12, 87].map(example).into(),
    }
}

fn chapter_of(models: usize, found: &AttackFindings) -> Chapter {
    let investigation = investigation(models);
    AttacksStudy::chapter(found, &investigation, &Names::of(&investigation))
}

fn pgd(found: &AttackFindings) -> Claim {
    chapter_of(2, found).claims.into_iter().next_back().unwrap()
}

/// Sets what stands of the images that both have without an attack, at the four sizes of PGD: the counts and the adjusted p-value.
fn set(found: &mut AttackFindings, kept: [[usize; 2]; 4], p: f64) {
    let of_pgd = found.comparisons.iter_mut().filter(|comparison| comparison.attack == "PGD");
    for (comparison, kept) in of_pgd.zip(kept) {
        comparison.kept = Some(paired(400, kept, kept, p));
    }
}

#[test]
fn robustness_is_what_an_attack_takes_of_what_both_have() {
    let mut found = found(2);
    let without = "(without an attack: ViT 84.0\u{a0}%, ResNet 93.0\u{a0}%)";
    assert_eq!(
        pgd(&found).statement,
        format!(
            "Under PGD, the ViT keeps more of what it classifies correctly without an attack than the ResNet {without}."
        )
    );
    let evidence = pgd(&found).evidence;
    assert!(evidence.contains("the ViT loses half its clean accuracy at ε = 1."), "{evidence}");
    assert!(
        evidence.contains(
            "Of the 400 that both classify correctly without it, at ε = 1/255 the ViT still has 62.5\u{a0}% of them and the \
             ResNet 37.5\u{a0}% (adjusted p\u{a0}<\u{a0}0.001) and at ε = 2/255"
        ),
        "{evidence}"
    );
    assert!(evidence.ends_with("; exact McNemar test, adjusted over sizes and attacks."), "{evidence}");
    assert!(!evidence.contains("at ε = 4/255"), "sizes that do not decide are not named: {evidence}");

    set(&mut found, [[10, 90], [5, 60], [0, 20], [0, 10]], 0.001);
    assert!(pgd(&found).statement.starts_with("Under PGD, the ResNet keeps more of what"));
    set(&mut found, [[90, 10], [5, 60], [0, 20], [0, 10]], 0.001);
    assert!(pgd(&found).statement.starts_with("Under PGD it depends on ε which model keeps more"));
    set(&mut found, [[90, 10], [90, 10], [90, 10], [90, 10]], f64::NAN);
    assert!(!pgd(&found).statement.contains("keeps more"));
}

#[test]
fn a_difference_without_an_attack_is_not_called_robustness() {
    let mut found = found(2);
    // Far apart on all images, alike on those that both have without an attack.
    set(&mut found, [[90, 80], [60, 50], [20, 20], [10, 10]], 0.2);
    let robust = |found: &mut AttackFindings, only: [usize; 2], p: f64| {
        for comparison in &mut found.comparisons {
            comparison.robust = paired(500, [100, 300], only, p);
        }
    };
    robust(&mut found, [10, 210], 0.0001);
    assert_eq!(
        pgd(&found).statement,
        "Under PGD, the ResNet is correct more often than the ViT, as it is without an attack (ViT 84.0\u{a0}%, \
         ResNet 93.0\u{a0}%); that the attack takes less from it cannot be shown."
    );
    assert!(pgd(&found).evidence.contains("no size of attack tells them apart"), "{}", pgd(&found).evidence);
    // Fewer without an attack, more under it.
    robust(&mut found, [210, 10], 0.0001);
    assert!(pgd(&found).statement.starts_with(
        "Under PGD, the ViT is correct more often than the ResNet (without an attack: ViT 84.0\u{a0}%"
    ));
    robust(&mut found, [10, 210], 0.6);
    assert!(
        pgd(&found).statement.starts_with("Under PGD no difference between the models can be shown (without")
    );
    found.comparisons.iter_mut().for_each(|comparison| comparison.kept = None);
    assert!(pgd(&found).evidence.contains("no image that both models classify correctly without an attack"));
}

#[test]
fn a_model_without_a_gradient_is_not_simply_called_robust() {
    let mut found = found(2);
    assert!(!pgd(&found).evidence.contains("illusion"));
    found.curves[2].zero_gradient = 0.125;
    let warning = "Where PGD begins, the gradient is zero for some of the images that it attacks (12.5\u{a0}% for the ViT): \
                   robustness there may be an illusion.";
    assert!(pgd(&found).evidence.ends_with(warning), "{}", pgd(&found).evidence);
    let blocks = chapter_of(2, &found).section.blocks;
    assert!(blocks.iter().any(|block| matches!(block, Block::Paragraph(text) if *text == warning.into())));
}

#[test]
fn the_halving_epsilon_is_interpolated() {
    let mut points = found(1).curves.remove(0).points;
    for (point, right) in points.iter_mut().zip([400, 300, 100, 50, 10]) {
        point.accuracy = share(right, 500);
    }
    // Half of 80 % is 40 %, midway between 60 % at 1 and 20 % at 2.
    let halving = halving_epsilon(&points).unwrap();
    assert!((halving - 1.5).abs() < 1e-12, "{halving}");
    assert_eq!(halving_epsilon(&points[..2]), None);
    assert_eq!(halving_epsilon(&points[1..]), None, "without the accuracy without an attack");
    assert_eq!(halving_epsilon(&[]), None);
}

#[test]
fn two_models_stand_side_by_side_in_one_table() {
    let text = everything(chapter_of(2, &found(2)));
    for said in [
        "| Attack | ε (1/255) | ViT, robust | ResNet, robust | Adjusted p | ViT, kept | ResNet, kept | Adjusted p |",
        "Both models on the same images.",
        "of the 400\u{a0}images that both classify correctly without an attack",
        "to show images that fool each model and images that do not",
        "Accuracy under FGSM and PGD is an upper bound of robustness",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn one_model_is_told_without_a_second_one() {
    let chapter = chapter_of(1, &found(1));
    assert_eq!(chapter.claims.len(), 2);
    assert_eq!(
        chapter.claims[1].statement,
        "Under PGD, the ViT loses half its clean accuracy at ε = 1.44/255 (without an attack: 84.0\u{a0}%)."
    );
    let evidence = &chapter.claims[1].evidence;
    assert!(evidence.starts_with(
        "Robust accuracy, correct without the attack and under it, on 500\u{a0}images: 84.0\u{a0}% (95\u{a0}% interval"
    ));
    assert!(
        evidence.contains(") without an attack; ") && evidence.ends_with(") at ε = 8/255."),
        "{evidence}"
    );
    assert_eq!(chapter.sample, Some(("attacks", 500)));
    let text = everything(chapter);
    assert!(!text.contains("McNemar") && text.contains("| PGD | ViT |"), "{text}");
    assert!(text.contains("to show images that fool the model and images that do not"));
    assert_speaks_of(1, &text);
}

#[test]
fn three_models_have_a_sentence_for_each_pair_and_a_row_for_each() {
    let mut found = found(3);
    set(&mut found, [[90, 80], [60, 50], [20, 20], [10, 10]], 0.2);
    let chapter = chapter_of(3, &found);
    let said: Vec<&str> = chapter.claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert_eq!(said.len(), 6);
    assert!(
        said[1]
            .contains("the ViT keeps more of what it classifies correctly without an attack than the Swin")
    );
    assert!(said[1].ends_with("(without an attack: ViT 84.0\u{a0}%, Swin 90.0\u{a0}%)."), "{said:?}");
    assert!(chapter.claims[0].evidence.contains("adjusted over pairs of models, sizes and attacks"));
    let charts = chapter.section.blocks.iter().find_map(|block| match block {
        Block::Figure(figure) => Some(&figure.panels),
        _ => None,
    });
    for panel in charts.unwrap() {
        let Panel::Chart(chart) = panel else { panic!("no chart") };
        for name in ["ViT", "ResNet", "Swin"] {
            assert!(chart.wide.contains(&format!(">{name}<")), "{name}");
        }
    }
    let text = everything(chapter);
    assert_eq!(text.matches("| PGD | 4 | ").count(), 3, "a row for each pair");
    assert_eq!(
        text.matches(", Swin").count(),
        2 + text.matches("%, Swin").count(),
        "a column for each attack"
    );
    assert_speaks_of(3, &text);
}

#[test]
fn many_models_are_ranked_in_one_sentence_for_each_attack() {
    let mut found = found(4);
    let said = |found: &AttackFindings| chapter_of(4, found).claims;
    assert_eq!(said(&found).len(), 2);
    // The first of every pair is ahead.
    assert_eq!(
        said(&found)[0].statement,
        "Under FGSM, the ViT keeps more of what both classify correctly without an attack than 3 of the 3 other models; “cnn-2” \
         keeps less than 3 of them."
    );
    assert!(said(&found)[0].evidence.contains("6\u{a0}pairs compared by exact McNemar tests"));
    for kept in found.comparisons.iter_mut().filter_map(|comparison| comparison.kept.as_mut()) {
        kept.adjusted_p = 0.4;
    }
    assert!(said(&found)[0].statement.starts_with("Under FGSM, no two of the 4 models are shown to differ"));
    assert!(said(&found)[0].evidence.contains("No size of attack tells the models of 6\u{a0}pairs apart."));
    let chapter = chapter_of(4, &found);
    assert!(chapter.section.blocks.iter().any(|block| matches!(
        block,
        Block::Folded { title, table } if title == "6 pairs of models on the same images" && table.rows.len() == 48
    )));
    assert_speaks_of(4, &everything(chapter));
}

#[test]
fn nothing_that_was_attacked_is_told_without_a_panic() {
    for models in 0..=4 {
        let mut found = found(models);
        (found.curves, found.comparisons) = (Vec::new(), Vec::new());
        (found.example_attack, found.example_answers) = (None, Vec::new());
        let chapter = chapter_of(models, &found);
        assert!(chapter.claims.is_empty() && chapter.limitations.is_empty() && chapter.intervals.is_empty());
    }
}
