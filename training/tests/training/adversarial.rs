//! Adversarial training makes a model robust, the doctor finds both it and a plain model sound, and finds out what is planted around it.

use std::path::Path;

use crate::common::{identity, recipe};
use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::doctor::illusions::{Quantised, Randomised, Scaled};
use archaeo_analysis::attacks::doctor::{Check, Doctor, Examined, Health, diagnose};
use archaeo_analysis::attacks::{Batch as Attacked, Target, by_id, robust};
use archaeo_data::{Dataset, OpenOptions, open};
use archaeo_models::{Classifier, Preprocessing, load};
use archaeo_training::images::{Augmented, Batch, Preprocessed};
use archaeo_training::{Job, Outcome, train};
use burn::tensor::Device;

const RESNET: &str = r#"
    image_size = 16
    epochs = 4
    batch_size = 32
    learning_rate = 2e-3
    weight_decay = 0.05
    warmup_epochs = 0.5
    [model]
    architecture = "resnet"
    stem = "cifar"
    branch = "basic"
    blocks = [1, 1, 1, 1]
    width = 8
"#;

/// Shapes of one brightness on another, so that a short training learns them.
const PLAIN: &str = "size=16,train=1200,val=100,test=160,correlation=0.1,clutter=0,occlusion=0,noise=0.02,rotation=15,shade=1..1,\
                     foreground=1..1,background=0.1..0.1";

/// Of the attacks, in units of 1/255.
const EPSILON: f64 = 12.0;

fn trained(objective: &str, sherds: &Dataset, folder: &Path) -> Classifier {
    let recipe = recipe(RESNET, &[objective]);
    let (mut data, environment) = identity();
    data.classes = sherds.classes.clone();
    let folder = recipe.runs()[0].open(folder, &data, &environment).unwrap();
    let plain = Preprocessing::plain(16);
    let split = sherds.split("train").unwrap();
    let images = Augmented { split, augment: &recipe.augment, preprocessing: &plain, seed: recipe.seed };
    let validation = Preprocessed { split: sherds.split("val").unwrap(), preprocessing: &plain };
    let device = Device::flex();
    let job = Job {
        recipe: &recipe,
        classes: &sherds.classes,
        images: &images,
        validation: &validation,
        transfer: None,
        folder: &folder,
        device: &device,
        artist: None,
    };
    let Outcome::Finished(trained) = train(&job, &mut ()).unwrap() else { panic!("nobody stopped it") };
    load(&trained.weights, None, &device).unwrap()
}

/// The test images, which the models take as they are.
fn test_images(sherds: &Dataset) -> Batch {
    let plain = Preprocessing::plain(16);
    let source = Preprocessed { split: sherds.split("test").unwrap(), preprocessing: &plain };
    Batch::load(&source, &(0..160).collect::<Vec<_>>(), 0).unwrap()
}

fn robust_accuracy(model: &Classifier, batch: &Batch) -> f64 {
    let images = batch.tensor(&Device::flex());
    let ids: Vec<u64> = (0..batch.labels.len() as u64).collect();
    let clean = predicted_classes(&logits(model, images.clone()), 10);
    let attack = by_id("pgd").unwrap().sized(EPSILON, 10);
    let attacked = Attacked::new(images, &batch.labels);
    let found = attack.run(model, &attacked, &Keys { seed: 1, images: &ids });
    let answers: Vec<usize> = found.iter().map(|outcome| outcome.answer).collect();
    let robust = robust(&clean, &answers, &batch.labels);
    robust.iter().filter(|robust| **robust).count() as f64 / robust.len() as f64
}

fn checks(target: &dyn Target, other: &dyn Target, batch: &Batch) -> Vec<Check> {
    let doctor = Doctor { epsilon: EPSILON, queries: 100, ..Doctor::default() };
    let ids: Vec<u64> = (0..batch.labels.len() as u64).collect();
    let attacked = Attacked::new(batch.tensor(&Device::flex()), &batch.labels);
    let found = doctor.examine(target, Some(other), &attacked, &Keys { seed: 1, images: &ids });
    diagnose(&doctor, &found.into_iter().flatten().collect::<Vec<Examined>>())
}

fn failed(checks: &[Check]) -> Vec<&str> {
    checks.iter().filter(|check| check.verdict == Health::Fail).map(|check| check.id.as_str()).collect()
}

#[test]
fn robustness_is_learned_and_told_from_illusions() {
    let sherds = open(&format!("sherds:{PLAIN}"), &OpenOptions::default()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let of = |objective: &str, folder: &str| trained(objective, &sherds, &root.path().join(folder));
    let plain = of("objective=\"cross-entropy\"", "plain");
    let adversarial = format!("objective={{kind=\"adversarial\",epsilon={EPSILON},steps=3,step=6}}");
    let hardened = of(&adversarial, "hardened");
    let batch = test_images(&sherds);
    let [before, after] = [&plain, &hardened].map(|model| robust_accuracy(model, &batch));
    assert!(after > before + 0.15, "PGD-AT: {before} {after}");

    for (model, other) in [(&plain, &hardened), (&hardened, &plain)] {
        let found = checks(model, other, &batch);
        assert_eq!(failed(&found), [""; 0], "{found:#?}");
        assert!(found.iter().filter(|check| check.verdict == Health::Pass).count() >= 7, "{found:#?}");
    }
    for model in [&plain, &hardened] {
        let found = checks(&Scaled { target: model, factor: 1e3 }, model, &batch);
        assert!(failed(&found).contains(&"scale"), "{found:#?}");
        let found = checks(&Quantised { target: model, levels: 32 }, model, &batch);
        assert!(["gradient", "unbounded"].iter().all(|id| failed(&found).contains(id)), "{found:#?}");
        let found = checks(&Randomised::new(model, 0.05), model, &batch);
        assert!(failed(&found).contains(&"steady"), "{found:#?}");
    }
}

#[test]
fn trades_makes_answers_hold_nearby() {
    let sherds = open(&format!("sherds:{PLAIN}"), &OpenOptions::default()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let plain = trained("objective=\"cross-entropy\"", &sherds, &root.path().join("plain"));
    let trades = format!(
        "objective={{kind=\"adversarial\",method=\"trades\",epsilon={EPSILON},steps=3,step=6,beta=3}}"
    );
    let trades = trained(&trades, &sherds, &root.path().join("trades"));
    let batch = test_images(&sherds);
    let [before, after] = [&plain, &trades].map(|model| robust_accuracy(model, &batch));
    assert!(after > before + 0.1, "{before} {after}");
}
