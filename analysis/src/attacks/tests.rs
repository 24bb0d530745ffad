//! Against PyTorch's gradient, a model whose worst case is known, and the promises about ball, box and batch.

use archaeo_models::{Classifier, State, state_of, with_state};
use burn::tensor::Device;

use super::ball::euclidean_length;
use super::*;
use crate::testing::{CLASSES, Fixture, assert_close, random_images};

const EIGHT: f64 = 8.0 / 255.0;

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

/// FGSM's loss is not cross-entropy itself but rises with it: per image, the gradient is PyTorch's up to a positive factor.
#[test]
fn the_gradient_points_where_pytorchs_cross_entropy_rises() {
    let fixture = Fixture::load();
    for (name, model) in [("vit_input_gradient", fixture.vit()), ("resnet_input_gradient", fixture.resnet())]
    {
        let found = ascent(&model, fixture.images(), &fixture.targets(), Loss::LogOdds).gradient;
        let scaled = |values: &[f32]| -> Vec<f32> {
            let image = |image: &[f32]| {
                let largest = image.iter().fold(0f32, |largest, g| largest.max(g.abs()));
                image.iter().map(|g| g / largest).collect::<Vec<_>>()
            };
            per_image(values, fixture.targets().len()).flat_map(image).collect()
        };
        assert_close(&scaled(&found), &scaled(fixture.values(name)), 1e-4);
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

/// How many of twelve images a model still answers as it did before the attack.
fn standing(model: &Classifier, images: &Tensor<4>, chosen: &Attack) -> usize {
    let ids: Vec<u64> = (0..images.dims()[0] as u64).collect();
    let labels = predicted_classes(&logits(model, images.clone()), CLASSES);
    let found = attack(model, images.clone(), &labels, &ids, chosen, 1);
    let answers = predicted_classes(&logits(model, found), CLASSES);
    robust(&labels, &answers, &labels).into_iter().filter(|&robust| robust).count()
}

#[test]
fn more_steps_and_a_larger_ball_hurt_more() {
    let fixture = Fixture::load();
    let images = random_images(24, 3);
    let mut fallen = [0; 4];
    for model in [fixture.vit(), fixture.resnet()] {
        for size in [1.0, 2.0, 4.0, 8.0] {
            let size = size / 255.0;
            let (fgsm, pgd) = (
                standing(&model, &images, &Attack::fgsm(size)),
                standing(&model, &images, &Attack::pgd(size, 10)),
            );
            assert!(pgd <= fgsm, "at {size}: FGSM leaves {fgsm}, PGD {pgd}");
            assert!(standing(&model, &images, &Attack::pgd(2.0 * size, 10)) <= pgd);
            fallen[0] += 24 - fgsm;
            fallen[1] += 24 - pgd;
        }
        let [small, large] = [0.05, 0.15].map(|size| standing(&model, &images, &Attack::pgd_l2(size, 10)));
        assert!(large <= small);
        fallen[2] += 24 - small;
        fallen[3] += 24 - large;
    }
    assert!(0 < fallen[0] && fallen[0] < fallen[1] && 0 < fallen[2] && fallen[2] < fallen[3], "{fallen:?}");
}

/// The model with its classifier's weights and biases multiplied.
fn scaled(model: Classifier, factor: f32) -> Classifier {
    let mut state: State = state_of(&model);
    for (name, array) in &mut state {
        if name.starts_with("head.") || name.starts_with("fc.") {
            array.values.iter_mut().for_each(|value| *value *= factor);
        }
    }
    with_state(model, state).unwrap()
}

#[test]
fn scaled_logits_hide_nothing() {
    let fixture = Fixture::load();
    let images = random_images(24, 6);
    let mut between = 0;
    for model in [fixture.vit(), fixture.resnet()] {
        for factor in [1e3, 1e6, 1e30, 1e-6, 1e-20] {
            let loud = scaled(model.clone(), factor);
            for size in [1.0, 2.0, 4.0, 8.0] {
                let mut attacks = vec![Attack::pgd(size / 255.0, 5), Attack::pgd_l2(size / 20.0, 5)];
                // By its definition FGSM weighs all wrong classes alike where the logits hardly differ.
                if factor > 1.0 {
                    attacks.push(Attack::fgsm(size / 255.0));
                }
                for chosen in attacks {
                    let [quiet, loud] = [&model, &loud].map(|model| standing(model, &images, &chosen));
                    assert!(
                        quiet.abs_diff(loud) <= 1,
                        "{chosen:?}, times {factor}: {quiet} and {loud} stand"
                    );
                    between += usize::from(quiet > 0 && quiet < 24);
                }
            }
        }
    }
    assert!(between > 20, "where all or none stand, nothing is compared");
}

#[test]
fn a_model_that_does_not_see_its_input_is_called_out() {
    let fixture = Fixture::load();
    let images = random_images(4, 8);
    let examine = |model: &Classifier, chosen: &Attack| {
        attack_and_examine(model, images.clone(), &[0, 1, 2, 3], &[0, 1, 2, 3], chosen, 0).zero_gradient
    };
    let mut state: State = state_of(&fixture.resnet());
    state.get_mut("conv1.weight").unwrap().values.fill(0.0);
    let blind = with_state(fixture.resnet(), state).unwrap();
    for chosen in [Attack::fgsm(EIGHT), Attack::pgd(EIGHT, 3), Attack::pgd_l2(1.0, 3)] {
        assert_eq!(examine(&blind, &chosen), [true; 4]);
        assert_eq!(examine(&fixture.resnet(), &chosen), [false; 4]);
        assert_eq!(examine(&scaled(fixture.vit(), 1e3), &chosen), [false; 4]);
    }
}

/// Steps that end on the clean image again: the last iterate fools nobody, and a point on the way does.
#[test]
fn a_fooling_image_met_on_the_way_counts() {
    let fixture = Fixture::load();
    let model = brightness_model(&fixture);
    // The label is class 1, whose logit is constant; class 0 overtakes it just above the brightness of this image.
    let images = Tensor::full([1, 3, 32, 32], 100.0 / 255.0, &Device::flex());
    let row = logits(&model, images.clone());
    let mut state = state_of(&model);
    state.get_mut("fc.bias").unwrap().values[1] = row[0] * 1.000_01;
    let model = with_state(model, state).unwrap();
    assert_eq!(predicted_classes(&logits(&model, images.clone()), CLASSES), [1]);
    let chosen = Attack::Pgd { epsilon: EIGHT, step: 2.0 / 255.0, steps: 4, random_start: false };
    let found = attack(&model, images.clone(), &[1], &[0], &chosen, 0);
    assert_eq!(predicted_classes(&logits(&model, found.clone()), CLASSES), [0]);
    // One step was enough, and no further one was made.
    assert!(levels(found).into_iter().all(|level| level == 102));
}

#[test]
fn grey_images_get_grey_changes() {
    let fixture = Fixture::load();
    let plane = values(random_images(1, 9))[..1024].to_vec();
    let grey = Tensor::from_data(TensorData::new(plane.repeat(3), [1, 3, 32, 32]), &Device::flex());
    let images = Tensor::cat(vec![grey, random_images(1, 10)], 0);
    for model in [fixture.vit(), fixture.resnet()] {
        let labels = predicted_classes(&logits(&model, images.clone()), CLASSES);
        for chosen in [Attack::fgsm(EIGHT), Attack::pgd(EIGHT, 3), Attack::pgd_l2(1.0, 3)] {
            let found = levels(attack(&model, images.clone(), &labels, &[0, 1], &chosen, 3));
            let [grey, coloured] = [&found[..3072], &found[3072..]];
            assert!(grey[..1024] == grey[1024..2048] && grey[..1024] == grey[2048..], "{chosen:?}");
            assert!(coloured[..1024] != coloured[1024..2048]);
            let clean = levels(images.clone());
            assert!(grey.iter().zip(&clean).any(|(a, b)| a != b), "{chosen:?} does nothing");
            if let Attack::PgdL2 { epsilon, .. } = chosen {
                let squares: i32 = grey.iter().zip(&clean).map(|(a, b)| (a - b).pow(2)).sum();
                let length = f64::from(squares).sqrt() / 255.0;
                assert!(length <= epsilon + 1e-6 && length > 0.7 * epsilon, "{length}");
            }
        }
    }
}

/// On a linear model whose channels pull apart, the best grey step follows their sum.
#[test]
fn a_grey_step_follows_the_sum_of_the_channels() {
    let clean = [0.5f32; 3];
    let mut x = clean;
    ascend(&Attack::fgsm(EIGHT), &mut x, &clean, true, &[1.0, 1.0, -3.0]);
    assert_eq!(x, [0.5 - EIGHT as f32; 3]);
    let mut x = clean;
    ascend(&Attack::fgsm(EIGHT), &mut x, &clean, false, &[1.0, 1.0, -3.0]);
    assert_eq!(x, [0.5 + EIGHT as f32, 0.5 + EIGHT as f32, 0.5 - EIGHT as f32]);
    let mut x = clean;
    ascend(
        &Attack::PgdL2 { epsilon: 1.0, step: 0.3, steps: 1, random_start: false },
        &mut x,
        &clean,
        true,
        &[1.0, 1.0, -3.0],
    );
    for value in x {
        assert!((value - (0.5 - 0.3 / 3f32.sqrt())).abs() < 1e-6, "{x:?}");
    }
}

#[test]
fn robust_is_correct_before_and_under_the_attack() {
    assert_eq!(robust(&[0, 0, 1, 1], &[0, 1, 0, 1], &[0, 0, 0, 0]), [true, false, false, false]);
}

#[test]
fn what_rounding_leaves_nothing_of() {
    for (size, gone) in [(0.0, false), (0.0314, true), (0.5, true), (0.999, true), (1.0, false), (1.5, false)]
    {
        assert_eq!(Attack::fgsm(size / 255.0).is_rounded_away(), gone, "{size}");
        assert_eq!(Attack::pgd_l2(size / 255.0, 10).is_rounded_away(), gone, "{size}");
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
            start_at_random(&chosen, &mut x, &clean, false, seed, id);
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
        "L∞ ball of 8/255, at most 10 signed gradient steps of 2/255, a random start; rounded to 8 bits; grey images get grey \
         changes"
    );
    assert_eq!(
        Attack::fgsm(2.5 / 255.0).describe(),
        "one signed gradient step of 2.5/255 (after rounding 2/255); rounded to 8 bits; grey images get grey changes"
    );
    assert_eq!(
        Attack::pgd_l2(1.0, 10).describe(),
        "L2 ball of 1, at most 10 gradient steps of length 0.2, a random start; rounded to 8 bits; grey images get grey \
         changes"
    );
    let json = serde_json::to_string(&pgd).unwrap();
    assert!(json.starts_with(r#"{"attack":"pgd","epsilon":"#), "{json}");
    assert_eq!(serde_json::from_str::<Attack>(&json).unwrap(), pgd);
    assert!(serde_json::from_str::<Attack>(r#"{"attack":"fgsm","epsilon":0.1,"steps":3}"#).is_err());
}
