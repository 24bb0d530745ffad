//! Sentences follow the numbers: each flips when its numbers flip.

use archaeo_analysis::statistics::{AnswerAgreement, Estimate, Measured};

use super::super::claims::Verdict;
use super::super::{Claim, claims};
use super::synthetic::{
    EVEN_DISTANCE, agreement, estimate, following, investigation, paired, paired_shares, share, split, trend,
};
use crate::findings::{Investigation, LocalisationScore, Role};

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
            .starts_with("For neither model can the probability of its answer be taken at its word")
    );
    assert!(with(0.06, 0.06, 0.02).starts_with("For neither model is it shown"));
    let evidence = claim(&investigation(), "Calibration").evidence;
    assert!(
        evidence.contains("of the top label") && evidence.contains("by chance: ViT 1.9\u{a0}points"),
        "{evidence}"
    );
}

#[test]
fn attention_trend_takes_direction_and_significance_from_one_statistic() {
    let with = |found_trend| {
        let mut found = investigation();
        found.attention.as_mut().unwrap().trend = found_trend;
        claim(&found, "Attention and depth")
    };
    let further = with(trend(0.94, 0.017));
    assert_eq!(further.statement, "Attention reaches further in deeper layers.");
    assert!(
        further
            .evidence
            .ends_with("over 6\u{a0}layers is 0.94, p\u{a0}=\u{a0}0.017 (permutations of the layers)."),
        "{}",
        further.evidence
    );
    assert_eq!(with(trend(-0.94, 0.017)).statement, "Attention reaches less far in deeper layers.");
    for rho in [0.77, -0.77] {
        let none = with(trend(rho, 0.1)).statement;
        assert_eq!(none, "No trend of attention distance with depth can be shown.");
    }
    let few = with(Measured::undefined("it takes 5 or more layers to show one, and there are 4"));
    assert_eq!(
        few.statement,
        "No trend of attention distance with depth can be tested, because it takes 5 or more layers to show one, and there are \
         4."
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
    layers[0].even_distance = 4.0 * even;
    let near = claim(&found, "Near heads");
    assert_eq!(near.statement, "4 of 24\u{a0}heads look nearer than attention spread evenly would.");
    let even = "lie at 66.8\u{a0}px in layer 1 to 16.7\u{a0}px in layer 6 on average";
    assert!(near.evidence.contains(even), "{}", near.evidence);
    // A window of one patch: nothing is near or far.
    let layers = &mut found.attention.as_mut().unwrap().layers;
    layers[5].even_distance = 0.0;
    layers[5].heads.iter_mut().for_each(|head| head.distance = estimate(0.0, 0.0, 128));
    assert!(!claim(&found, "Near heads").evidence.contains("NaN"));
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
        comparison.kept = Some(paired_shares(400, kept, kept, p));
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
            comparison.robust = paired_shares(500, [100, 300], [10, 210], p);
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
        found.accuracy.as_mut().unwrap().splits[0].pair.kappa = kappa.into();
        statement(&found, "Errors")
    };
    assert!(with(estimate(0.3, 0.05, 2000)).contains("same images"));
    assert!(with(estimate(-0.3, 0.05, 2000)).contains("different images"));
    assert!(with(estimate(0.02, 0.05, 2000)).contains("cannot be shown"));
}

#[test]
fn shared_mistakes_are_held_against_independent_models_with_these_confusions() {
    let with = |excess: Estimate, p_value: f64| {
        let mut found = investigation();
        let agreement =
            AnswerAgreement { observed: share(40, 77), expected: 0.237, excess, p_value, alone: 1 };
        found.errors.as_mut().unwrap().same_answer = Some(agreement.into());
        claim(&found, "Shared mistakes")
    };
    let more = with(estimate(0.282, 0.11, 77), 0.0004);
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
    assert!(with(estimate(0.1, 0.2, 77), 0.3).statement.contains(open));
    // Test and interval must agree.
    assert!(with(estimate(0.282, 0.11, 77), 0.06).statement.contains(open));
    assert!(with(estimate(0.1, 0.2, 77), 0.001).statement.contains(open));
    assert!(with(estimate(-0.1, 0.05, 77), 0.001).statement.contains("less often than independent models"));

    let mut found = investigation();
    let errors = found.errors.as_mut().unwrap();
    errors.same_answer = Some(Measured::undefined("no class has two images that both have wrong"));
    assert!(statement(&found, "Shared mistakes").ends_with(
        "beyond their habits cannot be computed, because no class has two images that both have wrong."
    ));
    found.errors.as_mut().unwrap().same_wrong_class = None;
    assert!(all(&found).iter().all(|claim| claim.topic != "Shared mistakes"));
}

fn explanations(found: &mut Investigation) -> impl Iterator<Item = &mut LocalisationScore> {
    found.localisation.as_mut().unwrap().methods.iter_mut().filter(|score| score.role.is_some())
}

#[test]
fn models_that_never_differ_are_said_to() {
    let mut found = investigation();
    let pair = &mut found.accuracy.as_mut().unwrap().splits[0].pair;
    (pair.both_right, pair.only_vit_right, pair.only_cnn_right, pair.both_wrong) = (2000, 0, 0, 0);
    (pair.mcnemar_p, pair.difference) = (1.0, estimate(0.0, 0.0, 2000));
    pair.kappa = Measured::undefined("both models are right on every image");
    let accuracy = claim(&found, "Accuracy");
    assert!(accuracy.statement.starts_with("The ViT and the ResNet are right on the very same images"));
    assert!(accuracy.evidence.contains("no difference to test"), "{}", accuracy.evidence);
    let errors = claim(&found, "Errors");
    assert_eq!(
        errors.statement,
        "Whether the models tend to fail on the same images cannot be computed, because both models are right on every image."
    );
    assert!(errors.evidence.starts_with("Of 2,000 images"), "{}", errors.evidence);
}

#[test]
fn explanations_are_held_against_the_centre_before_chance() {
    let mut found = investigation();
    assert_eq!(
        statement(&found, "Explanations against truth"),
        "Grad-CAM (ResNet) finds the object better than a blob in the image's centre by every score. Grad-CAM (ViT) finds the \
         object better than a blob in the image's centre by mass and average precision alone, and less well by AUROC. All 3 \
         explanations find the object better than a random heatmap by every score."
    );
    let evidence = claim(&found, "Explanations against truth").evidence;
    assert!(
        evidence.contains("on average: centre 38.8\u{a0}%; rollout (ViT) 29.1\u{a0}% (−9.7\u{a0}points"),
        "{evidence}"
    );
    assert!(evidence.contains("AUROC: centre 0.74; rollout (ViT) 0.66; Grad-CAM (ViT) 0.71"), "{evidence}");

    // All beat random, none beats the centre: that is what is said first.
    for score in explanations(&mut found) {
        let gains = score.over_centre.as_mut().unwrap();
        gains.mass = paired(-0.009, 0.011, 0.2);
        gains.auroc = paired(-0.03, 0.01, 0.001);
        gains.average_precision = paired(0.01, 0.02, 0.4);
    }
    assert_eq!(
        statement(&found, "Explanations against truth"),
        "No explanation is shown to find the object better than a blob in the image's centre, which knows nothing of the \
         image. All 3 explanations find the object better than a random heatmap by every score."
    );
    for (place, score) in explanations(&mut found).enumerate() {
        let gains = score.over_random.as_mut().unwrap();
        match place {
            0 => {
                gains.mass = paired(-0.05, 0.01, 0.001);
                (gains.auroc, gains.average_precision) = (gains.mass.clone(), gains.mass.clone());
            }
            1 => gains.auroc = paired(-0.05, 0.01, 0.001),
            _ => {}
        }
    }
    let mixed = statement(&found, "Explanations against truth");
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
    for score in explanations(&mut found) {
        let gains = score.over_centre.as_mut().unwrap();
        // A small p-value with an interval over zero.
        gains.mass = paired(0.01, 0.02, 0.01);
        (gains.auroc, gains.average_precision) = (gains.mass.clone(), gains.mass.clone());
    }
    assert!(statement(&found, "Explanations against truth").starts_with("No explanation is shown"));
}

#[test]
fn pointing_takes_direction_and_significance_from_the_paired_test() {
    let mut found = investigation();
    assert_eq!(
        statement(&found, "Pointing"),
        "Compared with the image's centre, Grad-CAM (ResNet) points to the object more often, rollout (ViT) and Grad-CAM (ViT) \
         less often."
    );
    explanations(&mut found)
        .for_each(|score| score.over_centre.as_mut().unwrap().pointing = paired(0.1, 0.08, 0.06));
    assert!(statement(&found, "Pointing").starts_with("No explanation is shown to point"));
}

#[test]
fn one_image_can_be_scored_and_not_compared() {
    let mut found = investigation();
    found.localisation.as_mut().unwrap().n = 1;
    for score in explanations(&mut found) {
        (score.over_random, score.over_centre) = (None, None);
    }
    assert_eq!(
        statement(&found, "Explanations against truth"),
        "Whether an explanation finds the object better than chance cannot be tested on 1\u{a0}image."
    );
}

#[test]
fn agreement_of_heatmaps_is_held_against_different_images() {
    let with = |found_agreement, constant| {
        let mut found = investigation();
        let comparisons = found.comparisons.as_mut().unwrap();
        (comparisons.agreement, comparisons.constant) = (found_agreement, constant);
        claim(&found, "Agreement")
    };
    let more = with(agreement(0.21, 0.13, 0.0004), 0);
    assert_eq!(
        more.statement,
        "The explanations of the ViT and the ResNet agree more on the same image than on different images."
    );
    assert!(
        more.evidence.contains("for heatmaps of different images 0.13; difference 0.08"),
        "{}",
        more.evidence
    );
    assert!(more.evidence.contains("name the same class (33\u{a0}images)"), "{}", more.evidence);
    assert!(
        more.evidence
            .contains("Rollout belongs to no class; Grad-CAM explains the class that the ResNet names")
    );
    // A high agreement that maps of different images have as well is none.
    let none = with(agreement(0.6, 0.59, 0.3), 3);
    assert_eq!(
        none.statement,
        "It cannot be shown that the explanations of the ViT and the ResNet agree more on the same image than on different \
         images."
    );
    assert!(none.evidence.contains("3\u{a0}images have a constant heatmap"), "{}", none.evidence);
    assert!(with(agreement(0.1, 0.3, 0.001), 0).statement.contains("agree less on the same image"));
    let undefined = with(Measured::undefined("there is 1"), 49);
    assert!(
        undefined.statement.ends_with("cannot be computed, because there is 1."),
        "{}",
        undefined.statement
    );
}

#[test]
fn texture_is_held_against_a_model_that_takes_no_notice() {
    let with = |vit: Measured<_>, cnn: Measured<_>| {
        let mut found = investigation();
        let models = &mut found.shape_bias.as_mut().unwrap().models;
        models.get_mut(&Role::Vit).unwrap().texture_following = vit;
        models.get_mut(&Role::Cnn).unwrap().texture_following = cnn;
        statement(&found, "Texture")
    };
    // Both far above a shape bias of 50 %, and yet swayed.
    let found = investigation();
    assert_eq!(statement(&found, "Texture"), "Texture sways the ViT and the ResNet.");
    let evidence = claim(&found, "Texture").evidence;
    assert!(
        evidence.contains("In the training split 70.3\u{a0}% of the textures are their class's own"),
        "{evidence}"
    );
    assert_eq!(
        with(following(250, 0.05, 0.001), following(30, 0.03, 0.7)),
        "Texture sways the ViT; no influence of texture on the answers of the ResNet can be shown."
    );
    assert_eq!(
        with(following(250, 0.05, 0.001), Measured::undefined("it is always right")),
        "Texture sways the ViT; whether texture sways the ResNet cannot be computed."
    );
    assert!(
        with(following(10, 0.05, 0.001), following(10, 0.05, 0.001))
            .contains("name the texture's class less often")
    );
}

#[test]
fn shape_biases_are_compared_on_the_same_images_and_not_with_one_half() {
    let with = |difference| {
        let mut found = investigation();
        found.shape_bias.as_mut().unwrap().difference = difference;
        statement(&found, "Shape or texture")
    };
    let known = |value, p_value| Measured::Known(paired(value, 0.03, p_value));
    assert_eq!(with(known(-0.17, 0.001)), "The ResNet keeps to the shape more than the ViT does.");
    assert_eq!(with(known(0.17, 0.001)), "The ViT keeps to the shape more than the ResNet does.");
    assert!(with(known(0.17, 0.08)).starts_with("It cannot be told which"));
    assert!(
        with(Measured::undefined("the ViT never decides for either cue"))
            .contains("cannot be computed, because")
    );
    for half in all(&investigation()).iter().filter(|claim| claim.section == "shape-bias") {
        assert!(
            !format!("{}{}", half.statement, half.evidence).contains("indifference")
                || half.evidence.contains("no point of indifference")
        );
    }
}

#[test]
fn undefined_numbers_claim_nothing() {
    let undefined = Estimate { low: f64::NAN, high: f64::NAN, ..estimate(f64::NAN, 0.0, 0) };
    let mut found = investigation();
    found.heads.as_mut().unwrap().gradient_agreement = None;
    found.accuracy.as_mut().unwrap().splits[0].pair.kappa = undefined.into();
    let agreement = claim(&found, "Gradient against ablation");
    assert!(agreement.statement.ends_with("cannot be said."), "{}", agreement.statement);
    assert!(statement(&found, "Errors").contains("cannot be shown"));
}
