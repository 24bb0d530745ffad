//! Objectives without labels: what their models know of Sherds, what of it labels touch, and resuming.

use crate::common;
use std::path::Path;

use crate::common::{StopAt, bits, identity, recipe};
use archaeo_data::{DataError, Dataset, Image, OpenOptions, open};
use archaeo_models::{Classifier, Pass, Preprocessing, load, read_arrays};
use archaeo_training::images::{Augmented, Batch, ImageSource, Preprocessed};
use archaeo_training::{Job, Observer, Outcome, Recipe, TrainError, Trained, train};
use burn::tensor::Device;

/// A small ViT for images of 32 px.
const VIT: &str = r#"
    image_size = 32
    epochs = 6
    batch_size = 64
    learning_rate = 2e-3
    weight_decay = 0.05
    warmup_epochs = 1
    [model]
    architecture = "vit"
    patch_size = 4
    width = 48
    depth = 3
    heads = 3
    mlp_width = 96
    pooling = "mean"
    position = "sine"
"#;

/// Views for the contrastive objective.
const VIEWS: [&str; 3] =
    ["augment.random_resized_crop={scale=[0.4,1.0]}", "augment.flip=0.5", "augment.color_jitter=0.4"];

/// Images that a short training can learn something of: small, plain, of a shape in one colour.
const PLAIN: &str = "size=16,train=2000,val=800,test=800,correlation=0.1,clutter=0,occlusion=0,noise=0.02,rotation=15,shade=1..1";

/// The same without colour, since the views of an image would be matched by it alone.
const WHITE: &str = ",foreground=1..1,background=0.1..0.1";

/// A source with other labels.
struct Relabelled<S>(S, usize);

impl<S: ImageSource> ImageSource for Relabelled<S> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> usize {
        (self.0.label(index) + self.1) % 10
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        self.0.image(index, epoch)
    }

    fn caption(&self, index: usize) -> Option<String> {
        self.0.caption(index)
    }
}

/// Trains on Sherds whose labels are moved by `shift`.
fn run(
    recipe: &Recipe,
    sherds: &Dataset,
    shift: usize,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let (mut data, environment) = identity();
    data.classes = sherds.classes.clone();
    let folder = recipe.runs()[0].open(folder, &data, &environment)?;
    let plain = Preprocessing::plain(recipe.image_size);
    let split = sherds.split("train")?;
    let images = Augmented { split, augment: &recipe.augment, preprocessing: &plain, seed: recipe.seed };
    let images = Relabelled(images, shift);
    let validation = Preprocessed { split: sherds.split("val")?, preprocessing: &plain };
    let job = Job {
        recipe,
        classes: &sherds.classes,
        images: &images,
        validation: &validation,
        transfer: None,
        folder: &folder,
        device: &Device::flex(),
        artist: None,
    };
    train(&job, observer)
}

fn finish(recipe: &Recipe, sherds: &Dataset, shift: usize, folder: &Path) -> Trained {
    match run(recipe, sherds, shift, folder, &mut ()).unwrap() {
        Outcome::Finished(trained) => trained,
        Outcome::Stopped { epochs } => panic!("stopped after {epochs} epochs"),
    }
}

/// Features of a split, each with mean 0 and variance 1 by the moments given or its own, and labels.
fn features(model: &Classifier, sherds: &Dataset, split: &str) -> (Vec<Vec<f64>>, Vec<usize>) {
    let plain = Preprocessing::plain(model.card().preprocessing.image_size);
    let source = Preprocessed { split: sherds.split(split).unwrap(), preprocessing: &plain };
    let batch = Batch::load(&source, &(0..source.len()).collect::<Vec<_>>(), 0).unwrap();
    let features = model.features(batch.tensor(&Device::flex()), &mut Pass::evaluate(&mut ()));
    let width = features.dims()[1];
    let values = features.into_data().try_into_vec::<f32>().unwrap();
    (
        values.chunks_exact(width).map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect(),
        batch.labels,
    )
}

/// Accuracy on the test split of a logistic regression that is fitted to the features of the validation split, by gradient descent.
fn linear_probe(model: &Classifier, sherds: &Dataset) -> f64 {
    let (mut train, labels) = features(model, sherds, "val");
    let (mut test, truth) = features(model, sherds, "test");
    let width = train[0].len();
    for column in 0..width {
        let mean = train.iter().map(|row| row[column]).sum::<f64>() / train.len() as f64;
        let variance = train.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / train.len() as f64;
        for row in train.iter_mut().chain(&mut test) {
            row[column] = (row[column] - mean) / variance.sqrt().max(1e-9);
        }
    }
    let mut weights = vec![vec![0.0; width + 1]; 10];
    let logits = |weights: &[Vec<f64>], row: &[f64]| -> Vec<f64> {
        let of_class = |w: &Vec<f64>| w[width] + w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
        weights.iter().map(of_class).collect()
    };
    for _ in 0..300 {
        let mut gradient = vec![vec![0.0; width + 1]; 10];
        for (row, &label) in train.iter().zip(&labels) {
            let logits = logits(&weights, row);
            let largest = logits.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            for (class, gradient) in gradient.iter_mut().enumerate() {
                let error = (logits[class] - largest).exp() / sum - f64::from(u8::from(class == label));
                gradient.iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
                gradient[width] += error;
            }
        }
        for (weights, gradient) in weights.iter_mut().zip(&gradient) {
            for (w, g) in weights.iter_mut().zip(gradient) {
                *w -= 0.5 * (g / train.len() as f64 + 1e-3 * *w);
            }
        }
    }
    let right = test.iter().zip(&truth).filter(|(row, truth)| {
        let logits = logits(&weights, row);
        let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        best == Some(**truth)
    });
    right.count() as f64 / truth.len() as f64
}

fn sherds(parameters: &str) -> Dataset {
    open(&format!("sherds:{parameters}"), &OpenOptions::default()).unwrap()
}

/// What a short training makes of the features, over those of the same model before it, and that its head learns more than chance.
fn gain(objective: &str, images: &str, overrides: &[&str], head: f64) {
    let sherds = sherds(images);
    let root = tempfile::tempdir().unwrap();
    let objective = format!("objective={objective}");
    let recipe = recipe(VIT, &[&[objective.as_str(), "image_size=16", "epochs=12"], overrides].concat());
    let fresh = recipe.build(&sherds.classes, &Device::flex()).unwrap();
    let trained = finish(&recipe, &sherds, 0, root.path());
    let [before, after] = [&fresh, &trained.model].map(|model| linear_probe(model, &sherds));
    assert!(after > before + 0.05, "{objective}: {before} before, {after} after");
    let last = trained.history.last().unwrap();
    assert!(last.train_loss < trained.history[0].train_loss, "{:?}", trained.history);
    assert!(last.validation_accuracy > head, "its head is a probe: {last:?}");
}

#[test]
fn views_of_one_image_teach_more_than_random_features_know() {
    gain("simclr", &[PLAIN, WHITE].concat(), &VIEWS, 0.25);
}

#[test]
fn hidden_patches_teach_more_than_random_features_know() {
    gain("mae", PLAIN, &["augment.flip=0.5"], 0.12);
}

#[test]
fn captions_teach_more_than_random_features_know() {
    gain("clip", PLAIN, &[], 0.2);
}

const OBJECTIVES: [&str; 3] = [
    "objective={kind=\"simclr\",hidden=16,embedding=8}",
    "objective={kind=\"mae\",width=16,depth=1}",
    "objective={kind=\"clip\",width=16,depth=1}",
];

#[test]
fn resuming_gives_the_bits_of_never_having_stopped_and_a_model_without_the_objectives_parameters() {
    let sherds = sherds("train=120,val=20,size=16");
    for objective in OBJECTIVES {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let more =
            ["image_size=16", "epochs=3", "batch_size=20", "accumulation=2", "ema_decay=0.9", "dropout=0.1"];
        let recipe = recipe(VIT, &[&[objective, "augment.flip=0.5"], &more[..]].concat());
        let whole = finish(&recipe, &sherds, 0, &path("whole"));
        // Three steps per epoch.
        for (stop, kept) in [(5, 1), (8, 2)] {
            let outcome = run(&recipe, &sherds, 0, &path("stopped"), &mut StopAt(stop, 0)).unwrap();
            assert!(matches!(outcome, Outcome::Stopped { epochs } if epochs == kept), "{outcome:?}");
        }
        finish(&recipe, &sherds, 0, &path("stopped"));
        for file in ["model.safetensors", "checkpoints/last.safetensors"] {
            assert!(
                bits(&path("whole").join(file)) == bits(&path("stopped").join(file)),
                "{objective}: {file}"
            );
        }
        let checkpoint = path("whole/checkpoints/last.safetensors");
        let (arrays, metadata) = read_arrays(&checkpoint).unwrap();
        let own = |name: &&String| name.starts_with("objective.module.");
        assert!(arrays.keys().filter(own).count() > 2, "{objective}: {:?}", arrays.keys());
        let loaded = load(&whole.weights, None, &Device::flex()).unwrap();
        assert_eq!(
            loaded.parameter_count(),
            recipe.build(&sherds.classes, &Device::flex()).unwrap().parameter_count()
        );

        let mut less = arrays.clone();
        less.remove(arrays.keys().find(own).unwrap());
        archaeo_models::write_arrays(&checkpoint, &less, metadata).unwrap();
        let sentence = run(&recipe, &sherds, 0, &path("whole"), &mut ()).unwrap_err().to_string();
        assert!(
            sentence.contains("its objective is another one") && sentence.contains("missing"),
            "{sentence}"
        );
    }
}

#[test]
fn labels_reach_the_head_alone() {
    let sherds = sherds("train=120,val=20,size=16");
    for objective in OBJECTIVES {
        let root = tempfile::tempdir().unwrap();
        let recipe = recipe(VIT, &[objective, "image_size=16", "epochs=1", "batch_size=20"]);
        let trained = |shift: usize| {
            bits(&finish(&recipe, &sherds, shift, &root.path().join(shift.to_string())).weights)
        };
        let (one, other) = (trained(0), trained(1));
        for (name, array) in &one {
            assert_eq!(*array != other[name], name.starts_with("head."), "{objective}: {name}");
        }
    }
}

#[test]
fn what_an_objective_cannot_do_gets_a_sentence() {
    let sherds = sherds("train=40,val=20,size=16");
    let root = tempfile::tempdir().unwrap();
    let resnet = "model={architecture=\"resnet\",stem=\"cifar\",branch=\"basic\",blocks=[1,1,1,1],width=4}";
    for (number, (overrides, expected)) in [
        (&["objective=mae", resnet][..], "`mae` hides patches from a Vision Transformer, and custom is"),
        (&["objective=mae", "model.patch_size=16"], "the model has one patch"),
        (&["objective=mae", "model.norm_after_pooling=true"], "has no norm before its pooling"),
        (&["objective=simclr", "batch_size=1"], "`batch_size` must be at least 2"),
        (&["objective=simclr", "augment.mixup=0.5"], "blend images, of which `simclr` needs each on its own"),
        (&["objective=clip", "augment.cutmix=0.5"], "of which `clip` needs"),
    ]
    .into_iter()
    .enumerate()
    {
        let recipe = recipe(VIT, &[&["image_size=16", "batch_size=20"], overrides].concat());
        let folder = root.path().join(number.to_string());
        let sentence = run(&recipe, &sherds, 0, &folder, &mut ()).unwrap_err().to_string();
        assert!(sentence.contains(expected), "{overrides:?}: {sentence}");
    }
    let halves = common::run(
        &recipe(VIT, &["image_size=8", "objective=clip", "batch_size=20"]),
        &root.path().join("halves"),
        &mut (),
    );
    let sentence = halves.unwrap_err().to_string();
    assert!(
        sentence.contains("`clip` needs images with captions, which these data do not have"),
        "{sentence}"
    );
    for (setting, expected) in [
        ("objective={kind=\"mae\",mask=1.0}", "`objective.mask` must be above 0 and below 1"),
        ("objective={kind=\"mae\",width=30}", "a multiple of 4"),
        ("objective={kind=\"simclr\",temperature=0}", "`objective.temperature` must be above 0"),
        ("objective={kind=\"clip\",width=30,heads=4}", "do not divide"),
        ("gradient_checkpointing=true", ""),
    ] {
        let file = archaeo_training::RecipeFile::parse(VIT, &[setting.to_owned()]);
        match expected {
            "" => assert!(file.is_ok()),
            expected => {
                let sentence = file.unwrap_err().to_string();
                assert!(sentence.contains(expected), "{setting}: {sentence}");
            }
        }
    }
}
