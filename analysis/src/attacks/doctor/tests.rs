use archaeo_models::Classifier;

use super::illusions::{Quantised, Randomised, Scaled};
use super::*;
use crate::answers::{logits, predicted_classes};
use crate::testing::{CLASSES, Fixture, random_images};

const IMAGES: usize = 64;

fn doctor() -> Doctor {
    Doctor { queries: 60, ..Doctor::default() }
}

/// What the doctor says of a target on images whose labels are the answers of the model behind it.
fn checks(model: &Classifier, target: &dyn Target, other: Option<&dyn Target>) -> Vec<Check> {
    let images = random_images(IMAGES, 3);
    let labels = predicted_classes(&logits(model, images.clone()), CLASSES);
    let ids: Vec<u64> = (0..IMAGES as u64).collect();
    let batch = Batch::new(images, &labels);
    let found = doctor().examine(target, other, &batch, &Keys { seed: 1, images: &ids });
    assert_eq!(found.len(), IMAGES);
    let examined: Vec<Examined> = found.into_iter().flatten().collect();
    diagnose(&doctor(), &examined)
}

fn failed(checks: &[Check]) -> Vec<&str> {
    checks.iter().filter(|check| check.verdict == Health::Fail).map(|check| check.id.as_str()).collect()
}

#[test]
fn sound_models_pass() {
    let fixture = Fixture::load();
    let (vit, resnet) = (fixture.vit(), fixture.resnet());
    for (model, other) in [(&vit, &resnet), (&resnet, &vit)] {
        let found = checks(model, model, Some(other));
        assert_eq!(found.len(), 9);
        for check in &found {
            assert_eq!(check.verdict, Health::Pass, "{check:?}");
        }
    }
    assert_eq!(checks(&vit, &vit, None).len(), 8, "without another model nothing is transferred");
}

#[test]
fn scaled_logits_are_found_out() {
    let fixture = Fixture::load();
    for model in [fixture.vit(), fixture.resnet()] {
        let found = checks(&model, &Scaled { target: &model, factor: 1e3 }, None);
        assert_eq!(failed(&found), ["scale"], "{found:?}");
        let why = &found.iter().find(|check| check.id == "scale").unwrap().why;
        assert!(why.starts_with("This robustness may be an illusion: its logits are so large"), "{why}");
    }
}

#[test]
fn a_quantising_layer_is_found_out() {
    let fixture = Fixture::load();
    for model in [fixture.vit(), fixture.resnet()] {
        let found = checks(&model, &Quantised { target: &model, levels: 16 }, Some(&model));
        let failed = failed(&found);
        for id in ["gradient", "unbounded", "black-box", "transfer"] {
            assert!(failed.contains(&id), "{id}: {failed:?} {found:?}");
        }
    }
}

#[test]
fn a_randomising_layer_is_found_out() {
    let fixture = Fixture::load();
    for model in [fixture.vit(), fixture.resnet()] {
        let found = checks(&model, &Randomised::new(&model, 0.1), None);
        assert!(failed(&found).contains(&"steady"), "{found:?}");
    }
}

/// An image's record depends neither on its batch nor on the images that the model gets wrong.
#[test]
fn every_image_is_examined_on_its_own() {
    let model = Fixture::load().resnet();
    let images = random_images(6, 5);
    let mut labels = predicted_classes(&logits(&model, images.clone()), CLASSES);
    labels[2] = (labels[2] + 1) % CLASSES;
    let examine = |from: usize, count: usize| {
        let ids: Vec<u64> = (from as u64..(from + count) as u64).collect();
        let batch = Batch::new(images.clone().narrow(0, from, count), &labels[from..from + count]);
        doctor().examine(&model, Some(&model), &batch, &Keys { seed: 1, images: &ids })
    };
    let together = examine(0, 6);
    assert!(together[2].is_none() && together.iter().flatten().count() == 5);
    for place in 0..6 {
        assert_eq!(examine(place, 1), together[place..=place]);
    }
}

#[test]
fn verdicts_follow_from_the_interval() {
    let sound = Examined {
        unsteady: false,
        zero_gradient: false,
        single: true,
        iterated: true,
        longer: true,
        restarted: true,
        unbounded: true,
        black_box: true,
        cross_entropy: true,
        log_odds: true,
        transferred: None,
    };
    let of = |n: usize, changed: usize, change: &dyn Fn(&mut Examined)| {
        let mut all = vec![sound.clone(); n];
        all[..changed].iter_mut().for_each(change);
        diagnose(&doctor(), &all)
    };
    let verdict = |checks: &[Check], id: &str| checks.iter().find(|check| check.id == id).unwrap().verdict;
    assert!(of(0, 0, &|_| ()).is_empty());
    assert!(of(60, 0, &|_| ()).iter().all(|check| check.verdict == Health::Pass));
    assert!(
        of(5, 0, &|_| ()).iter().all(|check| check.verdict == Health::CannotTell),
        "five images tell nothing"
    );
    type Change = fn(&mut Examined);
    let cases: [(&str, Change); 8] = [
        ("steady", |of| of.unsteady = true),
        ("gradient", |of| of.zero_gradient = true),
        ("iterated", |of| (of.iterated, of.restarted, of.black_box) = (false, false, false)),
        ("steps", |of| of.longer = false),
        ("unbounded", |of| of.unbounded = false),
        ("black-box", |of| (of.iterated, of.restarted, of.single) = (false, false, false)),
        ("scale", |of| of.cross_entropy = false),
        ("restarts", |of| (of.iterated, of.single, of.black_box) = (false, false, false)),
    ];
    for (id, change) in cases {
        let found = of(60, 40, &change);
        assert_eq!(failed(&found), [id]);
        let check = found.iter().find(|check| check.id == id).unwrap();
        assert!((check.found.value - 2.0 / 3.0).abs() < 1e-12 && check.found.n == 60, "{check:?}");
        let of_few = match id {
            "steady" => Health::Fail,
            "restarts" => Health::Pass,
            _ => Health::CannotTell,
        };
        assert_eq!(verdict(&of(60, 5, &change), id), of_few, "{id}");
    }
    // A stronger attack that finds more is what should be.
    let found = of(60, 40, &|of: &mut Examined| of.single = false);
    assert!(failed(&found).is_empty());
    assert!((found[2].found.value + 2.0 / 3.0).abs() < 1e-12);
}
