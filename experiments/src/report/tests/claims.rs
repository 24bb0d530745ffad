//! Sentences follow the numbers: each flips when its numbers flip.

use archaeo_analysis::statistics::Estimate;

use super::super::claims::Verdict;
use super::super::{Claim, claims};
use super::synthetic::{EVEN_DISTANCE, both, estimate, investigation, paired, share, split};
use crate::findings::{Investigation, Role, ShapeBias};

fn all(investigation: &Investigation) -> Vec<Claim> {
    claims(investigation)
}

fn statement(investigation: &Investigation, topic: &str) -> String {
    claim(investigation, topic).statement
}

fn claim(investigation: &Investigation, topic: &str) -> Claim {
    let mut found: Vec<Claim> = all(investigation).into_iter().filter(|claim| claim.topic == topic).collect();
    assert!(!found.is_empty(), "no claim about {topic}");
    found.remove(0)
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

    found.accuracy.as_mut().unwrap().splits[0] = split("test", [1624, 238, 60, 78], 1.3e-25);
    assert!(statement(&found, "Accuracy").starts_with("The ViT is more accurate than the ResNet"));

    found.accuracy.as_mut().unwrap().splits[0] = split("test", [1700, 100, 110, 90], 0.53);
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
}

#[test]
fn accuracy_needs_both_the_test_and_the_interval() {
    let mut found = investigation();
    found.accuracy.as_mut().unwrap().splits[0].pair.mcnemar_p = 0.2;
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
    let pair = &mut found.accuracy.as_mut().unwrap().splits[0].pair;
    pair.mcnemar_p = 0.001;
    pair.difference = estimate(-0.05, 0.06, 2000);
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
    found.accuracy.as_mut().unwrap().splits[0].pair.mcnemar_p = f64::NAN;
    assert!(statement(&found, "Accuracy").starts_with("No difference in accuracy"));
}

#[test]
fn calibration_is_judged_by_its_interval() {
    let with = |vit: f64, cnn: f64, half_width: f64| {
        let mut found = investigation();
        let scores = &mut found.accuracy.as_mut().unwrap().splits[0].models;
        scores.get_mut(&Role::Vit).unwrap().ece = estimate(vit, half_width, 2000);
        scores.get_mut(&Role::Cnn).unwrap().ece = estimate(cnn, half_width, 2000);
        statement(&found, "Calibration")
    };
    assert!(with(0.07, 0.02, 0.01).starts_with("The probabilities of the ViT are further from the truth"));
    assert!(with(0.02, 0.07, 0.01).starts_with("The probabilities of the ResNet are further from the truth"));
    assert!(with(0.02, 0.02, 0.01).starts_with("Both models' probabilities are within 5.0\u{a0}points"));
    assert!(with(0.02, 0.04, 0.02).starts_with("Only for the ViT is it shown"));
    assert!(with(0.07, 0.07, 0.01).starts_with("For neither model"));
}

#[test]
fn attention_trend_follows_the_distances() {
    let mut found = investigation();
    assert_eq!(statement(&found, "Attention and depth"), "Attention reaches further in deeper layers.");
    found.attention.as_mut().unwrap().layers.reverse();
    assert_eq!(statement(&found, "Attention and depth"), "Attention reaches less far in deeper layers.");
    for (layer, attention) in found.attention.as_mut().unwrap().layers.iter_mut().enumerate() {
        for (head, attention) in attention.heads.iter_mut().enumerate() {
            attention.distance = estimate(9.0 + ((layer + head) % 2) as f64, 0.1, 128);
        }
    }
    assert_eq!(
        statement(&found, "Attention and depth"),
        "No trend of attention distance with depth can be shown."
    );
}

#[test]
fn near_heads_are_counted_against_even_attention() {
    let (mut found, even) = (investigation(), EVEN_DISTANCE);
    let layers = &mut found.attention.as_mut().unwrap().layers;
    layers
        .iter_mut()
        .flat_map(|layer| &mut layer.heads)
        .for_each(|head| head.distance = estimate(even, 0.1, 128));
    layers[0].heads[2].distance = estimate(0.75 * even, 0.1, 128);
    layers[5].heads[0].distance = estimate(even - 0.05, 0.1, 128); // its interval crosses the limit
    layers[5].heads[1].distance = estimate(even + 0.2, 0.1, 128);
    let near = claim(&found, "Near heads");
    assert_eq!(near.statement, "1 of 24\u{a0}heads look nearer than attention spread evenly would.");
    assert!(near.evidence.contains("and 1 of 24 are farther"), "{}", near.evidence);
    assert!(near.evidence.contains("The nearest, head 3 of layer 1, looks"), "{}", near.evidence);
    assert!(near.evidence.contains("far, 75.0\u{a0}% of the even distance."), "{}", near.evidence);
    assert!(
        near.evidence.ends_with("In the first half of the layers 1 of 12 are nearer, in the second 0 of 12."),
        "{}",
        near.evidence
    );
    found.attention.as_mut().unwrap().layers[0].heads[2].distance = estimate(even, 0.1, 128);
    assert_eq!(
        statement(&found, "Near heads"),
        "None of the 24\u{a0}heads is shown to look nearer than attention spread evenly would."
    );

    // Windows: what counts as near differs from layer to layer.
    let layers = &mut found.attention.as_mut().unwrap().layers;
    layers[0].even_distance = Some(4.0 * even);
    let near = claim(&found, "Near heads");
    assert_eq!(near.statement, "4 of 24\u{a0}heads look nearer than attention spread evenly would.");
    let even = "lie at 66.8\u{a0}px in layer 1 to 16.7\u{a0}px in layer 6 on average";
    assert!(near.evidence.contains(even), "{}", near.evidence);
    found.attention.as_mut().unwrap().layers[3].even_distance = None;
    assert!(claims(&found).iter().all(|claim| claim.topic != "Near heads"), "older findings do not say");
}

#[test]
fn heads_that_survive_correction_are_counted() {
    let mut found = investigation();
    let needed = found.heads.as_ref().unwrap().ranking.iter().filter(|h| h.adjusted_p < 0.05).count();
    assert!(needed > 1);
    assert_eq!(
        statement(&found, "Heads"),
        format!("The ViT measurably needs {needed} of its 24\u{a0}heads.")
    );
    let ranking = &mut found.heads.as_mut().unwrap().ranking;
    ranking.last_mut().unwrap().mean = estimate(-0.02, 0.005, 1000);
    ranking.last_mut().unwrap().adjusted_p = 0.01;
    assert!(statement(&found, "Heads").ends_with("Without 1 of them its loss would be lower."));
    let evidence = claim(&found, "Heads").evidence;
    assert!(
        evidence.contains("sign-flip permutation test of the mean change in loss, adjusted over all heads")
    );
    found.heads.as_mut().unwrap().ranking.iter_mut().for_each(|head| head.adjusted_p = 0.3);
    assert!(statement(&found, "Heads").starts_with("For none of the 24\u{a0}heads"));
}

#[test]
fn the_worth_of_the_first_head_is_told_from_images_that_did_not_choose_it() {
    let mut found = investigation();
    let evidence = claim(&found, "Heads").evidence;
    assert!(evidence.contains("The head with the largest increase on 500\u{a0}images (layer "), "{evidence}");
    let raises = "raises the loss by 0.271\u{a0}nats (95\u{a0}% interval 0.237 to 0.305) on the other 500 and costs 6.4\u{a0}points";
    assert!(evidence.contains(raises), "{evidence}");

    let selected = found.heads.as_mut().unwrap().selected.as_mut().unwrap();
    (selected.mean, selected.accuracy_drop) = (estimate(-0.02, 0.01, 500), estimate(0.0, 0.02, 500));
    let evidence = claim(&found, "Heads").evidence;
    assert!(
        evidence.contains(
            "lowers the loss by 0.020\u{a0}nats (change: 95\u{a0}% interval −0.030 to −0.010) on the other 500 and costs no \
             accuracy that can be shown"
        ),
        "{evidence}"
    );
    found.heads.as_mut().unwrap().selected = None;
    assert!(
        claim(&found, "Heads")
            .evidence
            .contains("chosen as the largest on the same images, it is biased upward")
    );
}

#[test]
fn a_verdict_on_a_head_has_the_side_of_its_mean() {
    let mut head = investigation().heads.unwrap().ranking.remove(0);
    let mut of = |value: f64, adjusted_p: f64| {
        (head.mean, head.adjusted_p) = (estimate(value, 0.001, 100), adjusted_p);
        claims::verdict(&head)
    };
    assert_eq!(of(0.02, 0.01), Verdict::Needed);
    assert_eq!(of(-0.02, 0.01), Verdict::BetterWithout);
    for (value, p) in [(0.02, 0.05), (-0.02, 0.4), (0.0, 0.01), (0.02, f64::NAN), (f64::NAN, 0.01)] {
        assert_eq!(of(value, p), Verdict::Undecided);
    }
}

#[test]
fn gradient_agreement_is_graded_by_its_interval() {
    let with = |value: f64, half_width: f64| {
        let mut found = investigation();
        found.heads.as_mut().unwrap().gradient_agreement = Some(estimate(value, half_width, 24));
        statement(&found, "Gradient against ablation")
    };
    assert!(with(0.8, 0.1).contains("much as taking them away does"));
    assert!(with(0.5, 0.3).contains("not shown to agree closely"));
    assert!(with(0.2, 0.3).contains("No agreement"));
    assert!(with(-0.6, 0.3).contains("against what taking them away shows"));
    let mut found = investigation();
    found.heads.as_mut().unwrap().gradient_agreement = None;
    assert!(claim(&found, "Gradient against ablation").evidence.contains("is undefined over 24\u{a0}heads"));
}

fn pgd(found: &Investigation) -> Claim {
    all(found).into_iter().rfind(|claim| claim.topic == "Robustness").unwrap()
}

/// Sets what stands of the images that both have without an attack, at the four sizes of PGD: the ViT's and the CNN's counts
/// and the adjusted p-value.
fn set(found: &mut Investigation, kept: [[usize; 2]; 4], p: f64) {
    let comparisons = &mut found.attacks.as_mut().unwrap().comparisons;
    let of_pgd = comparisons.iter_mut().filter(|comparison| comparison.attack == "PGD");
    for (comparison, kept) in of_pgd.zip(kept) {
        comparison.kept = Some(paired(400, kept, kept, p));
    }
}

#[test]
fn robustness_is_what_an_attack_takes_of_what_both_have() {
    let mut found = investigation();
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
    assert!(!evidence.contains("at ε = 4/255"), "sizes that do not decide are not named: {evidence}");

    set(&mut found, [[10, 90], [5, 60], [0, 20], [0, 10]], 0.001);
    assert!(pgd(&found).statement.starts_with("Under PGD, the ResNet keeps more of what"));
    set(&mut found, [[90, 10], [5, 60], [0, 20], [0, 10]], 0.001);
    assert!(pgd(&found).statement.starts_with("Under PGD it depends on ε which model keeps more"));
}

#[test]
fn a_difference_without_an_attack_is_not_called_robustness() {
    let mut found = investigation();
    // Far apart on all images, alike on those that both have without an attack.
    set(&mut found, [[90, 80], [60, 50], [20, 20], [10, 10]], 0.2);
    let robust = |found: &mut Investigation, p: f64| {
        for comparison in &mut found.attacks.as_mut().unwrap().comparisons {
            comparison.robust = paired(500, [100, 300], [10, 210], p);
        }
    };
    robust(&mut found, 0.0001);
    assert_eq!(
        pgd(&found).statement,
        "Under PGD, the ResNet is correct more often than the ViT, as it is without an attack (ViT 84.0\u{a0}%, \
         ResNet 93.0\u{a0}%); that the attack takes less from it cannot be shown."
    );
    assert!(pgd(&found).evidence.contains("no size of attack tells them apart"), "{}", pgd(&found).evidence);
    assert!(!format!("{:?}", all(&found)).contains("keeps more accuracy"));
    robust(&mut found, 0.6);
    assert!(
        pgd(&found).statement.starts_with("Under PGD no difference between the models can be shown (without")
    );
    for comparison in &mut found.attacks.as_mut().unwrap().comparisons {
        comparison.kept = None;
    }
    assert!(pgd(&found).evidence.contains("no image that both models classify correctly without an attack"));
}

#[test]
fn a_model_without_a_gradient_is_not_simply_called_robust() {
    let mut found = investigation();
    assert!(!pgd(&found).evidence.contains("illusion"));
    found.attacks.as_mut().unwrap().curves[2].zero_gradient = 0.125;
    let evidence = pgd(&found).evidence;
    assert!(
        evidence.ends_with(
            "Where PGD begins, the gradient is zero for some of the images that it attacks (12.5\u{a0}% for the ViT): \
             robustness there may be an illusion."
        ),
        "{evidence}"
    );
}

#[test]
fn the_halving_epsilon_is_interpolated() {
    let mut found = investigation();
    let curve = &mut found.attacks.as_mut().unwrap().curves[0];
    let accuracies = [400, 300, 100, 50, 10];
    for (point, right) in curve.points.iter_mut().zip(accuracies) {
        point.accuracy = share(right, 500);
    }
    // Half of 80 % is 40 %, midway between 60 % at 1 and 20 % at 2.
    let halving = claims::halving_epsilon(curve).unwrap();
    assert!((halving - 1.5).abs() < 1e-12, "{halving}");
    curve.points.truncate(2);
    assert_eq!(claims::halving_epsilon(curve), None);
}

#[test]
fn error_overlap_follows_kappa() {
    let with = |kappa: Estimate| {
        let mut found = investigation();
        found.accuracy.as_mut().unwrap().splits[0].pair.kappa = kappa;
        statement(&found, "Errors")
    };
    assert!(with(estimate(0.3, 0.05, 2000)).contains("same images"));
    assert!(with(estimate(-0.3, 0.05, 2000)).contains("different images"));
    assert!(with(estimate(0.02, 0.05, 2000)).contains("cannot be shown"));
}

#[test]
fn shared_mistakes_are_held_against_chance() {
    let mut found = investigation();
    assert!(statement(&found, "Shared mistakes").contains("more often than chance"));
    found.errors.as_mut().unwrap().same_wrong_class = Some(share(9, 78));
    assert!(statement(&found, "Shared mistakes").contains("no agreement"));
    found.errors.as_mut().unwrap().same_wrong_class = None;
    assert!(all(&found).iter().all(|claim| claim.topic != "Shared mistakes"));
}

#[test]
fn localisation_is_held_against_random_and_centre() {
    let mut found = investigation();
    assert!(statement(&found, "Explanations against truth").starts_with("All 3 explanations"));
    assert_eq!(
        statement(&found, "Pointing"),
        "Compared with the image's centre, Grad-CAM (ResNet) points to the object more often, rollout (ViT) less often."
    );
    let methods = &mut found.localisation.as_mut().unwrap().methods;
    methods[0].mass_over_random = Some(estimate(-0.05, 0.01, 500));
    assert_eq!(
        statement(&found, "Explanations against truth"),
        "More of the mass lies on the object than with a random heatmap for Grad-CAM (ViT) and Grad-CAM (ResNet). Less lies \
         there for rollout (ViT)."
    );
    let methods = &mut found.localisation.as_mut().unwrap().methods;
    methods.iter_mut().for_each(|score| score.mass_over_random = Some(estimate(0.0, 0.01, 500)));
    assert!(statement(&found, "Explanations against truth").starts_with("No explanation is shown"));
}

#[test]
fn shape_bias_is_held_against_indifference() {
    let bias = |shape: usize, texture: usize| ShapeBias {
        shape,
        texture,
        other: 0,
        bias: share(shape, shape + texture),
    };
    let with = |vit: ShapeBias, cnn: ShapeBias| {
        let mut found = investigation();
        found.shape_bias.as_mut().unwrap().models = both(vit, cnn);
        statement(&found, "Shape or texture")
    };
    assert!(with(bias(700, 200), bias(800, 100)).contains("the ViT and the ResNet decide by shape"));
    assert!(
        with(bias(200, 700), bias(800, 100))
            .contains("the ResNet decides by shape and the ViT decides by texture")
    );
    assert!(with(bias(450, 450), bias(800, 100)).contains("for the ViT neither cue is shown to prevail"));
}

#[test]
fn undefined_numbers_claim_nothing() {
    let undefined = Estimate { low: f64::NAN, high: f64::NAN, ..estimate(f64::NAN, 0.0, 0) };
    let mut found = investigation();
    found.heads.as_mut().unwrap().gradient_agreement = Some(undefined.clone());
    found.accuracy.as_mut().unwrap().splits[0].pair.kappa = undefined;
    let agreement = claim(&found, "Gradient against ablation");
    assert!(agreement.statement.contains("No agreement"));
    assert!(agreement.evidence.contains("n/a"), "{}", agreement.evidence);
    assert!(statement(&found, "Errors").contains("cannot be shown"));
}
