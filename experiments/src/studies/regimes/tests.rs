//! The question on table models, whose answers are known, and its sentences.

use archaeo_training::{EpochRecord, RecipeFile, TrainingRecord};

use super::*;
use crate::scene::Scene;
use crate::studies::made_up;
use crate::studies::table_models::{in_scene, name, right};
use crate::units::ask;

const SHARED: &str =
    "model = \"vit_micro\"\nimage_size = 16\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n";

/// A training that began like this and whose validation accuracy took this course.
fn training(rest: &str, course: [f64; 2]) -> Training {
    let recipe = RecipeFile::parse(&format!("{SHARED}{rest}"), &[]).unwrap().recipe(None).unwrap();
    let epoch = |(epoch, validation_accuracy)| EpochRecord {
        epoch,
        step: 5 * epoch as u64,
        learning_rate: 0.0,
        train_loss: 0.0,
        validation_loss: 0.0,
        validation_accuracy,
        images_per_second: 0.0,
        waiting: None,
        exchanging: None,
        seconds: 3.0,
    };
    let history = (1..).zip(course).map(epoch).collect();
    Training { record: TrainingRecord { recipe, data: None, history }, init: Some("nowhere.pth".into()) }
}

const TUNED: &str = "init = \"nowhere.pth\"\ninit_sha256 = \"c0ffee\"\n";

/// Right on the first half of the images.
fn half(label: usize, image: usize) -> usize {
    if image < 30 { label } else { (label + 1) % 10 }
}

/// Asks of a ViT, a ResNet and another ViT that were trained like this.
fn asked<T>(trainings: [Option<&Training>; 3], ask: impl FnOnce(&Scene) -> T) -> T {
    in_scene(&[&[half], &[right], &[right]], |scene| {
        let mut subjects = scene.subjects.to_vec();
        subjects.iter_mut().zip(trainings).for_each(|(subject, training)| subject.training = training);
        ask(&Scene { subjects: &subjects, ..*scene })
    })
}

#[test]
fn it_says_why_it_does_not_apply() {
    let (scratch, tuned) = (training("", [0.3, 0.5]), training(TUNED, [0.9, 1.0]));
    let other = Training { init: None, ..scratch.clone() };
    for (trainings, expected) in [
        ([None, None, None], "say how they were trained on these data, and there is none"),
        ([Some(&scratch), None, None], "and there is one"),
        (
            [Some(&scratch), Some(&tuned), None],
            "no two models whose training is known have the same architecture",
        ),
        ([Some(&scratch), None, Some(&other)], "were all trained in the same way"),
    ] {
        match asked(trainings, |scene| RegimesStudy::applies(scene).unwrap()) {
            Applicability::No(reason) => assert!(reason.contains(expected), "{reason}"),
            Applicability::Applies => panic!("{expected}"),
        }
    }
}

#[test]
fn two_regimes_have_the_accuracies_and_the_course_of_their_models() {
    let (scratch, tuned) = (training("", [0.3, 0.5]), training(TUNED, [0.9, 1.0]));
    let found =
        asked([Some(&tuned), None, Some(&scratch)], |scene| ask::<RegimesStudy>(scene, None).unwrap());
    let [first, second] = found.compared.regimes.as_slice() else { panic!("{found:?}") };
    // From random weights first, whatever the order of the models.
    assert_eq!((first.name.as_str(), first.kind), (name(2).as_str(), RegimeKind::Scratch));
    assert_eq!((second.name.as_str(), second.kind), (name(0).as_str(), RegimeKind::FineTuned));
    assert_eq!((first.runs[0].accuracy.value, second.runs[0].accuracy.value), (1.0, 0.5));
    assert_eq!((first.runs[0].images, first.runs[0].seconds()), (40, 6.0));
    let pair = &found.compared.pairs[0];
    assert_eq!(pair.difference.value, 0.5);
    // Thirty images that only one has right: 2 · 2⁻³⁰.
    assert!((pair.p_value / 2f64.powi(-29) - 1.0).abs() < 1e-9, "{}", pair.p_value);
    assert_eq!(found.left_out.len(), 1);
    assert!(found.left_out[0].0 == name(1) && found.left_out[0].1.contains("does not say how"));
    assert!(found.compared.attention.is_empty());
    assert_eq!(
        found.without_attention,
        [(name(0), "the weights that it started from are not there".to_owned())]
    );

    let investigation = made_up::investigation(3);
    let chapter = RegimesStudy::chapter(&found, &investigation, &Names::of(&investigation));
    let said: Vec<&str> = chapter.claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert!(said.contains(&"Transfer does not win here: first is less accurate than third."), "{said:#?}");
    assert!(chapter.claims.iter().all(|claim| claim.section == RegimesStudy::ID));
}
