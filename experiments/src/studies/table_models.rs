//! Studies of answers on models that are tables: what each answers to each image is known, and so are the findings.

use archaeo_data::{Dataset, OpenOptions, open};
use archaeo_models::{Classifier, ModelCard, NetworkSpec, Preprocessing};
use archaeo_store::arrays::write_export;
use archaeo_training::evaluate::Evaluation;
use burn::tensor::Device;

use super::findings::{
    AccuracyFindings, ErrorFindings, FaithfulnessFindings, ShapeBiasFindings, TrustFindings,
};
use super::{
    AccuracyStudy, ErrorsStudy, FaithfulnessOptions, FaithfulnessStudy, SeedsStudy, ShapeBiasStudy,
    TrustStudy,
};
use crate::options::StudyOptions;
use crate::predictions::arrays;
use crate::scene::{Progress, Scene};
use crate::study::{Applicability, Study};
use crate::subjects::{ModelName, Run, Subject};
use crate::units::ask;

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// What a table model answers to an image, by its class and number.
pub(super) type Answer = fn(usize, usize) -> usize;

struct Found {
    trust: TrustFindings,
    accuracy: AccuracyFindings,
    errors: ErrorFindings,
    shape_bias: ShapeBiasFindings,
}

pub(super) fn name(place: usize) -> ModelName {
    ModelName::new(["first", "second", "third"][place])
}

fn model(kind: &str, classes: &[String], device: &Device) -> Classifier {
    let card = ModelCard {
        name: kind.into(),
        network: NetworkSpec::named(kind, classes.len(), 16).unwrap(),
        preprocessing: Preprocessing::plain(16),
        classes: classes.into(),
    };
    Classifier::new(card, 0, device).unwrap()
}

/// Asks of models on Sherds, of each one or more runs, with tables instead of weights.
pub(super) fn in_scene<T>(answers: &[&[Answer]], ask: impl FnOnce(&Scene) -> T) -> T {
    in_scene_of(60, answers, ask)
}

/// As [`in_scene`], with so many test images.
pub(super) fn in_scene_of<T>(test: usize, answers: &[&[Answer]], ask: impl FnOnce(&Scene) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    ["predictions", "pictures"]
        .iter()
        .for_each(|name| std::fs::create_dir(folder.path().join(name)).unwrap());
    let source = format!("sherds:size=16,train=60,val=20,test={test},aligned=20,conflict=20");
    let dataset: Dataset = open(&source, &OpenOptions::default()).unwrap();
    for (split, images) in dataset.splits() {
        for (place, runs) in answers.iter().enumerate() {
            for (run, answer) in runs.iter().enumerate() {
                let labels = images.labels();
                let logits = labels.iter().enumerate().flat_map(|(image, &label)| {
                    let answer = answer(label, image);
                    (0..10).map(move |class| if class == answer { 200.0 } else { 0.0 })
                });
                let evaluation = Evaluation { logits: logits.collect(), classes: 10, labels };
                let run = if run == 0 { String::new() } else { format!(".run-{run}") };
                let path =
                    folder.path().join(format!("predictions/{split}-{}{run}.safetensors", name(place)));
                write_export(&path, &arrays(&evaluation), &[]).unwrap();
            }
        }
    }
    let device = Device::flex();
    let kinds = ["vit_micro", "resnet_micro", "vit_micro"];
    let models: Vec<Classifier> =
        kinds.iter().take(answers.len()).map(|kind| model(kind, &dataset.classes, &device)).collect();
    let run = |model: &Classifier, run: usize| Run { seed: Some(run as u64), model: model.clone() };
    let more_runs: Vec<Vec<Run>> = (models.iter().zip(answers))
        .map(|(model, runs)| (1..runs.len()).map(|number| run(model, number)).collect())
        .collect();
    let mut subjects: Vec<Subject> =
        models.iter().enumerate().map(|(place, model)| Subject::new(name(place), model)).collect();
    for (subject, more_runs) in subjects.iter_mut().zip(&more_runs) {
        (subject.first_seed, subject.more_runs) = (Some(0), more_runs);
    }
    let mut options = StudyOptions::quick();
    options.resamples = 500;
    ask(&Scene {
        folder: folder.path(),
        dataset: &dataset,
        main_split: "test",
        subset: None,
        subjects: &subjects,
        device: &device,
        options: &options,
        seed: 1,
        progress: &Silent,
        shared: None,
    })
}

/// The studies of answers, of models with one run each.
fn studied(answers: &[Answer]) -> Found {
    let answers: Vec<&[Answer]> = answers.chunks(1).collect();
    in_scene(&answers, |scene| Found {
        trust: ask::<TrustStudy>(scene, None).unwrap(),
        accuracy: ask::<AccuracyStudy>(scene, None).unwrap(),
        errors: ask::<ErrorsStudy>(scene, None).unwrap(),
        shape_bias: ask::<ShapeBiasStudy>(scene, None).unwrap(),
    })
}

pub(super) fn right(label: usize, _: usize) -> usize {
    label
}

fn wrong(label: usize, _: usize) -> usize {
    (label + 1) % 10
}

/// Right on the first three of every four images.
fn mostly_right(label: usize, image: usize) -> usize {
    if image % 4 < 3 { label } else { (label + 1) % 10 }
}

/// Right on the first two of every four images.
fn half_right(label: usize, image: usize) -> usize {
    if image % 4 < 2 { label } else { (label + 2) % 10 }
}

#[test]
fn two_perfect_models_are_a_result() {
    let found = studied(&[right, right]);
    let pair = &found.accuracy.splits[0].pairs[0];
    assert_eq!(pair.kappa.reason(), Some("both models are right on every image"));
    assert_eq!((pair.both_right, pair.mcnemar_p, pair.difference.value), (60, 1.0, 0.0));
    assert_eq!(found.accuracy.splits[0].models[name(0)].ece.value, 0.0);
    let both = &found.errors.groups[2];
    assert_eq!((both.erring.as_slice(), both.count), ([name(0), name(1)].as_slice(), 0));
    let shared = &found.errors.pairs[0];
    assert!(shared.same_wrong_class.is_none());
    assert_eq!(shared.same_answer.reason(), Some("there is no image that both have wrong"));
    let of_first = &found.trust.models[name(0)];
    assert_eq!(of_first.accuracy.value, 1.0);
    assert!(of_first.balanced.known().unwrap().low < 0.97, "60 images do not prove perfection");
}

#[test]
fn models_that_are_always_wrong_or_never_differ_are_results() {
    let found = studied(&[wrong, wrong]);
    let pair = &found.accuracy.splits[0].pairs[0];
    assert_eq!(pair.kappa.reason(), Some("both models are wrong on every image"));
    assert_eq!(found.trust.models[name(1)].accuracy.value, 0.0);
    assert_eq!(found.errors.pairs[0].same_wrong_class.as_ref().unwrap().value, 1.0);

    let found = studied(&[mostly_right, mostly_right]);
    let pair = &found.accuracy.splits[0].pairs[0];
    assert_eq!((pair.only_first_right, pair.only_second_right), (0, 0));
    assert_eq!(pair.kappa.known().unwrap().value, 1.0);

    let found = studied(&[|_, _| 3, right]);
    let constant = &found.trust.models[name(0)];
    assert_eq!((constant.usual.class, constant.usual.share.value), (3, 1.0));
    assert_eq!(constant.balanced.known().unwrap().value, 0.1);
}

/// Exchanging two models must change what is said of each: every number belongs to one of them.
#[test]
fn numbers_belong_to_their_model() {
    let found = studied(&[mostly_right, half_right]);
    let split = &found.accuracy.splits[0];
    assert_eq!((split.models[name(0)].top1.value, split.models[name(1)].top1.value), (0.75, 0.5));
    let pair = &split.pairs[0];
    assert_eq!(pair.models, [name(0), name(1)]);
    assert_eq!((pair.both_right, pair.only_first_right), (30, 15));
    assert_eq!((pair.only_second_right, pair.both_wrong), (0, 15));
    assert!((pair.difference.value - 0.25).abs() < 1e-12 && pair.difference.low > 0.0);
    let counts: Vec<usize> = found.errors.groups.iter().map(|group| group.count).collect();
    assert_eq!(counts, [0, 15, 15]);
    // The two give different wrong answers.
    assert_eq!(found.errors.pairs[0].same_wrong_class.as_ref().unwrap().value, 0.0);
    assert_eq!(found.trust.models[name(1)].accuracy.value, 0.5);

    let exchanged = studied(&[half_right, mostly_right]);
    let pair = &exchanged.accuracy.splits[0].pairs[0];
    assert_eq!((pair.only_first_right, pair.only_second_right), (0, 15));
    assert!((pair.difference.value + 0.25).abs() < 1e-12);
}

#[test]
fn one_model_is_studied_alone() {
    let found = studied(&[mostly_right]);
    assert!(found.accuracy.splits[0].pairs.is_empty() && found.errors.pairs.is_empty());
    assert_eq!(found.accuracy.splits[0].models[name(0)].top1.value, 0.75);
    let group = &found.errors.groups[..];
    assert!(group.len() == 1 && group[0].count == 15 && group[0].erring == [name(0)]);
    assert!(found.shape_bias.pairs.is_empty() && found.shape_bias.models.len() == 1);
}

#[test]
fn three_models_are_compared_two_by_two() {
    let found = studied(&[right, mostly_right, half_right]);
    let pairs: Vec<[ModelName; 2]> = found.accuracy.splits[0].pairs.iter().map(|pair| pair.models).collect();
    assert_eq!(pairs, [[name(0), name(1)], [name(0), name(2)], [name(1), name(2)]]);
    // Alone: the third on a quarter; two of them: second and third on the last quarter.
    let counts: Vec<(usize, usize)> =
        found.errors.groups.iter().map(|group| (group.erring.len(), group.count)).collect();
    assert_eq!(counts, [(1, 0), (1, 0), (1, 15), (2, 0), (2, 0), (2, 15), (3, 0)]);
    assert_eq!(found.shape_bias.pairs.len(), 3);
}

/// Models of random weights; a study of explanations asks them and not the tables.
#[test]
fn faithfulness_does_not_depend_on_batches_and_covers_every_model() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[right], &[right]], |scene| {
            let options = FaithfulnessOptions {
                images: 10,
                images_asked_again: 2,
                metrics: Vec::new(),
                methods: vec!["rollout".into(), "grad-cam".into()],
            };
            let mut options = scene.options.clone().with::<FaithfulnessStudy>(&options);
            options.batch_size = batch_size;
            ask::<FaithfulnessStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let found = ask_with(10);
    let as_json = |found: &FaithfulnessFindings| serde_json::to_string(found).unwrap();
    assert_eq!(as_json(&found), as_json(&ask_with(3)));
    let [vit, resnet] = [0, 1].map(|place| &found.models[name(place)]);
    assert_eq!((vit.images, vit.images_asked_again, vit.methods.len(), resnet.methods.len()), (10, 2, 5, 4));
    assert!(resnet.left_out.contains_key("token-dropping") && vit.left_out.is_empty());
    for method in vit.methods.iter().chain(&resnet.methods) {
        let deletion = &method.scores["deletion"];
        assert_eq!(deletion.over_random.is_some(), !method.baseline, "{}", method.method);
        assert_eq!(deletion.curve.len(), 11);
        assert!(method.scores["contrastivity"].over_random.is_none());
    }
    let baselines: Vec<bool> = vit.methods.iter().map(|method| method.baseline).collect();
    assert_eq!(baselines, [false, false, true, true, true]);
}

/// Runs of one model are held against one another, and models by their runs.
#[test]
fn runs_of_a_model_are_told_apart() {
    let alone: [&[Answer]; 2] = [&[right], &[wrong]];
    let applies = in_scene(&alone, |scene| SeedsStudy::applies(scene).unwrap());
    assert_eq!(applies, Applicability::No("every model is there once, trained from one seed".into()));

    let found = in_scene(&[&[mostly_right, half_right], &[right]], |scene| {
        assert_eq!(SeedsStudy::applies(scene).unwrap(), Applicability::Applies);
        ask::<SeedsStudy>(scene, None).unwrap()
    });
    assert!(found.pairs.is_empty() && found.models.names().eq([name(0)]), "a single run has no spread");
    let over = &found.models[name(0)];
    let runs: Vec<_> = over.runs.iter().map(|run| (run.seed, run.accuracy.value)).collect();
    assert_eq!(runs, [(Some(0), 0.75), (Some(1), 0.5)]);
    assert_eq!((over.accuracy.value, over.accuracy.n, over.always_right.value), (0.625, 2, 0.5));
    assert!((over.deviation - 0.25 / 2f64.sqrt()).abs() < 1e-12);
    // Of every four images, one is right in the first run alone, and one wrong in both, with different answers.
    assert_eq!((over.disagreement.value, over.always_wrong.value), (0.5, 0.25));

    let found = in_scene(&[&[mostly_right, half_right, mostly_right], &[wrong, wrong]], |scene| {
        ask::<SeedsStudy>(scene, None).unwrap()
    });
    // Runs 1 and 2 against 0 differ on half of the images, runs 0 and 2 nowhere.
    assert!((found.models[name(0)].disagreement.value - 1.0 / 3.0).abs() < 1e-12);
    let pair = &found.pairs[0];
    assert_eq!(pair.models, [name(0), name(1)]);
    let difference = &pair.difference.known().unwrap().difference;
    assert!((difference.value - 2.0 / 3.0).abs() < 1e-12 && difference.n == 5);

    let same = in_scene(&[&[right, right], &[wrong, wrong]], |scene| ask::<SeedsStudy>(scene, None).unwrap());
    let reason = same.pairs[0].difference.reason();
    assert_eq!(reason, Some("the accuracy of neither differs from run to run"));
}
