//! Records made in one go, in pieces of any size, or after an interruption anywhere lead to the same findings.

use std::cell::{Cell, RefCell};
use std::path::Path;

use archaeo_data::{OpenOptions, open};
use archaeo_models::{Classifier, ModelCard, NetworkSpec, Preprocessing};
use archaeo_report::document::Section;
use burn::tensor::Device;

use super::*;
use crate::findings::Investigation;
use crate::options::{NoOptions, StudyOptions};
use crate::report::Names;
use crate::scene::Progress;
use crate::study::{Applicability, Chapter};
use crate::subjects::Subject;

thread_local! {
    /// Images recorded so far, in the order in which they were.
    static RECORDED: RefCell<Vec<(String, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Means of the images' first pixels, and of squares of their indices.
struct Means;

impl Study for Means {
    const ID: &'static str = "means";
    const TITLE: &'static str = "Means";
    const QUESTION: &'static str = "what {it} means";
    type Options = NoOptions;
    type Record = f64;
    type Findings = Given;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images: Vec<usize> = (0..23).rev().collect();
        let unit = |aspect: &str| Unit {
            model: scene.subjects[0].name,
            aspect: aspect.into(),
            title: aspect.into(),
            images: images.clone(),
        };
        Ok(vec![unit("pixel"), unit("square")])
    }

    fn recorder<'a>(_: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, f64>, StudyError> {
        Ok(Box::new(move |batch| {
            let record = |((&index, sample), &place): ((&usize, &Sample), &usize)| {
                assert_eq!(unit.images[place], index);
                RECORDED.with_borrow_mut(|all| all.push((unit.aspect.clone(), index)));
                match unit.aspect.as_str() {
                    "pixel" => f64::from(sample.image.pixels()[0]) / 255.0,
                    _ => (index * index) as f64 / 7.0,
                }
            };
            Ok(batch.indices.iter().zip(batch.samples).zip(batch.places).map(record).collect())
        }))
    }

    fn conclude(_: &Scene, recorded: Vec<Recorded<f64>>) -> Result<Self::Findings, StudyError> {
        Ok(recorded.into_iter().map(|of| (of.unit.aspect, of.records)).collect())
    }

    fn chapter(_: &Self::Findings, _: &Investigation, _: &Names) -> Chapter {
        Chapter::new(Section { id: Self::ID, title: Self::TITLE, blocks: Vec::new() }, Vec::new())
    }
}

/// Interrupts after so many batches.
struct After(Cell<usize>);

// The studies' one thread alone asks it.
struct Interrupting(std::sync::Mutex<After>);

impl Progress for Interrupting {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize) {}
    fn interrupted(&self) -> bool {
        let after = self.0.lock().unwrap();
        let left = after.0.get();
        after.0.set(left.saturating_sub(1));
        left == 0
    }
}

/// What each unit gave.
type Given = Vec<(String, Vec<f64>)>;

/// Calls `ask` with a scene of 30 images in the main split, of which batches of so many are computed at once until so many of them were.
fn in_scene<T>(batch_size: usize, batches: usize, ask: impl FnOnce(&Scene) -> T) -> T {
    let device = Device::default();
    let dataset = open("sherds:size=16,train=10,val=10,test=30", &OpenOptions::default()).unwrap();
    let card = ModelCard {
        name: "vit_micro".into(),
        network: NetworkSpec::named("vit_micro", 10, 16).unwrap(),
        preprocessing: Preprocessing::plain(16),
        classes: dataset.classes.clone(),
    };
    let model = Classifier::new(card, 0, &device).unwrap();
    let mut options = StudyOptions::quick();
    options.batch_size = batch_size;
    let scene = Scene {
        folder: Path::new("."),
        dataset: &dataset,
        main_split: "test",
        subset: None,
        subjects: &[Subject::new(ModelName::new("vit"), &model)],
        device: &device,
        options: &options,
        seed: 0,
        progress: &Interrupting(std::sync::Mutex::new(After(Cell::new(batches)))),
        shared: None,
    };
    ask(&scene)
}

/// What is found, or `None` after an interruption, and which images were recorded.
fn asked(
    folder: Option<&Path>,
    made_from: &str,
    batch_size: usize,
    batches: usize,
) -> (Option<Given>, Vec<(String, usize)>) {
    let keep = folder.map(|folder| Keep { folder, made_from });
    let found = in_scene(batch_size, batches, |scene| ask::<Means>(scene, keep));
    let recorded = RECORDED.take();
    match found {
        Ok(found) => (Some(found), recorded),
        Err(StudyError::Interrupted) => (None, recorded),
        Err(error) => panic!("{error}"),
    }
}

const ALWAYS: usize = usize::MAX;

#[test]
fn an_interruption_anywhere_loses_no_more_than_a_batch() {
    let (undisturbed, all) = asked(None, "", 4, ALWAYS);
    let undisturbed = undisturbed.unwrap();
    assert_eq!((all.len(), undisturbed.len(), undisturbed[0].1.len()), (46, 2, 23));
    assert_eq!(undisturbed[1].1[0], (22.0 * 22.0) / 7.0, "records are in the order of the unit's images");
    for batches in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let (stopped, first) = asked(Some(folder.path()), "this", 4, batches);
        assert!(stopped.is_none() && first.len() < 46);
        // The rest in pieces of another size.
        let (found, rest) = asked(Some(folder.path()), "this", 5, ALWAYS);
        assert_eq!(found.as_ref(), Some(&undisturbed));
        assert_eq!([first, rest].concat(), all, "no image twice, after {batches} batches");
        let (again, nothing) = asked(Some(folder.path()), "this", 5, ALWAYS);
        assert!(again.as_ref() == Some(&undisturbed) && nothing.is_empty());
    }
}

#[test]
fn records_of_something_else_or_that_cannot_be_read_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (undisturbed, all) = asked(Some(folder.path()), "this", 4, ALWAYS);
    assert_eq!(asked(Some(folder.path()), "that", 4, ALWAYS), (undisturbed.clone(), all.clone()));

    let log = folder.path().join("vit.square.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let second = text.lines().nth(2).unwrap();
    std::fs::write(&log, text.replace(second, "{\"images\":[18],\"records\":[null]}")).unwrap();
    let (found, recorded) = asked(Some(folder.path()), "that", 4, ALWAYS);
    assert_eq!((found, recorded.as_slice()), (undisturbed, &all[23 + 4..23 + 8]));
}

/// Shares recorded apart, and in batches of another size, are the records of one process; each image is recorded once.
#[test]
fn shares_together_are_what_one_process_records() {
    let (undisturbed, mut all) = asked(None, "", 4, ALWAYS);
    all.sort();
    for of in [1, 2, 7] {
        let folder = tempfile::tempdir().unwrap();
        let share = |index: usize| folder.path().join(index.to_string());
        let mut recorded = Vec::new();
        for index in 0..of {
            let shard = Shard::new(index, of).unwrap();
            let (folder, made_from) = (share(index), "this");
            let keep = Keep { folder: &folder, made_from };
            let divided = in_scene(3 + index, ALWAYS, |scene| record_share::<Means>(scene, keep, shard));
            assert!(divided.unwrap());
            let here = RECORDED.take();
            let holds = in_scene(4, ALWAYS, |scene| {
                let split = scene.split().unwrap();
                here.iter().all(|(_, image)| shard.holds(&split.identifier(*image)))
            });
            assert!(holds, "{here:?} in {shard}");
            recorded.extend(here);
            // Once more there is nothing to do.
            in_scene(4, ALWAYS, |scene| record_share::<Means>(scene, keep, shard)).unwrap();
            assert!(RECORDED.take().is_empty());
        }
        recorded.sort();
        assert_eq!(recorded, all, "each image in one of {of} shares");
        let together = folder.path().join("together");
        std::fs::create_dir(&together).unwrap();
        for log in ["vit.pixel.jsonl", "vit.square.jsonl"] {
            let mut text = String::from("this\n");
            for index in 0..of {
                let one = std::fs::read_to_string(share(index).join(log)).unwrap();
                text += one.strip_prefix("this\n").unwrap();
            }
            std::fs::write(together.join(log), text).unwrap();
        }
        let (found, nothing) = asked(Some(&together), "this", 5, ALWAYS);
        assert_eq!(found, undisturbed);
        assert!(nothing.is_empty());
    }
}
