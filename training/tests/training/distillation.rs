//! Distillation from the outside: a student learns what its teacher knows, its teacher answers once, and resuming changes nothing.

use crate::common;
use std::path::Path;

use crate::common::{Halves, RESNET, StopAt, VIT, bits, finish, identity, recipe};
use archaeo_data::{DataError, Image};
use archaeo_random::{Draw, keyed_rng};
use archaeo_training::events::{self, Happening, LOG};
use archaeo_training::images::ImageSource;
use archaeo_training::{Job, Observer, Outcome, Recipe, TrainError, train};
use burn::tensor::Device;

/// [`Halves`] that are the same in every epoch but for being mirrored in some.
struct Mirrored(Halves);

impl ImageSource for Mirrored {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn variants(&self) -> Option<usize> {
        Some(2)
    }

    fn variant(&self, index: usize, epoch: u64) -> usize {
        usize::from(keyed_rng(3, "mirror", index as u64, epoch).chance(0.5))
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let image = self.0.image(index, 0)?;
        if self.variant(index, epoch) == 0 {
            return Ok(image);
        }
        let rows = image.pixels().chunks_exact(24);
        let mirrored = rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied());
        Ok(Image::new(8, 8, mirrored.collect()))
    }
}

/// Trains on [`Mirrored`] images.
fn distil(recipe: &Recipe, folder: &Path, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let (data, environment) = identity();
    let folder = recipe.runs()[0].open(folder, &data, &environment)?;
    let (images, validation) = (Mirrored(Halves { count: 200, seed: 1 }), Halves { count: 60, seed: 2 });
    let job = Job {
        recipe,
        classes: &data.classes,
        images: &images,
        validation: &validation,
        transfer: None,
        folder: &folder,
        device: &Device::flex(),
        artist: None,
    };
    train(&job, observer)
}

/// A ViT taught by the model in `teacher`.
fn student(teacher: &Path, overrides: &[&str]) -> Recipe {
    let teacher = format!("objective={{kind=\"distillation\",teacher=\"{}\"}}", teacher.display());
    recipe(VIT, &[&[teacher.as_str()], overrides].concat())
}

/// The parts of a folder that a resumed training must reproduce.
fn results(folder: &Path) -> Vec<impl PartialEq + use<>> {
    ["model.safetensors", "checkpoints/last.safetensors"].map(|file| bits(&folder.join(file))).into()
}

#[test]
fn a_student_learns_from_its_teacher_alone() {
    let root = tempfile::tempdir().unwrap();
    let teacher = root.path().join("teacher");
    assert!(finish(&recipe(RESNET, &["epochs=16"]), &teacher).history[15].validation_accuracy > 0.95);
    for (name, more) in [
        ("soft", &["objective.temperature=2"][..]),
        ("hard", &["objective.mode=hard"]),
        ("token", &["objective.mode=hard", "model.distilled=true", "objective.alpha=0.5"]),
        ("blocks", &["gradient_checkpointing=true"]),
    ] {
        // Augmentation that never shows the same image twice, and no label but by the teacher.
        let usual = ["objective.alpha=1.0", "augment.color_jitter=0.1", "epochs=16"];
        let trained = finish(&student(&teacher, &[&usual[..], more].concat()), &root.path().join(name));
        let last = trained.history.last().unwrap();
        assert!(last.validation_accuracy > 0.9, "{name}: {last:?}");
    }
}

#[test]
fn answers_are_kept_and_resuming_gives_the_bits_of_never_having_stopped() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    finish(&recipe(RESNET, &["epochs=1"]), &path("teacher"));
    let recipe = student(&path("teacher"), &["augment.flip=0.5", "model.distilled=true"]);
    distil(&recipe, &path("straight"), &mut ()).unwrap();
    distil(&recipe, &path("resumed"), &mut StopAt(30, 0)).unwrap();
    assert!(path("resumed/teacher-answers.safetensors").exists());
    distil(&recipe, &path("resumed"), &mut StopAt(40, 0)).unwrap();
    // They can all be computed again.
    std::fs::remove_file(path("resumed/teacher-answers.safetensors")).unwrap();
    distil(&recipe, &path("resumed"), &mut ()).unwrap();
    assert!(results(&path("straight")) == results(&path("resumed")));

    let notes =
        events::read(&path("straight").join(LOG)).unwrap().filter_map(|event| match event.unwrap().what {
            Happening::Note { text } => Some(text),
            _ => None,
        });
    let notes: Vec<String> = notes.collect();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("once for each image and once for its mirror image"), "{notes:?}");
}

#[test]
fn a_teacher_that_changed_or_knows_other_classes_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    finish(&recipe(RESNET, &["epochs=1"]), &path("teacher"));
    let recipe = student(&path("teacher"), &[]);
    distil(&recipe, &path("run"), &mut StopAt(15, 0)).unwrap();
    let first = std::fs::read(path("teacher/model.safetensors")).unwrap();
    finish(&common::recipe(RESNET, &["epochs=1", "seed=1"]), &path("other"));
    std::fs::copy(path("other/model.safetensors"), path("teacher/model.safetensors")).unwrap();
    let sentence = distil(&recipe, &path("run"), &mut ()).unwrap_err().to_string();
    assert!(
        sentence.contains("teacher is not the one that") && sentence.contains("another --out"),
        "{sentence}"
    );
    std::fs::write(path("teacher/model.safetensors"), first).unwrap();
    distil(&recipe, &path("run"), &mut ()).unwrap();

    let sentence = distil(&student(&path("none"), &[]), &path("new"), &mut ()).unwrap_err().to_string();
    assert!(sentence.contains("none: No such file or folder"), "{sentence}");
    let bytes = std::fs::read(path("teacher/model.safetensors")).unwrap();
    let renamed: Vec<u8> = replaced(&bytes, b"left", b"cats");
    std::fs::write(path("teacher/model.safetensors"), renamed).unwrap();
    let sentence = distil(&recipe, &path("third"), &mut ()).unwrap_err().to_string();
    assert!(sentence.contains("does not know the class `left` of the data"), "{sentence}");
    assert!(!path("third/teacher.json").exists());
}

/// Every occurrence of `from` replaced by one as long.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|&at| &bytes[at..at + from.len()] == from).collect();
    places.iter().for_each(|&at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}
