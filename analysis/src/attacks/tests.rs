//! Against PyTorch's gradient, a model whose worst case is known, and the promises about ball, box and batch.

use archaeo_models::{Classifier, State, state_of, with_state};

use super::*;
use crate::predict::logits;
use crate::statistics::Predictions;
use crate::testing::{CLASSES, Fixture, assert_close, random_images};

const EIGHT: f64 = 8.0 / 255.0;

fn losses(model: &Classifier, images: Tensor<4>, labels: &[usize]) -> Vec<f64> {
    Predictions::new(&logits(model, images), CLASSES, labels).unwrap().nll()
}

fn levels(images: Tensor<4>) -> Vec<i32> {
    values(images)
        .into_iter()
        .map(|value| {
            let level = (value * 255.0).round();
            assert_eq!(value, level / 255.0, "{value} is no 8-bit value");
            level as i32
        })
        .collect()
}

#[test]
fn the_gradient_is_pytorchs() {
    let fixture = Fixture::load();
    for (name, model) in [("vit_input_gradient", fixture.vit()), ("resnet_input_gradient", fixture.resnet())]
    {
        let found = values(loss_gradient(&model, fixture.images(), &fixture.targets()));
        let expected = fixture.values(name);
        let largest = expected.iter().fold(0f32, |largest, g| largest.max(g.abs()));
        let scaled = |values: &[f32]| values.iter().map(|g| g / largest).collect::<Vec<_>>();
        assert_close(&scaled(&found), &scaled(expected), 1e-4);
    }
}

/// A residual network with positive weights whose ReLUs are all open: it is linear, and the logit of class 0 grows with the
/// brightness of every pixel while the others are constant.
fn brightness_model(fixture: &Fixture) -> Classifier {
    let model = fixture.resnet();
    let mut state: State = state_of(&model);
    for (name, array) in &mut state {
        array.values.fill(0.0);
        let positive = name.contains("conv") || name.contains("downsample.0") || name.contains("running_var");
        if positive || (name.ends_with(".weight") && array.shape.len() == 1) {
            array.values.fill(0.1);
        }
        if name.ends_with("bias") && name != "fc.bias" {
            array.values.fill(10.0);
        }
        if name == "fc.weight" {
            let features = array.shape[1];
            // Small enough that the softmax does not saturate.
            array.values[..features].fill(1e-6);
        }
    }
    with_state(model, state).unwrap()
}

#[test]
fn on_a_linear_model_fgsm_is_the_sign_of_its_weights() {
    let fixture = Fixture::load();
    let model = brightness_model(&fixture);
    let images = random_images(4, 1);
    // Class 0 is bright: its loss rises by darkening, any other's by brightening.
    let found = attack(&model, images.clone(), &[0, 0, 1, 2], &[0, 1, 2, 3], &Attack::fgsm(EIGHT), 0);
    let (found, clean) = (levels(found), levels(images));
    for (index, (&found, &clean)) in found.iter().zip(&clean).enumerate() {
        let darker = index / (3 * 32 * 32) < 2;
        assert_eq!(found, if darker { (clean - 8).max(0) } else { (clean + 8).min(255) });
    }
}

#[test]
fn everything_stays_in_ball_and_box_after_rounding() {
    let fixture = Fixture::load();
    let images = random_images(5, 2);
    let clean = levels(images.clone());
    let labels = [0, 1, 2, 3, 4];
    for model in [fixture.vit(), fixture.resnet()] {
        for (size, whole) in [(0.0, 0), (1.0, 1), (2.5, 2), (8.0, 8), (16.0, 16)] {
            for chosen in [Attack::fgsm(size / 255.0), Attack::pgd(size / 255.0, 4)] {
                let found = levels(attack(&model, images.clone(), &labels, &[0, 1, 2, 3, 4], &chosen, 7));
                let largest = found.iter().zip(&clean).map(|(a, b)| (a - b).abs()).max().unwrap();
                assert_eq!(largest, whole, "{chosen:?}");
                assert!(found.iter().all(|level| (0..=255).contains(level)));
            }
        }
        for epsilon in [0.0, 0.05, 0.5, 2.0] {
            let found =
                attack(&model, images.clone(), &labels, &[0, 1, 2, 3, 4], &Attack::pgd_l2(epsilon, 4), 7);
            for (found, clean) in levels(found).chunks(3072).zip(clean.chunks(3072)) {
                let squares: i32 = found.iter().zip(clean).map(|(a, b)| (a - b).pow(2)).sum();
                let length = f64::from(squares).sqrt() / 255.0;
                assert!(length <= epsilon + 1e-6, "{length} is outside of {epsilon}");
                // Rounding may not eat the attack.
                assert!(length >= 0.7 * epsilon, "{length} is little of {epsilon}");
            }
        }
    }
}

#[test]
fn pixels_between_two_levels_go_to_the_nearest_within_reach() {
    let clean = [10.4 / 255.0, 10.4 / 255.0, 0.0, 1.0];
    let rounded = |size: f64, x: [f32; 4]| {
        let mut x = x;
        eight_bit::round(&Attack::fgsm(size / 255.0), &mut x, &clean);
        x.map(|value| (value * 255.0).round() as i32)
    };
    // Within 2 of 10.4 lie levels 9 to 12; within 0.2 lies none, and 10 is nearest.
    assert_eq!(rounded(2.0, [12.4 / 255.0, 8.4 / 255.0, 1.9 / 255.0, 0.5]), [12, 9, 2, 253]);
    assert_eq!(rounded(0.2, [10.6 / 255.0, 10.2 / 255.0, 0.0, 1.0]), [10, 10, 0, 255]);
}

#[test]
fn more_steps_and_a_larger_ball_hurt_more() {
    let fixture = Fixture::load();
    let images = random_images(12, 3);
    let ids: Vec<u64> = (0..12).collect();
    for model in [fixture.vit(), fixture.resnet()] {
        let labels = crate::predict::predicted_classes(&logits(&model, images.clone()), CLASSES);
        let hurt = |chosen: &Attack| {
            let found = attack(&model, images.clone(), &labels, &ids, chosen, 1);
            losses(&model, found, &labels).iter().sum::<f64>()
        };
        let clean = losses(&model, images.clone(), &labels).iter().sum::<f64>();
        let (fgsm, pgd) = (hurt(&Attack::fgsm(EIGHT)), hurt(&Attack::pgd(EIGHT, 10)));
        assert!(clean < fgsm && fgsm < pgd, "{clean}, FGSM {fgsm}, PGD {pgd}");
        assert!(pgd < hurt(&Attack::pgd(2.0 * EIGHT, 10)));
        assert!(clean < hurt(&Attack::pgd_l2(0.5, 10)));
        assert!(hurt(&Attack::pgd_l2(0.5, 10)) < hurt(&Attack::pgd_l2(1.0, 10)));
    }
}

#[test]
fn an_image_is_attacked_alike_in_any_batch() {
    let fixture = Fixture::load();
    let images = random_images(6, 4);
    let labels = [0, 1, 2, 3, 4, 0];
    let ids = [10, 11, 12, 13, 14, 15];
    for model in [fixture.vit(), fixture.resnet()] {
        for chosen in [Attack::fgsm(EIGHT), Attack::pgd(EIGHT, 3), Attack::pgd_l2(1.0, 3)] {
            let together = levels(attack(&model, images.clone(), &labels, &ids, &chosen, 2));
            for image in [0, 5] {
                let alone = attack(
                    &model,
                    images.clone().narrow(0, image, 1),
                    &labels[image..=image],
                    &ids[image..=image],
                    &chosen,
                    2,
                );
                // A gradient that rounds to the other side of zero flips a step: allow it one value in a thousand.
                let together = &together[image * 3072..][..3072];
                let differing = levels(alone).iter().zip(together).filter(|(a, b)| a != b).count();
                assert!(differing <= 3, "{differing} of 3072 values differ under {chosen:?}");
            }
        }
    }
}

#[test]
fn a_random_start_is_keyed_by_seed_and_image_and_lies_in_the_ball() {
    let clean = vec![0.5f32; 3072];
    for chosen in [Attack::pgd(EIGHT, 1), Attack::pgd_l2(0.5, 1)] {
        let start = |seed, id| {
            let mut x = clean.clone();
            start_at_random(&chosen, &mut x, &clean, seed, id);
            x
        };
        assert_eq!(start(1, 2), start(1, 2));
        assert_ne!(start(1, 2), start(2, 2));
        assert_ne!(start(1, 2), start(1, 3));
        let change: Vec<f64> = start(1, 2).iter().map(|&x| f64::from(x) - 0.5).collect();
        let length = euclidean_length(change.iter().copied());
        let largest = change.iter().fold(0f64, |largest, c| largest.max(c.abs()));
        match chosen {
            Attack::PgdL2 { epsilon, .. } => assert!(length <= epsilon + 1e-6 && length > 0.9 * epsilon),
            _ => {
                assert!(largest <= EIGHT + 1e-7 && largest > 0.99 * EIGHT);
                // A uniform value on ±ε has variance ε²/3.
                let expected = EIGHT * (3072.0f64 / 3.0).sqrt();
                assert!((length / expected - 1.0).abs() < 0.05, "{length}, not {expected}");
            }
        }
    }
}

#[test]
fn settings_read_well_and_survive_json() {
    let pgd = Attack::pgd(EIGHT, 10);
    assert_eq!(
        pgd.describe(),
        "L∞ ball of 8/255, 10 signed gradient steps of 2/255, a random start; rounded to 8 bits"
    );
    assert_eq!(
        Attack::fgsm(2.5 / 255.0).describe(),
        "one signed gradient step of 2.500/255; rounded to 8 bits"
    );
    assert_eq!(
        Attack::pgd_l2(1.0, 10).describe(),
        "L2 ball of 1, 10 gradient steps of length 0.2, a random start; rounded to 8 bits"
    );
    let json = serde_json::to_string(&pgd).unwrap();
    assert!(json.starts_with(r#"{"attack":"pgd","epsilon":"#), "{json}");
    assert_eq!(serde_json::from_str::<Attack>(&json).unwrap(), pgd);
    assert!(serde_json::from_str::<Attack>(r#"{"attack":"fgsm","epsilon":0.1,"steps":3}"#).is_err());
}
